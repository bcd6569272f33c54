/*
 * Making consume queues durable: a batch first has the helper write what is still in memory, a
 * bounded number of queues at a time, and once after a crash write again what the cache may only
 * seem to have written; then the slow thread syncs the files. Batches run one after another; a
 * queue that grows meanwhile belongs to the next.
 */
#include "queue.h"

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WRITES_AT_ONCE 64
/* Above this one call for the whole file system is cheaper than one per file. */
#define SYNCFS_ABOVE 256

struct batch_queue {
	struct queue *queue;
	uint64_t from, upto; /* not durable, to become durable */
	uint64_t again_from, again_upto; /* written again first */
	bool is_new;
};

struct queue_batch {
	struct job job; /* first */
	struct queue_batch *next;
	struct mosaic_req *req;
	struct queue *only;
	uint32_t n, first; /* queues[first..] may still have bytes to write */
	bool is_syncing, writes_again;
	struct batch_queue *queues;
};

/* ---- [worker] ---- */

static void sync_folder(struct job *job, const char *path)
{
	int rc = io_sync_folder(job->store->dir_fd, path);
	if (rc != 0 && rc != ENOENT)
		job_fail(job, rc, "cannot sync a folder of consume queues");
}

static bool is_first_of_topic(const struct queue_batch *batch, uint32_t index)
{
	const char *topic = batch->queues[index].queue->base.name.topic;
	for (uint32_t i = 0; i < index; i++)
		if (batch->queues[i].is_new &&
		    strcmp(batch->queues[i].queue->base.name.topic, topic) == 0)
			return false;
	return true;
}

/* Of the new queues, of their topics, of all: each once, as a disk may take a second for it. */
static void sync_folders(struct job *job)
{
	const struct queue_batch *batch = (const struct queue_batch *)job;
	bool any = false;
	for (uint32_t i = 0; i < batch->n; i++) {
		char path[QUEUE_PATH_BYTES];
		if (!batch->queues[i].is_new)
			continue;
		any = true;
		cqueue_folder(path, batch->queues[i].queue);
		sync_folder(job, path);
		*strrchr(path, '/') = '\0';
		if (is_first_of_topic(batch, i))
			sync_folder(job, path);
	}
	if (any)
		sync_folder(job, QUEUE_FOLDER);
}

static void sync_files(struct job *job, const struct batch_queue *b)
{
	uint64_t size = job->store->options.queue_segment_bytes;
	char path[QUEUE_PATH_BYTES];
	for (uint64_t start = b->from - b->from % size; start < b->upto; start += size) {
		cqueue_path(path, b->queue, start);
		int fd = io_open(job->store->dir_fd, path, O_RDWR);
		if (fd == -ENOENT) /* trimmed or dropped meanwhile */
			continue;
		if (fd < 0 || fdatasync(fd) != 0)
			job_fail(job, fd < 0 ? -fd : errno, "cannot sync a consume queue");
		if (fd >= 0)
			close(fd);
	}
}

/* On the helper, as all that writes to queues: nothing is cut between read and write. */
static void again_run(struct job *job)
{
	struct queue_batch *batch = (struct queue_batch *)job;
	uint64_t size = job->store->options.queue_segment_bytes;
	char path[QUEUE_PATH_BYTES];
	for (uint32_t i = 0; i < batch->n; i++) {
		const struct batch_queue *b = &batch->queues[i];
		for (uint64_t at = b->again_from, end; at < b->again_upto; at = end) {
			uint64_t start = at - at % size;
			end = start + size < b->again_upto ? start + size : b->again_upto;
			cqueue_path(path, b->queue, start);
			int fd = io_open(job->store->dir_fd, path, O_RDWR);
			if (fd == -ENOENT)
				continue;
			int rc = fd < 0 ? -fd : io_write_again(fd, at - start, end - start);
			if (rc != 0)
				job_fail(job, rc, "cannot write a consume queue again");
			if (fd >= 0)
				close(fd);
		}
	}
}

static void batch_run(struct job *job)
{
	struct queue_batch *batch = (struct queue_batch *)job;
	if (batch->n > SYNCFS_ABOVE) {
		if (syncfs(job->store->dir_fd) != 0)
			job_fail(job, errno, "cannot sync the consume queues");
		return;
	}
	for (uint32_t i = 0; i < batch->n; i++)
		sync_files(job, &batch->queues[i]);
	sync_folders(job);
}

/* ---- [core] ---- */

static void batch_start(struct mosaic_store *store);

static void batch_end(struct queue_batch *batch, int32_t status)
{
	struct mosaic_store *store = batch->job.store;
	struct mosaic_req *req = batch->req;
	for (uint32_t i = 0; i < batch->n; i++)
		cqueue_unref(batch->queues[i].queue);
	store->batch = NULL;
	free(batch->queues);
	free(batch);
	store_done(store, req, status);
	batch_start(store);
}

static void batch_done(struct job *job)
{
	struct queue_batch *batch = (struct queue_batch *)job;
	if (job->status != 0) {
		store_fail(job->store, MOSAIC_E_IO, job->os_errno, job->what, QUEUE_FOLDER);
		batch_end(batch, MOSAIC_E_IO);
		return;
	}
	for (uint32_t i = 0; i < batch->n; i++) {
		struct queue *q = batch->queues[i].queue;
		uint64_t upto = batch->queues[i].upto;
		/* A cut meanwhile: what was written after it is not known to be durable. */
		if (!q->is_dropped && !q->cut && upto <= q->end && q->written >= upto &&
		    q->synced == batch->queues[i].from)
			q->synced = upto;
		if (batch->queues[i].again_upto == q->again_upto)
			q->again_from = q->again_upto = 0;
		if (q->synced >= q->end) {
			cqueue_undirty(q);
			cqueue_forget_chunks(q, true);
		}
	}
	batch_end(batch, 0);
}

static void batch_sync(struct queue_batch *batch)
{
	batch->job.run = batch_run;
	batch->job.done = batch_done;
	worker_submit(&batch->job.store->slow, &batch->job);
}

static void again_done(struct job *job)
{
	if (job->status != 0)
		batch_done(job);
	else
		batch_sync((struct queue_batch *)job);
}

void cqueue_distrust(struct queue *q, uint64_t from)
{
	q->again_from = from > q->begin ? from : q->begin;
	q->again_upto = q->written > q->again_from ? q->written : q->again_from;
}

void cqueue_batch_step(struct mosaic_store *store)
{
	struct queue_batch *batch = store->batch;
	if (!batch || batch->is_syncing)
		return;
	uint32_t writing = 0;
	bool is_full = false;
	for (uint32_t i = batch->first; i < batch->n && writing < WRITES_AT_ONCE; i++) {
		struct batch_queue *b = &batch->queues[i];
		struct queue *q = b->queue;
		b->upto = b->upto < q->end ? b->upto : q->end;
		bool has_more = !q->is_dropped && q->written < b->upto;
		if (has_more && !q->is_writing && !q->cut) {
			if (q->is_full && q->write_to >= b->upto) {
				is_full = true; /* it was tried for this batch */
				has_more = false;
			} else {
				q->write_to = q->write_to > b->upto ? q->write_to : b->upto;
				cqueue_write(q);
				has_more = q->is_writing;
				is_full |= !has_more;
			}
		}
		b->is_new = q->is_new;
		writing += has_more;
		if (!has_more && i == batch->first)
			batch->first++;
	}
	if (store->is_broken || (is_full && writing == 0)) {
		batch_end(batch, store->is_broken ? MOSAIC_E_FATAL : MOSAIC_E_NOSPACE);
		return;
	}
	if (writing > 0)
		return;
	for (uint32_t i = 0; i < batch->n; i++) {
		batch->queues[i].is_new = batch->queues[i].queue->is_new;
		batch->queues[i].queue->is_new = false;
	}
	batch->is_syncing = true;
	if (!batch->writes_again) {
		batch_sync(batch);
		return;
	}
	batch->job.run = again_run;
	batch->job.done = again_done;
	worker_submit(&store->helper, &batch->job);
}

static bool batch_collect(struct queue_batch *batch, struct mosaic_store *store)
{
	uint32_t n = 0;
	for (struct queue *q = store->dirty; q; q = q->dirty_next)
		n++;
	batch->queues = calloc(n + 1, sizeof(*batch->queues));
	if (!batch->queues)
		return false;
	for (struct queue *q = store->dirty; q; q = q->dirty_next) {
		if (batch->only && batch->only != q)
			continue;
		if (q->is_full && !q->is_writing)
			q->write_to = q->written; /* to be tried again */
		q->refs++;
		batch->queues[batch->n++] = (struct batch_queue){ .queue = q,
								  .from = q->synced,
								  .upto = q->end,
								  .again_from = q->again_from,
								  .again_upto = q->again_upto };
		batch->writes_again |= q->again_from < q->again_upto;
	}
	return true;
}

static void batch_start(struct mosaic_store *store)
{
	if (store->batch || !store->batches_waiting)
		return;
	struct queue_batch *batch = store->batches_waiting;
	store->batches_waiting = batch->next;
	store->batch = batch;
	if (!batch_collect(batch, store))
		batch_end(batch, MOSAIC_E_NOMEM);
	else
		cqueue_batch_step(store);
}

/* A batch that ends inside the call would break the rule that done() comes later. */
static void batch_first(struct mosaic_req *req)
{
	struct mosaic_store *store = req->data;
	store->is_batch_posted = false;
	batch_start(store);
	store_close_step(store);
}

int32_t cqueue_sync(struct mosaic_store *store, struct queue *q, struct mosaic_req *req)
{
	if (store->is_broken)
		return MOSAIC_E_FATAL;
	struct queue_batch *batch = calloc(1, sizeof(*batch));
	int32_t rc = batch ? store_accept(store) : MOSAIC_E_NOMEM;
	if (rc < 0) {
		free(batch);
		return rc;
	}
	batch->job.store = store;
	batch->req = req;
	batch->only = q;
	struct queue_batch **link = &store->batches_waiting;
	while (*link)
		link = &(*link)->next;
	*link = batch;
	if (!store->batch && !store->is_batch_posted) {
		store->is_batch_posted = true;
		store->batch_req.done = batch_first;
		store->batch_req.data = store;
		store->host->post(store->host, &store->batch_req);
	}
	return MOSAIC_PENDING;
}
