/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Chunked bodies (RFC 9112 §7.1), byte by byte but for the data itself.
 */
#include "hf_http.h"

#include "http_priv.h"

#define CHUNK_DIGITS_MAX   16
#define CHUNK_LINE_MAX     256  /* size, extensions */
#define CHUNK_EXTRA_MAX    4096 /* extensions of all chunks, beyond as much as there was data */
#define CHUNK_TRAILERS_MAX 8192

enum chunk_state {
	CHUNK_SIZE,
	CHUNK_EXT_BWS,   /* white space, which only an extension may follow */
	CHUNK_EXT_START, /* behind ';' */
	CHUNK_EXT_NAME,
	CHUNK_EXT_NAME_BWS,
	CHUNK_EXT_EQUALS, /* behind '=' */
	CHUNK_EXT_TOKEN,
	CHUNK_EXT_QUOTED,
	CHUNK_EXT_PAIR, /* behind '\\' */
	CHUNK_EXT_CLOSED,
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	CHUNK_TRAILER_START,
	CHUNK_TRAILER_NAME,
	CHUNK_TRAILER_VALUE,
	CHUNK_TRAILER_LF,
	CHUNK_LAST_LF,
	CHUNK_ENDED,
	CHUNK_BROKEN,
};

void hf_http_chunked_init(struct hf_http_chunked *chunked)
{
	*chunked = (struct hf_http_chunked){ .state = CHUNK_SIZE };
}

/* Behind a size, a name or a value that is complete: the end of the line, or an extension. */
static enum chunk_state chunk_end(char c)
{
	if (c == '\r')
		return CHUNK_SIZE_LF;
	if (http_is_ws(c))
		return CHUNK_EXT_BWS;
	return c == ';' ? CHUNK_EXT_START : CHUNK_BROKEN;
}

static enum chunk_state chunk_size(struct hf_http_chunked *ch, char c)
{
	if (!http_is(c, HTTP_HEX))
		return ch->digits > 0 ? chunk_end(c) : CHUNK_BROKEN;
	if (++ch->digits > CHUNK_DIGITS_MAX)
		return CHUNK_BROKEN;
	HF_ASSERT_HOT(ch->left >> 60 == 0);
	ch->left = ch->left << 4 | http_hex_value(c);
	return ch->left > INT64_MAX ? CHUNK_BROKEN : CHUNK_SIZE;
}

static enum chunk_state chunk_ext_value(enum chunk_state state, char c)
{
	switch (state) {
	case CHUNK_EXT_EQUALS:
		if (c == '"')
			return CHUNK_EXT_QUOTED;
		if (http_is_ws(c))
			return state;
		return http_is(c, HTTP_TCHAR) ? CHUNK_EXT_TOKEN : CHUNK_BROKEN;
	case CHUNK_EXT_TOKEN:
		return http_is(c, HTTP_TCHAR) ? state : chunk_end(c);
	case CHUNK_EXT_QUOTED:
		if (c == '"')
			return CHUNK_EXT_CLOSED;
		if (c == '\\')
			return CHUNK_EXT_PAIR;
		return http_is(c, HTTP_VALUE) ? state : CHUNK_BROKEN;
	case CHUNK_EXT_PAIR:
		return http_is(c, HTTP_VALUE) ? CHUNK_EXT_QUOTED : CHUNK_BROKEN;
	default:
		return chunk_end(c);
	}
}

/* RFC 9112 §7.1.1: name, or name=value, each behind a ';'. */
static enum chunk_state chunk_ext(struct hf_http_chunked *ch, char c)
{
	enum chunk_state state = (enum chunk_state)ch->state;

	if (++ch->line_len > CHUNK_LINE_MAX || ++ch->extra_len > CHUNK_EXTRA_MAX + ch->body_len)
		return CHUNK_BROKEN;
	switch (state) {
	case CHUNK_EXT_BWS:
		return c == '\r' ? CHUNK_BROKEN : chunk_end(c);
	case CHUNK_EXT_START:
		if (http_is_ws(c))
			return state;
		return http_is(c, HTTP_TCHAR) ? CHUNK_EXT_NAME : CHUNK_BROKEN;
	case CHUNK_EXT_NAME:
		if (http_is(c, HTTP_TCHAR))
			return state;
		if (c == '=')
			return CHUNK_EXT_EQUALS;
		return http_is_ws(c) ? CHUNK_EXT_NAME_BWS : chunk_end(c);
	case CHUNK_EXT_NAME_BWS:
		if (http_is_ws(c))
			return state;
		if (c == '=')
			return CHUNK_EXT_EQUALS;
		return c == ';' ? CHUNK_EXT_START : CHUNK_BROKEN;
	default:
		return chunk_ext_value(state, c);
	}
}

static enum chunk_state chunk_size_lf(struct hf_http_chunked *ch, char c)
{
	if (c != '\n')
		return CHUNK_BROKEN;
	ch->line_len = 0;
	ch->digits = 0;
	return ch->left > 0 ? CHUNK_DATA : CHUNK_TRAILER_START;
}

/* Trailers are checked for form and dropped. */
static enum chunk_state chunk_trailer(struct hf_http_chunked *ch, char c)
{
	if (++ch->line_len > CHUNK_TRAILERS_MAX)
		return CHUNK_BROKEN;
	switch (ch->state) {
	case CHUNK_TRAILER_START:
		if (c == '\r')
			return CHUNK_LAST_LF;
		return http_is(c, HTTP_TCHAR) ? CHUNK_TRAILER_NAME : CHUNK_BROKEN;
	case CHUNK_TRAILER_NAME:
		if (c == ':')
			return CHUNK_TRAILER_VALUE;
		return http_is(c, HTTP_TCHAR) ? CHUNK_TRAILER_NAME : CHUNK_BROKEN;
	case CHUNK_TRAILER_VALUE:
		if (c == '\r')
			return CHUNK_TRAILER_LF;
		return http_is(c, HTTP_VALUE) ? CHUNK_TRAILER_VALUE : CHUNK_BROKEN;
	default:
		return c == '\n' ? CHUNK_TRAILER_START : CHUNK_BROKEN;
	}
}

/* One byte that is not data. */
static enum chunk_state chunk_step(struct hf_http_chunked *ch, char c)
{
	switch ((enum chunk_state)ch->state) {
	case CHUNK_SIZE:
		return chunk_size(ch, c);
	case CHUNK_EXT_BWS:
	case CHUNK_EXT_START:
	case CHUNK_EXT_NAME:
	case CHUNK_EXT_NAME_BWS:
	case CHUNK_EXT_EQUALS:
	case CHUNK_EXT_TOKEN:
	case CHUNK_EXT_QUOTED:
	case CHUNK_EXT_PAIR:
	case CHUNK_EXT_CLOSED:
		return chunk_ext(ch, c);
	case CHUNK_SIZE_LF:
		return chunk_size_lf(ch, c);
	case CHUNK_DATA_CR:
		return c == '\r' ? CHUNK_DATA_LF : CHUNK_BROKEN;
	case CHUNK_DATA_LF:
		return c == '\n' ? CHUNK_SIZE : CHUNK_BROKEN;
	case CHUNK_TRAILER_START:
	case CHUNK_TRAILER_NAME:
	case CHUNK_TRAILER_VALUE:
	case CHUNK_TRAILER_LF:
		return chunk_trailer(ch, c);
	case CHUNK_LAST_LF:
		return c == '\n' ? CHUNK_ENDED : CHUNK_BROKEN;
	case CHUNK_DATA:
	case CHUNK_ENDED:
	case CHUNK_BROKEN:
		break;
	}
	return CHUNK_BROKEN;
}

static struct hf_span chunk_data(struct hf_http_chunked *ch, const char *in, size_t len)
{
	size_t n = (size_t)hf_min_u64(ch->left, len);

	HF_ASSERT(n > 0 && n <= ch->left);
	ch->left -= n;
	ch->body_len += n;
	if (ch->left == 0)
		ch->state = CHUNK_DATA_CR;
	return (struct hf_span){ in, n };
}

enum hf_http_chunk hf_http_chunked_next(struct hf_http_chunked *chunked, const char *in, size_t len,
	size_t *ret_consumed, struct hf_span *ret_data)
{
	size_t at = 0;

	HF_ASSERT(chunked->state <= CHUNK_BROKEN);
	while (at < len && chunked->state < CHUNK_ENDED) {
		if (chunked->state == CHUNK_DATA) {
			*ret_data = chunk_data(chunked, in + at, len - at);
			*ret_consumed = at + ret_data->len;
			return HF_HTTP_CHUNK_DATA;
		}
		chunked->state = (uint8_t)chunk_step(chunked, in[at++]);
	}
	*ret_consumed = at;
	HF_ASSERT_HOT(at <= len);
	if (chunked->state == CHUNK_ENDED)
		return HF_HTTP_CHUNK_END;
	return chunked->state == CHUNK_BROKEN ? HF_HTTP_CHUNK_BAD : HF_HTTP_CHUNK_MORE;
}
