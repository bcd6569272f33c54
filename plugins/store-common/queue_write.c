/*
 * Everything that changes the files of consume queues, on the helper: writing tails, cutting,
 * trimming, deleting. One job of a queue at a time.
 *
 * Failure modes: disk full: what is not written stays in memory and is tried again by the next
 * write or sync; any other error is final (store_fail).
 */
#include "queue.h"

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WRITE_CHUNKS 16
#define FILES_MOST 256
#define STALE UINT64_MAX /* start of a file that is gone; closed with its last reference */
#define WRITE_RUN (100 * QUEUE_UNIT) /* who writes that much does it again soon */
#define FIRSTS_AT_ONCE 8
#define RETRY_NS UINT64_C(1000000000)

/* ---- open files ---- */

static void file_unlink_lru(struct mosaic_store *store, struct queue_file *file)
{
	*(file->newer ? &file->newer->older : &store->lru_new) = file->older;
	*(file->older ? &file->older->newer : &store->lru_old) = file->newer;
}

static void file_use(struct mosaic_store *store, struct queue_file *file)
{
	file->newer = NULL;
	file->older = store->lru_new;
	*(store->lru_new ? &store->lru_new->newer : &store->lru_old) = file;
	store->lru_new = file;
}

static void file_close(struct queue_file *file)
{
	struct mosaic_store *store = file->queue->base.store;
	file_unlink_lru(store, file);
	file->queue->files[file->slot] = NULL;
	store->n_files--;
	close(file->fd);
	free(file);
}

struct queue_file *cqueue_file_find(struct queue *q, uint64_t start)
{
	for (int slot = 0; slot < FILE_SLOTS; slot++) {
		struct queue_file *file = q->files[slot];
		if (!file || file->start != start)
			continue;
		file_unlink_lru(q->base.store, file);
		file_use(q->base.store, file);
		file->refs++;
		return file;
	}
	return NULL;
}

void cqueue_file_unref(struct queue_file *file)
{
	if (--file->refs == 0 && file->start == STALE)
		file_close(file);
}

void cqueue_file_keep(struct queue *q, uint32_t slot, uint64_t start, int fd)
{
	struct mosaic_store *store = q->base.store;
	struct queue_file *file = q->files[slot];
	if (file && file->refs == 0)
		file_close(file);
	for (file = store->lru_old; file && store->n_files >= FILES_MOST;) {
		struct queue_file *next = file->newer;
		if (file->refs == 0)
			file_close(file);
		file = next;
	}
	file = q->files[slot] || store->n_files >= FILES_MOST ? NULL : calloc(1, sizeof(*file));
	if (!file) {
		close(fd);
		return;
	}
	*file = (struct queue_file){ .queue = q, .slot = slot, .start = start, .fd = fd };
	q->files[slot] = file;
	store->n_files++;
	file_use(store, file);
}

void cqueue_files_close(struct queue *q)
{
	for (int slot = 0; slot < FILE_SLOTS; slot++) {
		struct queue_file *file = q->files[slot];
		if (file && file->refs == 0)
			file_close(file);
		else if (file)
			file->start = STALE;
	}
}

/* ---- write ---- */

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

/* What RocketMQ puts into units of a file that come before its first message. */
static const uint8_t filler[QUEUE_UNIT] = { [8] = 0x7f, 0xff, 0xff, 0xff };

static int write_filler(int fd, uint64_t offset, uint64_t n_bytes)
{
	uint8_t page[200 * QUEUE_UNIT];
	for (size_t i = 0; i < sizeof(page); i += QUEUE_UNIT)
		memcpy(page + i, filler, QUEUE_UNIT);
	while (n_bytes > 0) {
		struct iovec iov = { .iov_base = page,
				     .iov_len = n_bytes < sizeof(page) ? n_bytes : sizeof(page) };
		size_t part = iov.iov_len;
		int rc = io_pwritev(fd, &iov, 1, offset);
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

/* Writes on while end or write_to ask for it, a part of one file per job. */
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
	uint64_t limit = w->file_start + file_bytes;
	uint64_t at = w->from;
	for (struct chunk *c = q->head; c && w->n < WRITE_CHUNKS && at < limit; c = c->next) {
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
	if (w->n == 0) {
		free(w);
		return;
	}
	w->to = at;
	w->file = cqueue_file_find(q, w->file_start);
	w->is_sized = w->file_start == q->sized_file;
	/* It would drive out the file of a busier queue, closed by the core thread. */
	w->closes_file = store->n_files >= FILES_MOST && w->to - w->from < WRITE_RUN;
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

/* ---- truncate ---- */

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
	static const uint8_t zeros[PAGE_BYTES];
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from,
		      (off_t)(size - from)) == 0)
		return 0;
	int rc = errno == EOPNOTSUPP ? 0 : errno;
	while (rc == 0 && from < size) {
		size_t part = size - from < sizeof(zeros) ? size - from : sizeof(zeros);
		struct iovec iov = { .iov_len = part };
		const void *base = zeros;
		memcpy(&iov.iov_base, &base, sizeof(base)); /* an iovec has no const */
		rc = io_pwritev(fd, &iov, 1, from);
		from += part;
	}
	return rc;
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

/* ---- trim and drop ---- */

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

/* Deletes the files when nothing of the queue is under way on the helper any more. */
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
