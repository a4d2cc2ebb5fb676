/* SPDX-License-Identifier: BSD-3-Clause
 *
 * ctl_priv - one client's buffers, and the way from a line to its answer.
 *
 * Picture   ctl_sock.c: socket, epoll -> ctl_client.c: bytes to lines, answers to bytes
 *           -> ctl_cmd.c: a line to its answer; ctl_args.c: its arguments; ctl_stream.c: answers
 *           that go on
 */
#ifndef HF_PRIV_CTL
#error "ctl_priv.h is private to lib/ctl"
#endif
#ifndef CTL_PRIV_H
#define CTL_PRIV_H

#include "hf_ctl.h"

#define CTL_CLIENTS_MAX 64
#define CTL_LINE_MAX    (64U * 1024)
#define CTL_OUT_MAX     (8U * 1024 * 1024)
#define CTL_STUCK_TICKS 50 /* in which a client with a stream took nothing of what waits */
#define CTL_QUOTE_MAX   64
#define CTL_LINES_TURN  16 /* commands of one client before the next has its turn */

struct ctl_client {
	int fd; /* -1: the place is free */
	int pid, uid;
	uint32_t events; /* what epoll was asked for */
	bool skipping;   /* the rest of a line that was too long */
	bool ended;      /* the peer sends no more */
	size_t in_len;
	char *in; /* CTL_LINE_MAX + 1 bytes */
	char *out;
	size_t out_len, out_sent, out_room;
	struct hf_ctl_source source; /* of its stream; turn is NULL: it has none */
	char *stream_id;             /* as JSON */
	uint64_t taken;              /* bytes that the kernel has for it */
	uint64_t taken_before;       /* the same at the last tick */
	uint32_t stuck;              /* ticks since it took any */
};

struct hf_ctl_stream {
	struct ctl_client *client;
	bool failed; /* it is to be cut off */
};

struct hf_ctl {
	int epoll_fd, listen_fd;
	int spare_fd; /* given up for a moment when there are no more descriptors */
	hf_ctl_fn fn;
	void *app;
	char *path;
	uint64_t device, inode;     /* of the socket file: only ours is removed */
	int peer_uid;               /* of the client whose command is being carried out */
	bool peer_streams;          /* it has a stream */
	struct hf_ctl_source begun; /* by that command; turn is NULL: none was */
	char *begun_id;
	uint32_t client_count;
	struct ctl_client client[CTL_CLIENTS_MAX];
};

/* -ENOMEM; FD stays the caller's then. */
int ctl_client_open(struct ctl_client *client, int fd);
void ctl_client_close(struct ctl_client *client);
/* Reads, answers, writes, as far as it goes without waiting. False: the client is done with. */
bool ctl_client_work(struct hf_ctl *ctl, struct ctl_client *client);
bool ctl_client_write(struct ctl_client *client);
/* Queues bytes. False, and it is said why: there are too many then, or there is no memory. */
bool ctl_client_queue(struct ctl_client *client, const char *bytes, size_t len);
/* It does not read: says so. Returns false. */
bool ctl_client_deaf(const struct ctl_client *client);
/* What the client waits for now, in epoll's bits. */
uint32_t ctl_client_events(const struct ctl_client *client);

/* The answer to one line, to be freed by the caller, LF at its end; NULL without memory. */
char *ctl_cmd_answer(
	struct hf_ctl *ctl, const struct ctl_client *client, const char *line, size_t len);
/* TEXT cut, and without what does not print; ret_buf has CTL_QUOTE_MAX bytes. Returns it. */
const char *ctl_quote(const char *text, char *ret_buf);
/* What the last command began is the client's. */
void ctl_stream_adopt(struct hf_ctl *ctl, struct ctl_client *client);
/* The client's turn. False: it is done with. */
bool ctl_stream_turn(struct ctl_client *client);
/* If it has one. */
void ctl_stream_end(struct ctl_client *client);
/* The answer to what is no line at all. */
char *ctl_cmd_refusal(const struct ctl_client *client, const char *message);

#endif
