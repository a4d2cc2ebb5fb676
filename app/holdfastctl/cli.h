/* SPDX-License-Identifier: BSD-3-Clause
 *
 * cli - holdfastctl: one command to the server's socket, its answer as a table or JSON.
 *
 * Picture   main.c: words to a request -> cli_call.c: the socket -> cli_show.c: what people read
 *                                                \-> cli_watch.c: what goes on
 *           cli_credential.c: a secret on standard input becomes its hash
 * Threads   one.
 * Promises  Exit code 0 done, 1 refused by the server, 2 usage, 3 no server. What a server sent
 *           reaches a terminal without its control characters.
 */
#ifndef CLI_H
#define CLI_H

#include <jansson.h>
#include <stdio.h>

#include "hf_base.h"

#define CLI_SOCKET    "/run/holdfast/holdfast.sock"
#define CLI_TIMEOUT_S 30

enum cli_exit { CLI_DONE, CLI_REFUSED, CLI_USAGE, CLI_NO_SERVER };

/* ---- cli_call.c: each returns 0, or -1 with the reason ---- */

struct cli_call {
	int fd;
	char *text; /* what was received and not yet taken */
	size_t len, room;
};

int cli_connect(const char *path, struct hf_err *err, struct cli_call *ret_call);
/* Sends one request and waits for its answer, an object with "ok". */
int cli_ask(struct cli_call *call, const json_t *request, struct hf_err *err, json_t **ret_answer);
/* The next line, an object. */
int cli_next(struct cli_call *call, struct hf_err *err, json_t **ret_line);
/* From now on cli_next waits for as long as it takes. */
void cli_patient(const struct cli_call *call);
/* Nothing is there that cli_next could take at once. */
bool cli_waits(const struct cli_call *call);
void cli_close(struct cli_call *call);

/* ---- cli_credential.c ---- */

/* Where "sha256" is "-": the hash of what standard input has, up to the end of its line. */
int cli_credential(json_t *given, struct hf_err *err);

/* ---- cli_show.c ---- */

/* {"columns":[],"rows":[]} as a table ("cut": there are more rows), {"text":""} as it is, anything
 * else as "key: value". */
void cli_show(const json_t *result, FILE *out);
/* TEXT without control characters, LF and tabs as an exception if `lines`. */
void cli_show_text(const char *text, bool lines, FILE *out);

/* ---- cli_watch.c: until the server ends it, or Ctrl-C, or what is written to is gone ---- */

/* What comes behind an answer with "stream": lines of requests, and tables. `once`: the first of
 * them. */
enum cli_exit cli_stream(struct cli_call *call, bool json, bool once);
/* REQUEST, which is `stats`, each second: ANSWER is the first one. */
enum cli_exit cli_watch_stats(
	struct cli_call *call, const json_t *request, const json_t *answer, bool json);

#endif
