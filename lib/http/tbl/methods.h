/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Methods: X(id, "NAME", flags), flags SAFE and IDEMPOTENT (RFC 9110 §9.2, RFC 5789).
 */
/* clang-format off */
X(GET,     "GET",     SAFE | IDEMPOTENT)
X(HEAD,    "HEAD",    SAFE | IDEMPOTENT)
X(POST,    "POST",    0)
X(PUT,     "PUT",     IDEMPOTENT)
X(DELETE,  "DELETE",  IDEMPOTENT)
X(OPTIONS, "OPTIONS", SAFE | IDEMPOTENT)
X(TRACE,   "TRACE",   SAFE | IDEMPOTENT)
X(CONNECT, "CONNECT", 0)
X(PATCH,   "PATCH",   0)
/* clang-format on */
