/*
 * File calls that finish: EINTR, short reads and writes, and missing folders are dealt with here.
 * All [worker]; 0 or an errno unless said otherwise.
 */
#ifndef STORE_COMMON_IO_H
#define STORE_COMMON_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Bytes read (less at the end of the file), or -errno. */
int64_t io_pread(int fd, void *buf, size_t len, uint64_t offset);
int io_pwrite(int fd, const void *buf, size_t len, uint64_t offset);
/* Changes the vector. */
int io_pwritev(int fd, struct iovec *iov, int n, uint64_t offset);
/* Zeros in [from, upto). */
int io_write_zeros(int fd, uint64_t from, uint64_t upto);
/* Writes [from, upto) of a file again as it is. */
int io_write_again(int fd, uint64_t from, uint64_t upto);
/* Opens; with O_CREAT missing folders are made. The descriptor or -errno. */
int io_open(int dir_fd, const char *path, int flags);
/* Makes the folders that `path` lies in. */
int io_make_folders(int dir_fd, const char *path);
/* Makes the entries of a folder durable. */
int io_sync_folder(int dir_fd, const char *path);
/* Allocates blocks for the whole file and sets its size; keeps what is there. */
int io_allocate(int fd, uint64_t size);
/* A whole small file; NUL-terminated beyond *len. The caller frees *content. */
int io_read_file(int dir_fd, const char *path, uint8_t **content, uint64_t *len);
/* Replaces the content in place; with `sync` durably, but for its name. */
int io_write_file(int dir_fd, const char *path, const void *content, size_t len, bool sync);

#endif
