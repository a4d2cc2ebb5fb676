/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_serve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "serve_priv.h"

static int serve_pools(struct hf_serve *serve)
{
	uint32_t conns = serve->conf->http.connections_max;
	int rc = hf_pool_init(&serve->conn_pool, sizeof(struct serve_conn), conns);

	if (rc == 0)
		rc = hf_pool_init(&serve->req_pool, sizeof(struct serve_req), conns);
	if (rc == 0)
		rc = hf_pool_init(&serve->txbuf_pool, SERVE_TXBUF_LEN, conns);
	if (rc == 0 && serve->reqlog)
		rc = hf_pool_init(&serve->log_pool, sizeof(struct hf_reqlog_record), conns);
	if (rc == 0)
		rc = serve_peers_init(serve);
	if (rc == 0)
		hf_pool_no_dump(&serve->txbuf_pool);
	return rc;
}

static void serve_conf_take(struct hf_serve *serve, const struct hf_conf *conf)
{
	HF_ASSERT(conf->http.header_count <= HF_HTTP_LINES_MAX); /* lib/conf's range */
	serve->conf = conf;
	serve->limits = (struct hf_http_limits){ .head_max = conf->http.header_bytes,
		.uri_max = conf->http.uri_bytes,
		.lines_max = conf->http.header_count };
}

int hf_serve_new(const struct hf_serve_cfg *cfg, uint64_t now_us, struct hf_err *err,
	struct hf_serve **ret_serve)
{
	struct hf_serve *serve = calloc(1, sizeof(*serve));

	if (!serve)
		return hf_err_set(err, -ENOMEM, "no memory for worker %u", cfg->worker);
	serve->worker = cfg->worker;
	serve->origins = cfg->origins;
	serve->tcp = cfg->tcp;
	serve->cache = cfg->cache;
	serve->auth = cfg->auth;
	serve->reader = hf_cache_reader(cfg->cache, cfg->worker);
	serve->xchgs = cfg->xchgs;
	serve->reqlog = cfg->reqlog;
	serve->now_us = now_us;
	hf_list_init(&serve->reqs);
	hf_list_init(&serve->again);
	hf_list_init(&serve->turn);
	serve_conf_take(serve, cfg->conf);
	serve->key_cap = 2 * cfg->conf->http.header_bytes + 64;
	serve->key_buf = malloc(serve->key_cap);
	serve->ask_cap = serve->key_cap + cfg->conf->http.header_bytes;
	serve->ask_buf = malloc(serve->ask_cap);
	serve->head_buf = malloc(cfg->conf->http.header_bytes);
	serve->date_s = -1;
	serve->gap_sample = UINT32_MAX;
	hf_random_fill(&serve->random_key, sizeof(serve->random_key));
	if (!serve->key_buf || !serve->ask_buf || !serve->head_buf || serve_ahead_init(serve) ||
		serve_pools(serve)) {
		hf_serve_free(serve);
		return hf_err_set(err, -ENOMEM, "no memory for %u connections of worker %u",
			cfg->conf->http.connections_max, cfg->worker);
	}
	*ret_serve = serve;
	return 0;
}

void hf_serve_free(struct hf_serve *serve)
{
	if (!serve)
		return;
	while (!hf_list_empty(&serve->reqs))
		serve_req_free(serve,
			HF_CONTAINER_OF(hf_list_first(&serve->reqs), struct serve_req, link));
	hf_serve_turn_end(serve);
	serve_peers_fini(serve);
	hf_pool_fini(&serve->conn_pool);
	hf_pool_fini(&serve->req_pool);
	hf_pool_fini(&serve->txbuf_pool);
	hf_pool_fini(&serve->log_pool);
	serve_ahead_fini(serve);
	free(serve->key_buf);
	free(serve->ask_buf);
	free(serve->head_buf);
	free(serve);
}

void hf_serve_segments(
	struct hf_serve *serve, const struct hf_tcp_seg *segs, uint32_t count, uint64_t now_us)
{
	serve->now_us = now_us;
	serve_ahead_begin(serve, segs, count);
	for (uint32_t i = 0; i < count; i++) {
		serve_ahead_at(serve, i);
		(void)hf_tcp_input(serve->tcp, &segs[i], now_us); /* it counts what it drops */
		serve_events(serve);
		hf_tcp_input_end(serve->tcp);
	}
	serve_ahead_at(serve, count);
}

void hf_serve_icmps(
	struct hf_serve *serve, const struct hf_tcp_icmp *icmps, uint32_t count, uint64_t now_us)
{
	serve->now_us = now_us;
	for (uint32_t i = 0; i < count; i++)
		(void)hf_tcp_icmp(serve->tcp, &icmps[i], now_us); /* it counts what it drops */
}

/* The Date of answers of our own, once a second; through the vDSO, not a system call. */
static void serve_clock(struct hf_serve *serve)
{
	struct timespec now;

	HF_ASSERT(clock_gettime(CLOCK_REALTIME_COARSE, &now) == 0);
	if (now.tv_sec == serve->date_s)
		return;
	serve->date_s = now.tv_sec;
	hf_http_date_format(now.tv_sec, serve->date);
}

static void serve_run_again(struct hf_serve *serve)
{
	struct hf_list due;

	if (hf_list_empty(&serve->again))
		return;
	/* A list of its own: who has to wait once more is added to the next round. */
	hf_list_add_between(&due, serve->again.prev, serve->again.next);
	hf_list_init(&serve->again);
	while (!hf_list_empty(&due)) {
		struct hf_list *first = hf_list_first(&due);

		hf_list_del(first);
		serve_run(serve, HF_CONTAINER_OF(first, struct serve_conn, again));
	}
}

void hf_serve_tick(struct hf_serve *serve, uint64_t now_us)
{
	serve->now_us = now_us;
	serve_clock(serve);
	hf_tcp_tick(serve->tcp, now_us);
	serve_events(serve);
	serve_run_again(serve);
	serve_pressure(serve);
}

uint64_t serve_random(struct hf_serve *serve)
{
	serve->random_count++;
	return hf_siphash(&serve->random_key, &serve->random_count, sizeof(serve->random_count));
}

void hf_serve_conf_set(struct hf_serve *serve, const struct hf_conf *conf)
{
	/* buffers have its size */
	HF_ASSERT(conf->http.header_bytes == serve->conf->http.header_bytes);
	serve_conf_take(serve, conf);
	hf_http_memo_forget(&serve->memo);
	hf_tcp_drain_rate_set(serve->tcp, conf->http.body_rate);
}

void hf_serve_mode_set(struct hf_serve *serve, uint32_t mode)
{
	serve->mode = mode;
}

void hf_serve_state_set(struct hf_serve *serve, struct hf_state *state)
{
	serve->state = state;
}

void hf_serve_drain(struct hf_serve *serve)
{
	struct serve_conn *conn;

	serve->draining = true;
	hf_tcp_listen_stop(serve->tcp);
	while ((conn = hf_tcp_idle_oldest(serve->tcp)) != NULL) {
		if (conn->req) /* the rest of its head is on its way */
			hf_tcp_idle_set(serve->tcp, conn->tcp, false);
		else
			(void)serve_conn_close(serve, conn);
	}
}

uint32_t hf_serve_conn_count(const struct hf_serve *serve)
{
	return serve->conn_pool.used;
}
