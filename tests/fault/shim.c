/*
 * A preload for the real program: calls of its store fail, or lie, while a file is there.
 *
 *   FAULT_SHIM_FILE   the calls go through until this file exists
 *   FAULT_SHIM_CALL   msync, fsync, fdatasync, pwritev or posix_fallocate
 *   FAULT_SHIM_ERRNO  what they answer; 0: they say that all is well and do nothing
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
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
