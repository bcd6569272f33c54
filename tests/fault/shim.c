/*
 * A preload for the real program: calls of its store fail, or lie, while a file is there.
 *
 *   FAULT_SHIM_FILE   the calls go through until this file exists
 *   FAULT_SHIM_CALL   msync, fsync, fdatasync, pwritev or posix_fallocate
 *   FAULT_SHIM_ERRNO  what they answer; 0: they say that all is well and do nothing
 *
 * With FAULT_SHIM_CALL=read the file names two offsets, and pages between them of the log's
 * segments cannot be read, through an io_uring neither, and are not in memory.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

/* Whether this call is left out; errno is what it answers then. */
static bool is_broken(const char *call)
{
	const char *file = getenv("FAULT_SHIM_FILE"), *which = getenv("FAULT_SHIM_CALL");
	const char *code = getenv("FAULT_SHIM_ERRNO");
	if (!file || !which || strcmp(which, call) != 0 || access(file, F_OK) != 0)
		return false;
	errno = code ? atoi(code) : EIO;
	return true;
}

#define BREAK(type, name, params, args, success)                                                   \
	type name params                                                                           \
	{                                                                                          \
		type (*real) params;                                                               \
		*(void **)(void *)&real = dlsym(RTLD_NEXT, #name);                                 \
		if (is_broken(#name))                                                              \
			return errno == 0 ? (success) : -1;                                        \
		return real args;                                                                  \
	}

BREAK(int, msync, (void *at, size_t n, int flags), (at, n, flags), 0)
BREAK(int, fsync, (int fd), (fd), 0)
BREAK(int, fdatasync, (int fd), (fd), 0)
BREAK(ssize_t, pwritev, (int fd, const struct iovec *iov, int n, off_t at), (fd, iov, n, at), 0)

int posix_fallocate(int fd, off_t at, off_t n)
{
	int (*real)(int fd, off_t at, off_t n);
	*(void **)(void *)&real = dlsym(RTLD_NEXT, "posix_fallocate");
	return is_broken("posix_fallocate") ? errno : real(fd, at, n);
}

/* ---- reads ---- */

#define PAGE UINT64_C(4096)
#ifndef IORING_NOP_INJECT_RESULT
#define IORING_NOP_INJECT_RESULT (1U << 0) /* kernels before 6.10 answer EINVAL: an error too */
#endif

/* Pages that hold [at, at + len) of a segment. */
static bool cannot_read(uint64_t at, uint64_t len)
{
	unsigned long long from = 0, upto = 0;
	if (!is_broken("read"))
		return false;
	FILE *file = fopen(getenv("FAULT_SHIM_FILE"), "re");
	bool is_whole = file && fscanf(file, "%llu %llu", &from, &upto) == 2;
	if (file)
		fclose(file);
	return is_whole && at / PAGE * PAGE < upto && (at + len + PAGE - 1) / PAGE * PAGE > from;
}

static bool is_segment(int fd)
{
	char link[64], path[512];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = 0;
	return strstr(path, "/commitlog/") != NULL;
}

ssize_t pread(int fd, void *to, size_t n, off_t at)
{
	ssize_t (*real)(int fd, void *to, size_t n, off_t at);
	*(void **)(void *)&real = dlsym(RTLD_NEXT, "pread");
	if (!is_segment(fd) || !cannot_read((uint64_t)at, n))
		return real(fd, to, n, at);
	errno = EIO;
	return -1;
}

/* Where in a segment the address is mapped; false: it is not one. */
static bool is_mapped_segment(const void *address, uint64_t *at)
{
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "re");
	bool is_found = false;
	while (maps && !is_found && fgets(line, sizeof(line), maps)) {
		unsigned long long from, upto, offset;
		is_found = sscanf(line, "%llx-%llx %*s %llx", &from, &upto, &offset) == 3 &&
			   (uintptr_t)address >= from && (uintptr_t)address < upto;
		if (is_found)
			*at = (uintptr_t)address - from + offset;
	}
	if (maps)
		fclose(maps);
	return is_found && strstr(line, "/commitlog/") != NULL;
}

/* The kernel's own read-ahead has brought in what it could. */
int mincore(void *from, size_t n, unsigned char *present)
{
	int (*real)(void *from, size_t n, unsigned char *present);
	uint64_t at;
	*(void **)(void *)&real = dlsym(RTLD_NEXT, "mincore");
	int rc = real(from, n, present);
	if (rc == 0 && is_broken("read") && is_mapped_segment(from, &at))
		for (uint64_t i = 0; i < (n + PAGE - 1) / PAGE; i++)
			if (cannot_read(at + i * PAGE, PAGE))
				present[i] = 0;
	return rc;
}

/* What is to fail becomes a no-operation with that result. */
int io_uring_submit(struct io_uring *ring)
{
	int (*real)(struct io_uring *ring);
	/* The program's plugin has loaded it, and for itself alone. */
	*(void **)(void *)&real = dlsym(dlopen("liburing.so.2", RTLD_NOW), "io_uring_submit");
	for (unsigned i = ring->sq.sqe_head; i != ring->sq.sqe_tail; i++) {
		struct io_uring_sqe *sqe = &ring->sq.sqes[i & *ring->sq.kring_mask];
		if (sqe->opcode != IORING_OP_READ || !cannot_read(sqe->off, sqe->len))
			continue;
		sqe->opcode = IORING_OP_NOP;
		sqe->flags &= (__u8)~IOSQE_FIXED_FILE;
		sqe->rw_flags = IORING_NOP_INJECT_RESULT;
		sqe->len = (__u32)-EIO;
		sqe->off = sqe->addr = 0;
		sqe->buf_index = 0;
		sqe->fd = -1;
	}
	return real(ring);
}
