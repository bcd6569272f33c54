/*
 * store-mmap: the files of RocketMQ 5.3.3, the commit log mapped, consume queues written.
 *
 * Happy path of a message: clog_reserve, clog_commit (commit_log.c), cqueue_reserve, cqueue_commit
 * (queue.c), clog_sync when the flush policy asks; three threads behind them, see store.h.
 *
 * Failure modes: an error of the disk is final: store_fail() tells the host once, from then on
 * nothing counts as durable, reserve and sync answer E_FATAL, close does not mark the directory
 * clean. A full disk is no error until something that was promised cannot be kept.
 */
#include "commit_log.h"
#include "queue.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- requests ---- */

int32_t store_state(const struct mosaic_store *store)
{
	return store->is_open && !store->is_closing ? 0 : MOSAIC_E_CLOSED;
}

int32_t store_accept(struct mosaic_store *store)
{
	int32_t rc = store_state(store);
	if (rc == 0)
		store->n_pending++;
	return rc;
}

void store_done(struct mosaic_store *store, struct mosaic_req *req, int32_t status)
{
	store->n_pending--;
	req->status = status;
	req->done(req);
}

struct later {
	struct mosaic_req req; /* first */
	struct mosaic_store *store;
	struct mosaic_req *user;
	int32_t status;
};

static void later_posted(struct mosaic_req *req)
{
	struct later *later = (struct later *)req;
	struct mosaic_store *store = later->store;
	struct mosaic_req *user = later->user;
	int32_t status = later->status;
	free(later);
	store_done(store, user, status);
	store_close_step(store);
}

void store_done_later(struct mosaic_store *store, struct mosaic_req *req, int32_t status)
{
	struct later *later = malloc(sizeof(*later));
	if (!later) { /* earlier than promised, but not never */
		store_done(store, req, status);
		return;
	}
	later->req.done = later_posted;
	later->store = store;
	later->user = req;
	later->status = status;
	store->host->post(store->host, &later->req);
}

void store_log(struct mosaic_store *store, uint32_t level, const char *event, const char *format,
	       ...)
{
	char text[600];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	store->host->log(store->host, level, event, text);
}

void store_fail(struct mosaic_store *store, int32_t code, int os_errno, const char *what,
		const char *object)
{
	if (store->is_broken)
		return;
	struct mosaic_error error = { .struct_size = sizeof(error), .code = code,
				      .os_errno = os_errno };
	snprintf(error.text, sizeof(error.text),
		 "%s: %s/%s: %s: check the disk, then start again; what was acknowledged before is "
		 "kept as it is",
		 what, store->options.dir, object, strerror(os_errno));
	store->is_broken = true;
	clog_cancel(store->log, MOSAIC_E_FATAL);
	store->host->fail(store->host, &error);
}

/* ---- life ---- */

static int32_t mmap_create(const struct mosaic_host *host, const void *options,
			   struct mosaic_store **out, struct mosaic_error *error)
{
	struct mosaic_store *store = calloc(1, sizeof(*store));
	int32_t code = MOSAIC_E_NOMEM;
	const char *text = "no memory for store-mmap";
	if (store) {
		store->host = host;
		store->options = *(const struct options *)options;
		store->dir_fd = store->lock_fd = -1;
		store->queue_retry.fire = cqueue_retry;
		store->queue_retry.data = store;
		/* As RocketMQ does: a file holds whole units. */
		store->options.queue_segment_bytes =
			(store->options.queue_segment_bytes + QUEUE_UNIT - 1) / QUEUE_UNIT *
			QUEUE_UNIT;
		if (store->options.segment_bytes % PAGE_BYTES == 0) {
			*out = store;
			return 0;
		}
		code = MOSAIC_E_INVAL;
		text = "\"segment\" must be a multiple of 4096 bytes";
	}
	free(store);
	if (error) {
		error->code = code;
		error->os_errno = 0;
		snprintf(error->text, sizeof(error->text), "%s", text);
	}
	return code;
}

static void store_stop_workers(struct mosaic_store *store)
{
	worker_stop(&store->helper);
	worker_stop(&store->syncer);
	worker_stop(&store->slow);
}

static void open_done(struct job *job)
{
	struct mosaic_store *store = job->store;
	struct mosaic_store_open *req = store->open_req;
	req->was_clean = store->was_clean;
	req->n_streams = store->names.n + (store->log->n > 0);
	if (store->open_status == 0) {
		store->is_open = true;
	} else {
		recover_unlock(store);
		if (req->error) {
			uint32_t size = req->error->struct_size;
			*req->error = store->open_error;
			req->error->struct_size = size;
		}
	}
	req->req.status = store->open_status;
	req->req.done(&req->req);
}

static int32_t mmap_open(struct mosaic_store *store, struct mosaic_store_open *req)
{
	const struct mosaic_host *host = store->host;
	if (store->log)
		return MOSAIC_E_INVAL;
	store->log = clog_create(store);
	if (!store->log)
		return MOSAIC_E_NOMEM;
	if (worker_start(&store->helper, host, "store-helper") != 0 ||
	    worker_start(&store->syncer, host, "store-sync") != 0 ||
	    worker_start(&store->slow, host, "store-slow") != 0) {
		if (req->error) {
			req->error->code = MOSAIC_E_NOMEM;
			snprintf(req->error->text, sizeof(req->error->text),
				 "cannot start the threads of store-mmap: raise the limit of "
				 "threads (ulimit -u)");
		}
		return MOSAIC_E_NOMEM;
	}
	store->open_req = req;
	store->job.store = store;
	store->job.run = recover_run;
	store->job.done = open_done;
	worker_submit(&store->slow, &store->job);
	return MOSAIC_PENDING;
}

enum { CLOSE_WAIT, CLOSE_SYNC, CLOSE_LAST };

static void close_done(struct job *job)
{
	struct mosaic_store *store = job->store;
	store->close_req->status = store->is_broken ? MOSAIC_E_FATAL
				   : !store->is_saved ? store->close_status : job->status;
	store->is_open = false;
}

static void close_synced(struct mosaic_req *req)
{
	struct mosaic_store *store = req->data;
	if (req->status != 0) {
		store->is_saved = false;
		store->close_status = req->status;
	}
}

/* The last syncs are requests of our own, so the gate for requests opens for them. */
static void close_sync(struct mosaic_store *store)
{
	store->close_stage = CLOSE_SYNC;
	store->is_saved = true;
	store->is_closing = false;
	store->close_queues = (struct mosaic_req){ .done = close_synced, .data = store };
	store->close_sync = (struct mosaic_sync){ .req = store->close_queues,
						  .upto = store->log->end };
	if (cqueue_sync(store, NULL, &store->close_queues) < 0 ||
	    clog_sync(store->log, &store->close_sync) < 0)
		store->is_saved = false;
	store->is_closing = true;
}

void store_close_step(struct mosaic_store *store)
{
	if (!store->close_req || store->n_pending > 0 || store->n_jobs > 0)
		return;
	if (store->close_stage == CLOSE_WAIT) {
		close_sync(store);
		if (store->n_pending > 0)
			return;
	}
	if (store->close_stage == CLOSE_SYNC) {
		store->close_stage = CLOSE_LAST;
		store->job.run = recover_close;
		store->job.done = close_done;
		worker_submit(&store->slow, &store->job);
		return;
	}
	struct mosaic_req *req = store->close_req;
	store->close_req = NULL;
	store_stop_workers(store);
	req->done(req);
}

static void close_posted(struct mosaic_req *req)
{
	store_close_step(req->data);
}

static int32_t mmap_close(struct mosaic_store *store, struct mosaic_req *req)
{
	if (!store->is_open || store->close_req)
		return MOSAIC_E_INVAL;
	store->is_closing = true;
	store->close_req = req;
	store->host->timer_stop(store->host, &store->queue_retry);
	store->host->timer_stop(store->host, &store->log->retry);
	clog_cancel(store->log, MOSAIC_E_CANCELED);
	for (uint32_t i = 0; i < store->names.n; i++)
		cqueue_tell_room((struct queue *)store->names.by_index[i], MOSAIC_E_CANCELED);
	clog_trim_hurry(store->log);
	store->close_queues = (struct mosaic_req){ .done = close_posted, .data = store };
	store->host->post(store->host, &store->close_queues);
	return MOSAIC_PENDING;
}

static void mmap_destroy(struct mosaic_store *store)
{
	store_stop_workers(store);
	while (store->names.n > 0) {
		struct queue *q = (struct queue *)store->names.by_index[store->names.n - 1];
		names_remove(&store->names, &q->base.name);
		cqueue_free(q);
	}
	names_fini(&store->names);
	clog_destroy(store->log);
	recover_unlock(store);
	free(store);
}

/* ---- streams ---- */

static bool is_log(const struct mosaic_stream *stream)
{
	return stream->name.kind == MOSAIC_COMMIT_LOG;
}

static int32_t mmap_stream_at(struct mosaic_store *store, uint32_t index,
			      struct mosaic_stream_name *name)
{
	uint32_t n_logs = store->log && store->log->n > 0;
	if (index < n_logs) {
		*name = (struct mosaic_stream_name){ .kind = MOSAIC_COMMIT_LOG };
		return 0;
	}
	index -= n_logs;
	if (index >= store->names.n)
		return MOSAIC_E_NOTFOUND;
	const struct name *entry = store->names.by_index[index];
	*name = (struct mosaic_stream_name){ .kind = MOSAIC_CONSUME_QUEUE,
					     .queue_id = entry->queue_id,
					     .topic = entry->topic };
	return 0;
}

static int32_t mmap_stream_open(struct mosaic_store *store, const struct mosaic_stream_name *name,
				struct mosaic_stream **out)
{
	int32_t rc = store_state(store);
	if (rc != 0)
		return rc;
	if (name->kind == MOSAIC_COMMIT_LOG) {
		*out = &store->log->base;
		if (store->log->n == 0) /* nothing to find the end of: the first can be made */
			clog_look_ahead(store->log);
		return 0;
	}
	struct queue *q = NULL;
	rc = name->kind == MOSAIC_CONSUME_QUEUE ? cqueue_open(store, name, &q) : MOSAIC_E_INVAL;
	*out = rc == 0 ? &q->base : NULL;
	return rc;
}

static void mmap_stream_info(struct mosaic_stream *stream, struct mosaic_stream_info *info)
{
	const struct commit_log *log = clog_of(stream);
	const struct queue *q = cqueue_of(stream);
	info->begin = is_log(stream) ? log->begin : q->begin;
	info->end = is_log(stream) ? log->end : q->end;
	info->segment_bytes = is_log(stream) ? log->segment_bytes
					     : stream->store->options.queue_segment_bytes;
}

static int32_t mmap_stream_drop(struct mosaic_stream *stream, struct mosaic_req *req)
{
	return is_log(stream) ? MOSAIC_E_UNSUPPORTED : cqueue_drop(cqueue_of(stream), req);
}

static int32_t mmap_reserve(struct mosaic_stream *stream, uint32_t max_len,
			    struct mosaic_span *room)
{
	return is_log(stream) ? clog_reserve(clog_of(stream), max_len, room)
			      : cqueue_reserve(cqueue_of(stream), max_len, room);
}

static void mmap_commit(struct mosaic_stream *stream, uint32_t len)
{
	if (is_log(stream))
		clog_commit(clog_of(stream), len);
	else
		cqueue_commit(cqueue_of(stream), len);
}

static int32_t mmap_room(struct mosaic_stream *stream, struct mosaic_req *req)
{
	return is_log(stream) ? clog_room(clog_of(stream), req)
			      : cqueue_room(cqueue_of(stream), req);
}

static int32_t mmap_start_at(struct mosaic_stream *stream, uint64_t offset)
{
	return is_log(stream) ? clog_start_at(clog_of(stream), offset)
			      : cqueue_start_at(cqueue_of(stream), offset);
}

static int32_t mmap_read(struct mosaic_stream *stream, uint64_t offset, uint32_t len,
			 struct mosaic_read *read)
{
	return is_log(stream) ? clog_read(clog_of(stream), offset, len, read)
			      : cqueue_read(cqueue_of(stream), offset, len, read);
}

/* The stream may have been dropped meanwhile: the pin says what it is. */
static void mmap_unpin(struct mosaic_stream *stream, struct mosaic_read *read)
{
	(void)stream;
	if (read->pin[1] == MOSAIC_COMMIT_LOG)
		clog_unpin(read);
	else
		cqueue_unpin(read);
	read->ptr = NULL;
}

static int32_t mmap_sync(struct mosaic_stream *stream, struct mosaic_sync *req)
{
	if (is_log(stream))
		return clog_sync(clog_of(stream), req);
	const struct queue *q = cqueue_of(stream);
	if (req->upto > q->end)
		return MOSAIC_E_INVAL;
	req->upto = q->end; /* all of it, as it is now */
	return cqueue_sync(stream->store, cqueue_of(stream), &req->req);
}

static int32_t mmap_sync_queues(struct mosaic_store *store, struct mosaic_req *req)
{
	return cqueue_sync(store, NULL, req);
}

static int32_t mmap_truncate(struct mosaic_stream *stream, uint64_t to, struct mosaic_req *req)
{
	return is_log(stream) ? clog_truncate(clog_of(stream), to, req)
			      : cqueue_truncate(cqueue_of(stream), to, req);
}

static int32_t mmap_trim(struct mosaic_stream *stream, uint64_t below, struct mosaic_req *req)
{
	return is_log(stream) ? clog_trim(clog_of(stream), below, req)
			      : cqueue_trim(cqueue_of(stream), below, req);
}

static const struct mosaic_store_ops ops = {
	.struct_size = sizeof(ops),
	.create = mmap_create,
	.open = mmap_open,
	.close = mmap_close,
	.destroy = mmap_destroy,
	.stream_at = mmap_stream_at,
	.stream_open = mmap_stream_open,
	.stream_info = mmap_stream_info,
	.stream_drop = mmap_stream_drop,
	.reserve = mmap_reserve,
	.commit = mmap_commit,
	.room = mmap_room,
	.start_at = mmap_start_at,
	.read = mmap_read,
	.unpin = mmap_unpin,
	.sync = mmap_sync,
	.sync_queues = mmap_sync_queues,
	.truncate = mmap_truncate,
	.trim = mmap_trim,
	.doc_load = doc_load,
	.doc_release = doc_release,
	.doc_save = doc_save,
};

static const struct mosaic_option options[] = {
	{ "dir", MOSAIC_T_STRING, 0, offsetof(struct options, dir), "mosaic-data", NULL,
	  NULL, NULL, "Directory of all files of this broker; made when it is not there." },
	{ "segment", MOSAIC_T_SIZE, 0, offsetof(struct options, segment_bytes), "1GiB", "4KiB",
	  "64GiB", NULL, "Bytes per segment of the commit log (mappedFileSizeCommitLog)." },
	{ "queueSegment", MOSAIC_T_SIZE, 0, offsetof(struct options, queue_segment_bytes),
	  "6000000", "20", "1GiB", NULL,
	  "Bytes per file of a consume queue, rounded up to 20 (mappedFileSizeConsumeQueue)." },
	{ "prefault", MOSAIC_T_SIZE, 0, offsetof(struct options, prefault_bytes), "64MiB",
	  "256KiB", "1GiB", NULL,
	  "How far ahead of the writer at most pages are prepared; follows the rate of writes." },
};

MOSAIC_PLUGIN(.name = "store-mmap", .version = MOSAIC_VERSION, .license = "Apache-2.0",
	      .summary = "RocketMQ's files: a mapped commit log, written consume queues.",
	      MOSAIC_KIND_STORE, .ops = &ops,
	      .caps = MOSAIC_STORE_CAP_SYNC | MOSAIC_STORE_CAP_CRASH | MOSAIC_STORE_CAP_PIN |
		      MOSAIC_STORE_CAP_TRUNCATE | MOSAIC_STORE_CAP_TRIM |
		      MOSAIC_STORE_CAP_PREALLOC | MOSAIC_CAP_THREADS,
	      MOSAIC_OPTIONS(struct options, options));
