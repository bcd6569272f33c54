/*
 * Wrapped file calls: made for real and told to the disk (disk.h), or failed as it says. Each is a
 * moment at which other threads run and the power may go away. Syncs are not made for real: what
 * the folder holds is of no value.
 */
#include "calls.h"

#include "disk.h"
#include "fibers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define PATH_MOST 256
#define EXT4_MAGIC 0xef53
#define WRAP(type, name, ...)                                                                      \
	type __wrap_##name(__VA_ARGS__);                                                           \
	type __wrap_##name(__VA_ARGS__)

static void moment(void)
{
	int before = errno;
	fiber_yield();
	disk_moment();
	errno = before;
}

/* Whether the call is to fail with errno set, or to be left out. */
static bool fails(enum disk_call call)
{
	int fault = disk_fault(call);
	if (fault > 0)
		errno = fault;
	return fault > 0;
}

static int open_at(int dir_fd, const char *path, int flags, mode_t mode)
{
	char inside[PATH_MOST];
	flags &= ~O_DIRECT; /* not every tmpfs takes it, and the model's sectors need none */
	if ((flags & O_TMPFILE) == O_TMPFILE || !disk_path(dir_fd, path, inside))
		return __real_openat(dir_fd, path, flags, mode);
	moment();
	if ((flags & O_CREAT) && fails(CALL_OPEN))
		return -1;
	struct stat st;
	bool was_there = fstatat(dir_fd, path, &st, 0) == 0;
	int fd = __real_openat(dir_fd, path, flags, mode);
	if (fd >= 0)
		disk_opened(fd, inside, flags, was_there);
	return fd;
}

static mode_t mode_of(int flags, va_list args)
{
	return flags & O_CREAT ? va_arg(args, mode_t) : 0;
}

WRAP(int, openat, int dir_fd, const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = mode_of(flags, args);
	va_end(args);
	return open_at(dir_fd, path, flags, mode);
}

WRAP(int, open, const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = mode_of(flags, args);
	va_end(args);
	return open_at(AT_FDCWD, path, flags, mode);
}

WRAP(int, close, int fd)
{
	disk_closed(fd);
	return __real_close(fd);
}

/* ---- writing ---- */

WRAP(ssize_t, pwritev, int fd, const struct iovec *iov, int n, off_t at)
{
	if (!disk_has_fd(fd))
		return __real_pwritev(fd, iov, n, at);
	moment();
	int fault = disk_fault(CALL_WRITE);
	errno = fault > 0 ? fault : errno;
	ssize_t rc = -1;
	if (fault == SHORT_WRITE)
		rc = __real_pwrite(fd, iov[0].iov_base, (iov[0].iov_len + 1) / 2, at);
	else if (fault == 0)
		rc = __real_pwritev(fd, iov, n, at);
	if (rc >= 0)
		disk_wrote(fd, (uint64_t)at, (uint64_t)rc);
	return rc;
}

WRAP(ssize_t, pwrite, int fd, const void *p, size_t n, off_t at)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)p, .iov_len = n };
	return disk_has_fd(fd) ? __wrap_pwritev(fd, &iov, 1, at) : __real_pwrite(fd, p, n, at);
}

WRAP(ssize_t, write, int fd, const void *p, size_t n)
{
	if (!disk_has_fd(fd))
		return __real_write(fd, p, n);
	moment();
	if (fails(CALL_WRITE))
		return -1;
	ssize_t rc = __real_write(fd, p, n);
	if (rc >= 0)
		disk_wrote(fd, 0, 0);
	return rc;
}

WRAP(int, ftruncate, int fd, off_t size)
{
	if (!disk_has_fd(fd))
		return __real_ftruncate(fd, size);
	moment();
	if (fails(CALL_TRUNCATE))
		return -1;
	int rc = __real_ftruncate(fd, size);
	disk_resized(fd);
	return rc;
}

WRAP(int, fallocate, int fd, int mode, off_t at, off_t n)
{
	if (!disk_has_fd(fd))
		return __real_fallocate(fd, mode, at, n);
	moment();
	if (fails(CALL_ALLOCATE))
		return -1;
	int rc = __real_fallocate(fd, mode, at, n);
	disk_resized(fd);
	return rc;
}

WRAP(int, posix_fallocate, int fd, off_t at, off_t n)
{
	if (!disk_has_fd(fd))
		return __real_posix_fallocate(fd, at, n);
	moment();
	if (fails(CALL_ALLOCATE))
		return errno;
	int rc = __real_posix_fallocate(fd, at, n);
	disk_resized(fd);
	return rc;
}

/* ---- syncs: the time before and after belongs to others ---- */

static int sync_fd(int fd, enum disk_call call)
{
	if (!disk_has_fd(fd))
		return 0;
	moment();
	if (disk_is_folder(fd))
		call = CALL_FSYNC_DIR;
	int fault = disk_fault(call);
	if (fault != LIE)
		disk_synced(fd, fault);
	moment();
	errno = fault > 0 ? fault : errno;
	return fault > 0 ? -1 : 0;
}

WRAP(int, fsync, int fd)
{
	return sync_fd(fd, CALL_FSYNC);
}

WRAP(int, fdatasync, int fd)
{
	return sync_fd(fd, CALL_FDATASYNC);
}

WRAP(int, syncfs, int fd)
{
	if (!disk_has_fd(fd))
		return 0;
	moment();
	if (fails(CALL_FSYNC))
		return -1;
	disk_synced_all();
	moment();
	return 0;
}

ssize_t call_pwrite_dsync(int fd, const void *p, size_t n, off_t at)
{
	ssize_t rc = pwrite(fd, p, n, at);
	if (rc <= 0 || !disk_has_fd(fd))
		return rc;
	moment();
	int fault = disk_fault(CALL_FDATASYNC);
	if (fault != LIE)
		disk_synced_range(fd, (uint64_t)at, (uint64_t)rc, fault);
	moment();
	errno = fault > 0 ? fault : errno;
	return fault > 0 ? -1 : rc;
}

/* Who promises as little as the loose disk is no file system that anybody knows. */
WRAP(int, fstatfs, int fd, struct statfs *fs)
{
	int rc = __real_fstatfs(fd, fs);
	if (rc == 0 && disk_is_attached())
		fs->f_type = disk_is_loose() ? 0 : EXT4_MAGIC;
	return rc;
}

WRAP(int, msync, void *at, size_t n, int flags)
{
	if (!disk_has_map(at) || !(flags & MS_SYNC))
		return 0;
	moment();
	int fault = disk_fault(CALL_MSYNC);
	if (fault != LIE)
		disk_synced_map(at, n, fault);
	moment();
	errno = fault > 0 ? fault : errno;
	return fault > 0 ? -1 : 0;
}

WRAP(int, posix_fadvise, int fd, off_t at, off_t n, int advice)
{
	(void)at; /* the whole file, as all who ask do */
	(void)n;
	if (disk_has_fd(fd) && advice == POSIX_FADV_DONTNEED)
		disk_forgot(fd);
	return 0;
}

WRAP(void *, mmap, void *at, size_t n, int prot, int flags, int fd, off_t offset)
{
	bool is_ours = fd >= 0 && disk_has_fd(fd) && (flags & MAP_SHARED) && (prot & PROT_WRITE);
	if (is_ours) {
		moment();
		if (fails(CALL_MMAP))
			return MAP_FAILED;
	}
	void *map = __real_mmap(at, n, prot, flags, fd, offset);
	if (is_ours && map != MAP_FAILED)
		disk_mapped(map, n, fd, (uint64_t)offset);
	return map;
}

WRAP(int, munmap, void *at, size_t n)
{
	disk_unmapped(at);
	return __real_munmap(at, n);
}

/* ---- names ---- */

WRAP(int, renameat, int from_fd, const char *from, int to_fd, const char *to)
{
	char inside[PATH_MOST], target[PATH_MOST];
	if (!disk_path(from_fd, from, inside) || !disk_path(to_fd, to, target))
		return __real_renameat(from_fd, from, to_fd, to);
	moment();
	if (fails(CALL_RENAME))
		return -1;
	int rc = __real_renameat(from_fd, from, to_fd, to);
	if (rc == 0)
		disk_renamed(inside, target);
	return rc;
}

WRAP(int, linkat, int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	char inside[PATH_MOST], target[PATH_MOST];
	if (!disk_path(from_fd, from, inside) || !disk_path(to_fd, to, target))
		return __real_linkat(from_fd, from, to_fd, to, flags);
	moment();
	if (fails(CALL_LINK))
		return -1;
	int rc = __real_linkat(from_fd, from, to_fd, to, flags);
	if (rc == 0)
		disk_linked(inside, target);
	return rc;
}

WRAP(int, unlinkat, int dir_fd, const char *path, int flags)
{
	char inside[PATH_MOST];
	if (!disk_path(dir_fd, path, inside))
		return __real_unlinkat(dir_fd, path, flags);
	moment();
	if (fails(CALL_UNLINK))
		return -1;
	int rc = __real_unlinkat(dir_fd, path, flags);
	if (rc == 0)
		disk_unlinked(inside);
	return rc;
}

WRAP(int, mkdirat, int dir_fd, const char *path, mode_t mode)
{
	char inside[PATH_MOST];
	if (!disk_path(dir_fd, path, inside))
		return __real_mkdirat(dir_fd, path, mode);
	moment();
	if (fails(CALL_MKDIR))
		return -1;
	int rc = __real_mkdirat(dir_fd, path, mode);
	if (rc == 0)
		disk_made_folder(inside);
	return rc;
}
