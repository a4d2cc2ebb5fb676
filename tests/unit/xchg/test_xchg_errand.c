/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Errands between origin threads.
 */
#include <criterion/criterion.h>
#include <pthread.h>

#include "hf_xchg.h"

#define ROUNDS 20000

static struct hf_xchg_net *net_new(void)
{
	const struct hf_xchg_cfg cfg = {
		.workers = 1, .origins = 2, .exchanges_max = 2, .buf_len = 64
	};
	struct hf_xchg_net *net;
	struct hf_err err = { "" };

	cr_assert(hf_xchg_net_new(&cfg, &err, &net) == 0);
	return net;
}

static struct hf_errand *errand_of(const char *text, uint32_t from)
{
	struct hf_key key = { text, (uint32_t)strlen(text), 7 };
	struct hf_errand *errand = hf_errand_new(&key, from);

	cr_assert(errand);
	return errand;
}

Test(xchg_errand, arrive_in_order_where_they_were_sent)
{
	struct hf_xchg_net *net = net_new();
	struct hf_errand *first = errand_of("http://a/1", 0), *second = errand_of("http://a/2", 0);

	cr_assert(!hf_errand_waits(net, 1) && !hf_errand_take(net, 1));
	hf_errand_post(net, 1, first);
	hf_errand_post(net, 1, second);
	cr_assert(hf_errand_waits(net, 1) && !hf_errand_waits(net, 0));
	cr_assert(!hf_errand_take(net, 0));
	cr_assert_eq(hf_errand_take(net, 1), first);
	cr_assert(hf_errand_waits(net, 1));
	cr_assert_eq(hf_errand_take(net, 1), second);
	cr_assert(!hf_errand_waits(net, 1) && !hf_errand_take(net, 1));
	cr_assert(second->key.len == 10 && memcmp(second->key.ptr, "http://a/2", 10) == 0);
	cr_assert(second->key.hash == 7 && second->from == 0 && !second->done);
	hf_errand_free(first);
	hf_errand_post(net, 0, second); /* nobody takes it: freed with the net */
	hf_xchg_net_free(net);
}

static void *errand_partner(void *arg)
{
	struct hf_xchg_net *net = arg;
	struct hf_errand *errand;

	for (uint32_t done = 0; done < ROUNDS;) {
		errand = hf_errand_take(net, 1);
		if (!errand)
			continue;
		errand->done = true;
		hf_errand_post(net, errand->from, errand);
		done++;
	}
	return NULL;
}

Test(xchg_errand, two_threads_lose_none)
{
	struct hf_xchg_net *net = net_new();
	struct hf_errand *errand;
	uint32_t sent = 0, back = 0;
	pthread_t partner;

	cr_assert(pthread_create(&partner, NULL, errand_partner, net) == 0);
	while (back < ROUNDS) {
		if (sent < ROUNDS && sent - back < 100) {
			hf_errand_post(net, 1, errand_of("http://a/", 0));
			sent++;
		}
		errand = hf_errand_take(net, 0);
		if (!errand)
			continue;
		cr_assert(errand->done);
		hf_errand_free(errand);
		back++;
	}
	cr_assert(pthread_join(partner, NULL) == 0);
	cr_assert(!hf_errand_waits(net, 0) && !hf_errand_waits(net, 1));
	hf_xchg_net_free(net);
}
