/*
 * Writing consume queues, on the helper: what lies in chunks goes to the files, in order, one write
 * of a queue at a time.
 *
 * Failure modes: disk full: what is not written stays in memory and is tried again by the next
 * write or sync, or by a timer; any other error is final (store_fail).
 */
#include "queue.h"

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WRITE_CHUNKS 16
#define WRITE_RUN (100 * QUEUE_UNIT) /* who writes that much does it again soon */
#define FIRSTS_AT_ONCE 8
#define RETRY_NS UINT64_C(1000000000)

struct queue_write {
	struct job job; /* first */
	struct queue *queue;
	struct queue_file *file; /* NULL: the job opens it */
	int fd;                  /* out: opened by the job */
	uint64_t from, to, file_start, file_bytes;
	uint64_t filler_from; /* == from: none */
	bool is_sized; /* the file is there with all of its size */
	bool made_file;
	bool closes_file; /* as soon as it is written: one of many with little to write */
	int n;
	struct iovec iov[WRITE_CHUNKS];
	struct chunk *chunks[WRITE_CHUNKS];
};

static int write_filler(int fd, uint64_t offset, uint64_t n_bytes)
{
	uint8_t page[200 * QUEUE_UNIT];
	for (size_t i = 0; i < sizeof(page); i += QUEUE_UNIT)
		memcpy(page + i, cqueue_filler, QUEUE_UNIT);
	while (n_bytes > 0) {
		size_t part = n_bytes < sizeof(page) ? n_bytes : sizeof(page);
		int rc = io_pwrite(fd, page, part, offset);
		if (rc != 0)
			return rc;
		offset += part;
		n_bytes -= part;
	}
	return 0;
}

static int write_open(struct queue_write *w)
{
	char path[QUEUE_PATH_BYTES];
	cqueue_path(path, w->queue, w->file_start);
	int fd = w->is_sized ? io_open(w->job.store->dir_fd, path, O_RDWR) : -ENOENT;
	struct stat st;
	if (fd != -ENOENT)
		return fd;
	fd = io_open(w->job.store->dir_fd, path, O_RDWR | O_CREAT);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) != 0) {
		close(fd);
		return -EIO;
	}
	/* RocketMQ wants the full size from the start; holes cost nothing. */
	if ((uint64_t)st.st_size != w->file_bytes) {
		w->made_file = true;
		if (ftruncate(fd, (off_t)w->file_bytes) != 0) {
			int rc = -errno;
			close(fd);
			return rc;
		}
	}
	return fd;
}

static void write_run(struct job *job)
{
	struct queue_write *w = (struct queue_write *)job;
	int fd = w->file ? w->file->fd : (w->fd = write_open(w));
	if (fd < 0) {
		job_fail(job, -fd, "cannot open a consume queue");
		return;
	}
	int rc = 0;
	if (w->filler_from < w->from)
		rc = write_filler(fd, w->filler_from - w->file_start, w->from - w->filler_from);
	if (rc == 0)
		rc = io_pwritev(fd, w->iov, w->n, w->from - w->file_start);
	if (rc != 0)
		job_fail(job, rc, "cannot write a consume queue");
	if (w->closes_file && !w->file) {
		close(w->fd);
		w->fd = -1;
	}
}

static void write_failed(struct queue *q, const struct job *job)
{
	char path[QUEUE_PATH_BYTES];
	cqueue_folder(path, q);
	if (job->status != MOSAIC_E_NOSPACE) {
		store_fail(q->base.store, job->status, job->os_errno, job->what, path);
		return;
	}
	if (!q->is_full)
		store_log(q->base.store, MOSAIC_LOG_WARN, "disk_full", "cannot write %s/%s",
			  q->base.store->options.dir, path);
	q->is_full = true;
	cqueue_tell_room(q, 0); /* who waits since E_AGAIN comes again and hears E_NOSPACE */
	struct mosaic_store *store = q->base.store;
	if (store->queue_retry.due_ns == 0 && !store->is_closing)
		store->host->timer_start(store->host, &store->queue_retry, RETRY_NS);
}

void cqueue_retry(struct mosaic_timer *timer)
{
	struct mosaic_store *store = timer->data;
	for (struct queue *q = store->dirty; q; q = q->dirty_next)
		if (q->is_full)
			cqueue_write(q);
}

static void firsts_step(struct mosaic_store *store);

static void write_done(struct job *job)
{
	struct queue_write *w = (struct queue_write *)job;
	struct queue *q = w->queue;
	struct mosaic_store *store = job->store;
	for (int i = 0; i < w->n; i++)
		chunk_unref(w->chunks[i]);
	if (w->file)
		cqueue_file_unref(w->file);
	else if (w->fd >= 0)
		cqueue_file_keep(q, FILE_WRITE, w->file_start, w->fd);
	q->is_writing = false;
	q->is_new |= w->made_file;
	if (job->status == 0) {
		q->is_full = false;
		q->filler_from = q->begin;
		q->sized_file = q->cut ? UINT64_MAX : w->file_start;
		/* A cut meanwhile took the end back: what follows it is not this write's. */
		if (!q->cut && w->to > q->written)
			q->written = w->to;
		cqueue_forget_chunks(q, false);
		cqueue_tell_room(q, 0);
	} else {
		write_failed(q, job);
	}
	bool goes_on = job->status == 0;
	free(w);
	if (q->is_dropped)
		cqueue_drop_step(q);
	else if (q->cut)
		cqueue_run_cut(q);
	else if (goes_on)
		cqueue_write(q);
	if (q->is_first) {
		q->is_first = false;
		store->n_firsts--;
		firsts_step(store);
	}
	cqueue_batch_step(store);
	cqueue_unref(q);
}

static bool has_zombie(const struct queue *q)
{
	for (const struct queue *z = q->base.store->zombies; z; z = z->zombie_next)
		if (z->base.name.hash == q->base.name.hash &&
		    z->base.name.queue_id == q->base.name.queue_id &&
		    strcmp(z->base.name.topic, q->base.name.topic) == 0)
			return true;
	return false;
}

/* What lies in memory from `from` on, below `limit`; the end of it. */
static uint64_t write_take_chunks(struct queue_write *w, uint64_t limit)
{
	uint64_t at = w->from;
	for (struct chunk *c = w->queue->head; c && w->n < WRITE_CHUNKS && at < limit;
	     c = c->next) {
		uint64_t chunk_end = c->start + c->len;
		if (chunk_end <= at)
			continue;
		uint64_t part = (chunk_end < limit ? chunk_end : limit) - at;
		w->iov[w->n] = (struct iovec){ .iov_base = c->bytes + (at - c->start),
					       .iov_len = part };
		w->chunks[w->n++] = c;
		c->refs++;
		at += part;
	}
	return at;
}

void cqueue_write(struct queue *q)
{
	struct mosaic_store *store = q->base.store;
	if (q->is_writing || q->cut || q->is_dropped || store->is_broken ||
	    q->written >= q->write_to || has_zombie(q))
		return;
	struct queue_write *w = calloc(1, sizeof(*w));
	if (!w)
		return; /* the next commit or sync tries again */
	uint64_t file_bytes = store->options.queue_segment_bytes;
	w->job.store = store;
	w->job.run = write_run;
	w->job.done = write_done;
	w->queue = q;
	w->fd = -1;
	w->file_bytes = file_bytes;
	w->from = q->written;
	w->file_start = w->from - w->from % file_bytes;
	w->filler_from = w->from;
	if (q->filler_from < q->begin && w->from == q->begin)
		w->filler_from = q->filler_from;
	w->to = write_take_chunks(w, w->file_start + file_bytes);
	if (w->n == 0) {
		free(w);
		return;
	}
	w->file = cqueue_file_find(q, w->file_start);
	w->is_sized = w->file_start == q->sized_file;
	/* It would drive out the file of a busier queue, closed by the core thread. */
	w->closes_file = store->n_files >= QUEUE_FILES_MOST && w->to - w->from < WRITE_RUN;
	/* One of the many of a batch; else somebody may wait for room. */
	w->job.is_patient = (store->batch || q->is_first) && !q->room;
	q->is_writing = true;
	q->refs++;
	worker_submit(&store->helper, &w->job);
}

/* ---- first units ---- */

/* A folder and a file cost five writes: made one by one as the queues come, they are no burden to
 * the batch that makes 10,000 of them durable. Few at a time: the commit log's next pages wait on
 * the helper too. */
static void firsts_step(struct mosaic_store *store)
{
	while (store->firsts && store->n_firsts < FIRSTS_AT_ONCE) {
		struct queue *q = store->firsts;
		store->firsts = q->first_next;
		q->is_waiting_first = false;
		if (!q->is_writing && !store->is_closing) {
			q->write_to = q->end;
			q->is_first = true;
			cqueue_write(q);
			q->is_first = q->is_writing;
			store->n_firsts += q->is_first;
		}
		cqueue_unref(q);
	}
}

void cqueue_first(struct queue *q)
{
	struct mosaic_store *store = q->base.store;
	if (q->is_waiting_first)
		return;
	if (!store->firsts)
		store->firsts_last = &store->firsts;
	q->refs++;
	q->is_waiting_first = true;
	q->first_next = NULL;
	*store->firsts_last = q;
	store->firsts_last = &q->first_next;
	firsts_step(store);
}
