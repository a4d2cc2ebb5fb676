/* SPDX-License-Identifier: BSD-3-Clause */
#include "reqlog_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

struct hf_reqlog_record rig_record_of(const char *head, size_t len)
{
	static const struct hf_http_limits limits = { 65536, 65536, 100 };
	static struct hf_http_req http; /* large */
	struct hf_ip client = { .b = { [10] = 0xff, [11] = 0xff, 192, 0, 2, 1 } };
	struct hf_reqlog_record record;
	struct hf_http_fault fault;

	cr_assert_eq(hf_http_req_parse(head, len, &limits, &http, &fault), HF_PARSE_DONE);
	hf_reqlog_record_init(&record, &client, 4711, 123456);
	hf_reqlog_record_request(&record, &http);
	record.status = 200;
	record.cache = HF_REQLOG_HIT;
	record.bytes = 5;
	record.duration_us = 60;
	record.complete = true;
	return record;
}

struct hf_reqlog_record rig_record(const char *host, const char *target)
{
	static char head[32768];

	return rig_record_of(head,
		(size_t)snprintf(head, sizeof(head),
			"GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: curl/8\r\n\r\n", target, host));
}
