/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Origins with names: libcurl finds the getaddrinfo of this program.
 */
#include <netdb.h>
#include <pthread.h>
#include <sys/stat.h>

#include "rig.h"

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t freed;
	const char *address[2]; /* of the name */
	bool stuck;             /* no answer comes */
	uint32_t asked;
} names = { .mutex = PTHREAD_MUTEX_INITIALIZER, .freed = PTHREAD_COND_INITIALIZER };

/* As freeaddrinfo expects it: in one block. */
static struct addrinfo *names_entry(const char *address, uint16_t port)
{
	struct entry {
		struct addrinfo info;
		struct sockaddr_in6 at;
	} *entry = calloc(1, sizeof(*entry));
	struct sockaddr_in *in4 = (void *)&entry->at;
	bool is4 = strchr(address, '.') != NULL;

	entry->info.ai_family = is4 ? AF_INET : AF_INET6;
	entry->info.ai_socktype = SOCK_STREAM;
	entry->info.ai_addr = (struct sockaddr *)&entry->at;
	entry->info.ai_addrlen = is4 ? sizeof(*in4) : sizeof(entry->at);
	entry->at.sin6_family = (sa_family_t)entry->info.ai_family;
	entry->at.sin6_port = htons(port);
	cr_assert(inet_pton(entry->info.ai_family, address,
			  is4 ? (void *)&in4->sin_addr : (void *)&entry->at.sin6_addr) == 1);
	return &entry->info;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
	struct addrinfo **ret_info)
{
	struct addrinfo **at = ret_info;

	(void)hints;
	*ret_info = NULL;
	(void)pthread_mutex_lock(&names.mutex);
	names.asked++;
	while (names.stuck)
		(void)pthread_cond_wait(&names.freed, &names.mutex);
	for (uint32_t i = 0; strcmp(node, "o.test") == 0 && i < 2 && names.address[i]; i++) {
		*at = names_entry(names.address[i], (uint16_t)atoi(service));
		at = &(*at)->ai_next;
	}
	(void)pthread_mutex_unlock(&names.mutex);
	return *ret_info ? 0 : EAI_NONAME;
}

static void names_set(const char *first, const char *second, bool stuck)
{
	(void)pthread_mutex_lock(&names.mutex);
	names.address[0] = first;
	names.address[1] = second;
	names.stuck = stuck;
	(void)pthread_cond_broadcast(&names.freed);
	(void)pthread_mutex_unlock(&names.mutex);
}

static struct rig *names_rig(uint32_t connect_timeout_ms)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	char url[64];

	rig_conf(rig);
	rig->conf.origin.connect_timeout_ms = connect_timeout_ms;
	rig->conf.origin.total_timeout_ms = 600000;
	rig->conf.origin.resolve_interval_s = 1;
	rig_up(rig, 64 << 20);
	(void)snprintf(url, sizeof(url), "http://o.test:%u", rig->port);
	rig_origin_url(rig, url);
	return rig;
}

static void expect_answer(struct rig *rig, struct rig_client *client, struct rig_conn *conn)
{
	rig_say(conn, "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 0\r\n\r\n");
	rig_until(rig, rig_client_at_end(client));
	rig_end(rig, client);
}

static in_addr_t address_of(const struct rig_conn *conn)
{
	struct sockaddr_in at = { 0 };
	socklen_t len = sizeof(at);

	cr_assert(getsockname(conn->fd, (struct sockaddr *)&at, &len) == 0);
	return at.sin_addr.s_addr;
}

/* Though its connection is never idle. It moves to an address of 127/8 that no other test has: what waits there in
 * TIME-WAIT on the same port would keep it from being bound.
 */
#define MOVED "127.77.0.1"
Test(origin_names, an_origin_that_moves_is_followed)
{
	struct rig *rig = names_rig(10000);
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = inet_addr(MOVED) };
	struct rig_client client;
	const char *head;
	in_addr_t found;
	int first = rig->listener;

	at.sin_port = htons(rig->port);
	names_set("127.0.0.1", NULL, false);
	rig_get(rig, &client, "/0", "");
	expect_answer(rig, &client, rig_asked(rig, &head));
	rig->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	cr_assert(bind(rig->listener, (struct sockaddr *)&at, sizeof(at)) == 0);
	cr_assert(listen(rig->listener, 16) == 0);
	names_set(MOVED, NULL, false);
	do {
		struct rig_conn *conn;

		rig_get(rig, &client, "/1", "");
		conn = rig_asked(rig, &head);
		found = address_of(conn);
		expect_answer(rig, &client, conn);
	} while (found != at.sin_addr.s_addr);
	cr_expect_eq(names.asked, 2, "once for each time that it holds");
	cr_expect_eq(rig->conns, 2);
	(void)close(first);
	rig_free(rig);
}

Test(origin_names, a_look_up_that_hangs_holds_up_its_own_fetch_and_not_beyond_its_timeout)
{
	struct rig *rig = names_rig(30);
	struct rig_client client[2];
	const char *head;

	names_set("127.0.0.1", NULL, true);
	rig_get(rig, &client[0], "/0", "");
	rig_until(rig, names.asked == 1);
	rig_until(rig, client[0].fail);
	cr_expect_eq(client[0].xchg->fail_status, 504);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_FETCH_TIMEOUT), 1);
	rig_end(rig, &client[0]);
	hf_state_unref(rig->state);
	rig_state(rig);
	rig_get(rig, &client[1], "/1", "");
	expect_answer(rig, &client[1], rig_asked(rig, &head));
	names_set("127.0.0.1", NULL, false);
	rig_free(rig);
}

Test(origin_names, look_ups_that_hang_are_so_many_and_no_more)
{
	struct rig *rig = names_rig(500000);
	struct rig_client client[8], other;
	struct stat tasks;
	const char *head;

	cr_assert(stat("/proc/self/task", &tasks) == 0);
	rig->origin->threads_max = (uint32_t)tasks.st_nlink - 2 + 3;
	names_set("127.0.0.1", NULL, true);
	for (uint32_t i = 0; i < HF_ARRAY_LEN(client); i++) {
		char path[8];

		(void)snprintf(path, sizeof(path), "/%u", i);
		rig_get(rig, &client[i], path, "");
		rig_until(rig, names.asked == i + 1 || client[i].fail);
	}
	cr_expect_eq(client[7].xchg->fail_status, 502);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_FAILED_DNS), 4);
	cr_expect_eq(names.asked, 4);
	hf_state_unref(rig->state);
	rig_state(rig); /* an address is no name */
	rig_get(rig, &other, "/other", "");
	expect_answer(rig, &other, rig_asked(rig, &head));
	names_set("127.0.0.1", NULL, false);
	for (uint32_t i = 0; i < 4; i++)
		rig_answer(rig_asked(rig, &head), "Cache-Control: no-store\r\n", 0);
	for (uint32_t i = 0; i < 4; i++)
		rig_until(rig, rig_client_at_end(&client[i]));
	for (uint32_t i = 0; i < 8; i++)
		rig_end(rig, &client[i]);
	rig_free(rig);
}

Test(origin_names, rfc8305_an_address_of_the_other_family_that_is_dead_costs_little)
{
	struct rig *rig = names_rig(500000); /* half of it would be the first address's */
	struct rig_client client;
	const char *head;
	int deaf = rig_deaf(AF_INET6, &rig->port);

	if (deaf < 0) {
		rig_free(rig);
		cr_skip("no IPv6 here");
	}
	names_set("::1", "127.0.0.1", false);
	rig_get(rig, &client, "/a", "");
	expect_answer(rig, &client, rig_asked(rig, &head));
	rig_free(rig);
	(void)close(deaf);
}
