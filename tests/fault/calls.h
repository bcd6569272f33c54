/*
 * The calls that calls.c wraps (CMakeLists.txt: --wrap) under their real names, for code that must
 * go past the model.
 */
#ifndef FAULT_CALLS_H
#define FAULT_CALLS_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

int __real_open(const char *path, int flags, ...);
int __real_openat(int dir_fd, const char *path, int flags, ...);
int __real_close(int fd);
ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __real_pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t __real_pwritev(int fd, const struct iovec *iov, int n, off_t at);
int __real_ftruncate(int fd, off_t size);
int __real_fallocate(int fd, int mode, off_t at, off_t n);
int __real_posix_fallocate(int fd, off_t at, off_t n);
int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __real_syncfs(int fd);
int __real_msync(void *at, size_t n, int flags);
void *__real_mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t n);
int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __real_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags);
int __real_unlinkat(int dir_fd, const char *path, int flags);
int __real_mkdirat(int dir_fd, const char *path, mode_t mode);
int __real_mkdir(const char *path, mode_t mode);
struct statfs;
int __real_fstatfs(int fd, struct statfs *fs);

/* A pwrite with RWF_DSYNC: durable are its own bytes, and no others. */
ssize_t call_pwrite_dsync(int fd, const void *p, size_t n, off_t at);

#endif
