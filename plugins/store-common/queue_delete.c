/*
 * Deleting files of consume queues, on the helper: those below a queue's first unit (trim), or all
 * of them with the folder (drop).
 *
 * Failure modes: a file that cannot be deleted is told of and stays; the next open finds it.
 */
#include "queue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct queue_delete {
	struct job job; /* first */
	struct queue *queue;
	struct mosaic_req *req;
	uint64_t from, upto; /* starts of files that go */
	bool all;            /* the queue is dropped: its folder too */
};

static void delete_run(struct job *job)
{
	struct queue_delete *d = (struct queue_delete *)job;
	struct mosaic_store *store = job->store;
	char path[QUEUE_PATH_BYTES];
	for (uint64_t at = d->from; at < d->upto; at += store->options.queue_segment_bytes) {
		cqueue_path(path, d->queue, at);
		if (unlinkat(store->dir_fd, path, 0) != 0 && errno != ENOENT)
			job_fail(job, errno, "cannot delete a file of a consume queue");
	}
	if (!d->all)
		return;
	cqueue_folder(path, d->queue);
	unlinkat(store->dir_fd, path, AT_REMOVEDIR);
	*strrchr(path, '/') = '\0'; /* of the topic; stays while it has other queues */
	unlinkat(store->dir_fd, path, AT_REMOVEDIR);
}

static void delete_done(struct job *job)
{
	struct queue_delete *d = (struct queue_delete *)job;
	struct queue *q = d->queue;
	struct mosaic_store *store = job->store;
	struct mosaic_req *req = d->req;
	int32_t status = job->status;
	if (status != 0)
		store_log(store, MOSAIC_LOG_WARN, "delete_failed", "%s of %s: %s", job->what,
			  q->base.name.topic, strerror(job->os_errno));
	if (d->all) {
		struct queue **link = &store->zombies;
		while (*link != q)
			link = &(*link)->zombie_next;
		*link = q->zombie_next;
		struct mosaic_stream_name name = { .kind = MOSAIC_CONSUME_QUEUE,
						   .queue_id = q->base.name.queue_id,
						   .topic = q->base.name.topic };
		struct queue *heir = (struct queue *)names_find(&store->names, &name);
		if (heir) /* its first write waited for the old files to go */
			cqueue_write(heir);
		cqueue_unref(q);
	}
	free(d);
	cqueue_unref(q);
	store_done(store, req, status);
}

static struct queue_delete *delete_create(struct queue *q, struct mosaic_req *req)
{
	struct queue_delete *d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	d->job.store = q->base.store;
	d->job.run = delete_run;
	d->job.done = delete_done;
	d->queue = q;
	d->req = req;
	return d;
}

int32_t cqueue_trim(struct queue *q, uint64_t below, struct mosaic_req *req)
{
	struct mosaic_store *store = q->base.store;
	uint64_t size = store->options.queue_segment_bytes;
	uint64_t most = below < q->end ? below : q->end;
	uint64_t first = q->begin - q->begin % size, keep = most - most % size;
	struct queue_delete *d = delete_create(q, req);
	int32_t rc = d ? store_accept(store) : MOSAIC_E_NOMEM;
	if (rc < 0) {
		free(d);
		return rc;
	}
	if (keep <= first) {
		free(d);
		store_done_later(store, req, 0);
		return MOSAIC_PENDING;
	}
	d->from = first;
	d->upto = keep;
	cqueue_files_close(q);
	q->begin = q->filler_from = keep;
	q->sized_file = UINT64_MAX;
	q->synced = q->synced > keep ? q->synced : keep;
	q->written = q->written > keep ? q->written : keep;
	cqueue_forget_chunks(q, false);
	q->refs++;
	worker_submit(&store->helper, &d->job);
	return MOSAIC_PENDING;
}

void cqueue_drop_step(struct queue *q)
{
	struct queue_delete *d = q->drop;
	if (q->is_writing || q->cut)
		return;
	cqueue_files_close(q);
	q->refs++;
	worker_submit(&q->base.store->helper, &d->job);
}

int32_t cqueue_drop(struct queue *q, struct mosaic_req *req)
{
	struct mosaic_store *store = q->base.store;
	uint64_t size = store->options.queue_segment_bytes;
	struct queue_delete *d = delete_create(q, req);
	int32_t rc = d ? store_accept(store) : MOSAIC_E_NOMEM;
	if (rc < 0) {
		free(d);
		return rc;
	}
	d->all = true;
	d->from = q->begin - q->begin % size;
	d->upto = q->end - q->end % size + size;
	cqueue_tell_room(q, MOSAIC_E_CANCELED);
	/* The name is free at once; its text stays: other threads make paths of it. */
	names_take(&store->names, &q->base.name);
	cqueue_undirty(q);
	q->is_dropped = true;
	q->zombie_next = store->zombies;
	store->zombies = q;
	q->drop = d;
	cqueue_drop_step(q);
	return MOSAIC_PENDING;
}
