/* SPDX-License-Identifier: BSD-3-Clause
 *
 * cli - holdfastctl: one command to the server's socket, its answer as a table or JSON.
 *
 * Picture   main.c: words to a request -> cli_call.c: the socket -> cli_show.c: what people read
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

/* Sends one request and waits for its answer, an object with "ok". 0, or -1 with the reason. */
int cli_call(const char *path, const json_t *request, struct hf_err *err, json_t **ret_answer);

/* {"columns":[],"rows":[]} as a table ("cut": there are more rows), {"text":""} as it is, anything else as "key: value". */
void cli_show(const json_t *result, FILE *out);

#endif
