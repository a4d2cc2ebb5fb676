/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What of hf-load needs no device: arguments, keys, bodies, responses, the schedule.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "load.h"

#define TO "--device", "net_memif0", "--address", "192.0.2.1/24", "--target", "192.0.2.10:80"

/* Of a NULL-terminated list of arguments. What is told goes to `said`. */
static int args(struct load_opts *opts, char *said, size_t size, const char *const *list)
{
	char *argv[64] = { (char *)(uintptr_t) "hf-load" };
	FILE *errors = fmemopen(said, size, "w");
	int argc = 1, rc;

	/* getopt_long's own words go to stderr */
	for (; *list; list++)
		argv[argc++] = (char *)(uintptr_t)*list;
	rc = load_args(argc, argv, errors, opts);
	(void)fclose(errors);
	return rc;
}

#define ARGS(...) args(&opts, said, sizeof(said), (const char *const[]){ __VA_ARGS__, NULL })

Test(load_args, defaults_are_those_of_help)
{
	struct load_opts opts;
	char said[512] = "";

	cr_assert_eq(ARGS(TO), 0, "%s", said);
	cr_assert_eq(opts.mode, LOAD_CLIENT);
	cr_assert(opts.keys == 1 && opts.connections == 64 && opts.pipeline == 1 && opts.fill);
	cr_assert(
		opts.rate == 0 && opts.zipf == 0.99 && opts.duration_s == 10 && opts.warmup_s == 1);
	cr_assert(opts.sizes.count == 1 && opts.sizes.bytes[0] == 64 && opts.verify == 64);
	cr_assert_str_eq(opts.host, "192.0.2.10:80");
	cr_assert_eq(memcmp(opts.conf.port[0].gateway4.ip, opts.target.b, 16), 0);
}

Test(load_args, every_value_arrives)
{
	struct load_opts opts;
	char said[512] = "";

	cr_assert_eq(ARGS("--device=net_tap0", "--address", "2001:db8::1/64", "--target",
			     "[2001:db8:1::2]:8080", "--gateway", "2001:db8::fe", "--host", "x.y",
			     "--keys", "100000", "--zipf", "1.2", "--sizes", "64:3,1024",
			     "--connections", "5", "--pipeline", "16", "--requests-per-connection",
			     "7", "--rate", "1234.5", "--duration", "2.5", "--requests", "9",
			     "--warmup", "0", "--no-fill", "--timeout", "0.5", "--verify", "1",
			     "--seed", "3", "--json", "-", "--cpu", "1", "--hugepages", "off"),
		0, "%s", said);
	cr_assert(opts.target_port == 8080 && opts.target.b[0] == 0x20 && opts.keys == 100000);
	cr_assert(opts.conf.port[0].gateway6.ip[15] == 0xfe);
	cr_assert_str_eq(opts.host, "x.y");
	cr_assert(opts.zipf == 1.2 && opts.rate == 1234.5 && opts.duration_s == 2.5);
	cr_assert(opts.sizes.count == 2 && opts.sizes.bytes[1] == 1024);
	cr_assert_eq(opts.sizes.below[0], (3ULL << 32) / 4);
	cr_assert(
		opts.connections == 5 && opts.pipeline == 16 && opts.requests_per_connection == 7);
	cr_assert(opts.requests == 9 && opts.warmup_s == 0 && !opts.fill && opts.timeout_s == 0.5);
	cr_assert(opts.verify == 1 && opts.seed == 3 && opts.cpu == 1);
	cr_assert_str_eq(opts.json, "-");
	cr_assert_not(opts.conf.runtime.hugepages);
}

Test(load_args, stub_and_origin_need_no_target)
{
	struct load_opts opts;
	char said[512] = "";

	cr_assert_eq(ARGS("--stub", "--device", "net_memif0", "--address", "192.0.2.10/24"), 0);
	cr_assert_eq(opts.mode, LOAD_STUB);
	cr_assert_eq(ARGS("--origin", "127.0.0.1:8080"), 0);
	cr_assert_eq(opts.mode, LOAD_ORIGIN);
	cr_assert(opts.target_port == 8080 && opts.target.b[12] == 127);
}

Test(load_args, what_is_wrong_is_told_with_what_is_allowed)
{
	static const struct {
		const char *option, *value, *allowed;
	} rows[] = { { "keys", "0", "1 to 67108864" }, { "keys", "12x", "1 to" },
		{ "keys", "", "1 to" }, { "keys", "-1", "1 to" }, { "zipf", "nan", "0 to 10" },
		{ "zipf", "0x1", "0 to 10" }, { "zipf", ".", "0 to 10" },
		{ "zipf", "11", "0 to 10" }, { "pipeline", "65", "1 to 64" },
		{ "connections", "18446744073709551617", "1 to" }, { "sizes", "64,", "SIZE" },
		{ "sizes", "64:0", "SIZE" }, { "sizes", "64:x", "SIZE" },
		{ "sizes", "100000000", "SIZE" },
		{ "sizes", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", "SIZE" },
		{ "address", "192.0.2.1", "PREFIX" }, { "address", "192.0.2.1/33", "PREFIX" },
		{ "address", "x/24", "PREFIX" }, { "target", "192.0.2.1", "PORT" },
		{ "target", "192.0.2.1:0", "PORT" }, { "target", "name:80", "PORT" },
		{ "host", "a b", "host name" }, { "host", "a\r\nb", "host name" },
		{ "hugepages", "on", "auto, off" }, { "duration", "0", "0.001 to" },
		{ "gateway", "2001:db8::1", "family" },
		{ "connections", "60001", "more addresses" } };
	struct load_opts opts;

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		char said[512] = "", option[64];

		(void)snprintf(option, sizeof(option), "--%s", rows[i].option);
		cr_assert_eq(ARGS(TO, option, rows[i].value), -EINVAL, "%s", option);
		cr_assert(strstr(said, option) && strstr(said, rows[i].allowed), "%s %s: %s",
			option, rows[i].value, said);
	}
}

Test(load_args, what_is_missing_or_unknown_is_told)
{
	struct load_opts opts;
	char said[512] = "";

	cr_assert_eq(ARGS("--address", "192.0.2.1/24", "--target", "192.0.2.10:80"), -EINVAL);
	cr_assert(strstr(said, "--device"));
	cr_assert_eq(ARGS("--device", "net_memif0", "--target", "192.0.2.10:80"), -EINVAL);
	cr_assert(strstr(said, "--address"));
	cr_assert_eq(ARGS("--device", "net_memif0", "--address", "192.0.2.1/24"), -EINVAL);
	cr_assert(strstr(said, "--target"));
	cr_assert_eq(ARGS(TO, "more"), -EINVAL);
	cr_assert(strstr(said, "more"));
	cr_assert_eq(
		ARGS("--device", "d", "--address", "2001:db8::1/64", "--target", "192.0.2.10:80"),
		-EINVAL);
	cr_assert(strstr(said, "family"));
}

static void zipf_fits(uint32_t n, double s)
{
	const uint32_t samples = 2000000;
	struct load_zipf *zipf;
	uint32_t *seen = calloc(n, sizeof(*seen));
	uint64_t random = 7;
	double sum = 0, chi = 0;

	cr_assert_eq(load_zipf_new(n, s, &zipf), 0);
	for (uint32_t i = 0; i < samples; i++) {
		uint32_t key = load_zipf_sample(zipf, load_random(&random));

		cr_assert(key < n);
		seen[key]++;
	}
	for (uint32_t i = 0; i < n; i++)
		sum += pow(i + 1.0, -s);
	for (uint32_t i = 0; i < n; i++) {
		double expected = samples * pow(i + 1.0, -s) / sum;

		chi += (seen[i] - expected) * (seen[i] - expected) / expected;
	}
	/* mean n - 1, standard deviation sqrt(2n - 2); the sequence is always the same */
	cr_assert(n == 1 ? chi == 0 : fabs(chi - (n - 1)) < 4 * sqrt(2.0 * n - 2), "n %u s %g: %g",
		n, s, chi);
	load_zipf_free(zipf);
	free(seen);
}

Test(load_zipf, samples_are_distributed_as_they_should)
{
	zipf_fits(1, 0.99);
	zipf_fits(2, 1);
	zipf_fits(1000, 0);
	zipf_fits(1000, 0.99);
	zipf_fits(10000, 0.7);
	zipf_fits(300, 1.2);
}

Test(load_body, is_the_same_in_any_pieces_and_another_for_another_key)
{
	uint8_t whole[1000], part[1000];

	load_body_fill(5, 0, whole, sizeof(whole));
	for (uint32_t at = 0, n = 1; at < sizeof(whole); at += n, n = n % 13 + 1) {
		n = hf_min_u32(n, (uint32_t)sizeof(whole) - at);
		load_body_fill(5, at, part, n);
		cr_assert_eq(memcmp(part, whole + at, n), 0);
		cr_assert(load_body_is(5, at, whole + at, n));
		cr_assert_not(load_body_is(6, at, whole + at, n) && n > 2);
	}
	cr_assert_not(load_body_is(5, 8, whole, 100)); /* moved */
	for (uint32_t i = 0; i < sizeof(whole); i++) {
		whole[i] ^= 0x10;
		cr_assert_not(load_body_is(5, 0, whole, sizeof(whole)), "byte %u", i);
		whole[i] ^= 0x10;
	}
	cr_assert(load_body_is(5, 0, whole, sizeof(whole)));
}

Test(load_body, sizes_are_in_proportion_and_follow_from_the_key)
{
	struct load_sizes sizes = { 2, { 64, 1024 }, { 3ULL << 30, 1ULL << 32 } };
	uint32_t small = 0;

	for (uint32_t key = 0; key < 100000; key++) {
		uint32_t size = load_size_of(&sizes, key);

		cr_assert(size == 64 || size == 1024);
		cr_assert_eq(size, load_size_of(&sizes, key));
		small += size == 64;
	}
	cr_assert(small > 74400 && small < 75600, "%u", small);
}

Test(load_body, a_path_tells_key_and_size)
{
	char path[] = LOAD_PATH;
	uint32_t key, size;

	load_digits(path + LOAD_KEY_AT, LOAD_KEY_DIGITS, 4294967295u);
	load_digits(path + LOAD_SIZE_AT, LOAD_SIZE_DIGITS, 1024);
	cr_assert_str_eq(path, "/hf/4294967295/00001024");
	cr_assert(load_path_read(path, &key, &size));
	cr_assert(key == 4294967295u && size == 1024);
	cr_assert_not(load_path_read("/hf/4294967296/00001024", &key, &size));
	cr_assert_not(load_path_read("/hf/0000000001/0000102x", &key, &size));
	cr_assert_not(load_path_read("/hf/0000000001/00001024/", &key, &size));
	cr_assert_not(load_path_read("/xx/0000000001/00001024", &key, &size));
}

#define ONE "HTTP/1.1 200 OK\r\nServer: x\r\ncontent-LENGTH:  5\r\n\r\nhello"
#define TWO "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

/* Feeds in pieces of `step`; the bodies one behind the other, and the statuses. The head's shape is kept. */
static void resp_in_pieces(const char *text, uint32_t step, char *ret_body, uint16_t *ret_status)
{
	static struct load_resp resp;
	static struct load_shape shape;
	uint32_t len = (uint32_t)strlen(text), at = 0, count = 0;

	memset(&resp, 0, sizeof(resp));
	resp.shape = &shape;
	while (at < len) {
		uint32_t end = hf_min_u32(len, (at / step + 1) * step);
		int used = load_resp_feed(&resp, (const uint8_t *)text + at, end - at);

		cr_assert(used > 0 && (uint32_t)used <= end - at, "step %u at %u: %d", step, at,
			used);
		if (resp.body_len > 0)
			(void)strncat(ret_body, (const char *)resp.body, resp.body_len);
		if (resp.whole)
			ret_status[count++] = resp.status;
		at += (uint32_t)used;
	}
	cr_assert_not(resp.in_body);
}

Test(load_resp, pieces_of_any_length_are_one_response_after_the_other)
{
	for (uint32_t step = 1; step < sizeof(ONE TWO ONE); step++) {
		char body[64] = "";
		uint16_t status[4] = { 0 };

		resp_in_pieces(ONE TWO ONE, step, body, status);
		cr_assert_str_eq(body, "hellohello");
		cr_assert(
			status[0] == 200 && status[1] == 404 && status[2] == 200 && status[3] == 0);
	}
}

/* Where one looks for the status and the length of the one before it, each has something else. */
Test(load_resp, a_head_that_is_nearly_as_the_last_one_is_read_anew)
{
	static const char near[] =
		"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-LENGTH:  6\r\n\r\nhello!"
		"HTTP/1.1 200 OK\r\nServer: xx\r\ncontent-LENGTH:  5\r\n\r\nhello"
		"HTTP/1.1 404 OK\r\nServer: xx\r\ncontent-LENGTH:  5\r\n\r\nhello"
		"HTTP/1.1 200 OK\r\nServer: xx\r\ncontent-LENGTH:  5\r\nA: b\r\n\r\nhello";

	for (uint32_t step = 1; step < sizeof(near); step++) {
		char body[64] = "";
		uint16_t status[8] = { 0 };

		resp_in_pieces(ONE, sizeof(ONE), body, status);
		resp_in_pieces(near, step, body, status);
		cr_assert_str_eq(body, "hellohello!hellohellohello");
		cr_assert(status[1] == 200 && status[2] == 404 && status[3] == 200);
	}
}

Test(load_resp, what_is_no_response_with_a_length_is_refused)
{
	static const char *const bad[] = { "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		"\r\n\r\n", "\n" };
	static struct load_resp resp;

	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
		memset(&resp, 0, sizeof(resp));
		cr_assert_eq(
			load_resp_feed(&resp, (const uint8_t *)bad[i], (uint32_t)strlen(bad[i])),
			-EPROTO, "%s", bad[i]);
	}
}

Test(load_resp, a_head_without_end_is_refused)
{
	static struct load_resp resp;
	uint8_t line[100];
	int used = 0;

	memset(line, 'x', sizeof(line));
	for (uint32_t fed = 0; used >= 0; fed += sizeof(line)) {
		cr_assert(fed <= LOAD_HEAD_MAX);
		used = load_resp_feed(&resp, line, sizeof(line));
	}
	cr_assert_eq(used, -EPROTO);
}

Test(load_pace, what_is_due_does_not_wait_for_what_was)
{
	struct load_pace pace = { .begin_ns = 1000, .interval_ns = 1e9 / 3 };

	cr_assert_eq(load_pace_due_ns(&pace), 1000);
	cr_assert_eq(load_pace_left(&pace, 1000), 0);
	cr_assert_eq(load_pace_left(&pace, 1001), 1);
	cr_assert_eq(load_pace_left(&pace, 1000 + 1000000000ULL * 60), 180);
	pace.count = 3;
	cr_assert_eq(load_pace_due_ns(&pace), 1000001000);
	cr_assert_eq(load_pace_left(&pace, 1000 + 1000000000ULL * 60), 177);
	pace.count = 3ULL * 3600 * 24 * 30; /* no drift in a month */
	cr_assert_eq(load_pace_due_ns(&pace), 1000 + 1000000000ULL * 3600 * 24 * 30);
}
