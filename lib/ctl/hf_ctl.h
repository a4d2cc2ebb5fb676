/* SPDX-License-Identifier: BSD-3-Clause
 *
 * ctl - the Unix socket on which operators ask and command: JSON lines, one answer a request.
 *
 * What      {"id":1,"command":"purge","args":{"url":"/x"}} -> {"id":1,"ok":true,"result":{...}} or
 *           {"id":1,"ok":false,"error":{"type":"client_error","message":"..."}}, where the error
 *           may have "errors": ["...", ...], each reason.
 *           tbl/ctl_cmds.h lists the commands; app gives each its function. Of some the answer goes
 *           on: behind it come lines {"id":1,"stream":{...}} until the client closes; what it asks
 *           meanwhile is answered in between.
 * Threads   control, all of it. Never blocks: a client that does not read is cut off.
 * Lifetime  new binds and listens (a stale socket file of a dead process is replaced, a live one is
 *           an error); free closes and unlinks.
 * Limits    64 clients, 64 KiB a line in, 8 MiB of answers queued for a client. One stream a
 *           client; its source is not asked while the client has not read what came before, and
 *           after 50 ticks in which it took nothing of that it is cut off.
 */
#ifndef HF_CTL_H
#define HF_CTL_H

#include <jansson.h>

#include "hf_base.h"

struct hf_ctl;

enum hf_ctl_cmd {
#define X(id, name, args, help) HF_CTL_##id,
#include "tbl/ctl_cmds.h"
#undef X
	HF_CTL_COUNT
};

/* Carries out one command. ARGS is an object (never NULL). Returns the result, an object (a new
 * reference), or with `err` set NULL or an array of strings, every reason: then it is a
 * client_error when *ret_internal stays false. */
typedef json_t *(*hf_ctl_fn)(
	void *app, enum hf_ctl_cmd cmd, const json_t *args, bool *ret_internal, struct hf_err *err);

/* TEXT as a JSON string, also when it is no UTF-8. */
json_t *hf_ctl_string(const char *text);

/* ---- arguments, for the server and for holdfastctl ---- */

struct hf_ctl_arg {
	char key[32]; /* in "args": lower case, no dashes */
	bool option;  /* --key, else a word */
	bool flag;    /* an option without value: true or false */
	bool optional;
	bool rest;      /* the words that are left, with blanks between */
	uint32_t group; /* those of one group exclude each other; one is needed unless optional */
};

/* The next argument in the table's spelling; ret_arg->group is 0 before the first. NULL: there is
 * none. */
const char *hf_ctl_arg_next(const char *args, struct hf_ctl_arg *ret_arg);
/* Are those GIVEN, an object, what the command takes? 0, or -1 with the reason. */
int hf_ctl_args_check(
	const char *command, const char *args, const json_t *given, struct hf_err *err);

/* ---- the socket ---- */

int hf_ctl_new(const char *socket_path, uint32_t mode, const char *group, hf_ctl_fn fn, void *app,
	struct hf_err *err, struct hf_ctl **ret_ctl);
/* One epoll descriptor that the control thread waits on; readable: call hf_ctl_work. */
int hf_ctl_fd(const struct hf_ctl *ctl);
void hf_ctl_work(struct hf_ctl *ctl);
/* Of the client whose command is being carried out; -1: not known. */
int hf_ctl_peer_uid(const struct hf_ctl *ctl);
void hf_ctl_free(struct hf_ctl *ctl);

/* ---- answers that go on ---- */

struct hf_ctl_stream;

struct hf_ctl_source {
	/* At an hf_ctl_tick: what there is goes out by hf_ctl_stream_send. */
	void (*turn)(void *arg, struct hf_ctl_stream *stream);
	/* The client is gone; once. */
	void (*end)(void *arg);
	void *arg;
};

/* Within an hf_ctl_fn that then returns a result: the client hears from SOURCE from now on. -EBUSY:
 * it has a stream already. */
int hf_ctl_stream_begin(
	struct hf_ctl *ctl, const struct hf_ctl_source *source, struct hf_err *err) HF_MUST_CHECK;
/* TEXT is a JSON object on one line. */
void hf_ctl_stream_send(struct hf_ctl_stream *stream, const char *text, size_t len);
/* Ten times a second. */
void hf_ctl_tick(struct hf_ctl *ctl);

#endif
