/* SPDX-License-Identifier: BSD-3-Clause
 *
 * RFC 9112, section by section: which requests are refused, with which status, and which must be taken.
 * Chunked bodies: test_chunk.c. Answers of origins: test_resp.c.
 */
#include "req_rig.h"

struct row {
	const char *text;
	size_t len;
	uint16_t status; /* 0: taken */
};

static void check(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		enum hf_parse verdict = parse_limited(rows[i].text, rows[i].len, &limits);

		cr_expect_eq(verdict, rows[i].status ? HF_PARSE_BAD : HF_PARSE_DONE,
			"verdict %d for %s", verdict, rows[i].text);
		cr_expect_eq(fault.status, rows[i].status, "status %u for %s", fault.status,
			rows[i].text);
		cr_expect_eq(fault.reason != HF_DROP_NONE, rows[i].status != 0);
	}
}

/* clang-format off */
#define CHECK(...)                                                                                 \
	do {                                                                                       \
		static const struct row rows[] = { __VA_ARGS__ };                                  \
                                                                                                   \
		check(rows, HF_ARRAY_LEN(rows));                                                   \
	} while (0)
#define TEXT(status, text)  { text, sizeof(text) - 1, status }
#define LINE(status, line)  TEXT(status, line "\r\nHost: a\r\n\r\n")
#define FIELD(status, field) TEXT(status, "POST / HTTP/1.1\r\nHost: a\r\n" field "\r\n\r\n")
#define HOST(status, host)  TEXT(status, "GET / HTTP/1.1\r\n" host "\r\n\r\n")
#define TE(status, value)   FIELD(status, "Transfer-Encoding:" value)
#define CL(status, value)   FIELD(status, "Content-Length:" value)

Test(rfc9112, rfc9112_s2_2_empty_lines_before_a_request_are_skipped_up_to_a_bound)
{
	CHECK(LINE(0, "\r\nGET / HTTP/1.1"), LINE(0, "\r\n\r\n\r\n\r\nGET / HTTP/1.1"),
		LINE(400, "\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1"), LINE(400, "\nGET / HTTP/1.1"),
		LINE(400, "\rGET / HTTP/1.1"), LINE(400, " \r\nGET / HTTP/1.1"));
}

Test(rfc9112, rfc9112_s2_2_lines_end_with_crlf)
{
	CHECK(TEXT(400, "GET / HTTP/1.1\nHost: a\r\n\r\n"), TEXT(400, "GET / HTTP/1.1\r\nHost: a\n\r\n"),
		TEXT(400, "GET / HTTP/1.1\r\nHost: a\r\n\n"), TEXT(400, "GET / HTTP/1.1\nHost: a\n\n"),
		TEXT(400, "GET / HTTP/1.1\r\nHost: a\r\nX: b\n\nGET /x HTTP/1.1\r\n"));
}

Test(rfc9112, rfc9112_s2_2_a_bare_cr_is_invalid)
{
	CHECK(TEXT(400, "GET / HTTP/1.1\rHost: a\r\n\r\n"), TEXT(400, "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"),
		TEXT(400, "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"), TEXT(400, "GET / HTTP/1.1\r\nHost: a\r\n\rX"),
		LINE(400, "GE\rT / HTTP/1.1"), LINE(400, "GET /\r HTTP/1.1"), LINE(400, "GET / HTTP\r/1.1"),
		FIELD(400, "X: a\rb"), FIELD(400, "X:\ra"), FIELD(400, "X\r: a"),
		TE(400, " chunked\rX: y"), CL(400, " 1\r2"));
}

Test(rfc9112, rfc9112_s2_2_white_space_between_start_line_and_fields_is_invalid)
{
	CHECK(TEXT(400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"), TEXT(400, "GET / HTTP/1.1\r\n\tHost: a\r\n\r\n"),
		TEXT(400, "GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n"));
}

Test(rfc9112, rfc9112_s2_2_what_is_no_http_is_400)
{
	CHECK(TEXT(400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), TEXT(400, "\x00\x01"), TEXT(400, "<html>\r\n"),
		TEXT(400, "EHLO,\r\n"), TEXT(400, "\xef\xbb\xbfGET / HTTP/1.1\r\n"));
}

Test(rfc9112, rfc9112_s2_3_versions)
{
	CHECK(LINE(0, "GET / HTTP/1.0"), LINE(0, "GET / HTTP/1.1"),
		/* RFC 9110 §2.5: a minor version above ours is ours */
		LINE(0, "GET / HTTP/1.2"), LINE(0, "GET / HTTP/1.9"),
		LINE(505, "GET / HTTP/2.0"), LINE(505, "GET / HTTP/0.9"), LINE(505, "GET / HTTP/3.1"),
		TEXT(505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
}

Test(rfc9112, rfc9112_s2_3_a_version_is_case_sensitive_and_of_two_digits)
{
	CHECK(LINE(400, "GET / http/1.1"), LINE(400, "GET / Http/1.1"), LINE(400, "GET / HTTP/1"),
		LINE(400, "GET / HTTP/1."), LINE(400, "GET / HTTP/.1"), LINE(400, "GET / HTTP/11"),
		LINE(400, "GET / HTTP/1.10"), LINE(400, "GET / HTTP/01.1"), LINE(400, "GET / HTTP/1.01"),
		LINE(400, "GET / HTTP/1,1"), LINE(400, "GET / HTTP/1.x"), LINE(400, "GET / HTTP/ 1.1"),
		LINE(400, "GET / HTTP /1.1"), LINE(400, "GET / HTTP/-1.1"), LINE(400, "GET / HTTP-1.1"),
		LINE(400, "GET / HTTP/"), LINE(400, "GET / HTTP"), LINE(400, "GET / HTTPS/1.1"),
		LINE(400, "GET / ICY/1.1"), LINE(400, "GET / XHTTP/1.1"), LINE(400, "GET / HTTP/1.1x"));
}

Test(rfc9112, rfc9112_s3_parts_of_the_request_line_have_one_space_between)
{
	CHECK(LINE(400, "GET  / HTTP/1.1"), LINE(400, "GET /  HTTP/1.1"), LINE(400, "GET / HTTP/1.1 "),
		LINE(400, " GET / HTTP/1.1"), LINE(400, "GET\t/ HTTP/1.1"), LINE(400, "GET /\tHTTP/1.1"),
		LINE(400, "GET\v/ HTTP/1.1"), LINE(400, "GET /\fHTTP/1.1"), LINE(400, "GET / HTTP/1.1\t"),
		LINE(400, "GET /a b HTTP/1.1"), LINE(400, "GET / HTTP/1.1 HTTP/1.1"), LINE(400, "GET /"),
		LINE(400, "GET"), LINE(400, "GET HTTP/1.1"), LINE(400, "GET  HTTP/1.1"), LINE(400, "/ HTTP/1.1"),
		LINE(400, " / HTTP/1.1"), LINE(400, "GET / HTTP/1.1\0"), TEXT(400, "GET /\r\n\r\n"));
}

Test(rfc9112, rfc9112_s3_1_a_method_is_a_token)
{
	CHECK(LINE(0, "M-SEARCH / HTTP/1.1"), LINE(0, "get / HTTP/1.1"), LINE(0, "!#$%&'*+-.^_`|~9 / HTTP/1.1"),
		LINE(0, "AAAAAAAAAABBBBBBBBBBCCCCCCCCCCDD / HTTP/1.1"),
		LINE(501, "AAAAAAAAAABBBBBBBBBBCCCCCCCCCCDDD / HTTP/1.1"), LINE(400, "G(T / HTTP/1.1"),
		LINE(400, "GET: / HTTP/1.1"), LINE(400, "GET,PUT / HTTP/1.1"), LINE(400, "\"GET\" / HTTP/1.1"),
		LINE(400, "GET/ / HTTP/1.1"), LINE(400, "G\x01T / HTTP/1.1"), LINE(400, "G\0T / HTTP/1.1"),
		LINE(400, "G\x7fT / HTTP/1.1"), LINE(400, "G\xcbT / HTTP/1.1"));
}

Test(rfc9112, rfc9112_s3_2_a_target_is_one_of_four_forms)
{
	CHECK(LINE(400, "GET x HTTP/1.1"), LINE(400, "GET x/y HTTP/1.1"), LINE(400, "GET ?x HTTP/1.1"),
		LINE(400, "GET \\x HTTP/1.1"), LINE(400, "GET .. HTTP/1.1"), LINE(400, "GET /x#y HTTP/1.1"),
		LINE(400, "GET # HTTP/1.1"), LINE(400, "GET /\x07 HTTP/1.1"), LINE(400, "GET /\0 HTTP/1.1"),
		LINE(400, "GET /\x7f HTTP/1.1"), LINE(400, "GET /\xc3\xa4 HTTP/1.1"), LINE(400, "GET /\xc0\xaf HTTP/1.1"));
}

Test(rfc9112, rfc9112_s3_2_1_origin_form)
{
	CHECK(LINE(0, "GET / HTTP/1.1"), LINE(0, "GET //a HTTP/1.1"), LINE(0, "GET /?a?b=/c HTTP/1.1"),
		LINE(0, "GET /%C3%A4 HTTP/1.1"), LINE(0, "GET /%00%0d%0a HTTP/1.1"), LINE(0, "GET /% HTTP/1.1"),
		LINE(0, "GET /a:80@b HTTP/1.1"), LINE(0, "OPTIONS /x HTTP/1.1"), LINE(0, "GET /* HTTP/1.1"),
		LINE(0, "GET /|^[]{} HTTP/1.1"));
}

Test(rfc9112, rfc9112_s3_2_2_absolute_form_is_taken)
{
	CHECK(LINE(0, "GET http://b/x?y HTTP/1.1"), LINE(0, "GET HTTP://B.example:8080/x HTTP/1.1"),
		LINE(0, "GET http://b HTTP/1.1"), LINE(0, "GET http://b?q HTTP/1.1"), LINE(0, "GET https://b/ HTTP/1.1"),
		LINE(0, "GET http://[2001:db8::1]:80/ HTTP/1.1"), LINE(0, "POST http://b/ HTTP/1.1"),
		TEXT(0, "GET http://b/ HTTP/1.0\r\n\r\n"));
}

Test(rfc9112, rfc9112_s3_2_2_absolute_form_needs_a_host_and_no_userinfo)
{
	CHECK(LINE(400, "GET http:///x HTTP/1.1"), LINE(400, "GET http://:80/ HTTP/1.1"), LINE(400, "GET http:/x HTTP/1.1"),
		LINE(400, "GET http:x HTTP/1.1"), LINE(400, "GET http://u:p@b/ HTTP/1.1"), LINE(400, "GET http://u@b/ HTTP/1.1"),
		LINE(400, "GET http://b:x/ HTTP/1.1"), LINE(400, "GET http://b:65536/ HTTP/1.1"), LINE(400, "GET http://b#c HTTP/1.1"),
		LINE(400, "GET ftp://b/ HTTP/1.1"), LINE(400, "GET httpx://b/ HTTP/1.1"), LINE(400, "GET ://b/ HTTP/1.1"),
		LINE(400, "GET javascript:1 HTTP/1.1"), LINE(400, "GET http://b\\c/ HTTP/1.1"));
}

Test(rfc9112, rfc9112_s3_2_2_host_is_still_checked)
{
	CHECK(TEXT(400, "GET http://b/ HTTP/1.1\r\n\r\n"), TEXT(400, "GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n"),
		TEXT(400, "GET http://b/ HTTP/1.1\r\nHost: b\r\nHost: b\r\n\r\n"), TEXT(400, "GET http://b/ HTTP/1.1\r\nHost: @\r\n\r\n"));
}

Test(rfc9112, rfc9112_s3_2_3_authority_form_is_of_connect)
{
	CHECK(LINE(0, "CONNECT b:443 HTTP/1.1"), LINE(0, "CONNECT [2001:db8::1]:443 HTTP/1.1"), LINE(400, "CONNECT b HTTP/1.1"),
		LINE(400, "CONNECT b: HTTP/1.1"), LINE(400, "CONNECT [::1] HTTP/1.1"), LINE(400, "CONNECT / HTTP/1.1"),
		LINE(400, "CONNECT http://b/ HTTP/1.1"), LINE(400, "CONNECT b:0 HTTP/1.1"), LINE(400, "CONNECT b:65536 HTTP/1.1"),
		LINE(400, "CONNECT u@b:443 HTTP/1.1"), LINE(400, "CONNECT b:443/ HTTP/1.1"), LINE(400, "CONNECT * HTTP/1.1"),
		LINE(400, "GET b:80 HTTP/1.1"));
}

Test(rfc9112, rfc9112_s3_2_4_asterisk_form_is_of_options)
{
	CHECK(LINE(0, "OPTIONS * HTTP/1.1"), LINE(0, "OPTIONS http://b HTTP/1.1"), LINE(400, "GET * HTTP/1.1"),
		LINE(400, "POST * HTTP/1.1"), LINE(400, "OPTIONS ** HTTP/1.1"), LINE(400, "OPTIONS *?x HTTP/1.1"),
		LINE(400, "options * HTTP/1.1"));
}

Test(rfc9112, rfc9112_s3_2_a_request_of_1_1_has_one_host)
{
	CHECK(TEXT(400, "GET / HTTP/1.1\r\n\r\n"), TEXT(400, "GET / HTTP/1.1\r\nX: y\r\n\r\n"), HOST(400, "Host: a\r\nHost: a"),
		HOST(400, "Host: a\r\nHost: b"), HOST(400, "Host: a\r\nHOST: b"), HOST(400, "Host:\r\nHost: a"),
		HOST(400, "Host: a\r\nX: y\r\nhost: a"), TEXT(400, "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"),
		HOST(400, "Host: a, b"), HOST(400, "Host: a,b"), HOST(400, "Host: a,"),
		TEXT(0, "GET / HTTP/1.0\r\n\r\n"), TEXT(0, "GET / HTTP/1.0\r\nHost:\r\n\r\n"));
}

Test(rfc9112, rfc9112_s3_2_a_host_that_is_invalid_is_400)
{
	CHECK(HOST(400, "Host:"), HOST(400, "Host: "), HOST(400, "Host: a b"), HOST(400, "Host: a/"), HOST(400, "Host: a/b"),
		HOST(400, "Host: http://a"), HOST(400, "Host: u@a"), HOST(400, "Host: u:p@a"), HOST(400, "Host: a?b"),
		HOST(400, "Host: a#b"), HOST(400, "Host: a\\b"), HOST(400, "Host: a|b"), HOST(400, "Host: a<b"), HOST(400, "Host: \"a\""),
		HOST(400, "Host: a\tb"), HOST(400, "Host: a\0b"), HOST(400, "Host: \xc3\xa4"), HOST(400, "Host: a%2"),
		HOST(400, "Host: :80"), HOST(400, "Host: a:0"), HOST(400, "Host: a:65536"), HOST(400, "Host: a:8a"),
		HOST(400, "Host: a:-1"), HOST(400, "Host: a:80:80"), HOST(400, "Host: a: 80"), HOST(400, "Host: [::1"),
		HOST(400, "Host: ::1"), HOST(400, "Host: [::1]x"), HOST(400, "Host: []"), HOST(400, "Host: [a]"),
		TEXT(400, "GET / HTTP/1.0\r\nHost: a b\r\n\r\n"));
}

Test(rfc9112, rfc9112_s3_2_hosts_that_are_valid)
{
	CHECK(HOST(0, "Host: a"), HOST(0, "Host:a"), HOST(0, "Host: \t a \t"), HOST(0, "hOST: A.Example"), HOST(0, "Host: a:80"),
		HOST(0, "Host: a:"), HOST(0, "Host: a:65535"), HOST(0, "Host: a:0080"), HOST(0, "Host: 192.0.2.1"),
		HOST(0, "Host: [2001:db8::1]:8080"), HOST(0, "Host: a_b-c~d"), HOST(0, "Host: a%41"), HOST(0, "Host: a."));
}

Test(rfc9112, rfc9112_s5_a_field_is_a_token_a_colon_and_text)
{
	CHECK(FIELD(0, "X:"), FIELD(0, "X: \t "), FIELD(0, "X:y"), FIELD(0, "X: \xc3\xa4\tb 0123456789abcdef\t0"),
		FIELD(0, "!#$%&'*+-.^_`|~9: y"), FIELD(0, "X: a: b"), FIELD(400, ": y"), FIELD(400, "X"), FIELD(400, "X y"),
		FIELD(400, "X y: z"), FIELD(400, "X@: y"), FIELD(400, "X(: y"), FIELD(400, "[X]: y"), FIELD(400, "X\x01: y"),
		FIELD(400, "X\0: y"), FIELD(400, "X\x7f: y"), FIELD(400, "X\xff: y"), FIELD(400, "\"X\": y"));
}

Test(rfc9112, rfc9112_s5_and_rfc9110_s5_5_no_control_in_a_value)
{
	CHECK(FIELD(400, "X: a\0b"), FIELD(400, "X: \0"), FIELD(400, "X: a\x01"), FIELD(400, "X: \x0b"), FIELD(400, "X: a\x0c"),
		FIELD(400, "X: \x1b[0m"), FIELD(400, "X: 0123456789abcdef0123\x7f"), FIELD(400, "X: \x08"));
}

Test(rfc9112, rfc9112_s5_1_no_white_space_before_the_colon)
{
	CHECK(FIELD(400, "X : y"), FIELD(400, "X\t: y"), FIELD(400, "X \t : y"), FIELD(400, "X\x0b: y"),
		FIELD(400, "Content-Length : 5"), FIELD(400, "Transfer-Encoding : chunked"), FIELD(400, "Transfer-Encoding\t: chunked"),
		TEXT(400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"));
}

Test(rfc9112, rfc9112_s5_2_no_line_folding)
{
	CHECK(FIELD(400, "X: a\r\n b"), FIELD(400, "X: a\r\n\tb"), FIELD(400, "X:\r\n a"), FIELD(400, "X: a\r\n "),
		FIELD(400, "X: a\r\n \r\nY: b"), FIELD(400, "Transfer-Encoding:\r\n chunked"), FIELD(400, "Content-Length:\r\n 5"),
		FIELD(400, "X: a\r\n Transfer-Encoding: chunked"));
}

Test(rfc9112, rfc9112_s6_1_chunked_is_taken_in_any_case)
{
	CHECK(TE(0, " chunked"), TE(0, "chunked"), TE(0, " Chunked"), TE(0, " CHUNKED"), TE(0, "\tchunked \t"),
		/* RFC 9110 §5.6.1.2: empty elements of a list are ignored */
		TE(0, " , chunked"), TE(0, " chunked,"));
	cr_assert_eq(req.body, HF_HTTP_BODY_CHUNKED);
}

Test(rfc9112, rfc9112_s6_1_a_coding_that_is_not_understood_is_501)
{
	CHECK(TE(501, " gzip, chunked"), TE(501, " identity, chunked"), TE(501, " x, y, chunked"), TE(501, " \"chunked\", chunked"),
		TE(501, " gzip\r\nTransfer-Encoding: chunked"));
}

Test(rfc9112, rfc9112_s6_3_4_chunked_that_is_not_the_last_is_400)
{
	CHECK(TE(400, ""), TE(400, " "), TE(400, " ,"), TE(400, " gzip"), TE(400, " identity"), TE(400, " xchunked"),
		TE(400, " chunkedx"), TE(400, " chunke"), TE(400, " chunked, gzip"), TE(400, " chunked, identity"),
		TE(400, " chunked\r\nTransfer-Encoding: identity"), TE(400, " chunked\r\nTransfer-Encoding: x"),
		TE(400, " chunked identity"), TE(400, " chunked;q=1"), TE(400, " chunked;"), TE(400, " ;chunked"), TE(400, " \"chunked\""),
		TE(400, " 'chunked'"), TE(400, " chunked."), TE(400, " chunked/1"), TE(400, " chun ked"), TE(400, " =chunked"),
		TE(400, " gzip\"chunked"), TE(400, " \", chunked"));
}

Test(rfc9112, rfc9112_s7_1_chunked_is_applied_once)
{
	CHECK(TE(400, " chunked, chunked"), TE(400, " chunked,chunked"), TE(400, " chunked\r\nTransfer-Encoding: chunked"),
		TE(400, " chunked, gzip, chunked"));
}

Test(rfc9112, rfc9112_s6_1_no_control_hides_a_coding)
{
	CHECK(TE(400, "\x0b" "chunked"), TE(400, " \x0c" "chunked"), TE(400, " chunked\x0b"), TE(400, " chunked\0"), TE(400, " \0chunked"),
		TE(400, " chunked\x01"), TE(400, " \x08" "chunked"), TE(400, " \xc2\xa0" "chunked"), TE(400, " \xff" "chunked"),
		FIELD(400, "Transfer-Encoding\0: chunked"), FIELD(400, "\x01Transfer-Encoding: chunked"));
}

Test(rfc9112, rfc9112_s6_1_transfer_encoding_of_1_0_is_400)
{
	CHECK(TEXT(400, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
		TEXT(400, "POST / HTTP/1.0\r\nTransfer-Encoding: identity\r\n\r\n"),
		TEXT(400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n"));
}

Test(rfc9112, rfc9112_s6_1_length_and_transfer_encoding_are_never_together)
{
	CHECK(TE(400, " chunked\r\nContent-Length: 5"), CL(400, " 5\r\nTransfer-Encoding: chunked"),
		TE(400, " chunked\r\nContent-Length: 0"), CL(400, " 5\r\nTransfer-Encoding: identity"),
		CL(400, " 5\r\nTransfer-Encoding:"), TE(400, " xchunked\r\nContent-Length: 5"),
		CL(400, " 5\r\nX: y\r\nTRANSFER-ENCODING: Chunked"), TE(400, " gzip, chunked\r\nContent-Length: 5"));
}

Test(rfc9112, rfc9112_s6_2_length_is_digits)
{
	CHECK(CL(0, " 0"), CL(0, " 12"), CL(0, "12"), CL(0, "\t12 "), CL(0, " 0012"), CL(0, " 9223372036854775807"), CL(400, ""), CL(400, " "),
		CL(400, " +5"), CL(400, " -5"), CL(400, " -0"), CL(400, " 0x5"), CL(400, " 5.0"), CL(400, " 5 5"), CL(400, " 5_0"), CL(400, " 5e1"),
		CL(400, " 5;"), CL(400, " \"5\""), CL(400, " five"), CL(400, " 5a"), CL(400, " 5\x0b"), CL(400, " \x0c" "5"), CL(400, " 5\0"),
		CL(400, " \xd9\xa5"), CL(400, " 9223372036854775808"), CL(400, " 18446744073709551621"),
		CL(400, " 99999999999999999999999999999999999999"));
}

Test(rfc9112, rfc9112_s6_3_5_length_is_said_once)
{
	CHECK(CL(400, " 5, 5"), CL(400, " 5,6"), CL(400, " 5,"), CL(400, " ,5"), CL(400, " 5\r\nContent-Length: 5"),
		CL(400, " 5\r\nContent-Length: 6"), CL(400, " 5\r\ncontent-length: 0"), CL(400, " \r\nContent-Length: 5"));
}

Test(rfc9112, rfc9112_s6_3_bodies_of_any_method)
{
	CHECK(TEXT(0, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"), TEXT(0, "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"),
		TEXT(0, "DELETE / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), TEXT(0, "POST / HTTP/1.1\r\nHost: a\r\n\r\n"));
}

Test(rfc9112, rfc9112_s6_a_name_that_only_looks_like_one_frames_nothing)
{
	CHECK(FIELD(0, "Transfer_Encoding: chunked"), FIELD(0, "Content_Length: 5"), FIELD(0, "XTransfer-Encoding: chunked"),
		FIELD(0, "Transfer-Encodin: chunked"), FIELD(0, "Content-Length-: 5"));
	cr_assert_eq(req.body, HF_HTTP_BODY_NONE);
}
/* clang-format on */

Test(rfc9112, rfc9112_s9_3_persistence)
{
	static const struct {
		const char *text;
		bool alive;
	} rows[] = {
		{ "GET / HTTP/1.1\r\nHost: a\r\n\r\n", true },
		{ "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false },
		{ "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n", false },
		{ "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n", false },
		{ "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: "
		  "close\r\n\r\n",
			false },
		{ "GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", true },
		{ "GET / HTTP/1.1\r\nHost: a\r\nConnection:\r\n\r\n", true },
		{ "GET / HTTP/1.2\r\nHost: a\r\n\r\n", true },
		{ "GET / HTTP/1.0\r\n\r\n", false },
		{ "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true },
		{ "GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", false },
		{ "GET / HTTP/1.0\r\nConnection: x\r\n\r\n", false },
	};

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		assert_done(rows[i].text);
		cr_assert_eq(req.keep_alive, rows[i].alive, "%s", rows[i].text);
	}
}
