/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Cookies as the whole stack answers by them (RFC 4987); what stands in one: test_cookie.c.
 */
#include "tcp_helper.h"

#define SYN_ACK (HF_TCP_SYN | HF_TCP_ACK)

/* Every SYN is answered by a cookie. */
static void cookie_init(struct th *t)
{
	th_init(t);
	t->cfg.syn_queue_max = 0;
	th_start(t);
}

/* SYN with MSS 1400 and all that `want` says; ts_ecr is learned. */
static const struct hf_tcp_emit *cookie_syn(struct th *t, uint32_t want)
{
	uint8_t ecn = want & TH_ECN ? HF_TCP_ECE | HF_TCP_CWR : 0;
	uint8_t *opt = t->sack_buf;
	uint32_t n = th_sack_put(opt, 0x02040000 + 1400);
	const uint8_t *got;

	if (want & TH_SACK)
		n += th_sack_put(opt + n, 0x01010402);
	if (want & TH_WS)
		n += th_sack_put(opt + n, 0x01030307);
	if (want & TH_TS) {
		n += th_sack_put(opt + n, 0x0101080a);
		n += th_sack_put(opt + n, (uint32_t)(t->now_us / 1000));
		n += th_sack_put(opt + n, 0);
	}
	t->opt = opt;
	t->opt_len = (uint8_t)n;
	cr_assert_eq(th_in(t, HF_TCP_SYN | ecn, UINT32_MAX, 0, NULL), HF_DROP_NONE);
	cr_assert_eq(t->out_count, 1);
	cr_assert_eq(t->out[0].flags & SYN_ACK, SYN_ACK);
	t->iss = t->out[0].seq;
	got = t->out[0].opt;
	t->ts_ecr = (uint32_t)got[12] << 24 | (uint32_t)got[13] << 16 | (uint32_t)got[14] << 8 |
		    got[15];
	if (want & TH_TS) /* behind MSS: NOP NOP or SACK-permitted, TSval, TSecr */
		t->ts_ecr = (uint32_t)got[8] << 24 | (uint32_t)got[9] << 16 |
			    (uint32_t)got[10] << 8 | got[11];
	t->sack_on = (uint8_t)want;
	t->opt_len = 0;
	return &t->out[0];
}

static int cookie_ack(struct th *t, const char *text)
{
	th_sack_opts(t, 0, NULL);
	return th_in(t, HF_TCP_ACK, 0, 0, text);
}

Test(tcp_syn_cookie, rfc4987_s3_6_a_cookie_keeps_nothing)
{
	struct th t;

	cookie_init(&t);
	for (int i = 0; i < 1000; i++) {
		t.sport++;
		cookie_syn(&t, TH_TS);
		cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	}
	cr_assert_eq(t.tcp->syn_count, 0);
	cr_assert_eq(t.tcp->conns.used, 0);
	th_tick(&t, 5000000);
	cr_assert_eq(t.out_count, 0, "nor is it sent again");
	th_done(&t);
}

Test(tcp_syn_cookie, rfc4987_s3_6_without_timestamps_only_the_mss_comes_back)
{
	const struct hf_tcp_emit *syn_ack;
	struct th t;

	cookie_init(&t);
	syn_ack = cookie_syn(&t, TH_SACK | TH_WS | TH_ECN);
	cr_assert_eq(syn_ack->flags, SYN_ACK, "no ECN");
	cr_assert_eq(syn_ack->opt_len, 4, "neither SACK nor scale is offered");
	cr_assert_eq(syn_ack->wnd, 65535);
	cr_assert_eq(th_out_ack(&t, 0), 0);
	t.wnd = 5000;
	cr_assert_eq(cookie_ack(&t, NULL), HF_DROP_NONE);
	cr_assert_eq(t.events, HF_TCP_EV_OPEN);
	cr_assert_eq(t.conn->mss, 1400);
	cr_assert_eq(t.conn->snd_wnd, 5000);
	cr_assert_not(tcp_has(t.conn, TCP_F_SACK | TCP_F_WSCALE | TCP_F_TS | TCP_F_ECN));
	th_done(&t);
}

Test(tcp_syn_cookie, rfc4987_s3_6_with_timestamps_everything_comes_back)
{
	const struct hf_tcp_emit *syn_ack;
	struct th t;

	th_init(&t);
	t.cfg.syn_queue_max = 0;
	t.cfg.rcv_wnd_init = t.cfg.rcv_wnd_max = 1 << 20;
	th_start(&t);
	syn_ack = cookie_syn(&t, TH_SACK | TH_WS | TH_ECN | TH_TS);
	cr_assert_eq(syn_ack->flags, SYN_ACK | HF_TCP_ECE);
	cr_assert_eq(syn_ack->opt_len, 4 + 12 + 4);
	cr_assert_arr_eq(syn_ack->opt + 16, ((uint8_t[]){ 1, 3, 3, 5 }), 4, "our scale");
	t.wnd = 500;
	cr_assert_eq(cookie_ack(&t, NULL), HF_DROP_NONE);
	cr_assert_eq(t.events, HF_TCP_EV_OPEN);
	cr_assert_eq(t.conn->mss, 1400 - 12);
	cr_assert_eq(t.conn->snd_wnd, 500 << 7, "its scale");
	cr_assert_eq(t.conn->rcv_shift, 5);
	cr_assert(tcp_has(t.conn, TCP_F_SACK));
	cr_assert(tcp_has(t.conn, TCP_F_TS));
	th_send(&t, 100);
	cr_assert_eq(t.out[0].ecn, HF_TCP_ECN_ECT0);
	th_done(&t);
}

Test(tcp_syn_cookie, what_a_syn_with_timestamps_did_not_ask_for_does_not_come_back)
{
	struct th t;

	cookie_init(&t);
	cookie_syn(&t, TH_TS);
	cr_assert_eq(cookie_ack(&t, NULL), HF_DROP_NONE);
	cr_assert_not(tcp_has(t.conn, TCP_F_SACK | TCP_F_WSCALE | TCP_F_ECN));
	cr_assert_eq(t.conn->snd_shift, 0);
	th_done(&t);
}

Test(tcp_syn_cookie, rfc7323_s5_4_tsval_goes_on_from_the_cookies)
{
	struct th t;

	cookie_init(&t);
	cookie_syn(&t, TH_TS | TH_SACK | TH_WS);
	cookie_ack(&t, NULL);
	th_send(&t, 1);
	cr_assert_geq((int32_t)(th_ts_val(&t, 0) - t.ts_ecr), 0);
	cr_assert_lt(th_ts_val(&t, 0) - t.ts_ecr, 64);
	th_done(&t);
}

Test(tcp_syn_cookie, rfc7323_s5_2_the_peers_clock_may_stand_anywhere)
{
	struct th t;

	th_init(&t);
	t.cfg.syn_queue_max = 0;
	t.now_us = 3000000000ULL * 1000; /* its TSval, in this test's peer: above 2^31 */
	th_start(&t);
	cookie_syn(&t, TH_TS);
	cr_assert_eq(cookie_ack(&t, "GET"), HF_DROP_NONE);
	cr_assert_eq(t.events, HF_TCP_EV_OPEN | HF_TCP_EV_DATA);
	th_done(&t);
}

Test(tcp_syn_cookie, data_and_fin_may_complete_the_handshake)
{
	struct th t;

	cookie_init(&t);
	cookie_syn(&t, 0);
	cr_assert_eq(th_in(&t, HF_TCP_ACK | HF_TCP_PSH | HF_TCP_FIN, 0, 0, "GET"), HF_DROP_NONE);
	cr_assert_eq(t.events, HF_TCP_EV_OPEN | HF_TCP_EV_DATA | HF_TCP_EV_FIN);
	cr_assert_arr_eq(t.got, "GET", 3);
	th_done(&t);
}

Test(tcp_syn_cookie, a_lost_ack_is_made_up_for_by_the_data_behind_it)
{
	struct th t;

	cookie_init(&t);
	cookie_syn(&t, 0);
	/* the ACK is lost, the second text overtakes the first: no cookie fits it */
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 3, 0, "def"), HF_DROP_TCP_BAD_COOKIE);
	cr_assert_eq(t.out_count, 0, "and no RST, which would end what is to begin");
	cr_assert_eq(t.events, 0);
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0, "abc"), HF_DROP_NONE);
	cr_assert_eq(t.events, HF_TCP_EV_OPEN | HF_TCP_EV_DATA);
	th_done(&t);
}

Test(tcp_syn_cookie, a_forged_cookie_gets_rst)
{
	static const uint32_t acks[] = { 1, UINT32_MAX, 2, 16, 0x80000000 };
	struct th t;

	cookie_init(&t);
	cookie_syn(&t, 0);
	for (size_t i = 0; i < HF_ARRAY_LEN(acks); i++) {
		cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, acks[i], NULL), HF_DROP_TCP_BAD_COOKIE);
		cr_assert_eq(t.out_count, 1);
		cr_assert_eq(t.out[0].flags, HF_TCP_RST);
		cr_assert_eq(th_out_seq(&t, 0), acks[i]);
	}
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 1, 0, NULL), HF_DROP_TCP_BAD_COOKIE, "wrong irs");
	t.sport++;
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0, NULL), HF_DROP_TCP_BAD_COOKIE, "another flow's");
	cr_assert_eq(th_drops(HF_DROP_TCP_BAD_COOKIE), HF_ARRAY_LEN(acks) + 2);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	cr_assert_eq(th_stat(HF_STAT_TCP_COOKIES_ACCEPTED), 0);
	th_done(&t);
}

Test(tcp_syn_cookie, syn_ack_and_rst_are_no_answers_to_a_cookie)
{
	struct th t;

	cookie_init(&t);
	cookie_syn(&t, 0);
	cr_assert_eq(th_in(&t, SYN_ACK, 0, 0, NULL), HF_DROP_TCP_NO_LISTENER);
	cr_assert_eq(t.out[0].flags, HF_TCP_RST);
	cr_assert_eq(th_in(&t, HF_TCP_RST | HF_TCP_ACK, 0, 0, NULL), HF_DROP_TCP_NO_LISTENER);
	cr_assert_eq(t.out_count, 0);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	th_done(&t);
}

Test(tcp_syn_cookie, malformed_options_are_dropped_before_the_cookie_is_looked_at)
{
	static const uint8_t opt[] = { 8, 3, 0, 0 };
	struct th t;

	cookie_init(&t);
	cookie_syn(&t, 0);
	t.opt = opt;
	t.opt_len = 4;
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0, NULL), HF_DROP_TCP_BAD_OPTION);
	cr_assert_eq(t.out_count, 0);
	t.opt_len = 0;
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0, NULL), HF_DROP_NONE);
	th_done(&t);
}

Test(tcp_syn_cookie, rfc4987_s3_6_a_cookie_is_good_for_64_to_128_seconds)
{
	struct th t;

	cookie_init(&t);
	t.now_us = 64000000; /* a period begins */
	cookie_syn(&t, 0);
	t.now_us = 3 * 64000000ULL - 1;
	t.sport++;
	cookie_syn(&t, 0); /* so that cookies are looked at */
	t.sport--;
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0, NULL), HF_DROP_TCP_BAD_COOKIE, "not that ISS");
	th_done(&t);

	th_start(&t);
	t.now_us = 64000000;
	cookie_syn(&t, 0);
	t.now_us = 3 * 64000000ULL - 1;
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0, NULL), HF_DROP_NONE, "in the next period");
	th_done(&t);
}

Test(tcp_syn_cookie, an_older_cookie_is_refused)
{
	uint32_t iss;
	struct th t;

	cookie_init(&t);
	t.now_us = 64000000;
	iss = cookie_syn(&t, 0)->seq;
	t.now_us = 3 * 64000000ULL;
	t.sport++;
	cookie_syn(&t, 0);
	t.sport--;
	t.iss = iss;
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0, NULL), HF_DROP_TCP_BAD_COOKIE);
	cr_assert_eq(t.out[0].flags, HF_TCP_RST);
	th_done(&t);
}

Test(tcp_syn_cookie, no_ack_is_looked_at_as_a_cookie_when_none_was_sent)
{
	uint32_t iss;
	struct th t;

	cookie_init(&t);
	iss = cookie_syn(&t, 0)->seq;
	th_done(&t);
	t.cfg.syn_queue_max = 8;
	th_start(&t);
	t.iss = iss;
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0, NULL), HF_DROP_TCP_NO_LISTENER,
		"good, and yet no cookie was sent by this stack");
	cr_assert_eq(t.out[0].flags, HF_TCP_RST);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	th_done(&t);
}

Test(tcp_syn_cookie, and_none_128_seconds_after_the_last)
{
	struct th t;

	cookie_init(&t);
	cookie_syn(&t, 0);
	t.now_us += 128000000;
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 5, NULL), HF_DROP_TCP_NO_LISTENER);
	th_done(&t);
}

Test(tcp_syn_cookie, rfc6298_s2_1_no_round_trip_is_known)
{
	struct th t;

	cookie_init(&t);
	cookie_syn(&t, 0);
	t.now_us += 5000;
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0, NULL), HF_DROP_NONE);
	cr_assert_eq(t.conn->srtt_us, 0);
	cr_assert_eq(t.conn->rto_us, 1000000);
	th_send(&t, 100);
	t.now_us += 30000;
	th_in(&t, HF_TCP_ACK, 0, 100, NULL);
	cr_assert_eq(t.conn->srtt_us, 30000);
	th_done(&t);
}

Test(tcp_syn_cookie, an_mss_below_the_floor_or_above_the_path_is_bounded)
{
	static const uint32_t mss[][2] = { { 20, 88 }, { 536, 536 }, { 1399, 1360 },
		{ 9000, 1460 } };

	for (size_t i = 0; i < HF_ARRAY_LEN(mss); i++) {
		struct th t;

		cookie_init(&t);
		th_open_mss(&t, (uint16_t)mss[i][0]);
		cr_assert_eq(t.conn->mss, mss[i][1], "%u: %u", mss[i][0], t.conn->mss);
		th_done(&t);
	}
}

Test(tcp_syn_cookie, rfc9293_s3_7_1_no_mss_option_means_536)
{
	struct th t;

	cookie_init(&t);
	th_syn(&t);
	th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	cr_assert_eq(t.conn->mss, 536);
	th_done(&t);
}

Test(tcp_syn_cookie, a_full_table_sheds_for_who_answered_not_for_a_syn)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	for (uint32_t i = 0; i < t.cfg.conns_max - t.tcp->conns_low; i++) {
		t.sport++;
		th_open_mss(&t, TH_MSS);
		hf_tcp_idle_set(t.tcp, t.conn, true);
	}
	t.sport++;
	cookie_syn(&t, 0);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), t.cfg.conns_max - t.tcp->conns_low);
	cr_assert_eq(th_stat(HF_STAT_TCP_COOKIES_SENT), 1, "though the SYN queue is empty");
	cr_assert_eq(th_stat(HF_STAT_TCP_SHED), 0);
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0, "x"), HF_DROP_NONE);
	cr_assert_eq(t.events, HF_TCP_EV_OPEN | HF_TCP_EV_DATA | HF_TCP_EV_CLOSED);
	cr_assert_eq(th_stat(HF_STAT_TCP_SHED), 1);
	th_done(&t);
}

Test(tcp_syn_cookie, with_nothing_to_shed_the_cookie_stays_good_for_later)
{
	struct hf_tcp_conn *first;
	struct th t;

	th_init(&t);
	t.cfg.conns_max = 1;
	th_start(&t);
	th_open_mss(&t, TH_MSS);
	first = t.conn;
	t.sport++;
	cookie_syn(&t, 0);
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0, "x"), HF_DROP_CONN_FULL);
	cr_assert_eq(t.out_count, 0);
	hf_tcp_abort(t.tcp, first);
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0, "x"), HF_DROP_NONE);
	cr_assert_eq(t.events, HF_TCP_EV_OPEN | HF_TCP_EV_DATA);
	th_done(&t);
}

Test(tcp_syn_cookie, draining_refuses_what_completes_later)
{
	struct th t;

	cookie_init(&t);
	cookie_syn(&t, 0);
	hf_tcp_listen_stop(t.tcp);
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0, "x"), HF_DROP_CONN_DRAINING);
	cr_assert_eq(t.out[0].flags, HF_TCP_RST);
	t.sport++;
	cr_assert_eq(th_in(&t, HF_TCP_SYN, 0, 0, NULL), HF_DROP_CONN_DRAINING);
	th_done(&t);
}

Test(tcp_syn_cookie, rfc4987_s3_6_below_the_queues_limit_no_cookie)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	for (uint32_t i = 0; i < t.cfg.syn_queue_max; i++) {
		t.sport++;
		cookie_syn(&t, TH_SACK);
	}
	cr_assert_eq(th_stat(HF_STAT_TCP_COOKIES_SENT), 0);
	t.sport++;
	cr_assert_eq(cookie_syn(&t, TH_SACK)->opt_len, 4, "a cookie has no place for SACK");
	cr_assert_eq(th_stat(HF_STAT_TCP_COOKIES_SENT), 1);
	t.sport--; /* one of the queue completes: there is room again */
	t.iss = 0;
	th_syn(&t);
	th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	cr_assert_eq(t.events, HF_TCP_EV_OPEN);
	t.sport += 2;
	cookie_syn(&t, TH_SACK);
	cr_assert_eq(th_stat(HF_STAT_TCP_COOKIES_SENT), 1);
	th_done(&t);
}

Test(tcp_syn_cookie, without_a_descriptor_no_cookie_was_sent)
{
	struct hf_tcp_seg seg;
	struct th t;

	th_init(&t);
	t.cfg.syn_queue_max = 0;
	t.cfg.emits_max = 1;
	th_start(&t);
	cookie_syn(&t, 0);
	for (int i = 0; i < 2; i++) {
		t.sport++;
		seg = th_seg(&t, HF_TCP_SYN, UINT32_MAX, 0, NULL, 0);
		cr_assert_eq(hf_tcp_input(t.tcp, &seg, t.now_us), HF_DROP_CONN_SYN_QUEUE);
		hf_tcp_input_end(t.tcp);
	}
	cr_assert_eq(th_stat(HF_STAT_TCP_COOKIES_SENT), 1);
	th_done(&t);
}

Test(tcp_syn_cookie, a_syn_sent_again_in_the_same_period_gets_the_same_cookie)
{
	uint32_t iss;
	struct th t;

	cookie_init(&t);
	iss = cookie_syn(&t, 0)->seq;
	t.now_us += 3000000;
	cr_assert_eq(cookie_syn(&t, 0)->seq, iss);
	th_done(&t);
}
