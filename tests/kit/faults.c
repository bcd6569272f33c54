#include "faults.h"

#include <errno.h>
#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

struct faults faults;

void fault_set(int *fault, int os_errno)
{
	__atomic_store_n(fault, os_errno, __ATOMIC_SEQ_CST);
}

void fault_log_sync(int os_errno)
{
	fault_set(&faults.msync, os_errno);
	fault_set(&faults.ring_sync, os_errno);
}

static bool is_meant(void)
{
	const char *thread = __atomic_load_n(&faults.only_thread, __ATOMIC_SEQ_CST);
	char name[16] = "";
	return !thread || (prctl(PR_GET_NAME, name) == 0 && strcmp(name, thread) == 0);
}

static int fails(const int *fault)
{
	int os_errno = __atomic_load_n(fault, __ATOMIC_SEQ_CST);
	if (os_errno != 0 && !is_meant())
		return 0;
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

int __real_posix_fallocate(int fd, off_t from, off_t len);
int __wrap_posix_fallocate(int fd, off_t from, off_t len);
int __wrap_posix_fallocate(int fd, off_t from, off_t len)
{
	if (fails(&faults.posix_fallocate))
		return errno;
	if (__atomic_load_n(&faults.no_fallocate, __ATOMIC_SEQ_CST) == 0)
		return __real_posix_fallocate(fd, from, len);
	for (off_t at = from; at < from + len; at += 4096)
		if (pwrite(fd, "", 1, at) != 1)
			return errno;
	return pwrite(fd, "", 1, from + len - 1) == 1 ? 0 : errno;
}

WRAP(int, msync, (void *from, size_t len, int flags), (from, len, flags), -1)

ssize_t __real_pwritev(int fd, const struct iovec *iov, int n, off_t at);
ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int n, off_t at);
ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
	int us = __atomic_load_n(&faults.pwritev_us, __ATOMIC_SEQ_CST);
	if (us != 0)
		usleep((useconds_t)us);
	int once = __atomic_exchange_n(&faults.pwritev_once, 0, __ATOMIC_SEQ_CST);
	if (once != 0) {
		errno = once;
		return -1;
	}
	return fails(&faults.pwritev) ? -1 : __real_pwritev(fd, iov, n, at);
}

WRAP(int, fdatasync, (int fd), (fd), -1)
WRAP(int, fsync, (int fd), (fd), -1)
WRAP(int, renameat, (int from_fd, const char *from, int to_fd, const char *to),
	(from_fd, from, to_fd, to), -1)

#ifndef IORING_NOP_INJECT_RESULT
#define IORING_NOP_INJECT_RESULT (1U << 0)
#endif

static int ring_fault(const struct io_uring_sqe *sqe)
{
	switch (sqe->opcode) {
	case IORING_OP_FSYNC: return fails(&faults.ring_sync);
	case IORING_OP_WRITE:
	case IORING_OP_WRITE_FIXED:
		if ((sqe->rw_flags & RWF_DSYNC) && fails(&faults.ring_sync))
			return fails(&faults.ring_sync);
		return fails(&faults.ring_write);
	case IORING_OP_READ: return fails(&faults.ring_read);
	default: return 0;
	}
}

int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);
/* What is to fail becomes a no-operation with this result; kernels before 6.10 answer EINVAL. */
int __wrap_io_uring_submit(struct io_uring *ring)
{
	for (unsigned at = ring->sq.sqe_head; at != ring->sq.sqe_tail; at++) {
		struct io_uring_sqe *sqe = &ring->sq.sqes[at & *ring->sq.kring_mask];
		int os_errno = ring_fault(sqe);
		bool is_write = sqe->opcode == IORING_OP_WRITE ||
				sqe->opcode == IORING_OP_WRITE_FIXED;
		if (is_write && fails(&faults.ring_short) && sqe->len > 4096)
			sqe->len = 4096;
		if (os_errno == 0)
			continue;
		sqe->opcode = IORING_OP_NOP;
		sqe->flags &= (__u8)~IOSQE_FIXED_FILE;
		sqe->rw_flags = IORING_NOP_INJECT_RESULT;
		sqe->len = (__u32)-os_errno;
		sqe->off = sqe->addr = 0;
		sqe->buf_index = 0;
		sqe->fd = -1;
	}
	return __real_io_uring_submit(ring);
}
