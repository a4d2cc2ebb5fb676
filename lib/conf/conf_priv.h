/* SPDX-License-Identifier: BSD-3-Clause
 *
 * conf_priv - the stages of a load, and what they hand on.
 *
 * Picture
 *      file -> conf_shape: libyaml's tree against the schema; what does not fit is reported and
 * cut, the rest written anew, with the line of each path
 *           -> conf_raw: libcyaml loads that by the same schema, strings only
 *           -> conf_value, conf_port: strings to values, by tbl/params.h
 *           -> conf: rules between keys, errors sorted by line
 *      two of them -> conf_merge: what a reload makes of them, and how they differ
 *      libcyaml stops at the first thing it cannot load and has no lines for what it can: so it
 * gets only what fits, and one bad key hides no other.
 */
#ifndef HF_PRIV_CONF
#error "conf_priv.h is private to lib/conf"
#endif
#ifndef CONF_PRIV_H
#define CONF_PRIV_H

#include <cyaml/cyaml.h>

#include "hf_conf.h"

#define CONF_FILE_MAX (1024 * 1024)
#define CONF_PATH_MAX 96 /* "ports[4095].addresses[4095]" and section.key fit */

enum conf_type {
	CONF_UINT,
	CONF_SIZE,
	CONF_SECONDS,
	CONF_MILLIS,
	CONF_ENUM,
	CONF_MODE,
	CONF_FIELDS,
	CONF_PARAMETERS,
	CONF_TARGETS,
	CONF_NAME,
	CONF_GROUP,
	CONF_SOCKET,
	CONF_FILE,
	CONF_URL,
	CONF_ENDPOINT,
	CONF_HOSTPORT,
	CONF_DEVICE,
};

/* What changes it. */
enum conf_when { CONF_BOOT, CONF_LIVE };

/* One line of tbl/params.h. */
struct conf_param {
	const char *section, *key; /* section "": top level */
	enum conf_type type;
	enum conf_when when;
	uint64_t min, max;
	const char *words, *def, *help;
	size_t offset, size; /* of the member */
};

enum conf_param_id {
#define X(section, key, ...) CONF_##section##_##key,
#include "tbl/params.h"
	CONF_PARAM_COUNT
};

enum conf_port_param_id {
#define PORT(key, ...) CONF_PORT_##key,
#include "tbl/params.h"
	CONF_PORT_PARAM_COUNT
};

extern const struct conf_param conf_params[CONF_PARAM_COUNT];
extern const struct conf_param conf_port_params[CONF_PORT_PARAM_COUNT];

/* What libcyaml fills: NULL where the file says nothing. */
struct conf_raw_port {
	char *value[CONF_PORT_PARAM_COUNT];
	char **addresses, **gateway;
	uint32_t addresses_count, gateway_count;
};

struct conf_raw {
	char *value[CONF_PARAM_COUNT];
	struct {
		char **at;
		uint32_t at_count;
	} list[CONF_PARAM_COUNT]; /* of LISTs */
	struct conf_raw_port *ports;
	char **listen;
	uint32_t ports_count, listen_count;
};

extern const cyaml_schema_value_t conf_schema;

struct conf_error {
	uint32_t line, order;
	char *text;
};

/* Collects, so that they can be told in the order of the file. */
struct conf_errors {
	struct conf_error *at;
	uint32_t count, room;
	bool out_of_memory;
};

void conf_error_add(struct conf_errors *errors, uint32_t line, const char *key, const char *found,
	const char *allowed, ...) HF_PRINTF(5, 6);
void conf_errors_print(struct conf_errors *errors, const char *file, FILE *out);
void conf_errors_fini(struct conf_errors *errors);
/* TEXT as an error shows it: quoted, printable, cut. Returns ret_buf. */
const char *conf_error_quote(const char *text, char *ret_buf, size_t size);

struct conf_line {
	char path[CONF_PATH_MAX];
	uint32_t line;
};

struct conf_shape {
	struct conf_line *lines;
	uint32_t line_count, line_room;
	char *yaml; /* what libcyaml will load */
	size_t yaml_len;
};

/* 0, or -EINVAL for a text that is no YAML (told to `errors`), -ENOMEM. */
int conf_shape_parse(struct conf_shape *shape, const char *text, size_t len,
	const cyaml_schema_value_t *schema, struct conf_errors *errors);
void conf_shape_fini(struct conf_shape *shape);
/* The line of a path that the file has, else 0. */
uint32_t conf_shape_line(const struct conf_shape *shape, const char *path);

/* NULL with the reason in `errors`. */
struct conf_raw *conf_raw_load(const struct conf_shape *shape, struct conf_errors *errors);
void conf_raw_free(struct conf_raw *raw);

/* Stores TEXT as the parameter's member of BASE. -EINVAL, or -ENOMEM; then BASE is untouched. */
int conf_value_set(const struct conf_param *param, const char *text, void *base);
/* The same with one more name of a list. */
int conf_names_add(const struct conf_param *param, const char *text, void *base);
void conf_value_print(const struct conf_param *param, const void *base, FILE *out);
/* What conf_value_set takes, in words. Returns ret_buf. */
const char *conf_value_allowed(const struct conf_param *param, char *ret_buf, size_t size);
bool conf_value_is_string(enum conf_type type);
bool conf_value_is_names(enum conf_type type);
void conf_names_print(const struct hf_names *names, FILE *out);
void conf_names_allowed(const struct conf_param *param, char *ret_buf, size_t size);
/* The place of TEXT in "a|b". */
bool conf_value_word(const char *words, const char *text, uint64_t *ret_value);
/* A decimal number without sign. */
bool conf_value_uint(const char *text, uint64_t max, uint64_t *ret_value);

/* Fills conf->port from what the file says; what is wrong goes into `errors`. */
void conf_port_load(struct hf_conf *conf, const struct conf_raw *raw,
	const struct conf_shape *shape, struct conf_errors *errors);
void conf_port_print_address(const struct hf_conf_address *address, bool with_prefix, FILE *out);

/* Lists, as YAML on a line. */
void conf_print_addresses(const struct hf_conf_port *port, FILE *out);
void conf_print_gateway(const struct hf_conf_port *port, FILE *out);
void conf_print_listen(const struct hf_conf *conf, FILE *out);

/* "section.key"; ret_path has CONF_PATH_MAX bytes. */
void conf_path(const struct conf_param *param, char *ret_path);

#endif
