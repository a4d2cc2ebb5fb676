/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#define SHOW_INDENT      2
#define SHOW_COLUMNS_MAX 64
#define SHOW_CELL_MAX    1024

static void show_value(const json_t *value, int indent, FILE *out);
static void show_table(const json_t *columns, const json_t *rows, int indent, FILE *out);

void cli_show_text(const char *text, bool lines, FILE *out)
{
	for (; *text; text++) {
		/* those of C1 are two bytes in UTF-8 */
		bool c1 = (unsigned char)*text == 0xc2 && (unsigned char)text[1] >= 0x80 &&
			  (unsigned char)text[1] < 0xa0;
		bool control = (unsigned char)*text < 0x20 || *text == 0x7f || c1;

		fputc(control && !(lines && (*text == '\n' || *text == '\t')) ? '?' : *text, out);
		text += c1;
	}
}

/* A scalar on one line; what is inside an array or object only as JSON. */
static void show_scalar(const json_t *value, FILE *out)
{
	char *text;

	switch (json_typeof(value)) {
	case JSON_STRING:
		cli_show_text(json_string_value(value), /* lines= */ false, out);
		return;
	case JSON_INTEGER:
		fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return;
	case JSON_REAL:
		fprintf(out, "%.6g", json_real_value(value));
		return;
	case JSON_TRUE:
		fputs("yes", out);
		return;
	case JSON_FALSE:
		fputs("no", out);
		return;
	case JSON_NULL:
		fputc('-', out);
		return;
	default:
		text = json_dumps(value, JSON_COMPACT);
		cli_show_text(text ? text : "", /* lines= */ false, out);
		free(text);
	}
}

static bool show_is_nested(const json_t *value)
{
	return json_is_object(value) || json_is_array(value);
}

static size_t show_cell(const json_t *value, char *ret_text)
{
	FILE *out = fmemopen(ret_text, SHOW_CELL_MAX, "w");

	ret_text[0] = '\0';
	if (out) {
		show_scalar(value, out);
		(void)fclose(out);
		ret_text[SHOW_CELL_MAX - 1] = '\0';
	}
	return strlen(ret_text);
}

/* Numbers stand right, all else left; nothing is padded at the end of a line. */
static void show_row(const json_t *row, const size_t *widths, size_t columns, int indent, FILE *out)
{
	char cell[SHOW_CELL_MAX];

	fprintf(out, "%*s", indent, "");
	for (size_t i = 0; i < columns; i++) {
		const json_t *value = json_array_get(row, i);
		bool last = i + 1 == columns;
		int width;

		if (!value)
			break;
		(void)show_cell(value, cell);
		width = json_is_number(value) ? (int)widths[i] : last ? 0 : -(int)widths[i];
		fprintf(out, "%*s%s", width, cell, last ? "" : "  ");
	}
	fputc('\n', out);
}

/* The last column of a table may hold objects, all with the same keys: a table under each row. */
static bool show_has_parts(const json_t *rows, size_t columns)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		if (columns > 1 &&
			json_is_object(json_array_get(json_array_get(row, columns - 1), 0)))
			return true;
	}
	return false;
}

static void show_parts(const json_t *parts, FILE *out)
{
	json_t *columns = json_array(), *rows = json_array(), *part, *value;
	const char *key;
	size_t i;

	json_array_foreach(parts, i, part)
	{
		json_t *row = json_array();

		json_object_foreach(part, key, value)
		{
			if (i == 0)
				(void)json_array_append_new(columns, json_string(key));
			(void)json_array_append(row, value);
		}
		(void)json_array_append_new(rows, row);
	}
	show_table(columns, rows, 4 * SHOW_INDENT, out);
	json_decref(columns);
	json_decref(rows);
}

static void show_table(const json_t *columns, const json_t *rows, int indent, FILE *out)
{
	size_t widths[SHOW_COLUMNS_MAX] = { 0 };
	size_t count = hf_min_size(json_array_size(columns), SHOW_COLUMNS_MAX), i;
	bool has_parts = show_has_parts(rows, count);
	char cell[SHOW_CELL_MAX];
	json_t *row;

	count -= has_parts;
	for (size_t c = 0; c < count; c++)
		widths[c] = show_cell(json_array_get(columns, c), cell);
	json_array_foreach(rows, i, row)
	{
		for (size_t c = 0; c < count && c < json_array_size(row); c++) {
			size_t width = show_cell(json_array_get(row, c), cell);

			widths[c] = width > widths[c] ? width : widths[c];
		}
	}
	show_row(columns, widths, count, indent, out);
	json_array_foreach(rows, i, row)
	{
		show_row(row, widths, count, indent, out);
		if (has_parts && json_array_size(json_array_get(row, count)) > 0)
			show_parts(json_array_get(row, count), out);
	}
}

static void show_member(const char *key, const json_t *value, size_t width, int indent, FILE *out)
{
	fprintf(out, "%*s", indent, "");
	cli_show_text(key, /* lines= */ false, out);
	if (!show_is_nested(value)) {
		fprintf(out, ":%*s ", (int)(width - strlen(key)), "");
		show_scalar(value, out);
		fputc('\n', out);
	} else if (json_object_size(value) + json_array_size(value) == 0) {
		fprintf(out, ":%*s -\n", (int)(width - strlen(key)), "");
	} else {
		fputs(":\n", out);
		show_value(value, indent + SHOW_INDENT, out);
	}
}

static void show_object(const json_t *object, int indent, FILE *out)
{
	json_t *keep = (json_t *)(uintptr_t)object, *value;
	size_t width = 0;
	const char *key;

	json_object_foreach(keep, key, value)
	{
		if (!show_is_nested(value) && strlen(key) > width)
			width = strlen(key);
	}
	json_object_foreach(keep, key, value)
	{
		size_t own = strlen(key);

		show_member(key, value, width > own ? width : own, indent, out);
	}
}

/* Elements that are objects stand apart by a dash in front of the first line. */
static void show_array(const json_t *array, int indent, FILE *out)
{
	json_t *value;
	size_t i;

	json_array_foreach(array, i, value)
	{
		fprintf(out, "%*s-", indent, "");
		if (show_is_nested(value)) {
			fputc('\n', out);
			show_value(value, indent + SHOW_INDENT, out);
		} else {
			fputc(' ', out);
			show_scalar(value, out);
			fputc('\n', out);
		}
	}
}

/* A second table may stand behind the first, in a member of its own. */
static void show_tables(const json_t *value, int indent, FILE *out)
{
	json_t *keep = (json_t *)(uintptr_t)value, *rows = json_object_get(value, "rows"), *more;
	const char *key;

	show_table(json_object_get(value, "columns"), rows, indent, out);
	if (json_is_true(json_object_get(value, "cut")))
		fprintf(out, "%*s... and more: cut after %zu\n", indent, "", json_array_size(rows));
	json_object_foreach(keep, key, more)
	{
		if (json_array_size(json_object_get(more, "rows")) > 0) {
			fputc('\n', out);
			show_value(more, indent, out);
		}
	}
}

static void show_value(const json_t *value, int indent, FILE *out)
{
	if (json_is_array(json_object_get(value, "columns")) &&
		json_is_array(json_object_get(value, "rows"))) {
		show_tables(value, indent, out);
	} else if (json_is_object(value)) {
		show_object(value, indent, out);
	} else if (json_is_array(value)) {
		show_array(value, indent, out);
	} else {
		fprintf(out, "%*s", indent, "");
		show_scalar(value, out);
		fputc('\n', out);
	}
}

void cli_show(const json_t *result, FILE *out)
{
	const char *text = json_string_value(json_object_get(result, "text"));

	if (text && json_object_size(result) == 1)
		cli_show_text(text, /* lines= */ true, out);
	else
		show_value(result, 0, out);
}
