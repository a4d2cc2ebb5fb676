/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Answers that are tables, or reasons.
 */
#include <stdlib.h>
#include <string.h>

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

json_t *app_reasons(char *text)
{
	json_t *reasons = json_array();
	char *rest = text;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		(void)json_array_append_new(reasons, hf_ctl_string(line));
	free(text);
	return reasons;
}
