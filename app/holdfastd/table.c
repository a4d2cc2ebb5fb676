/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Answers that are tables.
 */
#include "app.h"

json_t *app_table_new(const char *const *columns, size_t count)
{
	json_t *names = json_array();

	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(names, json_string(columns[i]));
	return json_pack("{s:o, s:[]}", "columns", names, "rows");
}

void app_table_add(json_t *table, json_t *row)
{
	(void)json_array_append_new(json_object_get(table, "rows"), row);
}
