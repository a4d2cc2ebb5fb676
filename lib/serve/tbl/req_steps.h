/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The way of a request: X(id, function). A step names the next one and says whether to go on now;
 * one that must wait is called again when something happened on its connection.
 *
 *              .-> AUTH
 *              v
 *   READ -> LOOKUP -> HIT -----------------------> BODY -----> DONE -> READ ...
 *                \--> MISS -> WAIT -> HEAD ------/     /      /
 *                 \                 HIT, HEAD -> PART -/      /
 *                  \--------------\-----------> ERROR -------/
 */
/* clang-format off */
X(READ,   serve_read)    /* wait for a whole head, parse it */
X(LOOKUP, serve_lookup)  /* method, key, cache: who answers? */
X(AUTH,   serve_auth)    /* wait for what an auth service says, then LOOKUP once more */
X(HIT,    serve_hit)     /* the cache does: head, and a small body with it: then DONE */
X(MISS,   serve_miss)    /* an origin does: hand over an exchange */
X(WAIT,   serve_wait)    /* for the answer's head; send the request's body meanwhile */
X(HEAD,   serve_head)    /* the answer's head to the client */
X(BODY,   serve_body)    /* body bytes as they can be read and sent */
X(PART,   serve_part)    /* the same, but only the ranges that were asked for */
X(ERROR,  serve_error)   /* an answer of our own: refusal, failure, OPTIONS */
X(DONE,   serve_done)    /* next request, or close */
