#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MODE 0640
#define FOLDER_MODE 0750
/* A document or an abort file is far smaller; a larger file is not one of ours. */
#define SMALL_FILE_MAX (256u << 20)
#define AGAIN_BYTES ((size_t)256 << 10)

int64_t io_pread(int fd, void *buf, size_t len, uint64_t offset)
{
	size_t done = 0;
	while (done < len) {
		ssize_t n = pread(fd, (uint8_t *)buf + done, len - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (int64_t)done;
}

int io_pwritev(int fd, struct iovec *iov, int n, uint64_t offset)
{
	while (n > 0) {
		ssize_t done = pwritev(fd, iov, n, (off_t)offset);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? errno : EIO;
		offset += (uint64_t)done;
		while (n > 0 && (size_t)done >= iov->iov_len) {
			done -= (ssize_t)iov->iov_len;
			iov++;
			n--;
		}
		if (n > 0) {
			iov->iov_base = (uint8_t *)iov->iov_base + done;
			iov->iov_len -= (size_t)done;
		}
	}
	return 0;
}

int io_pwrite(int fd, const void *buf, size_t len, uint64_t offset)
{
	struct iovec iov = { .iov_len = len };
	memcpy(&iov.iov_base, &buf, sizeof(buf)); /* an iovec has no const */
	return len > 0 ? io_pwritev(fd, &iov, 1, offset) : 0;
}

int io_write_zeros(int fd, uint64_t from, uint64_t upto)
{
	static const uint8_t zeros[64 * 1024];
	int rc = 0;
	while (rc == 0 && from < upto) {
		size_t part = upto - from < sizeof(zeros) ? upto - from : sizeof(zeros);
		rc = io_pwrite(fd, zeros, part, from);
		from += part;
	}
	return rc;
}

int io_make_folders(int dir_fd, const char *path)
{
	char part[PATH_MAX];
	size_t len = strlen(path);
	if (len >= sizeof(part))
		return ENAMETOOLONG;
	memcpy(part, path, len + 1);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdirat(dir_fd, part, FOLDER_MODE) != 0 && errno != EEXIST)
			return errno;
		*slash = '/';
	}
	return 0;
}

/* The queues of a topic share all folders but the last: a call each for those that are there costs
 * as much as making a file. */
static int make_last_folder(int dir_fd, const char *path)
{
	char part[PATH_MAX];
	const char *slash = strrchr(path, '/');
	if (!slash || slash == path)
		return ENOENT;
	size_t len = (size_t)(slash - path);
	if (len >= sizeof(part))
		return ENAMETOOLONG;
	memcpy(part, path, len);
	part[len] = '\0';
	return mkdirat(dir_fd, part, FOLDER_MODE) == 0 || errno == EEXIST ? 0 : errno;
}

int io_write_again(int fd, uint64_t from, uint64_t upto)
{
	uint8_t *buf = malloc(AGAIN_BYTES);
	int rc = buf ? 0 : ENOMEM;
	while (rc == 0 && from < upto) {
		size_t part = upto - from < AGAIN_BYTES ? (size_t)(upto - from) : AGAIN_BYTES;
		int64_t n = io_pread(fd, buf, part, from);
		struct iovec iov = { .iov_base = buf, .iov_len = n > 0 ? (size_t)n : 0 };
		if (n <= 0)
			rc = (int)-n;
		else
			rc = io_pwritev(fd, &iov, 1, from);
		if (n <= 0)
			break;
		from += (uint64_t)n;
	}
	free(buf);
	return rc;
}

int io_open(int dir_fd, const char *path, int flags)
{
	int fd = openat(dir_fd, path, flags | O_CLOEXEC, FILE_MODE);
	if (fd >= 0)
		return fd;
	if (errno != ENOENT || !(flags & O_CREAT))
		return -errno;
	int rc = make_last_folder(dir_fd, path);
	rc = rc == ENOENT ? io_make_folders(dir_fd, path) : rc;
	if (rc != 0)
		return -rc;
	fd = openat(dir_fd, path, flags | O_CLOEXEC, FILE_MODE);
	return fd >= 0 ? fd : -errno;
}

int io_sync_folder(int dir_fd, const char *path)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	int rc = fsync(fd) == 0 ? 0 : errno;
	close(fd);
	return rc;
}

int io_allocate(int fd, uint64_t size)
{
	/* Where the file system cannot, libc writes a byte into each block; not by O_DIRECT. */
	int rc, flags = fcntl(fd, F_GETFL);
	bool is_direct = flags >= 0 && (flags & O_DIRECT);
	if (is_direct && fcntl(fd, F_SETFL, flags & ~O_DIRECT) != 0)
		return errno;
	do
		rc = posix_fallocate(fd, 0, (off_t)size);
	while (rc == EINTR);
	if (is_direct && fcntl(fd, F_SETFL, flags) != 0 && rc == 0)
		rc = errno;
	return rc;
}

int io_read_file(int dir_fd, const char *path, uint8_t **content, uint64_t *len)
{
	/* Of a FIFO nobody is waited for. */
	int fd = openat(dir_fd, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno;
	struct stat st;
	int rc = fstat(fd, &st) == 0 ? 0 : errno;
	if (rc == 0 && (!S_ISREG(st.st_mode) || st.st_size > SMALL_FILE_MAX))
		rc = S_ISREG(st.st_mode) ? EOVERFLOW : EINVAL;
	uint8_t *buf = rc == 0 ? malloc((size_t)st.st_size + 1) : NULL;
	if (rc == 0 && !buf)
		rc = ENOMEM;
	if (rc == 0) {
		int64_t n = io_pread(fd, buf, (size_t)st.st_size, 0);
		if (n < 0) {
			rc = (int)-n;
			free(buf);
		} else {
			buf[n] = '\0';
			*content = buf;
			*len = (uint64_t)n;
		}
	}
	close(fd);
	return rc;
}

int io_write_file(int dir_fd, const char *path, const void *content, size_t len, bool sync)
{
	int fd = io_open(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK);
	if (fd < 0)
		return -fd;
	int rc = io_pwrite(fd, content, len, 0);
	if (rc == 0 && sync && fsync(fd) != 0)
		rc = errno;
	if (close(fd) != 0 && rc == 0)
		rc = errno;
	return rc;
}
