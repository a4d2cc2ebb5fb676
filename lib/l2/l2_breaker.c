/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_l2.h"

static void breaker_close(struct hf_l2_breaker *breaker, uint64_t now_us)
{
	breaker->state = HF_L2_CLOSED;
	breaker->row = breaker->good = breaker->failed = 0;
	breaker->pause_us = breaker->cfg.pause_min_us;
	breaker->window_us = now_us;
}

static void breaker_open(struct hf_l2_breaker *breaker, uint64_t now_us)
{
	if (breaker->state == HF_L2_CLOSED)
		breaker->opened++;
	else
		breaker->pause_us = hf_min_u64(2 * breaker->pause_us, breaker->cfg.pause_max_us);
	breaker->state = HF_L2_OPEN;
	breaker->probing = false;
	breaker->until_us = now_us + breaker->pause_us;
}

void hf_l2_breaker_init(
	struct hf_l2_breaker *breaker, const struct hf_l2_breaker_cfg *cfg, uint64_t now_us)
{
	HF_ASSERT(cfg->failures > 0 && cfg->successes > 0 && cfg->probe_max_us > 0);
	HF_ASSERT(cfg->pause_min_us > 0 && cfg->pause_min_us <= cfg->pause_max_us);
	*breaker = (struct hf_l2_breaker){ .cfg = *cfg };
	breaker_close(breaker, now_us);
}

enum hf_l2_pass hf_l2_breaker_ask(struct hf_l2_breaker *breaker, uint64_t now_us)
{
	if (breaker->state == HF_L2_CLOSED)
		return HF_L2_PASS_GO;
	if (now_us < breaker->until_us)
		if (breaker->state == HF_L2_OPEN || breaker->probing)
			return HF_L2_PASS_NO;
	if (breaker->probing) {
		breaker_open(breaker, now_us);
		return HF_L2_PASS_NO;
	}
	if (breaker->state == HF_L2_OPEN)
		breaker->row = 0;
	breaker->state = HF_L2_HALF_OPEN;
	breaker->probing = true;
	breaker->until_us = now_us + breaker->cfg.probe_max_us;
	return HF_L2_PASS_PROBE;
}

/* Is it too much? */
static bool breaker_counts(struct hf_l2_breaker *breaker, bool good, uint64_t now_us)
{
	uint32_t all;

	if (now_us - breaker->window_us >= HF_L2_BREAKER_WINDOW_US) {
		breaker->good = breaker->failed = 0;
		breaker->window_us = now_us;
	}
	breaker->good += good;
	breaker->failed += !good;
	breaker->row = good ? 0 : breaker->row + 1;
	all = breaker->good + breaker->failed;
	return breaker->row >= breaker->cfg.failures ||
	       (all >= HF_L2_BREAKER_SAMPLE && breaker->failed >= all - breaker->failed);
}

static void breaker_probed(struct hf_l2_breaker *breaker, bool good, uint64_t now_us)
{
	breaker->probing = false;
	if (!good)
		breaker_open(breaker, now_us);
	else if (++breaker->row >= breaker->cfg.successes)
		breaker_close(breaker, now_us);
}

void hf_l2_breaker_tell(
	struct hf_l2_breaker *breaker, enum hf_l2_pass pass, bool good, uint64_t now_us)
{
	HF_ASSERT(pass != HF_L2_PASS_NO);
	if (pass == HF_L2_PASS_PROBE && breaker->probing)
		breaker_probed(breaker, good, now_us);
	if (pass == HF_L2_PASS_GO && breaker->state == HF_L2_CLOSED &&
		breaker_counts(breaker, good, now_us))
		breaker_open(breaker, now_us);
}

const char *hf_l2_breaker_name(enum hf_l2_breaker_state state)
{
	static const char *const names[] = { "closed", "open", "half-open" };

	HF_ASSERT(state < HF_ARRAY_LEN(names));
	return names[state];
}
