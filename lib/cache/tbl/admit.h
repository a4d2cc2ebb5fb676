/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Why a response is stored or not: X(id, "name", "what cache show says").
 */
/* clang-format off */
X(STORED,           "stored",           "stored")
X(METHOD,           "method",           "only answers to GET are stored")
X(REQ_NO_STORE,     "req-no-store",     "the request said no-store")
X(SECRET_QUERY,     "secret-query",     "the URL holds a token-like parameter")
X(STATUS,           "status",           "the status is not one that may be stored")
X(PARTIAL,          "partial",          "partial content is not stored")
X(NO_STORE,         "no-store",         "the response said no-store")
X(PRIVATE,          "private",          "the response is private")
X(AUTHORIZATION,    "authorization",    "the request had Authorization and the response does not allow sharing")
X(SET_COOKIE,       "set-cookie",       "Set-Cookie without public or s-maxage")
X(VARY_ANY,         "vary-any",         "Vary: *, or by the client's address")
X(VARY_CREDENTIAL,  "vary-credential",  "Vary names a credential that the request carried")
X(NO_FRESHNESS,     "no-freshness",     "no freshness information, and no default applies")
X(EXPIRED,          "expired",          "stale on arrival and nothing to revalidate it with")
X(TOO_LARGE,        "too-large",        "larger than max_object")
/* clang-format on */
