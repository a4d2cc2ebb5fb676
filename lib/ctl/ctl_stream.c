/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Answers that go on: what their sources have to say, with the id of the request.
 */
#include "hf_ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl_priv.h"

int hf_ctl_stream_begin(struct hf_ctl *ctl, const struct hf_ctl_source *source, struct hf_err *err)
{
	HF_ASSERT(source->turn && source->end && !ctl->begun.turn);
	if (ctl->peer_streams)
		return hf_err_set(err, -EBUSY, "this connection has a stream already");
	ctl->begun = *source;
	return 0;
}

void ctl_stream_adopt(struct hf_ctl *ctl, struct ctl_client *client)
{
	if (!ctl->begun.turn)
		return;
	client->source = ctl->begun;
	client->stream_id = ctl->begun_id;
	ctl->begun = (struct hf_ctl_source){ .turn = NULL };
	ctl->begun_id = NULL;
}

void ctl_stream_end(struct ctl_client *client)
{
	if (!client->source.turn)
		return;
	client->source.end(client->source.arg);
	client->source.turn = NULL;
	free(client->stream_id);
}

void hf_ctl_stream_send(struct hf_ctl_stream *stream, const char *text, size_t len)
{
	struct ctl_client *client = stream->client;
	const struct {
		const char *bytes;
		size_t len;
	} pieces[] = { { "{\"id\":", 6 }, { client->stream_id, strlen(client->stream_id) },
		{ ",\"stream\":", 10 }, { text, len }, { "}\n", 2 } };

	for (size_t i = 0; i < HF_ARRAY_LEN(pieces) && !stream->failed; i++)
		stream->failed = !ctl_client_queue(client, pieces[i].bytes, pieces[i].len);
}

bool ctl_stream_turn(struct ctl_client *client)
{
	struct hf_ctl_stream stream = { .client = client };
	bool took = client->taken != client->taken_before;

	client->taken_before = client->taken;
	if (client->out_len > 0) { /* that first */
		client->stuck = took ? 0 : client->stuck + 1;
		return client->stuck < CTL_STUCK_TICKS || ctl_client_deaf(client);
	}
	client->stuck = 0;
	client->source.turn(client->source.arg, &stream);
	return !stream.failed && ctl_client_write(client);
}
