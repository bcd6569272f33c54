/*
 * The kernel's ring of one store. What is put in is told to the kernel by ring_submit(); what comes
 * back wakes the loop through an eventfd, and done() runs on the core thread.
 */
#ifndef STORE_URING_RING_H
#define STORE_URING_RING_H

#include "store.h"

#include <liburing.h>

#define RING_ENTRIES 256 /* twice what may be under way: a run, its syncs, reads */
#define RING_FILES 64    /* segments that are open at the same time */

struct ring_op {
	void (*done)(struct ring_op *op, int32_t res); /* [core] res: as of the system call */
};

struct ring {
	struct mosaic_store *store;
	struct io_uring uring;
	struct mosaic_watch watch;
	int event_fd; /* -1: none */
	bool is_up, is_watched, has_files, has_buffer;
	uint8_t *buffer; /* memory that may be written from, registered when has_buffer */
	size_t buffer_bytes;
};

/* [main] Whether the kernel gives a ring: 0 or an errno. */
int ring_try(void);
/* Why it does not. */
const char *ring_refusal(int os_errno);
/* [core] The eventfd, watched by the loop. 0 or E_... with the error filled. */
int32_t ring_watch(struct ring *ring, struct mosaic_store *store, struct mosaic_error *error);
/* [slow] Makes the ring and lets the kernel know buffer and files; 0 or an errno. That the latter
 * fails is no error, only slower. */
int ring_start(struct ring *ring, bool sqpoll);
/* [core] Nothing is under way any more. */
void ring_unwatch(struct ring *ring);
/* [main] */
void ring_free(struct ring *ring);

/* [core] All: not known to the kernel before ring_submit(). `slot` is that of ring_file(), the
 * descriptor is used when there is none. The SQE is for flags that the caller wants to add. */
struct io_uring_sqe *ring_write(struct ring *ring, struct ring_op *op, int fd, int slot,
				const uint8_t *from, uint32_t len, uint64_t offset);
struct io_uring_sqe *ring_read(struct ring *ring, struct ring_op *op, int fd, int slot,
			       uint8_t *to, uint32_t len, uint64_t offset);
struct io_uring_sqe *ring_fdatasync(struct ring *ring, struct ring_op *op, int fd, int slot);
struct io_uring_sqe *ring_open(struct ring *ring, struct ring_op *op, int dir_fd,
			       const char *path, int flags);
void ring_submit(struct ring *ring);
/* [core] Makes a descriptor known as `slot`; fd -1 empties it. */
void ring_file(struct ring *ring, int slot, int fd);

#endif
