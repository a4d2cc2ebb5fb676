/* SPDX-License-Identifier: BSD-3-Clause
 *
 * hf-impair - a wire that loses, doubles, damages, reorders, delays and throttles.
 *
 * What      Bridges two Ethernet interfaces, and is as bad a link as it is told to be. For kernels
 *           without netem, and with the same decisions for the same seed.
 *           usage: hf-impair END END    END: tap:NAME     makes that TAP
 *                                            packet:NAME  a raw socket on that interface
 * Picture
 *      end a --read--> lose? damage? double? --> [queue, rate] --> [delay] --write--> end b
 *            <-write-- the same the other way, with numbers of its own         <-read--
 *
 *           [queue, rate]  leaves at rate_mbit; what finds queue_bytes before it is dropped
 *           [delay]        a heap by due time. Order is kept, jitter or not, but for the share that
 *                          reordering holds back by reorder_ms: what came behind it overtakes it.
 * Control   Lines on stdin, each answered by one line:
 *             ab KEY=VALUE...    what frames from a to b meet from now on; what is not named is off
 *             ba KEY=VALUE...    from b to a
 *             stats              the counters as JSON
 *           KEY: seed; loss dup corrupt reorder (percent); burst (losses in a row);
 *           delay_ms jitter_ms reorder_ms; rate_mbit; queue_bytes.
 *           Ends with the counters at end of file and on SIGTERM.
 * Promises  What happens to the nth frame after a line depends on its seed and n only (but for the
 *           queue: that depends on time). read + doubled = sent + in_flight + every kind of drop.
 *           A damaged frame has one byte behind the Ethernet header changed, which a checksum of the
 *           Internet's kind never misses where it covers that byte.
 * Threads   One, at real-time priority if it may: it must not wait behind a poll loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX  2048  /* longer ones are dropped and counted */
#define FRAMES     65536 /* in flight, both ways */
#define BATCH      64    /* frames read before something else is looked after */
#define DEVICE_LEN 16384 /* frames an interface queues for us or its reader: never the bottleneck */

/* What a control line sets: all doubles, so that one table reads them. */
struct link {
	double seed, loss, burst, dup, corrupt, reorder;
	double delay_ms, jitter_ms, reorder_ms, rate_mbit, queue_bytes;
};

static const struct {
	const char *name;
	size_t at;
} link_keys[] = {
#define KEY(name)                                                                                  \
	{                                                                                          \
#name, offsetof(struct link, name)                                                 \
	}
	KEY(seed),
	KEY(loss),
	KEY(burst),
	KEY(dup),
	KEY(corrupt),
	KEY(reorder),
	KEY(delay_ms),
	KEY(jitter_ms),
	KEY(reorder_ms),
	KEY(rate_mbit),
	KEY(queue_bytes),
#undef KEY
};

struct frame {
	uint64_t due_ns, order;
	struct frame *next_free;
	uint32_t len;
	uint8_t data[FRAME_MAX];
};

struct end {
	int fd;
	bool is_tap;
	uint64_t missed; /* frames the kernel had no room to give us (raw sockets) */
};

/* The fates of frames: as decided; dropped before the wire; and at its end. */
#define COUNTS(X)                                                                                  \
	X(read)                                                                                    \
	X(lost)                                                                                    \
	X(damaged)                                                                                 \
	X(doubled) X(reordered) X(queue_full) X(pool_full) X(too_long) X(device_full) X(sent)

struct count {
#define FIELD(name) uint64_t name;
	COUNTS(FIELD)
#undef FIELD
};

struct way {
	struct end *from, *to;
	struct link link;
	struct count count;
	uint64_t number; /* of the next frame since the last control line */
	uint32_t losing; /* frames left of a run of losses */
	uint64_t idle_ns, last_due_ns, order;
	struct frame **heap; /* by due_ns, then order */
	size_t heap_len;
};

static struct end ends[2];
static struct way ways[2] = {
	{ .from = &ends[0], .to = &ends[1] },
	{ .from = &ends[1], .to = &ends[0] },
};
static struct frame *free_frames;
static volatile sig_atomic_t ended;

static void fail(const char *what)
{
	fprintf(stderr, "hf-impair: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void usage(void)
{
	fprintf(stderr, "usage: hf-impair tap:NAME|packet:NAME tap:NAME|packet:NAME\n");
	exit(2);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- frames, and the heap of those on their way ---- */

static void frame_put(struct frame *frame)
{
	frame->next_free = free_frames;
	free_frames = frame;
}

static struct frame *frame_get(void)
{
	struct frame *frame = free_frames;

	if (frame)
		free_frames = frame->next_free;
	return frame;
}

static bool heap_before(const struct frame *a, const struct frame *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void heap_push(struct way *way, struct frame *frame)
{
	size_t at = way->heap_len++;

	for (; at > 0 && heap_before(frame, way->heap[(at - 1) / 2]); at = (at - 1) / 2)
		way->heap[at] = way->heap[(at - 1) / 2];
	way->heap[at] = frame;
}

static struct frame *heap_pop(struct way *way)
{
	struct frame *first = way->heap[0], *last = way->heap[--way->heap_len];
	size_t at = 0, child;

	while ((child = 2 * at + 1) < way->heap_len) {
		if (child + 1 < way->heap_len &&
			heap_before(way->heap[child + 1], way->heap[child]))
			child++;
		if (!heap_before(way->heap[child], last))
			break;
		way->heap[at] = way->heap[child];
		at = child;
	}
	way->heap[at] = last;
	return first;
}

/* ---- what befalls a frame ---- */

/* The dice of one frame: splitmix64 from its seed and number; each call throws once more. */
static uint64_t dice_bits(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static double dice(uint64_t *state)
{
	return (double)(dice_bits(state) >> 11) * 0x1p-53;
}

/* Single losses, or runs of `burst` frames, to the same share in the end. A run of thrown length
 * could outlast many retransmissions that come one by one: minutes. */
static bool way_loses(struct way *way, double throw)
{
	double loss = way->link.loss / 100, burst = way->link.burst;

	if (way->losing > 0) {
		way->losing--;
		return true;
	}
	if (burst <= 1 || loss >= 1)
		return throw < loss;
	if (loss == 0 || throw >= 1 / (burst / loss - burst + 1))
		return false;
	way->losing = (uint32_t)burst - 1;
	return true;
}

/* Puts a frame into the rate's queue and on the delay line, or drops it. */
static void way_enqueue(
	struct way *way, struct frame *frame, uint64_t now, double jitter, bool held_back)
{
	const struct link *link = &way->link;
	uint64_t leaves = way->idle_ns > now ? way->idle_ns : now;

	if (link->rate_mbit > 0) {
		double waiting = (double)(leaves - now) * link->rate_mbit / 8000;

		if (link->queue_bytes > 0 && waiting + frame->len > link->queue_bytes) {
			way->count.queue_full++;
			frame_put(frame);
			return;
		}
		leaves += (uint64_t)(frame->len * 8000 / link->rate_mbit);
		way->idle_ns = leaves;
	}
	frame->due_ns = leaves + (uint64_t)((link->delay_ms + jitter * link->jitter_ms) * 1e6);
	frame->order = way->order++;
	if (held_back)
		frame->due_ns += (uint64_t)(link->reorder_ms * 1e6);
	else if (frame->due_ns < way->last_due_ns)
		frame->due_ns = way->last_due_ns;
	else
		way->last_due_ns = frame->due_ns;
	heap_push(way, frame);
}

/* All dice are thrown for each frame: changing one share leaves the other decisions alone. */
static void way_take(struct way *way, struct frame *frame, uint64_t now)
{
	const struct link *link = &way->link;
	uint64_t state = ((uint64_t)link->seed * 2 + (way == ways)) * 0xd1342543de82ef95;
	bool lost, damaged, doubled, reordered;
	struct frame *twin;
	uint64_t where;
	double jitter;
	uint8_t flip;

	state += way->number++;
	lost = way_loses(way, dice(&state));
	damaged = dice(&state) * 100 < link->corrupt;
	doubled = dice(&state) * 100 < link->dup;
	reordered = dice(&state) * 100 < link->reorder;
	jitter = dice(&state);
	where = dice_bits(&state);
	flip = (uint8_t)(dice_bits(&state) % 255 + 1);
	if (lost) {
		way->count.lost++;
		frame_put(frame);
		return;
	}
	if (damaged && frame->len > ETH_HLEN) {
		frame->data[ETH_HLEN + where % (frame->len - ETH_HLEN)] ^= flip;
		way->count.damaged++;
	}
	way->count.reordered += reordered;
	if (doubled) {
		way->count.doubled++;
		twin = frame_get();
		if (twin) {
			twin->len = frame->len;
			memcpy(twin->data, frame->data, frame->len);
			way_enqueue(way, twin, now, jitter, false);
		} else {
			way->count.pool_full++;
		}
	}
	way_enqueue(way, frame, now, jitter, reordered);
}

/* ---- input and output ---- */

static void way_read(struct way *way)
{
	static uint8_t nowhere[FRAME_MAX];
	uint64_t now = now_ns();
	struct frame *frame;
	ssize_t len;

	for (int i = 0; i < BATCH; i++) {
		frame = frame_get();
		len = read(way->from->fd, frame ? frame->data : nowhere, FRAME_MAX);
		if (len > 0)
			way->count.read++;
		if (frame && len > 0 && len < FRAME_MAX) {
			frame->len = (uint32_t)len;
			way_take(way, frame, now);
			continue;
		}
		if (frame)
			frame_put(frame);
		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (len < 0 && (errno == ENETDOWN || errno == EIO))
			return; /* down: it may come up again */
		if (len < 0)
			fail("read");
		if (frame)
			way->count.too_long++;
		else
			way->count.pool_full++;
	}
}

static void way_write(struct way *way, uint64_t now)
{
	while (way->heap_len > 0 && way->heap[0]->due_ns <= now) {
		struct frame *frame = heap_pop(way);

		if (write(way->to->fd, frame->data, frame->len) == (ssize_t)frame->len)
			way->count.sent++;
		else
			way->count.device_full++;
		frame_put(frame);
	}
}

/* ---- control ---- */

static void print_counters(void)
{
	for (int i = 0; i < 2; i++) {
		struct way *way = &ways[i];
		struct tpacket_stats stats = { 0 };
		socklen_t len = sizeof(stats);

		if (!way->from->is_tap &&
			getsockopt(way->from->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len) == 0)
			way->from->missed += stats.tp_drops; /* each time since the last */
		printf("%s: {", i ? ", \"ba\"" : "{\"ab\"");
#define PRINT(name) printf("\"" #name "\": %llu, ", (unsigned long long)way->count.name);
		COUNTS(PRINT)
#undef PRINT
		printf("\"missed\": %llu, \"in_flight\": %zu}",
			(unsigned long long)way->from->missed, way->heap_len);
	}
	printf("}\n");
}

/* "KEY=VALUE..." makes a new link of the way; a word that is not understood changes nothing. */
static bool way_set(struct way *way, char *words)
{
	struct link link = { 0 };
	char *word, *value, *end;
	size_t i;

	while ((word = strsep(&words, " ")) != NULL) {
		value = strchr(word, '=');
		if (!value)
			return false;
		*value++ = '\0';
		for (i = 0; i < sizeof(link_keys) / sizeof(link_keys[0]); i++)
			if (strcmp(word, link_keys[i].name) == 0)
				break;
		if (i == sizeof(link_keys) / sizeof(link_keys[0]))
			return false;
		*(double *)((char *)&link + link_keys[i].at) = strtod(value, &end);
		if (end == value || *end || !(strtod(value, NULL) >= 0))
			return false;
	}
	way->link = link;
	way->number = 0;
	way->losing = 0;
	way->idle_ns = way->last_due_ns = 0;
	return true;
}

static void obey(char *line)
{
	bool ab = strncmp(line, "ab", 2) == 0, ba = strncmp(line, "ba", 2) == 0;

	if (strcmp(line, "stats") == 0)
		print_counters();
	else if ((ab || ba) && (line[2] == ' ' || line[2] == '\0'))
		puts(way_set(&ways[ba], line[2] ? line + 3 : NULL) ? "ok" : "error");
	else
		puts("error");
}

/* Whole lines only; there is never more than one on its way, for each is answered. */
static void control(void)
{
	static char text[1024];
	static size_t len;
	ssize_t got = read(STDIN_FILENO, text + len, sizeof(text) - 1 - len);
	char *newline;

	if (got < 0 && errno == EINTR)
		return;
	if (got <= 0) {
		ended = 1;
		return;
	}
	len += (size_t)got;
	text[len] = '\0';
	newline = strchr(text, '\n');
	if (newline) {
		*newline = '\0';
		obey(text);
		fflush(stdout);
	}
	if (newline || len == sizeof(text) - 1)
		len = 0;
}

/* ---- start ---- */

static void end_open_tap(struct end *end, struct ifreq *interface)
{
	end->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	interface->ifr_flags = IFF_TAP | IFF_NO_PI;
	if (end->fd < 0 || ioctl(end->fd, TUNSETIFF, interface) != 0)
		fail(interface->ifr_name);
	end->is_tap = true;
}

static void end_open_packet(struct end *end, const struct ifreq *interface)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET };
	int room = 64 << 20, yes = 1;

	/* protocol 0 hears nothing until bind: no frames of other interfaces */
	end->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	at.sll_protocol = __builtin_bswap16(ETH_P_ALL);
	at.sll_ifindex = (int)if_nametoindex(interface->ifr_name);
	if (end->fd < 0 || at.sll_ifindex == 0 ||
		setsockopt(end->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) != 0 ||
		setsockopt(end->fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) != 0 ||
		setsockopt(end->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof(yes)) != 0 ||
		bind(end->fd, (struct sockaddr *)&at, sizeof(at)) != 0)
		fail(interface->ifr_name);
}

static void end_open(struct end *end, const char *text)
{
	const char *colon = strchr(text, ':');
	struct ifreq interface = { 0 };
	int any;

	if (!colon || strlen(colon + 1) >= IFNAMSIZ)
		usage();
	strcpy(interface.ifr_name, colon + 1);
	if (strncmp(text, "tap:", 4) == 0)
		end_open_tap(end, &interface);
	else if (strncmp(text, "packet:", 7) == 0)
		end_open_packet(end, &interface);
	else
		usage();
	any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	interface.ifr_qlen = DEVICE_LEN;
	if (any < 0 || ioctl(any, SIOCSIFTXQLEN, &interface) != 0)
		fail("SIOCSIFTXQLEN");
	close(any);
}

static void on_term(int signal)
{
	(void)signal;
	ended = 1;
}

static void start(char **names)
{
	struct sigaction action = { .sa_handler = on_term };
	struct sched_param priority = { .sched_priority = 1 };
	struct frame *frames = calloc(FRAMES, sizeof(*frames));
	sigset_t term;

	for (int i = 0; i < 2; i++) {
		ways[i].heap = calloc(FRAMES, sizeof(*ways[i].heap));
		if (!frames || !ways[i].heap)
			fail("memory");
		end_open(&ends[i], names[i]);
	}
	for (size_t i = FRAMES; i-- > 0;)
		frame_put(&frames[i]);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &term, NULL) != 0 || sigaction(SIGTERM, &action, NULL) != 0)
		fail("signals");
	prctl(PR_SET_TIMERSLACK, 1);
	sched_setscheduler(0, SCHED_RR, &priority); /* without it: only less precise */
	puts("ok");
	fflush(stdout);
}

/* Until the next frame is due: NULL for ever, as ppoll has it. */
static struct timespec *time_left(uint64_t now, struct timespec *room)
{
	uint64_t next = UINT64_MAX;

	for (int i = 0; i < 2; i++)
		if (ways[i].heap_len > 0 && ways[i].heap[0]->due_ns < next)
			next = ways[i].heap[0]->due_ns;
	if (next == UINT64_MAX)
		return NULL;
	next = next > now ? next - now : 0;
	*room = (struct timespec){ (time_t)(next / 1000000000), (long)(next % 1000000000) };
	return room;
}

int main(int argc, char **argv)
{
	sigset_t nothing;

	if (argc != 3)
		usage();
	start(argv + 1);
	sigemptyset(&nothing);
	while (!ended) {
		struct pollfd fds[] = { { ends[0].fd, POLLIN, 0 }, { ends[1].fd, POLLIN, 0 },
			{ STDIN_FILENO, POLLIN, 0 } };
		struct timespec room;
		uint64_t now = now_ns();

		for (int i = 0; i < 2; i++)
			way_write(&ways[i], now);
		if (ppoll(fds, 3, time_left(now, &room), &nothing) < 0)
			continue; /* SIGTERM */
		for (int i = 0; i < 2; i++)
			if (fds[i].revents)
				way_read(&ways[i]);
		if (fds[2].revents)
			control();
	}
	print_counters();
	return 0;
}
