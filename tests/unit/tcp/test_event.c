/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Which connection the application is told of first, second and so on.
 */
#include "tcp_helper.h"

#include "tcp_conn.h"

#define EVENT_CONNS 4

/* Connections that nobody is told of yet. */
static void event_start(struct th *t, struct hf_tcp_conn **ret_conns)
{
	struct hf_path path = { .mtu = 1500 };

	th_init(t);
	th_start(t);
	for (uint16_t i = 0; i < EVENT_CONNS; i++) {
		t->sport = (uint16_t)(40000 + i);
		cr_assert_eq(th_open_try(t, &path), 0);
		ret_conns[i] = t->conn;
	}
}

static void event_expect(struct th *t, const struct hf_tcp_conn *conn, uint32_t what)
{
	struct hf_tcp_event event;

	cr_assert(hf_tcp_next_event(t->tcp, &event));
	cr_assert_eq(event.conn, conn);
	cr_assert_eq(event.what, what);
	hf_tcp_check(t->tcp);
}

static void event_end(struct th *t)
{
	struct hf_tcp_event event;

	cr_assert_not(hf_tcp_next_event(t->tcp, &event));
	hf_tcp_free(t->tcp);
}

Test(tcp_event, they_come_in_order_and_those_of_one_connection_together)
{
	struct hf_tcp_conn *conns[EVENT_CONNS];
	struct th t;

	event_start(&t, conns);
	for (int i = 0; i < 3; i++)
		tcp_conn_event(t.tcp, conns[i], HF_TCP_EV_DATA);
	tcp_conn_event(t.tcp, conns[0], HF_TCP_EV_ACKED);
	tcp_conn_event(t.tcp, conns[2], HF_TCP_EV_FIN);
	event_expect(&t, conns[0], HF_TCP_EV_DATA | HF_TCP_EV_ACKED);
	/* what comes now waits for those who wait already */
	tcp_conn_event(t.tcp, conns[0], HF_TCP_EV_DATA);
	tcp_conn_event(t.tcp, conns[3], HF_TCP_EV_WRITABLE);
	event_expect(&t, conns[1], HF_TCP_EV_DATA);
	event_expect(&t, conns[2], HF_TCP_EV_DATA | HF_TCP_EV_FIN);
	event_expect(&t, conns[0], HF_TCP_EV_DATA);
	event_expect(&t, conns[3], HF_TCP_EV_WRITABLE);
	event_end(&t);
}

Test(tcp_event, a_deadline_that_is_taken_back_is_told_only_with_what_else_there_is)
{
	struct hf_tcp_conn *conns[EVENT_CONNS];
	struct th t;

	event_start(&t, conns);
	for (int i = 0; i < EVENT_CONNS; i++)
		tcp_conn_event(t.tcp, conns[i], HF_TCP_EV_DEADLINE);
	tcp_conn_event(t.tcp, conns[2], HF_TCP_EV_DATA);
	for (int i = 0; i < 3; i++) {
		hf_tcp_deadline_set(t.tcp, conns[i], 0);
		hf_tcp_check(t.tcp);
	}
	event_expect(&t, conns[2], HF_TCP_EV_DATA);
	event_expect(&t, conns[3], HF_TCP_EV_DEADLINE);
	event_end(&t);
}

Test(tcp_event, who_is_aborted_is_told_of_no_more)
{
	struct hf_tcp_conn *conns[EVENT_CONNS];
	struct th t;

	event_start(&t, conns);
	for (int i = 0; i < EVENT_CONNS; i++)
		tcp_conn_event(t.tcp, conns[i], HF_TCP_EV_DATA);
	hf_tcp_abort(t.tcp, conns[0]);
	hf_tcp_check(t.tcp);
	hf_tcp_abort(t.tcp, conns[2]);
	hf_tcp_check(t.tcp);
	event_expect(&t, conns[1], HF_TCP_EV_DATA);
	event_expect(&t, conns[3], HF_TCP_EV_DATA);
	event_end(&t);
}
