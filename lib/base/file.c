/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int file_path(char path[PATH_MAX], const char *name)
{
	int len = snprintf(path, PATH_MAX, "%s.new", name);

	return len >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* A name that came or went lasts when the directory has been written. */
static int file_sync_directory(const char *name)
{
	char path[PATH_MAX];
	int fd, rc = 0;

	(void)snprintf(path, sizeof(path), "%s", name);
	fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fsync(fd) != 0)
		rc = -errno;
	(void)close(fd);
	return rc;
}

void hf_file_begin(struct hf_file *file, const char *name)
{
	char path[PATH_MAX];

	*file = (struct hf_file){ .name = name, .fd = -1, .rc = file_path(path, name) };
	if (file->rc)
		return;
	file->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (file->fd < 0)
		file->rc = -errno;
}

void hf_file_write(struct hf_file *file, const void *data, size_t len)
{
	const char *at = data;

	while (file->rc == 0 && len > 0) {
		ssize_t n = write(file->fd, at, len);

		if (n >= 0) {
			at += n;
			len -= (size_t)n;
		} else if (errno != EINTR) {
			file->rc = -errno;
		}
	}
}

static void file_close(struct hf_file *file)
{
	if (file->fd >= 0 && close(file->fd) != 0 && file->rc == 0)
		file->rc = -errno;
	file->fd = -1;
}

int hf_file_end(struct hf_file *file)
{
	char path[PATH_MAX];

	if (file->rc == 0 && fsync(file->fd) != 0)
		file->rc = -errno;
	file_close(file);
	if (file->rc == 0 && file_path(path, file->name) == 0 && rename(path, file->name) != 0)
		file->rc = -errno;
	if (file->rc == 0)
		return file_sync_directory(file->name);
	hf_file_drop(file);
	return file->rc;
}

void hf_file_drop(struct hf_file *file)
{
	char path[PATH_MAX];

	file_close(file);
	if (file_path(path, file->name) == 0)
		(void)unlink(path);
}

int hf_file_remove(const char *name)
{
	return unlink(name) != 0 ? -errno : file_sync_directory(name);
}

int hf_file_first_line(const char *name, char *ret_line, size_t cap)
{
	FILE *in = fopen(name, "re");
	int rc = 0;

	if (!in)
		return -errno;
	(void)setvbuf(in, NULL, _IONBF, 0); /* else a copy would stay in the buffer */
	errno = 0;
	if (!fgets(ret_line, (int)cap, in)) {
		ret_line[0] = '\0';
		rc = ferror(in) ? -(errno ? errno : EIO) : 0;
	}
	(void)fclose(in);
	ret_line[strcspn(ret_line, "\r\n")] = '\0';
	return rc;
}
