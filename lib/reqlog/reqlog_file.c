/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The file: lines are collected and written in large pieces. What cannot be written is lost and
 * counted.
 */
#include "hf_reqlog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hf_log.h"
#include "hf_stat.h"

#include "reqlog_priv.h"

static void file_lose(struct reqlog_file *file)
{
	hf_stat_add(HF_STAT_REQLOG_LOST, file->lines);
	file->len = 0;
	file->lines = 0;
}

static void file_open(struct reqlog_file *file, uint64_t now_us)
{
	/* not blocking: a pipe that nobody reads */
	int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

	file->retry_us = now_us + REQLOG_RETRY_US;
	file->fd = open(file->path, flags, 0640);
	if (file->fd >= 0)
		return;
	hf_stat_inc(HF_STAT_REQLOG_FILE_ERRORS);
	hf_log(HF_LOG_WARN, "reqlog", "%s cannot be opened: %s", file->path, strerror(errno));
}

/* How much was written: less than LEN after an error. */
static size_t file_write(const struct reqlog_file *file, const char *bytes, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(file->fd, bytes + done, len - done);

		if (n < 0 && errno != EINTR)
			break;
		done += n > 0 ? (size_t)n : 0;
	}
	return done;
}

/* Half a line stays half, and the next one begins on its own. */
static void file_put_out(struct reqlog_file *file)
{
	size_t done = 0;

	if (file->half && file_write(file, "\n", 1) == 1)
		file->half = false;
	if (!file->half)
		done = file_write(file, file->buf, file->len);
	if (done < file->len) {
		hf_stat_inc(HF_STAT_REQLOG_FILE_ERRORS);
		hf_log(HF_LOG_WARN, "reqlog", "%s takes no more: %s", file->path, strerror(errno));
		file->half |= done > 0 && file->buf[done - 1] != '\n';
	}
	for (size_t i = 0; i < done; i++)
		file->lines -= file->buf[i] == '\n';
	file_lose(file); /* those that are left: none, when all is well */
}

void reqlog_file_flush(struct reqlog_file *file, uint64_t now_us)
{
	if (!file->path)
		return;
	if (file->fd < 0 && now_us >= file->retry_us)
		file_open(file, now_us);
	if (file->fd >= 0 && file->len > 0)
		file_put_out(file);
}

void reqlog_file_add(
	struct reqlog_file *file, const struct hf_reqlog_record *record, int64_t real_us)
{
	if (!file->path)
		return;
	if (file->fd >= 0 && REQLOG_LINES_MAX - file->len < REQLOG_LINE_MAX)
		file_put_out(file);
	if (!file->buf || REQLOG_LINES_MAX - file->len < REQLOG_LINE_MAX) {
		hf_stat_inc(HF_STAT_REQLOG_LOST);
		return;
	}
	file->len += reqlog_text(file->format, record, real_us, file->buf + file->len);
	file->lines++;
}

void reqlog_file_close(struct reqlog_file *file)
{
	if (file->fd >= 0 && file->len > 0)
		file_put_out(file);
	file_lose(file);
	if (file->fd >= 0)
		(void)close(file->fd);
	free(file->buf);
	free(file->path);
	*file = (struct reqlog_file){ .fd = -1 };
}

void reqlog_file_set(struct reqlog_file *file, char *path, enum hf_reqlog_format format)
{
	reqlog_file_close(file);
	file->path = path;
	file->format = format;
	file->buf = path ? malloc(REQLOG_LINES_MAX) : NULL; /* without one all lines are lost */
}
