/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The field names that the program knows: X(id, "name", flags). Names in lower case; at most 63 lines
 * (struct hf_http_fields keeps a bit for each).
 * HOP     hop-by-hop by itself (RFC 9110 §7.6.1, and RFC 9111 §3.1 for the proxy fields): never
 *         forwarded, never stored.
 * END     end-to-end whatever Connection says: naming it there removes nothing, so that a peer cannot
 *         take away what framing, keys or security rest on.
 * SCRUB   a credential, a session, or one request's trace: never in a stored copy.
 * SINGLE  more than one line is a malformed message.
 * COND    conditional or range request field: left out of a fetch that wants the whole thing.
 * OURS    rewritten by us on the way to the origin.
 */
/* clang-format off */
X(HOST,                "host",                      END | SINGLE | OURS)
X(CONNECTION,          "connection",                HOP)
X(KEEP_ALIVE,          "keep-alive",                HOP)
X(PROXY_CONNECTION,    "proxy-connection",          HOP)
X(TE,                  "te",                        HOP)
X(TRAILER,             "trailer",                   HOP)
X(TRANSFER_ENCODING,   "transfer-encoding",         HOP)
X(UPGRADE,             "upgrade",                   HOP)
X(HTTP2_SETTINGS,      "http2-settings",            HOP)
X(PROXY_AUTHENTICATE,  "proxy-authenticate",        HOP)
X(PROXY_AUTHORIZATION, "proxy-authorization",       HOP | SCRUB)
X(PROXY_AUTH_INFO,     "proxy-authentication-info", HOP | SCRUB)
X(CONTENT_LENGTH,      "content-length",            END | SINGLE)
X(CONTENT_TYPE,        "content-type",              END)
X(CONTENT_ENCODING,    "content-encoding",          END)
X(CONTENT_RANGE,       "content-range",             END)
X(CONTENT_LOCATION,    "content-location",          END)
X(EXPECT,              "expect",                    END | OURS)
X(AUTHORIZATION,       "authorization",             END | SCRUB)
X(AUTHENTICATION_INFO, "authentication-info",       END | SCRUB)
X(COOKIE,              "cookie",                    END)
X(SET_COOKIE,          "set-cookie",                END | SCRUB)
X(SET_COOKIE2,         "set-cookie2",               END | SCRUB)
X(X_AUTH_TOKEN,        "x-auth-token",              END | SCRUB)
X(X_API_KEY,           "x-api-key",                 END | SCRUB)
X(X_CSRF_TOKEN,        "x-csrf-token",              END | SCRUB)
X(CACHE_CONTROL,       "cache-control",             END)
X(CDN_CACHE_CONTROL,   "cdn-cache-control",         END)
X(PRAGMA,              "pragma",                    END)
X(EXPIRES,             "expires",                   END)
X(AGE,                 "age",                       END)
X(DATE,                "date",                      END)
X(VARY,                "vary",                      END)
X(ETAG,                "etag",                      END)
X(LAST_MODIFIED,       "last-modified",             END)
X(IF_MATCH,            "if-match",                  END | COND)
X(IF_NONE_MATCH,       "if-none-match",             END | COND)
X(IF_MODIFIED_SINCE,   "if-modified-since",         END | COND)
X(IF_UNMODIFIED_SINCE, "if-unmodified-since",       END | COND)
X(IF_RANGE,            "if-range",                  END | COND)
X(RANGE,               "range",                     END | COND)
X(ACCEPT_RANGES,       "accept-ranges",             END)
X(ACCEPT,              "accept",                    END)
X(ACCEPT_ENCODING,     "accept-encoding",           END)
X(ACCEPT_LANGUAGE,     "accept-language",           END)
X(USER_AGENT,          "user-agent",                0)
X(REFERER,             "referer",                   0)
X(LOCATION,            "location",                  END)
X(SERVER,              "server",                    0)
X(RETRY_AFTER,         "retry-after",               0)
X(MAX_FORWARDS,        "max-forwards",              END | OURS)
X(VIA,                 "via",                       END | OURS)
X(FORWARDED,           "forwarded",                 END | OURS)
X(X_FORWARDED_FOR,     "x-forwarded-for",           END | OURS)
X(X_FORWARDED_PROTO,   "x-forwarded-proto",         END | OURS)
X(CACHE_STATUS,        "cache-status",              END)
X(SURROGATE_KEY,       "surrogate-key",             END)
X(CACHE_TAG,           "cache-tag",                 END)
X(WARNING,             "warning",                   0)
X(TRACEPARENT,         "traceparent",               END | SCRUB)
X(TRACESTATE,          "tracestate",                END | SCRUB)
/* clang-format on */
