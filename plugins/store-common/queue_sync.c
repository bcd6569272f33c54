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
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WRITES_AT_ONCE 64
/* Above this one call for the whole file system is cheaper than one per file. */
#define SYNCFS_ABOVE 256

struct batch_queue {
	struct queue *queue;
	uint64_t from, upto;             /* not durable, to become durable */
	uint64_t again_from, again_upto; /* written again first */
	bool is_new;
};

struct queue_batch {
	struct job job; /* first */
	struct queue_batch *next;
	struct mosaic_req *req;
	struct queue *only;
	struct queue *todo; /* dirty when the batch began, not looked at yet */
	uint32_t n, first;  /* queues[first..] may still have bytes to write */
	uint32_t n_settled;
	enum { BATCH_WRITES, BATCH_SYNCS, BATCH_SETTLES } stage;
	int32_t status;
	bool writes_again;
	bool is_full;               /* some bytes could not be written */
	struct batch_queue *queues; /* as many as were dirty */
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

/* A turn of the loop looks at so many queues: of 100,000, far apart in memory, 10 ms would be felt
 * by every send. */
#define QUEUES_A_TURN 256

static void batch_turn(struct mosaic_req *req);

static void batch_post(struct mosaic_store *store)
{
	if (store->is_batch_posted)
		return;
	store->is_batch_posted = true;
	store->batch_req.done = batch_turn;
	store->batch_req.data = store;
	store->host->post(store->host, &store->batch_req);
}

/* What was written by this batch is durable, or not: the queue is let go. */
static void batch_settle(struct queue_batch *batch, const struct batch_queue *b)
{
	struct queue *q = b->queue;
	/* A cut meanwhile: what was written after it is not known to be durable. */
	if (batch->status == 0 && !q->is_dropped && !q->cut && b->upto <= q->end &&
	    q->written >= b->upto && q->synced == b->from)
		q->synced = b->upto;
	if (batch->status == 0 && b->again_upto == q->again_upto)
		q->again_from = q->again_upto = 0;
	if (batch->status == 0 && q->synced >= q->end) {
		cqueue_undirty(q);
		cqueue_forget_chunks(q, true);
	}
	cqueue_unref(q);
}

static void batch_settle_step(struct mosaic_store *store)
{
	struct queue_batch *batch = store->batch;
	for (uint32_t i = 0; i < QUEUES_A_TURN && batch->n_settled < batch->n; i++)
		batch_settle(batch, &batch->queues[batch->n_settled++]);
	if (batch->n_settled < batch->n) {
		batch_post(store);
		return;
	}
	struct mosaic_req *req = batch->req;
	int32_t status = batch->status;
	store->batch = NULL;
	free(batch->queues);
	free(batch);
	store_done(store, req, status);
	if (store->batches_waiting)
		batch_post(store);
}

static void batch_end(struct queue_batch *batch, int32_t status)
{
	batch->status = status;
	batch->stage = BATCH_SETTLES;
	while (batch->todo) { /* of no use any more, but dirty */
		struct queue *q = batch->todo;
		cqueue_undirty(q);
		cqueue_mark_dirty(q);
	}
	batch_settle_step(batch->job.store);
}

static void batch_done(struct job *job)
{
	struct queue_batch *batch = (struct queue_batch *)job;
	if (job->status != 0)
		store_fail(job->store, MOSAIC_E_IO, job->os_errno, job->what, QUEUE_FOLDER);
	batch_end(batch, job->status != 0 ? MOSAIC_E_IO : 0);
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

static void batch_add(struct queue_batch *batch, struct queue *q)
{
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

/* Looks at one more; false: there is none. */
static bool batch_take(struct queue_batch *batch)
{
	struct queue *q = batch->todo;
	if (!q)
		return false;
	cqueue_undirty(q);
	cqueue_mark_dirty(q); /* until the batch has settled it */
	batch_add(batch, q);
	return true;
}

/* Whether bytes of a queue are still to be written. */
static bool batch_write(struct queue_batch *batch, struct batch_queue *b)
{
	struct queue *q = b->queue;
	b->upto = b->upto < q->end ? b->upto : q->end;
	if (q->is_dropped || q->written >= b->upto)
		return false;
	if (q->is_writing || q->cut)
		return true;
	if (q->is_full && q->write_to >= b->upto) { /* it was tried for this batch */
		batch->is_full = true;
		return false;
	}
	q->write_to = q->write_to > b->upto ? q->write_to : b->upto;
	cqueue_write(q);
	batch->is_full |= !q->is_writing;
	return q->is_writing;
}

/* All bytes of the first one are written: the sync makes its new files durable. */
static void batch_leave_first(struct queue_batch *batch)
{
	struct batch_queue *b = &batch->queues[batch->first++];
	b->is_new = b->queue->is_new;
	b->queue->is_new = false;
}

void cqueue_batch_step(struct mosaic_store *store)
{
	struct queue_batch *batch = store->batch;
	if (!batch || batch->stage != BATCH_WRITES)
		return;
	uint32_t writing = 0;
	for (uint32_t i = batch->first, looked = 0;
	     (i < batch->n || batch_take(batch)) && writing < WRITES_AT_ONCE &&
	     looked < QUEUES_A_TURN;
	     i++, looked++) {
		bool has_more = batch_write(batch, &batch->queues[i]);
		writing += has_more;
		if (!has_more && i == batch->first)
			batch_leave_first(batch);
	}
	if (store->is_broken || (batch->is_full && writing == 0)) {
		batch_end(batch, store->is_broken ? MOSAIC_E_FATAL : MOSAIC_E_NOSPACE);
		return;
	}
	if (writing > 0)
		return; /* its end comes here again */
	if (batch->first < batch->n || batch->todo) {
		batch_post(store);
		return;
	}
	batch->stage = BATCH_SYNCS;
	if (!batch->writes_again) {
		batch_sync(batch);
		return;
	}
	batch->job.run = again_run;
	batch->job.done = again_done;
	worker_submit(&store->helper, &batch->job);
}

static void batch_start(struct mosaic_store *store)
{
	struct queue_batch *batch = store->batches_waiting;
	if (!batch)
		return;
	store->batches_waiting = batch->next;
	store->batch = batch;
	batch->queues = calloc(store->n_dirty + 1, sizeof(*batch->queues));
	if (!batch->queues) {
		batch_end(batch, MOSAIC_E_NOMEM);
		return;
	}
	if (batch->only && batch->only->dirty_link) {
		batch_add(batch, batch->only);
	} else if (!batch->only && store->dirty) {
		batch->todo = store->dirty;
		batch->todo->dirty_link = &batch->todo;
		store->dirty = NULL;
	}
	cqueue_batch_step(store);
}

static void batch_turn(struct mosaic_req *req)
{
	struct mosaic_store *store = req->data;
	store->is_batch_posted = false;
	if (!store->batch)
		batch_start(store);
	else if (store->batch->stage == BATCH_SETTLES)
		batch_settle_step(store);
	else
		cqueue_batch_step(store);
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
	if (!store->batch) /* later: done() must not come inside of the call */
		batch_post(store);
	return MOSAIC_PENDING;
}
