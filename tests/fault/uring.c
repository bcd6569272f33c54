#include "uring.h"

#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define RINGS 2
#define REQUESTS 1024
#define FILES 4096
#define WRAP(type, name, ...)                                                                      \
	type __wrap_##name(__VA_ARGS__);                                                           \
	type __wrap_##name(__VA_ARGS__)

struct request {
	struct io_uring_sqe sqe;
	bool is_after; /* linked to the one before it */
};

/* What a kernel would have of a ring. */
struct kernel {
	struct io_uring *ring; /* NULL: free */
	unsigned sq_head, cq_head, cq_tail, flags;
	int event_fd;
	int files[FILES];
	struct request requests[REQUESTS]; /* in order of submission */
	uint32_t n;
};

static struct kernel kernels[RINGS];

static struct kernel *kernel_of(const struct io_uring *ring)
{
	for (int i = 0; i < RINGS; i++)
		if (kernels[i].ring == ring)
			return &kernels[i];
	abort();
}

void uring_forget(void)
{
	for (int i = 0; i < RINGS; i++)
		kernels[i] = (struct kernel){ 0 };
}

static void complete(struct kernel *k, const struct io_uring_sqe *sqe, int32_t res)
{
	struct io_uring_cq *cq = &k->ring->cq;
	if (k->cq_tail - k->cq_head > cq->ring_mask)
		abort(); /* a real one would keep it; no store asks for so much */
	cq->cqes[k->cq_tail++ & cq->ring_mask] =
		(struct io_uring_cqe){ .user_data = sqe->user_data, .res = res };
	uint64_t one = 1;
	if (k->event_fd >= 0 && write(k->event_fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

static int32_t perform(struct kernel *k, const struct io_uring_sqe *sqe)
{
	int fd = sqe->flags & IOSQE_FIXED_FILE ? k->files[sqe->fd] : sqe->fd;
	void *at = (void *)(uintptr_t)sqe->addr;
	ssize_t n;
	switch (sqe->opcode) {
	case IORING_OP_WRITE:
	case IORING_OP_WRITE_FIXED:
		n = sqe->rw_flags & RWF_DSYNC
			    ? call_pwrite_dsync(fd, at, sqe->len, (off_t)sqe->off)
			    : pwrite(fd, at, sqe->len, (off_t)sqe->off);
		break;
	case IORING_OP_READ:
	case IORING_OP_READ_FIXED:
		n = pread(fd, at, sqe->len, (off_t)sqe->off);
		break;
	case IORING_OP_FSYNC:
		n = sqe->fsync_flags & IORING_FSYNC_DATASYNC ? fdatasync(fd) : fsync(fd);
		break;
	case IORING_OP_OPENAT:
		n = openat(fd, at, (int)sqe->open_flags, (mode_t)sqe->len);
		break;
	default:
		abort(); /* teach it the new one */
	}
	return n < 0 ? -errno : (int32_t)n;
}

uint32_t uring_ready(void)
{
	uint32_t n = 0;
	for (int i = 0; i < RINGS; i++)
		for (uint32_t j = 0; j < kernels[i].n; j++)
			n += !kernels[i].requests[j].is_after;
	return n;
}

static void run(struct kernel *k, uint32_t i)
{
	struct request r = k->requests[i];
	int32_t res = perform(k, &r.sqe);
	bool is_short = res < 0 || (r.sqe.opcode == IORING_OP_WRITE && (uint32_t)res < r.sqe.len) ||
			(r.sqe.opcode == IORING_OP_WRITE_FIXED && (uint32_t)res < r.sqe.len);
	memmove(&k->requests[i], &k->requests[i + 1], (--k->n - i) * sizeof(r));
	complete(k, &r.sqe, res);
	/* What is linked to it comes next, or not at all. */
	for (bool links = r.sqe.flags & IOSQE_IO_LINK; links && is_short;) {
		r = k->requests[i];
		memmove(&k->requests[i], &k->requests[i + 1], (--k->n - i) * sizeof(r));
		complete(k, &r.sqe, -ECANCELED);
		links = r.sqe.flags & IOSQE_IO_LINK;
	}
	if (i < k->n && (r.sqe.flags & IOSQE_IO_LINK))
		k->requests[i].is_after = false;
}

bool uring_step(uint64_t draw)
{
	uint32_t n = uring_ready();
	if (n == 0)
		return false;
	uint64_t which = draw % n;
	for (int i = 0; i < RINGS; i++)
		for (uint32_t j = 0; j < kernels[i].n; j++)
			if (!kernels[i].requests[j].is_after && which-- == 0) {
				run(&kernels[i], j);
				return true;
			}
	return false;
}

/* ---- wrapped ---- */

WRAP(int, io_uring_queue_init_params, unsigned entries, struct io_uring *ring,
	struct io_uring_params *params)
{
	struct kernel *k = kernel_of(NULL);
	unsigned size = 1;
	while (size < entries)
		size *= 2;
	memset(ring, 0, sizeof(*ring));
	*k = (struct kernel){ .ring = ring, .event_fd = -1 };
	ring->sq = (struct io_uring_sq){ .khead = &k->sq_head,
					 .kflags = &k->flags,
					 .ring_mask = size - 1,
					 .ring_entries = size,
					 .sqes = calloc(size, sizeof(struct io_uring_sqe)) };
	ring->cq = (struct io_uring_cq){ .khead = &k->cq_head,
					 .ktail = &k->cq_tail,
					 .ring_mask = 2 * REQUESTS - 1,
					 .ring_entries = 2 * REQUESTS,
					 .cqes = calloc((size_t)2 * REQUESTS,
							sizeof(struct io_uring_cqe)) };
	ring->features = IORING_FEAT_EXT_ARG;
	ring->ring_fd = -1;
	(void)params;
	return ring->sq.sqes && ring->cq.cqes ? 0 : -ENOMEM;
}

WRAP(int, io_uring_queue_init, unsigned entries, struct io_uring *ring, unsigned flags)
{
	(void)flags;
	return __wrap_io_uring_queue_init_params(entries, ring, NULL);
}

WRAP(void, io_uring_queue_exit, struct io_uring *ring)
{
	struct kernel *k = kernel_of(ring);
	free(ring->sq.sqes);
	free(ring->cq.cqes);
	k->ring = NULL;
	k->n = 0;
}

WRAP(int, io_uring_submit, struct io_uring *ring)
{
	struct kernel *k = kernel_of(ring);
	int n = 0;
	bool is_after = false;
	for (; k->sq_head != ring->sq.sqe_tail && k->n < REQUESTS; n++) {
		struct request *r = &k->requests[k->n++];
		r->sqe = ring->sq.sqes[k->sq_head++ & ring->sq.ring_mask];
		r->is_after = is_after;
		is_after = r->sqe.flags & IOSQE_IO_LINK;
	}
	return n;
}

WRAP(int, __io_uring_sqring_wait, struct io_uring *ring)
{
	(void)ring;
	return 0;
}

WRAP(int, __io_uring_get_cqe, struct io_uring *ring, struct io_uring_cqe **cqe, unsigned submit,
	unsigned wait_nr, sigset_t *mask)
{
	(void)ring;
	(void)submit;
	(void)wait_nr;
	(void)mask;
	*cqe = NULL;
	return -EAGAIN;
}

WRAP(int, io_uring_register_eventfd, struct io_uring *ring, int fd)
{
	kernel_of(ring)->event_fd = fd;
	return 0;
}

WRAP(int, io_uring_register_buffers, struct io_uring *ring, const struct iovec *iov, unsigned n)
{
	(void)ring;
	(void)iov;
	(void)n;
	return 0;
}

WRAP(int, io_uring_register_files, struct io_uring *ring, const int *files, unsigned n)
{
	if (n > FILES)
		return -EMFILE;
	memcpy(kernel_of(ring)->files, files, n * sizeof(*files));
	return 0;
}

WRAP(int, io_uring_register_files_update, struct io_uring *ring, unsigned at, const int *files,
	unsigned n)
{
	memcpy(kernel_of(ring)->files + at, files, n * sizeof(*files));
	return (int)n;
}
