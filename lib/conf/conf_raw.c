/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_conf.h"

#include <string.h>

#include "conf_priv.h"

/* Sections keep no struct of their own: each field knows its place in struct conf_raw. */
#define RAW_FIELD(type, key_, index)                                                               \
	CYAML_FIELD_STRING_PTR(#key_, CYAML_FLAG_OPTIONAL, type, value[index], 0, CYAML_UNLIMITED),
#define RAW_SECTION(section)                                                                       \
	{                                                                                          \
		.key = #section, .data_offset = 0,                                                 \
		.value = {                                                                         \
			.type = CYAML_MAPPING,                                                     \
			.flags = CYAML_FLAG_OPTIONAL,                                              \
			.data_size = sizeof(struct conf_raw),                                      \
			.mapping = { .fields = raw_##section },                                    \
		},                                                                                 \
	},
#define RAW_LIST(type, key_, member_, entry_, min_, max_)                                          \
	CYAML_FIELD_SEQUENCE(#key_, CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, type, member_,       \
		entry_, min_, max_)

static const cyaml_schema_value_t raw_string = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED),
};

static const cyaml_schema_field_t raw_port[] = {
#define PORT(key, ...) RAW_FIELD(struct conf_raw_port, key, CONF_PORT_##key)
#include "tbl/params.h"
	RAW_LIST(struct conf_raw_port, addresses, addresses, &raw_string, 1, HF_CONF_ADDRESSES_MAX),
	RAW_LIST(struct conf_raw_port, gateway, gateway, &raw_string, 0, 2),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t raw_port_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct conf_raw_port, raw_port),
};

#define ROOT(...)
#define SECTION(section)     static const cyaml_schema_field_t raw_##section[] = {
#define X(section, key, ...) RAW_FIELD(struct conf_raw, key, CONF_##section##_##key)
#define LIST(section, key, when, member, T, min, max, ...)                                         \
	RAW_LIST(struct conf_raw, key, list[CONF_##section##_##key].at, &raw_string, min, max),
#define END                                                                                        \
	CYAML_FIELD_END                                                                            \
	}                                                                                          \
	;
#include "tbl/params.h"

static const cyaml_schema_field_t raw_root[] = {
#define ROOT(key, ...)   RAW_FIELD(struct conf_raw, key, CONF_root_##key)
#define SECTION(section) RAW_SECTION(section)
#define UNSUPPORTED(key) CYAML_FIELD_IGNORE(#key, CYAML_FLAG_OPTIONAL),
#include "tbl/params.h"
	RAW_LIST(struct conf_raw, ports, ports, &raw_port_value, 1, HF_CONF_PORTS_MAX),
	RAW_LIST(struct conf_raw, listen, listen, &raw_string, 1, HF_CONF_LISTEN_MAX),
	CYAML_FIELD_END,
};

const cyaml_schema_value_t conf_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct conf_raw, raw_root),
};

static const cyaml_config_t raw_config = {
	.mem_fn = cyaml_mem,
	.log_level = CYAML_LOG_ERROR,
	.flags = CYAML_CFG_NO_ALIAS,
};

struct conf_raw *conf_raw_load(const struct conf_shape *shape, struct conf_errors *errors)
{
	struct conf_raw *raw = NULL;
	cyaml_err_t err = cyaml_load_data((const uint8_t *)shape->yaml, shape->yaml_len,
		&raw_config, &conf_schema, (cyaml_data_t **)&raw, NULL);

	if (err != CYAML_OK) {
		conf_error_add(errors, 1, "file", cyaml_strerror(err), "what the schema allows");
		return NULL;
	}
	if (!raw) /* a file without any key */
		raw = cyaml_mem(NULL, NULL, sizeof(*raw));
	else
		return raw;
	if (raw)
		memset(raw, 0, sizeof(*raw));
	return raw;
}

void conf_raw_free(struct conf_raw *raw)
{
	if (raw)
		(void)cyaml_free(&raw_config, &conf_schema, raw, 0);
}
