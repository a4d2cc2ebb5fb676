/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_conf.h"

#include <errno.h>
#include <inttypes.h>

#include "conf_test.h"

struct value_box {
	uint64_t value;
	char *text;
};

static const struct conf_param value_size = {
	.type = CONF_SIZE, .max = UINT64_MAX, .offset = offsetof(struct value_box, value), .size = 8
};
static const struct conf_param value_millis = { .type = CONF_MILLIS,
	.max = UINT32_MAX,
	.offset = offsetof(struct value_box, value),
	.size = 8 };
static const struct conf_param value_seconds = { .type = CONF_SECONDS,
	.max = UINT32_MAX,
	.offset = offsetof(struct value_box, value),
	.size = 8 };

static void value_expect(const struct conf_param *param, const char *text, uint64_t expected)
{
	struct value_box box = { .value = 77 };

	cr_expect_eq(conf_value_set(param, text, &box), 0, "refused: %s", text);
	cr_expect_eq(box.value, expected, "%s is %" PRIu64, text, box.value);
}

static void value_expect_refused(const struct conf_param *param, const char *text)
{
	struct value_box box = { .value = 77 };

	cr_expect_eq(conf_value_set(param, text, &box), -EINVAL, "taken: %s", text);
	cr_expect_eq(box.value, 77);
}

Test(conf_value, sizes_have_units_of_1024)
{
	value_expect(&value_size, "0", 0);
	value_expect(&value_size, "4096", 4096);
	value_expect(&value_size, "1B", 1);
	value_expect(&value_size, "3KiB", 3072);
	value_expect(&value_size, "5MiB", 5ULL << 20);
	value_expect(&value_size, "7GiB", 7ULL << 30);
	value_expect(&value_size, "8589934591GiB", 8589934591ULL << 30);
}

Test(conf_value, what_is_no_size_or_overflows_is_refused)
{
	static const char *const bad[] = { "", "KiB", "-1", "+1", "1.5MiB", "1 MiB", "1kib", "1MB",
		"1K", "0x10", "1MiBx", "18446744073709551616", "17179869184GiB",
		"99999999999999999999999KiB" };

	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++)
		value_expect_refused(&value_size, bad[i]);
}

Test(conf_value, times_need_a_unit_but_for_zero)
{
	value_expect(&value_millis, "0", 0);
	value_expect(&value_millis, "250ms", 250);
	value_expect(&value_millis, "2s", 2000);
	value_expect(&value_millis, "3m", 180000);
	value_expect(&value_millis, "1h", 3600000);
	value_expect(&value_seconds, "0", 0);
	value_expect(&value_seconds, "2h", 7200);
	value_expect_refused(&value_millis, "5");
	value_expect_refused(&value_millis, "1d");
	value_expect_refused(&value_millis, "1193h47m");
	value_expect_refused(&value_millis, "1194h");
	value_expect_refused(&value_seconds, "1500ms");
	value_expect_refused(&value_seconds, "5");
}

Test(conf_value, numbers_keep_to_their_range_and_word)
{
	struct conf_param param = { .type = CONF_UINT,
		.min = 1,
		.max = 63,
		.words = "auto",
		.offset = offsetof(struct value_box, value),
		.size = 8 };

	value_expect(&param, "auto", 0);
	value_expect(&param, "1", 1);
	value_expect(&param, "63", 63);
	value_expect_refused(&param, "0");
	value_expect_refused(&param, "64");
	value_expect_refused(&param, "Auto");
	value_expect_refused(&param, "1.0");
	value_expect_refused(&param, "18446744073709551617"); /* 1 modulo 2^64 */
}

Test(conf_value, every_default_is_in_its_range_and_every_range_fits_its_member)
{
	for (size_t i = 0; i < CONF_PARAM_COUNT; i++) {
		const struct conf_param *param = &conf_params[i];
		struct hf_conf conf = { 0 };
		char allowed[256];

		if (!conf_value_is_names(param->type))
			cr_expect_eq(conf_value_set(param, param->def, &conf), 0, "%s", param->key);
		cr_expect(param->type >= CONF_FIELDS || param->size == 8 ||
				  param->max >> (8 * param->size) == 0,
			"%s", param->key);
		cr_expect_lt(strlen(conf_value_allowed(param, allowed, sizeof(allowed))), 200);
		cr_expect(*param->help);
		if (param->type >= CONF_NAME)
			free(*(char **)((char *)&conf + param->offset));
	}
}

Test(conf_value, strings_are_printable_ASCII)
{
	struct conf_param param = { .type = CONF_FILE,
		.max = 10,
		.offset = offsetof(struct value_box, text),
		.size = sizeof(char *) };
	struct value_box box = { 0 };

	cr_expect_eq(conf_value_set(&param, "/a b.c", &box), 0);
	cr_expect_eq(conf_value_set(&param, "", &box), 0);
	cr_expect_str_empty(box.text);
	cr_expect_eq(conf_value_set(&param, "12345678901", &box), -EINVAL);
	cr_expect_eq(conf_value_set(&param, "a\nb", &box), -EINVAL);
	cr_expect_eq(conf_value_set(&param, "\xc3\xa4", &box), -EINVAL);
	param.type = CONF_SOCKET;
	cr_expect_eq(conf_value_set(&param, "relative", &box), -EINVAL);
	cr_expect_eq(conf_value_set(&param, "/dir/", &box), -EINVAL);
	cr_expect_str_empty(box.text, "a refused value changes nothing");
	free(box.text);
}

Test(conf_value, modes_are_three_or_four_octal_digits)
{
	struct conf_param param = { .type = CONF_MODE,
		.max = 0777,
		.offset = offsetof(struct value_box, value),
		.size = 8 };

	value_expect(&param, "0660", 0660);
	value_expect(&param, "600", 0600);
	value_expect_refused(&param, "1777");
	value_expect_refused(&param, "66");
	value_expect_refused(&param, "0o660");
	value_expect_refused(&param, "0680");
}

/* ---- addresses with ports ---- */

static void value_expect_all(enum conf_type type, const char *words, const char *const *texts,
	size_t count, int expected)
{
	struct conf_param param = { .type = type,
		.max = 300,
		.words = words,
		.offset = offsetof(struct value_box, text),
		.size = sizeof(char *) };

	for (size_t i = 0; i < count; i++) {
		struct value_box box = { .text = NULL };

		cr_expect_eq(conf_value_set(&param, texts[i], &box), expected, "%s", texts[i]);
		free(box.text);
	}
}

Test(conf_value, an_endpoint_is_an_address_and_a_port_or_nothing)
{
	static const char *const good[] = { "", "127.0.0.1:9145", "0.0.0.0:1", "[::1]:65535" };
	static const char *const bad[] = { "127.0.0.1", "127.0.0.1:", "127.0.0.1:0",
		"127.0.0.1:65536", "localhost:80", "::1:80", "[::1]", "[::1:80", "[127.0.0.1]:80",
		":80", "[]:80", "1.2.3.4:80 ", " 1.2.3.4:80", "1.2.3:80", "]:80", "[:80", "env" };

	value_expect_all(CONF_ENDPOINT, NULL, good, HF_ARRAY_LEN(good), 0);
	value_expect_all(CONF_ENDPOINT, NULL, bad, HF_ARRAY_LEN(bad), -EINVAL);
}

Test(conf_value, a_host_and_port_may_be_a_name_or_one_of_the_words)
{
	static const char *const good[] = { "env", "off", "agent:8125", "a-b.c_d:1",
		"10.0.0.1:8125", "[2001:db8::1]:8125" };
	static const char *const bad[] = { "on", "agent", "agent:", "agent:x", "a b:1", "a/b:1",
		"[agent]:1", "a:b:1", "http://a:1", "a:70000" };

	value_expect_all(CONF_HOSTPORT, "env|off", good, HF_ARRAY_LEN(good), 0);
	value_expect_all(CONF_HOSTPORT, "env|off", bad, HF_ARRAY_LEN(bad), -EINVAL);
}
