#include "faults.h"

#include <errno.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct faults faults;

void fault_set(int *fault, int os_errno)
{
	__atomic_store_n(fault, os_errno, __ATOMIC_SEQ_CST);
}

static int fails(const int *fault)
{
	int os_errno = __atomic_load_n(fault, __ATOMIC_SEQ_CST);
	if (os_errno != 0)
		errno = os_errno;
	return os_errno;
}

#define WRAP(type, name, params, args, failure)                                                   \
	type __real_##name params;                                                                \
	type __wrap_##name params;                                                                \
	type __wrap_##name params                                                                 \
	{                                                                                         \
		return fails(&faults.name) ? (failure) : __real_##name args;                      \
	}

WRAP(int, posix_fallocate, (int fd, off_t from, off_t len), (fd, from, len), errno)
WRAP(int, msync, (void *from, size_t len, int flags), (from, len, flags), -1)
WRAP(ssize_t, pwritev, (int fd, const struct iovec *iov, int n, off_t at), (fd, iov, n, at), -1)
WRAP(int, fdatasync, (int fd), (fd), -1)
WRAP(int, fsync, (int fd), (fd), -1)
WRAP(int, renameat, (int from_fd, const char *from, int to_fd, const char *to),
	(from_fd, from, to_fd, to), -1)
