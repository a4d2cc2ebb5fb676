/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Paths that an origin may read in another way than routes do: "//a", "/x%2F..%2Fa", "/x/..;/a", "\a". Routes take
 * them as they stand; what stands behind another route's flow for a lenient reader must not be had around it.
 */
#include "hf_serve.h"

#include <string.h>

#include "serve_priv.h"

/* How many bytes of TEXT are a slash to somebody; 0: none. */
static size_t path_slash(struct hf_span text)
{
	if (text.ptr[0] == '/' || text.ptr[0] == '\\')
		return 1;
	if (text.len < 3 || text.ptr[0] != '%')
		return 0;
	/* keys have hex digits in upper case */
	return memcmp(text.ptr, "%2F", 3) == 0 || memcmp(text.ptr, "%5C", 3) == 0 ? 3 : 0;
}

/* Takes the next segment off TEXT, and the slash behind it; without parameters (RFC 3986 §3.3). */
static struct hf_span path_segment(struct hf_span *text, bool *ret_last)
{
	struct hf_span segment = { text->ptr, 0 };
	size_t len = 0, slash = 0;
	const char *parameters;

	while (len < text->len && slash == 0) {
		slash = path_slash((struct hf_span){ text->ptr + len, text->len - len });
		len += slash == 0;
	}
	segment.len = len;
	*ret_last = slash == 0;
	*text = (struct hf_span){ text->ptr + len + slash, text->len - len - slash };
	parameters = memchr(segment.ptr, ';', segment.len);
	if (parameters)
		segment.len = (size_t)(parameters - segment.ptr);
	return segment;
}

static size_t path_up(const char *buf, size_t len)
{
	while (len > 0 && buf[len - 1] != '/')
		len--;
	return len > 0 ? len - 1 : 0;
}

struct hf_span serve_auth_path(struct hf_span path, char *buf)
{
	size_t len = 0;
	bool last = false, open = false; /* open: it ends with a slash */

	while (!last) {
		struct hf_span segment = path_segment(&path, &last);

		open = true;
		if (segment.len == 0 || (segment.len == 1 && segment.ptr[0] == '.'))
			continue;
		if (segment.len == 2 && segment.ptr[0] == '.' && segment.ptr[1] == '.') {
			len = path_up(buf, len);
			continue;
		}
		open = false;
		buf[len++] = '/';
		memmove(buf + len, segment.ptr, segment.len);
		len += segment.len;
	}
	if (open || len == 0)
		buf[len++] = '/';
	return (struct hf_span){ buf, len };
}
