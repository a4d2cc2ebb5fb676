/* SPDX-License-Identifier: BSD-3-Clause
 *
 * EAL's command line, from the configuration and the machine.
 */
#include "hf_port.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include "port_priv.h"

#define EAL_ARGS_MAX    32
#define EAL_LCORES_SIZE 16384

static struct {
	bool started, catching;
	int argc;
	char *argv[EAL_ARGS_MAX];         /* kept while EAL runs: it points into them */
	char *argv_eal[EAL_ARGS_MAX + 1]; /* what it gets, and reorders */
	char caught[240];                 /* log line */
	FILE *log;
} eal;

/* Lines are joined by "; ", the first ones win: they come from where it went wrong. */
static void eal_log_keep(const char *text, size_t len)
{
	static const char noise[] = "EAL: Failed to attach device";
	size_t have = strlen(eal.caught), kept;

	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' '))
		len--;
	if (len == 0 || (len >= sizeof(noise) - 1 && memcmp(text, noise, sizeof(noise) - 1) == 0))
		return;
	if (have > 0 && have + 2 < sizeof(eal.caught)) {
		memcpy(eal.caught + have, "; ", 3);
		have += 2;
	}
	kept = hf_min_size(len, sizeof(eal.caught) - 1 - have);
	memcpy(eal.caught + have, text, kept);
	eal.caught[have + kept] = '\0';
	for (char *at = eal.caught + have; *at; at++) {
		if (*at == '\n')
			*at = ' ';
	}
}

static ssize_t eal_log_write(void *cookie, const char *text, size_t len)
{
	(void)cookie;
	if (eal.catching)
		eal_log_keep(text, len);
	else
		(void)!write(STDERR_FILENO, text, len);
	return (ssize_t)len;
}

void port_log_catch(void)
{
	eal.caught[0] = '\0';
	eal.catching = true;
}

const char *port_log_text(void)
{
	if (eal.log)
		(void)fflush(eal.log);
	return eal.caught;
}

const char *port_log_release(void)
{
	if (eal.log)
		(void)fflush(eal.log);
	eal.catching = false;
	return eal.caught;
}

static int eal_log_open(void)
{
	static const cookie_io_functions_t functions = { .write = eal_log_write };

	eal.log = fopencookie(NULL, "w", functions);
	if (!eal.log)
		return -ENOMEM;
	(void)setvbuf(eal.log, NULL, _IOLBF, BUFSIZ);
	rte_log_set_global_level(RTE_LOG_ERR);
	return rte_openlog_stream(eal.log);
}

/* The CPUs this process may run on. */
static uint32_t eal_cpus(uint16_t ret_cpus[CPU_SETSIZE])
{
	cpu_set_t set;
	uint32_t count = 0;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) == 0) {
		for (uint16_t i = 0; i < CPU_SETSIZE; i++) {
			if (CPU_ISSET(i, &set))
				ret_cpus[count++] = i;
		}
	}
	if (count == 0)
		ret_cpus[count++] = 0; /* more CPUs than the set holds */
	return count;
}

uint32_t hf_port_workers(const struct hf_conf *conf)
{
	uint16_t cpus[CPU_SETSIZE];
	uint32_t count;

	HF_ASSERT(conf->workers <= HF_CONF_WORKERS_MAX);
	if (conf->workers > 0)
		return conf->workers;
	count = eal_cpus(cpus);
	return hf_min_u32(count > 1 ? count - 1 : 1, HF_CONF_WORKERS_MAX);
}

uint32_t hf_port_lcore_id(uint32_t worker)
{
	HF_ASSERT(worker < HF_CONF_WORKERS_MAX);
	return worker + 1;
}

/* "0@(0,1),1@1": main floats over all CPUs, workers sit on the last ones. */
static void eal_lcores(uint32_t workers, char *ret_text, size_t size)
{
	uint16_t cpus[CPU_SETSIZE];
	uint32_t count = eal_cpus(cpus);
	uint32_t first = workers < count ? count - workers : 0;
	size_t at = 0;

	for (uint32_t i = 0; i < count; i++)
		at += (size_t)snprintf(
			ret_text + at, size - at, "%s%u", i == 0 ? "0@(" : ",", cpus[i]);
	at += (size_t)snprintf(ret_text + at, size - at, ")");
	for (uint32_t i = 0; i < workers; i++)
		at += (size_t)snprintf(ret_text + at, size - at, ",%u@%u", hf_port_lcore_id(i),
			cpus[(first + i) % count]);
	HF_ASSERT(at < size);
}

static uint64_t eal_read_number(const char *dir, const char *name)
{
	char path[512];
	unsigned long long value = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/%s/%s", dir, name);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%llu", &value) != 1)
		value = 0;
	(void)fclose(file);
	return value;
}

/* Megabytes in free hugepages of any size. */
static uint64_t eal_hugepages_free_mb(void)
{
	DIR *dir = opendir("/sys/kernel/mm/hugepages");
	struct dirent *entry;
	uint64_t mb = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir)) != NULL) {
		unsigned int kb;

		if (sscanf(entry->d_name, "hugepages-%ukB", &kb) == 1)
			mb += eal_read_number(entry->d_name, "free_hugepages") * kb / 1024;
	}
	(void)closedir(dir);
	return mb;
}

static void eal_arg(const char *text)
{
	HF_ASSERT(eal.argc < EAL_ARGS_MAX);
	eal.argv[eal.argc] = strdup(text);
	HF_ASSERT(eal.argv[eal.argc] != NULL);
	eal.argc++;
}

static void eal_args_memory(const struct hf_conf *conf, bool hugepages)
{
	char text[32];

	if (hugepages) {
		eal_arg("--in-memory");
		for (uint32_t i = 0; i < conf->port_count; i++) {
			if (strncmp(conf->port[i].device, "net_memif", 9) == 0) {
				eal_arg("--single-file-segments"); /* the peer maps our memory */
				break;
			}
		}
		return;
	}
	eal_arg("--no-huge");
	eal_arg("--no-shconf");
	eal_arg("-m");
	(void)snprintf(text, sizeof(text), "%u", port_pools_mb(conf));
	eal_arg(text);
}

static void eal_args(const struct hf_conf *conf, bool hugepages)
{
	char *lcores = malloc(EAL_LCORES_SIZE);
	char text[64];
	bool pci = false;

	HF_ASSERT(lcores && eal.argc == 0);
	eal_arg("holdfastd");
	eal_lcores(hf_port_workers(conf), lcores, EAL_LCORES_SIZE);
	eal_arg("--lcores");
	eal_arg(lcores);
	free(lcores);
	eal_arg("--main-lcore");
	eal_arg("0");
	eal_args_memory(conf, hugepages);
	for (uint32_t i = 0; i < conf->port_count; i++)
		pci |= port_device_is_pci(conf->port[i].device);
	if (pci) {
		/* Devices are probed one by one, in hf_port_open; an allow-list that matches
		 * nothing keeps EAL from taking every device bound to vfio-pci. */
		eal_arg("-a");
		eal_arg("ffff:ff:1f.7");
	} else {
		eal_arg("--no-pci");
		eal_arg("--iova-mode=va"); /* no device reads memory by bus address */
	}
	(void)snprintf(text, sizeof(text), "--file-prefix=hf-%d", getpid());
	eal_arg(text);
}

int hf_port_eal_init(const struct hf_conf *conf, struct hf_err *err)
{
	uint64_t free_mb = conf->runtime.hugepages ? eal_hugepages_free_mb() : 0;
	bool hugepages = free_mb > 0 && free_mb >= port_pools_mb(conf);
	const char *log;
	int rc;

	HF_ASSERT(!eal.started && conf->port_count <= HF_CONF_PORTS_MAX);
	rc = eal_log_open();
	if (rc < 0)
		return hf_err_set(err, rc, "DPDK's log cannot be opened: %s", strerror(-rc));
	eal_args(conf, hugepages);
	port_log_catch();
	memcpy(eal.argv_eal, eal.argv, sizeof(eal.argv));
	rc = rte_eal_init(eal.argc, eal.argv_eal);
	log = port_log_release();
	if (rc < 0)
		return hf_err_set(err, rte_errno ? -rte_errno : -EIO,
			"DPDK did not start with %s: %s (%s); try runtime hugepages off, or more "
			"memory "
			"(%u MiB are needed for packets)",
			hugepages ? "hugepages" : "no hugepages", rte_strerror(rte_errno), log,
			port_pools_mb(conf));
	eal.started = true;
	rc = port_pools_new(conf, err);
	if (rc < 0)
		hf_port_eal_fini();
	return rc;
}

/* EAL makes a directory for its sockets and locks, and leaves it. */
static void eal_directory_remove(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)) != NULL)
		(void)unlinkat(dirfd(dir), entry->d_name, 0); /* not "." and "..": EISDIR */
	(void)closedir(dir);
	(void)rmdir(path);
}

void hf_port_eal_fini(void)
{
	char directory[256];

	if (!eal.started)
		return;
	port_pools_free();
	(void)snprintf(directory, sizeof(directory), "%s", rte_eal_get_runtime_dir());
	port_log_catch(); /* what EAL says at its end helps nobody */
	(void)rte_eal_cleanup();
	(void)port_log_release();
	eal_directory_remove(directory);
	for (int i = 0; i < eal.argc; i++)
		free(eal.argv[i]);
	eal.argc = 0;
	(void)rte_openlog_stream(NULL);
	(void)fclose(eal.log);
	eal.log = NULL;
	eal.started = false;
}

bool hf_port_has_hugepages(void)
{
	return eal.started && rte_eal_has_hugepages();
}
