#include "ring.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SQPOLL_IDLE_MS 50 /* for so long the kernel's thread looks for work before it sleeps */

int ring_try(void)
{
	struct io_uring uring;
	int rc = io_uring_queue_init(1, &uring, 0);
	if (rc == 0)
		io_uring_queue_exit(&uring);
	return -rc;
}

const char *ring_refusal(int os_errno)
{
	switch (os_errno) {
	case ENOSYS: return "this kernel has none";
	case EPERM:
	case EACCES:
		return "it is forbidden here, by sysctl kernel.io_uring_disabled or by the seccomp "
		       "profile of a container";
	case ENOMEM: return "the limit of locked memory (ulimit -l) is too low";
	default: return strerror(os_errno);
	}
}

static void ring_reap(struct ring *ring)
{
	struct mosaic_store *store = ring->store;
	struct io_uring_cqe *cqe;
	while (io_uring_peek_cqe(&ring->uring, &cqe) == 0) {
		struct ring_op *op = io_uring_cqe_get_data(cqe);
		int32_t res = cqe->res;
		io_uring_cqe_seen(&ring->uring, cqe);
		op->done(op, res);
		store->n_jobs--;
	}
	ring_submit(ring); /* what they asked for, and what was refused before */
	store_close_step(store);
}

static void ring_ready(struct mosaic_watch *watch, uint32_t events)
{
	struct ring *ring = watch->data;
	uint64_t count;
	(void)events;
	ssize_t n = read(ring->event_fd, &count, sizeof(count));
	(void)n; /* it only says that there is something */
	ring_reap(ring);
}

int32_t ring_watch(struct ring *ring, struct mosaic_store *store, struct mosaic_error *error)
{
	const struct mosaic_host *host = store->host;
	ring->store = store;
	ring->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ring->watch = (struct mosaic_watch){ .ready = ring_ready, .data = ring,
					     .fd = ring->event_fd, .events = MOSAIC_WATCH_READ };
	int32_t rc = ring->event_fd >= 0 ? host->watch(host, &ring->watch) : MOSAIC_E_NOMEM;
	ring->is_watched = rc == 0;
	if (rc != 0 && error) {
		error->code = rc;
		snprintf(error->text, sizeof(error->text),
			 rc == MOSAIC_E_UNSUPPORTED
				 ? "store-uring needs a host that watches descriptors, which a "
				   "simulated one does not: take another store"
				 : "cannot watch an eventfd: raise the limit of open files");
	}
	return rc;
}

int ring_start(struct ring *ring, bool sqpoll)
{
	struct io_uring_params params = { .flags = IORING_SETUP_CLAMP };
	if (sqpoll) {
		params.flags |= IORING_SETUP_SQPOLL;
		params.sq_thread_idle = SQPOLL_IDLE_MS;
	} else {
		/* Completions come when the core thread enters the kernel anyway; since 5.19. */
		params.flags |= IORING_SETUP_COOP_TASKRUN;
	}
	struct io_uring_params plain = params;
	plain.flags &= ~IORING_SETUP_COOP_TASKRUN;
	int rc = io_uring_queue_init_params(RING_ENTRIES, &ring->uring, &params);
	if (rc == -EINVAL)
		rc = io_uring_queue_init_params(RING_ENTRIES, &ring->uring, &plain);
	if (rc < 0)
		return -rc;
	ring->is_up = true;
	rc = io_uring_register_eventfd(&ring->uring, ring->event_fd);
	if (rc < 0)
		return -rc;
	struct iovec iov = { .iov_base = ring->buffer, .iov_len = ring->buffer_bytes };
	rc = io_uring_register_buffers(&ring->uring, &iov, 1);
	ring->has_buffer = rc == 0;
	if (rc != 0)
		store_log(ring->store, MOSAIC_LOG_WARN, "ring_unregistered",
			  "cannot register %zu bytes of buffers: %s: writes cost a little more; "
			  "raise the limit of locked memory (ulimit -l)",
			  ring->buffer_bytes, strerror(-rc));
	int none[RING_FILES];
	for (int i = 0; i < RING_FILES; i++)
		none[i] = -1;
	ring->has_files = io_uring_register_files(&ring->uring, none, RING_FILES) == 0;
	return 0;
}

void ring_unwatch(struct ring *ring)
{
	if (ring->is_watched)
		ring->store->host->unwatch(ring->store->host, &ring->watch);
	ring->is_watched = false;
}

void ring_free(struct ring *ring)
{
	if (ring->is_up)
		io_uring_queue_exit(&ring->uring);
	if (ring->event_fd >= 0)
		close(ring->event_fd);
	ring->is_up = false;
	ring->event_fd = -1;
}

static struct io_uring_sqe *ring_next(struct ring *ring, struct ring_op *op)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
	while (!sqe) { /* only while the kernel's own thread has not caught up */
		io_uring_submit(&ring->uring);
		io_uring_sqring_wait(&ring->uring);
		sqe = io_uring_get_sqe(&ring->uring);
	}
	ring->store->n_jobs++;
	(void)op;
	return sqe;
}

static void ring_set(struct ring *ring, struct io_uring_sqe *sqe, struct ring_op *op, int slot)
{
	if (ring->has_files && slot >= 0) {
		sqe->fd = slot;
		sqe->flags |= IOSQE_FIXED_FILE;
	}
	io_uring_sqe_set_data(sqe, op);
}

struct io_uring_sqe *ring_write(struct ring *ring, struct ring_op *op, int fd, int slot,
				const uint8_t *from, uint32_t len, uint64_t offset)
{
	struct io_uring_sqe *sqe = ring_next(ring, op);
	if (ring->has_buffer && from >= ring->buffer &&
	    from < ring->buffer + ring->buffer_bytes)
		io_uring_prep_write_fixed(sqe, fd, from, len, offset, 0);
	else
		io_uring_prep_write(sqe, fd, from, len, offset);
	ring_set(ring, sqe, op, slot);
	return sqe;
}

struct io_uring_sqe *ring_read(struct ring *ring, struct ring_op *op, int fd, int slot,
			       uint8_t *to, uint32_t len, uint64_t offset)
{
	struct io_uring_sqe *sqe = ring_next(ring, op);
	io_uring_prep_read(sqe, fd, to, len, offset);
	ring_set(ring, sqe, op, slot);
	return sqe;
}

struct io_uring_sqe *ring_fdatasync(struct ring *ring, struct ring_op *op, int fd, int slot)
{
	struct io_uring_sqe *sqe = ring_next(ring, op);
	io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	ring_set(ring, sqe, op, slot);
	return sqe;
}

struct io_uring_sqe *ring_open(struct ring *ring, struct ring_op *op, int dir_fd,
			       const char *path, int flags)
{
	struct io_uring_sqe *sqe = ring_next(ring, op);
	io_uring_prep_openat(sqe, dir_fd, path, flags, 0);
	ring_set(ring, sqe, op, -1);
	return sqe;
}

void ring_submit(struct ring *ring)
{
	/* EBUSY, EAGAIN: it stays in the ring and goes with the next; something is under way, as
	 * else the kernel had room. */
	if (io_uring_sq_ready(&ring->uring) > 0)
		io_uring_submit(&ring->uring);
}

void ring_file(struct ring *ring, int slot, int fd)
{
	if (ring->has_files && io_uring_register_files_update(&ring->uring, (unsigned)slot, &fd,
							      1) < 0)
		ring->has_files = false; /* descriptors do as well */
}
