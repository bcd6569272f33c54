/*
 * Cutting the end of a consume queue: the core forgets the units at once, the helper deletes files
 * and clears the rest of the last one, durably (STORE-07). A write under way is awaited first.
 *
 * Failure modes: any error is final (store_fail): units that were cut might come back.
 */
#include "queue.h"

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct queue_cut {
	struct job job; /* first */
	struct queue *queue;
	struct mosaic_req *req;
	uint64_t to, old_end;
};

/* Zeros from `from` to the end of the file, which keeps its size at every moment: a crash must not
 * leave a file that is shorter than it says. 0 or an errno. */
static int clear_rest(int fd, uint64_t from, uint64_t size)
{
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from,
		      (off_t)(size - from)) == 0)
		return 0;
	return errno == EOPNOTSUPP ? io_write_zeros(fd, from, size) : errno;
}

static void cut_run(struct job *job)
{
	struct queue_cut *cut = (struct queue_cut *)job;
	struct mosaic_store *store = job->store;
	uint64_t size = store->options.queue_segment_bytes;
	uint64_t keep = cut->to - cut->to % size;
	char path[QUEUE_PATH_BYTES];
	/* The last one first, each durably: whatever interrupts this, no file is missing before
	 * another. */
	for (uint64_t start = cut->old_end - cut->old_end % size; start > keep; start -= size) {
		cqueue_path(path, cut->queue, start);
		if (unlinkat(store->dir_fd, path, 0) != 0 && errno != ENOENT) {
			job_fail(job, errno, "cannot delete a file of a consume queue");
			return;
		}
		cqueue_folder(path, cut->queue);
		int rc = io_sync_folder(store->dir_fd, path);
		if (rc != 0 && rc != ENOENT) {
			job_fail(job, rc, "cannot sync the folder of a truncated consume queue");
			return;
		}
	}
	cqueue_path(path, cut->queue, keep);
	int fd = io_open(store->dir_fd, path, O_RDWR);
	if (fd == -ENOENT)
		return;
	if (fd < 0) {
		job_fail(job, -fd, "cannot open a consume queue to truncate it");
		return;
	}
	int rc = clear_rest(fd, cut->to - keep, size);
	if (rc == 0 && fdatasync(fd) != 0)
		rc = errno;
	if (rc != 0)
		job_fail(job, rc, "cannot truncate a consume queue");
	close(fd);
	cqueue_folder(path, cut->queue);
	rc = io_sync_folder(store->dir_fd, path); /* a deleted file must not come back */
	if (rc != 0 && rc != ENOENT)
		job_fail(job, rc, "cannot sync the folder of a truncated consume queue");
}

static void cut_done(struct job *job)
{
	struct queue_cut *cut = (struct queue_cut *)job;
	struct queue *q = cut->queue;
	struct mosaic_store *store = job->store;
	struct mosaic_req *req = cut->req;
	int32_t status = job->status;
	q->cut = NULL;
	if (status != 0) {
		char path[QUEUE_PATH_BYTES];
		cqueue_folder(path, q);
		store_fail(store, status, job->os_errno, job->what, path);
	}
	free(cut);
	if (q->is_dropped)
		cqueue_drop_step(q);
	else
		cqueue_write(q);
	cqueue_batch_step(store);
	cqueue_unref(q);
	store_done(store, req, status);
}

void cqueue_run_cut(struct queue *q)
{
	cqueue_files_close(q);
	worker_submit(&q->base.store->helper, &q->cut->job);
}

/* Memory ends at `to`; what follows goes into a new chunk, away from a write under way. */
static void cut_chunks(struct queue *q, uint64_t to)
{
	struct chunk **link = &q->head;
	cqueue_end_chunks(q, NULL);
	while (*link && (*link)->start < to) {
		struct chunk *chunk = *link;
		if (chunk->start + chunk->len > to)
			chunk->len = (uint32_t)(to - chunk->start);
		chunk->capacity = chunk->len;
		cqueue_end_chunks(q, chunk);
		link = &chunk->next;
	}
	struct chunk *gone = *link;
	*link = NULL;
	while (gone) {
		struct chunk *next = gone->next;
		chunk_unref(gone);
		gone = next;
	}
}

int32_t cqueue_truncate(struct queue *q, uint64_t to, struct mosaic_req *req)
{
	struct mosaic_store *store = q->base.store;
	int32_t rc;
	bool is_inside = to <= q->end && to % QUEUE_UNIT == 0;
	struct queue_cut *cut =
		store_cut_begin(store, is_inside, q->cut != NULL, sizeof(*cut), &rc);
	if (!cut)
		return rc;
	if (to == q->end) { /* beyond the last unit there is nothing */
		free(cut);
		store_done_later(store, req, 0);
		return MOSAIC_PENDING;
	}
	*cut = (struct queue_cut){ .queue = q, .req = req, .to = to, .old_end = q->end };
	cut->job.store = store;
	cut->job.run = cut_run;
	cut->job.done = cut_done;
	cut_chunks(q, to);
	q->end = to;
	q->begin = q->begin < to ? q->begin : to;
	q->filler_from = q->filler_from < to ? q->filler_from : to;
	q->written = q->written < to ? q->written : to;
	q->synced = q->synced < to ? q->synced : to;
	q->write_to = q->write_to < to ? q->write_to : to;
	q->reserved = 0;
	q->sized_file = UINT64_MAX;
	q->cut = cut;
	q->refs++;
	if (!q->is_writing)
		cqueue_run_cut(q);
	return MOSAIC_PENDING;
}
