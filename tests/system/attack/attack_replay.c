/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The frames of a capture, over and over. It is libpcap's own format in this machine's byte order,
 * microseconds, Ethernet, each frame whole: what perf/pktgen writes.
 */
#include <err.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attack.h"

#define PCAP_MAGIC    0xa1b2c3d4
#define PCAP_ETHERNET 1
#define PCAP_HEAD     24 /* magic, version, zone, accuracy, longest, link */
#define PCAP_RECORD   16 /* seconds, microseconds, captured, on the wire */

static const uint8_t *pcap;
static size_t pcap_len, pcap_at = PCAP_HEAD;

static uint32_t pcap_u32(size_t at)
{
	uint32_t value;

	if (at + sizeof(value) > pcap_len)
		errx(2, "the capture is cut");
	memcpy(&value, pcap + at, sizeof(value));
	return value;
}

static void pcap_open(const char *path)
{
	struct stat stat;
	void *bytes;
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0 || fstat(fd, &stat) != 0)
		err(2, "--pcap %s", path ? path : "FILE is missing");
	pcap_len = (size_t)stat.st_size;
	bytes = mmap(NULL, pcap_len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		err(2, "%s", path);
	pcap = bytes;
	close(fd);
	if (pcap_u32(0) != PCAP_MAGIC || pcap_u32(20) != PCAP_ETHERNET || pcap_len == PCAP_HEAD)
		errx(2, "%s is no capture of Ethernet frames", path);
}

static void make_replay(struct atk *atk, uint64_t n)
{
	uint32_t len;

	if (pcap_at == pcap_len)
		pcap_at = PCAP_HEAD;
	len = pcap_u32(pcap_at + 8);
	pcap_at += PCAP_RECORD;
	if (len > ATK_FRAME_MAX || len > pcap_len - pcap_at)
		errx(2, "a frame of the capture is cut, or too long");
	memcpy(wire_next(&atk->wire), pcap + pcap_at, len);
	wire_add(&atk->wire, len);
	pcap_at += len;
}

void flood_replay(struct atk *atk)
{
	pcap_open(atk->pcap);
	flood_run(atk, make_replay);
	atk_report(atk, "%s", "");
}
