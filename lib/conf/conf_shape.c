/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_conf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "conf_priv.h"

/* One pass over a document. */
struct shape_walk {
	struct conf_shape *shape;
	struct conf_errors *errors;
	yaml_document_t *document;
	bool *seen; /* by node: a second way to a node is an alias */
};

static bool shape_check(
	struct shape_walk *walk, int id, const cyaml_schema_value_t *schema, const char *path);

static uint32_t shape_node_line(const yaml_node_t *node)
{
	return (uint32_t)node->start_mark.line + 1;
}

uint32_t conf_shape_line(const struct conf_shape *shape, const char *path)
{
	for (uint32_t i = 0; i < shape->line_count; i++)
		if (strcmp(shape->lines[i].path, path) == 0)
			return shape->lines[i].line;
	return 0;
}

static void shape_line_add(struct shape_walk *walk, const char *path, uint32_t line)
{
	struct conf_shape *shape = walk->shape;

	if (shape->line_count == shape->line_room) {
		uint32_t room = shape->line_room ? 2 * shape->line_room : 64;
		struct conf_line *lines = realloc(shape->lines, room * sizeof(*lines));

		if (!lines) {
			walk->errors->out_of_memory = true;
			return;
		}
		shape->lines = lines;
		shape->line_room = room;
	}
	(void)snprintf(shape->lines[shape->line_count].path, CONF_PATH_MAX, "%s", path);
	shape->lines[shape->line_count++].line = line;
}

static const char *shape_found(const yaml_node_t *node, char *ret_buf, size_t size)
{
	if (node->type == YAML_SCALAR_NODE)
		return conf_error_quote((const char *)node->data.scalar.value, ret_buf, size);
	return node->type == YAML_SEQUENCE_NODE ? "a list" : "a section";
}

static void shape_join(const char *path, const char *key, char *ret_path)
{
	(void)snprintf(ret_path, CONF_PATH_MAX, "%.40s%s%.50s", path, *path ? "." : "", key);
}

static void shape_unknown(struct shape_walk *walk, const cyaml_schema_field_t *fields,
	const yaml_node_t *key, const char *path)
{
	char keys[1024] = "", quoted[128], at[CONF_PATH_MAX];
	size_t n = 0;

	for (; fields->key && n < sizeof(keys); fields++) {
		if (fields->value.type != CYAML_IGNORE)
			n += (size_t)snprintf(
				keys + n, sizeof(keys) - n, "%s%s", n ? ", " : "", fields->key);
	}
	(void)shape_found(key, quoted, sizeof(quoted));
	quoted[strlen(quoted) - 1] = '\0'; /* without the quotes */
	shape_join(path, quoted + 1, at);
	conf_error_add(
		walk->errors, shape_node_line(key), at, "an unknown key", "the keys %s", keys);
}

/* One key of a mapping. False: it does not fit and was reported. */
static bool shape_pair(struct shape_walk *walk, const cyaml_schema_field_t *fields,
	const yaml_node_pair_t *pair, const char *path)
{
	yaml_node_t *key = yaml_document_get_node(walk->document, pair->key);
	yaml_node_t *value = yaml_document_get_node(walk->document, pair->value);
	const cyaml_schema_field_t *field = fields;
	char at[CONF_PATH_MAX], found[128];

	if (key->type != YAML_SCALAR_NODE) {
		conf_error_add(walk->errors, shape_node_line(key), *path ? path : "file",
			"a key that is no word", "key: value");
		return false;
	}
	while (field->key && strcmp(field->key, (const char *)key->data.scalar.value) != 0)
		field++;
	if (!field->key) {
		shape_unknown(walk, fields, key, path);
		return false;
	}
	shape_join(path, field->key, at);
	if (field->value.type == CYAML_IGNORE) {
		conf_error_add(walk->errors, shape_node_line(key), at,
			shape_found(value, found, sizeof(found)),
			"nothing, it is not supported by this version");
		return false;
	}
	if (conf_shape_line(walk->shape, at) != 0) {
		conf_error_add(walk->errors, shape_node_line(key), at, "it a second time",
			"each key once");
		return false;
	}
	shape_line_add(walk, at, shape_node_line(key));
	return shape_check(walk, pair->value, &field->value, at);
}

static void shape_mapping(struct shape_walk *walk, yaml_node_t *node,
	const cyaml_schema_field_t *fields, const char *path)
{
	yaml_node_pair_t *keep = node->data.mapping.pairs.start;

	for (yaml_node_pair_t *pair = keep; pair < node->data.mapping.pairs.top; pair++)
		if (shape_pair(walk, fields, pair, path))
			*keep++ = *pair;
	node->data.mapping.pairs.top = keep;
}

/* Elements are counted as they will arrive in conf_raw: without those that were cut. False: too few
 * are left. Of too many only the allowed ones are looked at. */
static bool shape_sequence(struct shape_walk *walk, yaml_node_t *node,
	const cyaml_schema_value_t *schema, const char *path)
{
	yaml_node_item_t *start = node->data.sequence.items.start, *keep = start;
	size_t count = (size_t)(node->data.sequence.items.top - start);
	uint32_t min = schema->sequence.min, max = schema->sequence.max;

	if (count < min || count > max) {
		char found[32];

		(void)snprintf(found, sizeof(found), "%zu entries", count);
		conf_error_add(
			walk->errors, shape_node_line(node), path, found, "%u to %u", min, max);
	}
	for (size_t i = 0; i < count && i < max; i++) {
		const yaml_node_t *item = yaml_document_get_node(walk->document, start[i]);
		uint32_t line_count = walk->shape->line_count;
		char at[CONF_PATH_MAX];

		(void)snprintf(at, sizeof(at), "%.60s[%u]", path, (unsigned)(keep - start));
		shape_line_add(walk, at, shape_node_line(item));
		if (shape_check(walk, start[i], schema->sequence.entry, at))
			*keep++ = start[i];
		else /* the path goes to the next element */
			walk->shape->line_count = line_count;
	}
	node->data.sequence.items.top = keep;
	return (size_t)(keep - start) >= min;
}

/* Whether the node is of the schema's kind. Parts of it that are not were cut. As deep as the
 * schema: ports, port, addresses, address. */
static bool shape_check(
	struct shape_walk *walk, int id, const cyaml_schema_value_t *schema, const char *path)
{
	yaml_node_t *node = yaml_document_get_node(walk->document, id);
	char found[128];

	HF_ASSERT(node);
	if (walk->seen[id]) {
		conf_error_add(walk->errors, shape_node_line(node), path, "an alias",
			"values written out");
		return false;
	}
	walk->seen[id] = true;
	(void)shape_found(node, found, sizeof(found));
	if (schema->type == CYAML_MAPPING && node->type == YAML_MAPPING_NODE) {
		shape_mapping(walk, node, schema->mapping.fields, path);
		return true;
	}
	if (schema->type == CYAML_SEQUENCE && node->type == YAML_SEQUENCE_NODE)
		return shape_sequence(walk, node, schema, path);
	if (schema->type == CYAML_STRING && node->type == YAML_SCALAR_NODE &&
		!memchr(node->data.scalar.value, '\0', node->data.scalar.length))
		return true;
	conf_error_add(walk->errors, shape_node_line(node), *path ? path : "file",
		shape_found(node, found, sizeof(found)), "%s",
		schema->type == CYAML_MAPPING    ? "a section of key: value lines"
		: schema->type == CYAML_SEQUENCE ? "a list"
						 : "one value");
	return false;
}

static int shape_write(void *data, unsigned char *bytes, size_t len)
{
	return fwrite(bytes, 1, len, data) == len;
}

/* Writes what is left of the document; takes it over. */
static int shape_emit(struct conf_shape *shape, yaml_document_t *document)
{
	yaml_emitter_t emitter;
	FILE *out = open_memstream(&shape->yaml, &shape->yaml_len);
	bool done;

	if (!out || !yaml_emitter_initialize(&emitter)) {
		yaml_document_delete(document);
		if (out)
			(void)fclose(out);
		return -ENOMEM;
	}
	yaml_emitter_set_output(&emitter, shape_write, out);
	yaml_emitter_set_unicode(&emitter, 1);
	yaml_emitter_set_width(&emitter, -1);
	done = yaml_emitter_open(&emitter) && yaml_emitter_dump(&emitter, document) &&
	       yaml_emitter_close(&emitter);
	yaml_emitter_delete(&emitter);
	return fclose(out) == 0 && done ? 0 : -ENOMEM;
}

static int shape_syntax_error(const yaml_parser_t *parser, struct conf_errors *errors)
{
	bool marked = parser->error == YAML_SCANNER_ERROR || parser->error == YAML_PARSER_ERROR ||
		      parser->error == YAML_COMPOSER_ERROR;

	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	conf_error_add(errors, marked ? (uint32_t)parser->problem_mark.line + 1 : 1, "syntax",
		parser->problem ? parser->problem : "an error", "one YAML document in UTF-8");
	return -EINVAL;
}

static int shape_document(struct shape_walk *walk, const cyaml_schema_value_t *schema)
{
	yaml_document_t *document = walk->document;
	size_t count = (size_t)(document->nodes.top - document->nodes.start);

	walk->seen = calloc(count + 1, sizeof(*walk->seen));
	if (!walk->seen) {
		yaml_document_delete(document);
		return -ENOMEM;
	}
	/* no document at all: an empty file, or comments only */
	if (count == 0 || !shape_check(walk, /* root */ 1, schema, "")) {
		yaml_document_delete(document);
		walk->shape->yaml = strdup("{}");
		walk->shape->yaml_len = 2;
		return walk->shape->yaml ? 0 : -ENOMEM;
	}
	return shape_emit(walk->shape, document);
}

int conf_shape_parse(struct conf_shape *shape, const char *text, size_t len,
	const cyaml_schema_value_t *schema, struct conf_errors *errors)
{
	yaml_parser_t parser;
	yaml_document_t document, next;
	struct shape_walk walk = { .shape = shape, .errors = errors, .document = &document };
	int err;

	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	if (!yaml_parser_load(&parser, &document)) {
		err = shape_syntax_error(&parser, errors);
		yaml_parser_delete(&parser);
		return err;
	}
	err = shape_document(&walk, schema);
	free(walk.seen);
	if (err == 0) {
		if (!yaml_parser_load(&parser, &next)) {
			err = shape_syntax_error(&parser, errors);
		} else {
			const yaml_node_t *root = yaml_document_get_root_node(&next);

			if (root)
				conf_error_add(errors, shape_node_line(root), "file",
					"a second document", "one");
			yaml_document_delete(&next);
		}
	}
	yaml_parser_delete(&parser);
	return err;
}

void conf_shape_fini(struct conf_shape *shape)
{
	free(shape->lines);
	free(shape->yaml);
	*shape = (struct conf_shape){ 0 };
}
