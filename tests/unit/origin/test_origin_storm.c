/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Everything at once, by seeded chance: clients of several keys and variants, refreshes, purges, origins
 * that validate, change, fail, forbid and break off. Whatever comes: each body is the one that its head
 * names, of the client's own key and variant, and not from before a purge that came before the client;
 * nothing private reaches a second client; nothing is left over.
 */
#include "origin_answer.h"
#include "rig.h"

#define KEYS    3
#define CLIENTS 24
#define STEPS   6000

struct storm_client {
	struct rig_client client;
	bool used, refresh;
	uint32_t key, floor;
	char accept;
};

struct storm {
	struct rig *rig;
	uint64_t seed;
	uint32_t version[KEYS]; /* of the representation */
	uint32_t floor[KEYS];   /* answers up to this one were purged */
	uint32_t answers;
	bool many;           /* a purge of many is under way */
	uint32_t many_named; /* by a hard one: bit i: key i */
	uint32_t many_floor, many_count;
	struct storm_client client[CLIENTS];
	uint32_t stale, revalidated, private_count;
	bool private_seen[100000];
};

static uint32_t chance(struct storm *storm, uint32_t n)
{
	storm->seed = storm->seed * 6364136223846793005U + 1442695040888963407U;
	return (uint32_t)(storm->seed >> 33) % n;
}

static void storm_path(uint32_t key, char *path)
{
	(void)sprintf(path, "/k%u", key);
}

static void storm_start(struct storm *storm)
{
	static const char *const fields[] = { "", "", "", "Cache-Control: no-cache\r\n",
		"Cache-Control: max-age=5\r\n", "Cache-Control: stale-if-error=600\r\n",
		"If-None-Match: \"mine\"\r\n", "Range: bytes=0-3\r\n",
		"Authorization: Basic eA==\r\n", "Authorization: Basic eQ==\r\n" };
	struct storm_client *c = &storm->client[chance(storm, CLIENTS)];
	char path[16], all[128];

	if (c->used)
		return;
	c->used = true;
	c->key = chance(storm, KEYS);
	c->floor = storm->floor[c->key];
	c->accept = (char)('a' + chance(storm, 2));
	c->refresh = chance(storm, 5) == 0;
	storm_path(c->key, path);
	(void)sprintf(all, "Accept: %c/x\r\n%s", c->accept,
		c->refresh ? "" : fields[chance(storm, HF_ARRAY_LEN(fields))]);
	if (c->refresh)
		rig_refresh(storm->rig, &c->client, path, all);
	else
		rig_get(storm->rig, &c->client, path, all);
}

/* "k<key>a<accept>v<version>s<serial>p<private>" is entity tag and body. */
static void storm_name(struct storm *storm, uint32_t key, char accept, bool private, char *name)
{
	(void)sprintf(name, "k%ua%cv%us%up%u", key, accept, storm->version[key], ++storm->answers,
		private ? ++storm->private_count : 0);
}

static void storm_full(
	struct storm *storm, struct rig_conn *conn, uint32_t key, char accept, bool authorised)
{
	static const char *const control[] = { "max-age=60, stale-if-error=600",
		"max-age=60, stale-while-revalidate=600", "max-age=60", "no-cache", "private",
		"no-store", "max-age=60, must-revalidate", "max-age=60", "public, max-age=60" };
	uint32_t which = chance(storm, HF_ARRAY_LEN(control));
	char name[64], text[512];

	storm_name(storm, key, accept,
		which == 4 || which == 5 || (authorised && which != 6 && which != 8), name);
	(void)sprintf(text,
		"HTTP/1.1 200 OK\r\nETag: \"%s\"\r\nCache-Control: %s\r\nVary: Accept\r\n"
		"Cache-Tag: k%u\r\nContent-Length: %zu\r\n\r\n%s",
		name, control[which], key, strlen(name), name);
	rig_say(conn, text);
}

/* Answers one request that came, or breaks its connection. */
static void storm_answer(struct storm *storm, struct rig_conn *conn, const char *head)
{
	uint32_t key = (uint32_t)(strstr(head, "/k")[2] - '0');
	char accept = strstr(head, "Accept: ")[8];
	const char *tag = strstr(head, "If-None-Match: \"k");
	uint32_t version = 0;
	char text[256];

	if (tag && strstr(head, "\r\n\r\n") > tag)
		cr_assert_eq(sscanf(strchr(strchr(tag, 'k'), 'v'), "v%u", &version), 1);
	switch (chance(storm, 24)) {
	case 0:
	case 5:
	case 6:
		rig_say(conn, "HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nbad");
		return;
	case 1:
		rig_say(conn, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
		return;
	case 2:
		rig_say(conn, "HTTP/1.1 200 OK\r\nContent-L");
		conn->close_after = true;
		return;
	case 3: /* of another representation, or not asked for at all */
		rig_say(conn, "HTTP/1.1 304 Not Modified\r\nETag: \"other\"\r\n\r\n");
		return;
	case 4:
		storm->version[key]++;
		break;
	default:
		break;
	}
	if (!tag || version != storm->version[key]) {
		storm_full(storm, conn, key, accept, rig_head_has(head, "Authorization: "));
		return;
	}
	(void)sprintf(text, "HTTP/1.1 304 Not Modified\r\n%s\r\n",
		chance(storm, 6) == 0   ? "Cache-Control: private\r\n"
		: chance(storm, 2) == 0 ? "Age: 1\r\nX-More: 1\r\n"
					: "");
	rig_say(conn, text);
}

/* One request that waits for an answer; false: there is none. */
static bool storm_peer(struct storm *storm)
{
	struct rig *rig = storm->rig;
	uint32_t first = rig->conns ? chance(storm, rig->conns) : 0;

	for (uint32_t i = 0; i < rig->conns; i++) {
		struct rig_conn *conn = &rig->conn[(first + i) % rig->conns];
		const char *head = rig_conn_asked(conn);

		if (!head)
			continue;
		if (!conn->eof && !conn->close_after)
			storm_answer(storm, conn, head);
		return true;
	}
	return false;
}

/* What the client got is what it may have. */
static void storm_check(struct storm *storm, struct storm_client *c)
{
	const struct hf_xchg *xchg = c->client.xchg;
	uint32_t key, version, serial, private;
	char accept, tag[64];

	if (!c->client.head || xchg->obj->status != 200 || !rig_client_at_end(&c->client))
		return;
	storm->stale += xchg->stale;
	storm->revalidated += xchg->fwd_status == 304;
	cr_assert_eq(sscanf(c->client.body.data, "k%ua%cv%us%up%u", &key, &accept, &version,
			     &serial, &private),
		5);
	cr_assert_eq(key, c->key);
	cr_assert_eq(accept, c->accept);
	cr_assert_gt(serial, c->floor, "purged before the client came: %u", serial);
	(void)snprintf(tag, sizeof(tag), "ETag: \"%.*s\"\r\n", (int)c->client.body.len,
		c->client.body.data);
	cr_assert(rig_has(rig_head_of(&c->client), tag), "%s", tag);
	cr_assert(private == 0 || !storm->private_seen[private], "twice: %s", tag);
	storm->private_seen[private] = true;
}

static void storm_end(struct storm *storm, struct storm_client *c)
{
	if (!c->refresh) {
		storm_check(storm, c);
		rig_finish(storm->rig, &c->client);
	}
	rig_until(storm->rig, c->client.gone || (storm_peer(storm), false));
	free(c->client.body.data);
	c->used = false;
}

static struct hf_key storm_key(struct storm *storm, uint32_t key, char *buf)
{
	int len = sprintf(buf, "http://a.test/k%u", key);

	return (struct hf_key){ buf, (uint32_t)len,
		hf_cache_hash(storm->rig->cache, buf, (uint32_t)len) };
}

static void storm_purge(struct storm *storm, bool soft)
{
	uint32_t at = chance(storm, KEYS);
	char buf[64];
	struct hf_key key = storm_key(storm, at, buf);

	(void)origin_purge_key(storm->rig->origin, &key, soft);
	if (!soft)
		storm->floor[at] = storm->answers;
}

static void storm_purge_many(struct storm *storm)
{
	uint32_t key = chance(storm, KEYS), how = chance(storm, 3);
	struct hf_purge_walk walk = { .soft = chance(storm, 2) };
	char text[32];

	if (storm->many)
		return;
	walk.kind = how == 0 ? HF_PURGE_ALL : how == 1 ? HF_PURGE_PREFIX : HF_PURGE_TAG;
	walk.text.ptr = text;
	walk.text.len = (size_t)sprintf(text, how == 1 ? "http://a.test/k%u" : "k%u", key);
	cr_assert_eq(hf_origin_purge_begin(storm->rig->origin, &walk), 0);
	storm->many = true;
	storm->many_named = walk.soft ? 0 : how == 0 ? UINT32_MAX : 1U << key;
	storm->many_floor = storm->answers;
}

static void storm_purge_done(struct storm *storm)
{
	uint64_t count;

	if (!storm->many || !hf_origin_purge_done(storm->rig->origin, &count))
		return;
	storm->many = false;
	storm->many_count++;
	for (uint32_t i = 0; i < KEYS; i++)
		if (storm->many_named & 1U << i)
			storm->floor[i] = storm->floor[i] > storm->many_floor ? storm->floor[i]
									      : storm->many_floor;
}

static void storm_age(struct storm *storm)
{
	char path[16];
	struct hf_obj *obj;

	storm_path(chance(storm, KEYS), path);
	obj = rig_lookup(
		storm->rig, path, chance(storm, 2) ? "Accept: a/x\r\n" : "Accept: b/x\r\n");
	if (obj)
		obj->born_us -= 70000000;
}

/* Done, or its client leaves. */
static void storm_leave(struct storm *storm)
{
	struct storm_client *c = &storm->client[chance(storm, CLIENTS)];
	bool done = c->refresh ? c->client.gone : c->client.head || c->client.fail;

	if (c->used && (done || (!c->refresh && chance(storm, 16) == 0)))
		storm_end(storm, c);
}

static void storm_step(struct storm *storm)
{
	uint32_t what = chance(storm, 41);

	storm_purge_done(storm);
	if (what < 1)
		storm_purge(storm, /* soft= */ chance(storm, 2));
	else if (what == 40)
		storm_purge_many(storm);
	else if (what < 5)
		storm_age(storm);
	else if (what < 12)
		(void)storm_peer(storm);
	else if (what < 20)
		rig_turn(storm->rig);
	else if (what < 32)
		storm_leave(storm);
	else
		storm_start(storm);
}

static void storm_run(uint64_t seed)
{
	struct storm *storm = calloc(1, sizeof(*storm));

	storm->rig = calloc(1, sizeof(*storm->rig));
	rig_conf(storm->rig);
	storm->rig->conf.cache.stale_if_error_s = 600;
	rig_up(storm->rig, 64 << 20);
	storm->seed = seed;
	for (uint32_t i = 0; i < STEPS && storm->rig->conns < RIG_CONNS_MAX - 32; i++)
		storm_step(storm);
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct storm_client *c = &storm->client[i];

		if (!c->used)
			continue;
		rig_until(storm->rig, c->client.head || c->client.fail || c->client.gone ||
					      (storm_peer(storm), false));
		storm_end(storm, c);
	}
	rig_until(storm->rig,
		hf_origin_in_flight(storm->rig->origin) == 0 || (storm_peer(storm), false));
	cr_assert_eq(hf_xchg_out_count(storm->rig->net, 0), 0);
	cr_assert_gt(storm->stale, 0);
	cr_assert_gt(storm->revalidated, 0);
	cr_assert_gt(storm->private_count, 0);
	cr_assert_gt(storm->many_count, 0);
	rig_free(storm->rig);
	free(storm);
}

Test(origin_storm, seed_1)
{
	storm_run(1);
}

Test(origin_storm, seed_2)
{
	storm_run(2);
}

Test(origin_storm, seed_3)
{
	storm_run(3);
}

Test(origin_storm, seeds_4_to_9)
{
	for (uint64_t seed = 4; seed < 10; seed++)
		storm_run(seed);
}
