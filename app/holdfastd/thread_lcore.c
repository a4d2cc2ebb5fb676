/* SPDX-License-Identifier: BSD-3-Clause
 *
 * THE LOOP: one worker's turn from NIC queue to NIC queue. Nothing in it blocks, locks, allocates
 * or makes a system call, but for the sleep of an idle worker (`idle: adaptive`).
 */
#include <poll.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <time.h>

#include "app.h"
#include "hf_hist.h"
#include "hf_log.h"

#define LCORE_IDLE_TURNS 512 /* without work, before it sleeps between turns */
#define LCORE_NAP_US     50
#define LCORE_WAIT_US    2000 /* where devices wake us: for what they do not tell */
#define LCORE_CONNS_TURN 64   /* entries of `conns` filled in one turn */

/* The control thread wants to see connections: some of them each turn. */
static void lcore_answer(struct app_worker *worker)
{
	struct app_conns *question = atomic_load(&worker->question);

	if (!question)
		return;
	for (uint32_t i = 0; i < LCORE_CONNS_TURN; i++) {
		struct hf_tcp_info info;

		if (!hf_tcp_conn_next(worker->tcp, &question->cursor, &info)) {
			atomic_store(&worker->question, NULL);
			atomic_store(&question->done, true);
			return;
		}
		if (question->count == APP_CONNS_SHOWN)
			question->more = true;
		else
			question->info[question->count++] = info;
	}
}

static void lcore_orders(struct app_worker *worker)
{
	uint32_t conns;

	if (hf_unlikely(atomic_load_explicit(&worker->app->draining, memory_order_relaxed)) &&
		!worker->draining) {
		worker->draining = true;
		hf_serve_drain(worker->serve);
	}
	lcore_answer(worker);
	conns = hf_serve_conn_count(worker->serve);
	if (worker->draining) /* what was queued must arrive, too */
		conns += hf_tcp_undelivered_count(worker->tcp);
	atomic_store_explicit(&worker->conns_open, conns, memory_order_relaxed);
}

/* A reload of the configuration. */
static void lcore_conf(struct app_worker *worker)
{
	const struct hf_conf *conf = atomic_load_explicit(&worker->app->conf, memory_order_acquire);

	if (hf_likely(conf == atomic_load_explicit(&worker->conf, memory_order_relaxed)))
		return;
	hf_serve_conf_set(worker->serve, conf);
	atomic_store_explicit(&worker->conf, conf, memory_order_release);
}

/* The turn before this one, measured by the one clock that a turn reads. */
struct lcore_measure {
	uint64_t began_ns; /* 0: there is none, or a sleep was behind it */
	uint64_t hits;     /* counted when it began */
	bool busy;
};

/* A hit is answered within the turn that takes its request up. So what is told of it is that turn,
 * from the poll to the device queue: no request needs a clock of its own. */
static void lcore_measure_take(struct lcore_measure *measure, uint64_t now_ns)
{
	uint64_t hits =
		atomic_load_explicit(&hf_stat_own->stat[HF_STAT_CACHE_HITS], memory_order_relaxed);

	if (measure->began_ns) {
		uint64_t took_ns = now_ns - measure->began_ns;

		hf_hist_add(measure->busy ? HF_HIST_LOOP_BUSY : HF_HIST_LOOP_IDLE, took_ns);
		if (hits > measure->hits)
			hf_hist_add_many(HF_HIST_HIT, took_ns, hits - measure->hits);
	}
	measure->began_ns = now_ns;
	measure->hits = hits;
}

/* hf_clock_us's, in finer grain. */
static uint64_t lcore_clock_ns(void)
{
	struct timespec now;

	HF_ASSERT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* One turn; true when there was anything to do. */
static bool lcore_turn(struct app_worker *worker, uint64_t now_us)
{
	const struct hf_tcp_seg *segs;
	const struct hf_tcp_icmp *icmps;
	const struct hf_tcp_emit *emits;
	uint32_t received, replies, count;

	atomic_store_explicit(&worker->beat_us, now_us, memory_order_relaxed);
	lcore_conf(worker);
	hf_serve_mode_set(
		worker->serve, atomic_load_explicit(&worker->app->mode, memory_order_relaxed));
	hf_serve_state_set(
		worker->serve, atomic_load_explicit(&worker->app->state, memory_order_acquire));
	received = hf_net_rx(worker->net, now_us);
	if (received > 0)
		hf_hist_add(HF_HIST_RX_BURST, received);
	count = hf_net_segs(worker->net, &segs);
	hf_serve_segments(worker->serve, segs, count, now_us);
	count = hf_net_icmps(worker->net, &icmps);
	hf_serve_icmps(worker->serve, icmps, count, now_us);
	hf_net_rx_done(worker->net);
	replies = hf_serve_replies(worker->serve, now_us);
	hf_serve_tick(worker->serve, now_us);
	lcore_orders(worker);
	hf_tcp_flush(worker->tcp, now_us);
	count = hf_tcp_emits(worker->tcp, &emits);
	hf_net_tx(worker->net, emits, count);
	hf_tcp_emits_done(worker->tcp);
	hf_net_flush(worker->net, now_us);
	hf_serve_turn_end(worker->serve);
	hf_rcu_quiescent();
	return received + replies + count > 0 || atomic_load(&worker->question);
}

/* What an idle worker waits for. */
struct lcore_bed {
	uint32_t count; /* 0: frames come unannounced */
	struct pollfd fd[HF_CONF_PORTS_MAX];
};

static void lcore_bed_make(const struct app_worker *worker, struct lcore_bed *ret_bed)
{
	int fds[HF_CONF_PORTS_MAX];

	ret_bed->count = hf_net_rx_fds(worker->net, fds);
	for (uint32_t i = 0; i < ret_bed->count; i++)
		ret_bed->fd[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
}

/* Until a frame comes, or a timer is due. Origin threads do not wake us: while they have something
 * of ours, and where devices do not either, it is a nap. */
static void lcore_sleep(const struct app_worker *worker, struct lcore_bed *bed, uint64_t now_us)
{
	bool waits = bed->count > 0 && hf_xchg_out_count(worker->app->xchgs, worker->index) == 0;
	uint64_t timer_us = hf_max_u64(hf_tcp_next_timer_us(worker->tcp), now_us) - now_us;
	uint64_t sleep_us = hf_min_u64(timer_us, waits ? LCORE_WAIT_US : LCORE_NAP_US);
	struct timespec pause = { .tv_nsec = (long)sleep_us * 1000 };

	hf_rcu_offline(); /* a sleeper must not hold up grace periods */
	if (waits)
		(void)ppoll(bed->fd, bed->count, &pause, NULL);
	else
		(void)nanosleep(&pause, NULL);
	hf_rcu_online();
}

int app_lcore_main(void *arg)
{
	struct app_worker *worker = arg;
	struct lcore_measure measure = { 0 };
	struct lcore_bed bed;
	bool adaptive = worker->app->conf->idle == HF_CONF_IDLE_ADAPTIVE;
	uint32_t idle_turns = 0;
	char name[16];

	(void)snprintf(name, sizeof(name), "lcore%u", worker->index + 1);
	hf_thread_enter(HF_THREAD_LCORE, name);
	atomic_store(&worker->stats, hf_stat_own);
	atomic_store(&worker->hists, hf_hist_own);
	(void)prctl(PR_SET_TIMERSLACK, 1000UL, 0, 0, 0); /* sleeps end when they should */
	HF_ASSERT(hf_log_ring_enter() == 0);
	hf_rcu_register();
	lcore_bed_make(worker, &bed);
	while (!atomic_load_explicit(&worker->app->lcore_stop, memory_order_relaxed)) {
		hf_stat_inc(HF_STAT_LOOPS);
		lcore_measure_take(&measure, lcore_clock_ns());
		measure.busy = lcore_turn(worker, measure.began_ns / 1000);
		if (measure.busy) {
			idle_turns = 0;
			continue;
		}
		hf_stat_inc(HF_STAT_LOOPS_IDLE);
		if (adaptive && ++idle_turns > LCORE_IDLE_TURNS && hf_net_idle(worker->net)) {
			lcore_sleep(worker, &bed, measure.began_ns / 1000);
			measure.began_ns = 0;
		}
	}
	hf_rcu_unregister();
	return 0;
}
