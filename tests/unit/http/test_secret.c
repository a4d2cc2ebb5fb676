/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Token-like parameters: found, and never shown.
 */
#include "hf_http.h"

#include <criterion/criterion.h>

#include "guard.h"

static struct hf_span guarded(const char *text)
{
	return (struct hf_span){ guard_at_end(text, strlen(text)), strlen(text) };
}

Test(http_secret, product_md_4_token_like_names_are_found)
{
	static const char *const rows[] = { "/?access_token=x", "/?token=x", "/?a=b&id_token=x",
		"/?api_key=x", "/?sig=x", "/?Signature=x", "/?session=x", "/?sessionid=x",
		"/?SESSION_ID", "/?%74oken=x", "/?t%6Fke%6e=x", "/?api-key=x", "/?x.token=1",
		"/?a;token=x", "/?token", "/?X-Amz-Signature=abc", "/?my_secret=1", "/?token[]=1",
		"http://h/p?token=x", "/?a=?token=x&sig=1", "/?jwt=x" };

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++)
		cr_assert(hf_http_query_has_secret(guarded(rows[i])), "%s", rows[i]);
}

Test(http_secret, other_names_are_left_alone)
{
	static const char *const rows[] = { "", "/", "/?", "/token=x", "/token", "/?q=token",
		"/?a=b=token", "/?tokens=1", "/?design=1", "/?signal=1", "/?keyword=x", "/?&&=&",
		"/?%74ok%zzen=x" };

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++)
		cr_assert(!hf_http_query_has_secret(guarded(rows[i])), "%s", rows[i]);
}

Test(http_secret, a_long_name_is_judged_by_its_end)
{
	char text[512] = "/?";

	memset(text + 2, 'a', 400);
	strcpy(text + 402, "_token=x");
	cr_assert(hf_http_query_has_secret(guarded(text)));
	strcpy(text + 402, "_tokem=x");
	cr_assert(!hf_http_query_has_secret(guarded(text)));
}

Test(http_secret, a_long_name_is_judged_by_its_beginning)
{
	char text[512] = "/?session";

	memset(text + 9, 'a', 400);
	cr_assert(hf_http_query_has_secret(guarded(text)));
	text[2] = 'z';
	cr_assert(!hf_http_query_has_secret(guarded(text)));
}

static const struct hf_names none, own_fields = { 2, { "x-session-id", "x-who" } },
				   own_parameters = { 3, { "my-key", "*.pin", "user*" } };

Test(http_secret, the_operators_parameters_are_found_as_well)
{
	static const char *const found[] = { "/?a=1&My_Key=2", "/?my.key", "/?%6dy-key=1",
		"/?a-pin=1", "/?x_pin[]=1", "/?user=1", "/?USERNAME=1", "/?token=1" };
	static const char *const other[] = { "/?mykey=1", "/?pin=1", "/?a_pins=1", "/?auser=1",
		"/?my_key_=1", "/?_my_key=1" };

	hf_http_secrets_set(&own_fields, &own_parameters);
	for (size_t i = 0; i < HF_ARRAY_LEN(found); i++)
		cr_expect(hf_http_query_has_secret(guarded(found[i])), "%s", found[i]);
	for (size_t i = 0; i < HF_ARRAY_LEN(other); i++)
		cr_expect(!hf_http_query_has_secret(guarded(other[i])), "%s", other[i]);
}

Test(http_secret, the_operators_parameters_are_redacted)
{
	char buf[64];
	size_t len;

	hf_http_secrets_set(&own_fields, &own_parameters);
	len = hf_http_redact(guarded("/?my-key=abc&q=1&USER=x"), buf, sizeof(buf));
	cr_expect(hf_span_eq((struct hf_span){ buf, len }, HF_SPAN("/?my-key=***&q=1&USER=***")));
}

Test(http_secret, the_last_names_that_were_set_are_in_force)
{
	for (int i = 0; i < 3; i++) {
		hf_http_secrets_set(&own_fields, &own_parameters);
		cr_expect(hf_http_query_has_secret(guarded("/?my-key")));
		cr_expect(hf_http_field_is_secret(HF_HTTP_FIELD_OTHER, HF_SPAN("X-Who")));
		hf_http_secrets_set(&none, &none);
		cr_expect(!hf_http_query_has_secret(guarded("/?my-key")));
		cr_expect(!hf_http_field_is_secret(HF_HTTP_FIELD_OTHER, HF_SPAN("X-Who")));
		cr_expect(hf_http_query_has_secret(guarded("/?token")), "the table stays");
	}
}

Test(http_secret, fields_of_the_table_and_the_operators_are_secret)
{
	hf_http_secrets_set(&own_fields, &none);
	cr_expect(hf_http_field_is_secret(HF_HTTP_FIELD_SET_COOKIE, HF_SPAN("Set-Cookie")));
	cr_expect(hf_http_field_is_secret(HF_HTTP_FIELD_OTHER, HF_SPAN("X-SESSION-ID")));
	cr_expect(!hf_http_field_is_secret(HF_HTTP_FIELD_OTHER, HF_SPAN("X-Session")));
	cr_expect(!hf_http_field_is_secret(HF_HTTP_FIELD_ETAG, HF_SPAN("ETag")));
}

Test(http_secret, values_are_redacted)
{
	static const char *const rows[][2] = {
		{ "/a?b=c", "/a?b=c" },
		{ "/a?token=abc", "/a?token=***" },
		{ "/a?x=1&Token=abc&y=2", "/a?x=1&Token=***&y=2" },
		{ "/?sig=a=b&sig=c;token=d", "/?sig=***&sig=***;token=***" },
		{ "/?token=&x", "/?token=&x" },
		{ "/?%74oken=abc", "/?%74oken=***" },
		{ "/", "/" },
		{ "", "" },
	};
	char buf[128];

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		size_t len = hf_http_redact(guarded(rows[i][0]), buf, sizeof(buf));

		cr_assert(hf_span_eq((struct hf_span){ buf, len },
				  (struct hf_span){ rows[i][1], strlen(rows[i][1]) }),
			"%.*s", (int)len, buf);
	}
}

Test(http_secret, what_does_not_fit_is_left_off)
{
	struct hf_span url = HF_SPAN("/abc?token=secret&x=1");

	for (size_t cap = 0; cap < 32; cap++) {
		char *room = guard_base() + GUARD_ROOM - cap;
		size_t len = hf_http_redact(url, room, cap);

		cr_assert_eq(len, hf_min_size(cap, strlen("/abc?token=***&x=1")));
		cr_assert_eq(memcmp(room, "/abc?token=***&x=1", len), 0);
	}
}
