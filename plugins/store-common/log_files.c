#include "log_files.h"

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

void log_path(char path[LOG_PATH_BYTES], uint64_t start)
{
	snprintf(path, LOG_PATH_BYTES, LOG_FOLDER "/" SEGMENT_NAME_FORMAT, start);
}

bool log_delete_end(struct job *job, uint64_t from, uint64_t upto)
{
	uint64_t size = job->store->options.segment_bytes;
	int dir_fd = job->store->dir_fd;
	for (uint64_t start = upto; start > from; start -= size) {
		char path[LOG_PATH_BYTES];
		log_path(path, start - size);
		if (unlinkat(dir_fd, path, 0) != 0 && errno != ENOENT) {
			job_fail(job, errno, "cannot delete a segment of the commit log");
			return false; /* deleting those before it would leave a gap */
		}
		int rc = io_sync_folder(dir_fd, LOG_FOLDER);
		if (rc != 0 && rc != ENOENT) {
			job_fail(job, rc, "cannot sync the folder of the commit log");
			return false;
		}
	}
	return true;
}

void log_write_again(struct job *job, uint64_t from, uint64_t upto)
{
	uint64_t size = job->store->options.segment_bytes;
	char path[LOG_PATH_BYTES];
	for (uint64_t at = from, end; at < upto && job->status == 0; at = end) {
		uint64_t start = at - at % size;
		end = start + size < upto ? start + size : upto;
		log_path(path, start);
		int fd = io_open(job->store->dir_fd, path, O_RDWR);
		if (fd == -ENOENT) /* trimmed meanwhile */
			continue;
		int rc = fd < 0 ? -fd : io_write_again(fd, at - start, end - start);
		if (rc == 0 && fdatasync(fd) != 0)
			rc = errno;
		if (rc != 0)
			job_fail(job, rc, "cannot write the end of the commit log again");
		if (fd >= 0)
			close(fd);
	}
}

bool log_has_data(int fd, uint64_t from, uint64_t size)
{
	off_t data = lseek(fd, (off_t)from, SEEK_DATA);
	if (data < 0)
		return errno != ENXIO;
	return (uint64_t)data < size;
}
