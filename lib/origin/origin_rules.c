/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What holds for every connection to an origin.
 *
 *      https: TLS with verification of chain and name, SNI, ALPN: HTTP/2 or 1.1; http: HTTP/1.1
 *
 * HTTP/2 too has one fetch at a time on a connection (CURLPIPE_NOTHING): libcurl stops reading a connection for the
 * sake of one stream that pauses, and a slow client must not hold up the answers of others.
 * Names are looked up by a thread of libcurl's (getaddrinfo tells no TTL: the system's resolver keeps to it). Their
 * addresses are used for origin.resolve_interval, and so is a connection, else one that never idles would keep to an
 * address that the name has no more. Both families are tried, the second 200 ms after the first (RFC 8305).
 * A look-up that hangs keeps its thread, whoever gave up on it: while there are too many threads, names are not found.
 */
#include "hf_origin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "origin_priv.h"
#include "origin_wire.h"

#define RULES_CA_S     300L /* as long libcurl uses what it has read of the authorities */
#define RULES_EYES_MS  200L
#define RULES_PEM_LINE "-----BEGIN CERTIFICATE-----"

/* The system's directory counts beside a file, unless it is said not to. */
static CURLcode rules_tls(const struct hf_origin *origin, CURL *easy)
{
	const char *ca_file = origin->conf->origin.ca_file;
	CURLcode code = CURLE_OK;

	code |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	code |= curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	code |= curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, RULES_CA_S);
	if (ca_file && *ca_file) {
		code |= curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
		code |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	return code;
}

/* A thread is a directory. */
static int rules_on_lookup(void *resolver, void *reserved, void *arg)
{
	const struct hf_origin *origin = arg;
	struct stat tasks;

	(void)resolver;
	(void)reserved;
	return stat("/proc/self/task", &tasks) == 0 && tasks.st_nlink > 2 + origin->threads_max;
}

static bool rules_is_name(const char *url)
{
	const char *host = strstr(url, "://") + 3;
	size_t digits = strspn(host, "0123456789.");

	return host[0] != '[' && host[digits] != ':' && host[digits] != '/' && host[digits] != '\0';
}

static CURLcode rules_names(const struct hf_origin *origin, CURL *easy, const char *url)
{
	long keep_s = (long)origin->conf->origin.resolve_interval_s;
	CURLcode code = CURLE_OK;

	code |= curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, keep_s);
	code |= curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, keep_s);
	code |= curl_easy_setopt(easy, CURLOPT_HAPPY_EYEBALLS_TIMEOUT_MS, RULES_EYES_MS);
	if (rules_is_name(url)) {
		code |= curl_easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION, rules_on_lookup);
		code |= curl_easy_setopt(easy, CURLOPT_RESOLVER_START_DATA, origin);
	}
	/* the end of a transfer does not wait for the thread that looks up its name */
	code |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	return code;
}

/* No redirects, cookies, netrc, decoding: curl's defaults, and never switched on. */
CURLcode origin_rules_set(struct hf_origin *origin, CURL *easy, const char *url)
{
	CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, url);

	code |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	code |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	code |= curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
	code |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
	code |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, origin_multi_on_open);
	code |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, origin);
	code |= curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, origin_multi_on_close);
	code |= curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, origin);
	return code | rules_tls(origin, easy) | rules_names(origin, easy, url);
}

static bool rules_has_certificate(FILE *in)
{
	bool found = false;
	char *line = NULL;
	size_t cap = 0;

	while (!found && getline(&line, &cap, in) >= 0)
		found = strncmp(line, RULES_PEM_LINE, sizeof(RULES_PEM_LINE) - 1) == 0;
	free(line);
	return found;
}

int hf_origin_conf_check(const struct hf_conf *conf, struct hf_err *err)
{
	const char *ca_file = conf->origin.ca_file;
	bool good;
	FILE *in;

	if (!ca_file || !*ca_file)
		return 0;
	in = fopen(ca_file, "re");
	if (!in)
		return hf_err_set(err, -errno, "origin.ca_file %s: %s", ca_file, strerror(errno));
	good = rules_has_certificate(in);
	(void)fclose(in);
	return good ? 0
		    : hf_err_set(err, -EINVAL, "origin.ca_file %s: no certificate (PEM) in it",
			      ca_file);
}
