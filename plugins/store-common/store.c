/*
 * What every store with files does alike: requests and life.
 *
 * Failure modes: an error of the disk is final: store_fail() tells the host once, from then on
 * nothing counts as durable, reserve and sync answer E_FATAL, close does not mark the directory
 * clean. A full disk is no error until something that was promised cannot be kept.
 */
#include "directory.h"
#include "ifile.h"
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

void *store_cut_begin(struct mosaic_store *store, bool is_inside, bool is_cutting, size_t n_bytes,
		      int32_t *rc)
{
	void *cut = NULL;
	*rc = store->is_broken ? MOSAIC_E_FATAL :
	      !is_inside       ? MOSAIC_E_INVAL :
	      is_cutting       ? MOSAIC_E_AGAIN :
				 0;
	if (*rc == 0 && (cut = calloc(1, n_bytes)) == NULL)
		*rc = MOSAIC_E_NOMEM;
	if (*rc == 0)
		*rc = store_accept(store);
	if (*rc == 0)
		return cut;
	free(cut);
	return NULL;
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

static void fail_marked(struct job *job)
{
	if (job->status != 0) /* as after a kill at this moment */
		store_log(job->store, MOSAIC_LOG_WARN, "mark_failed", "%s: %s", job->what,
			  strerror(job->os_errno));
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
	store->fail_job = (struct job){ .store = store, .run = directory_mark_broken,
					.done = fail_marked };
	worker_submit(&store->slow, &store->fail_job);
	store->engine->cancel(store->log, MOSAIC_E_FATAL);
	store->host->fail(store->host, &error);
}

/* ---- life ---- */

int32_t store_create(const struct mosaic_host *host, const struct log_engine *engine,
		     const void *options, struct mosaic_store **out, struct mosaic_error *error)
{
	struct mosaic_store *store = calloc(1, sizeof(*store));
	int32_t code = MOSAIC_E_NOMEM;
	const char *text = "no memory for the store";
	if (store) {
		store->host = host;
		store->engine = engine;
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

static void store_stop_log(struct mosaic_store *store)
{
	if (store->engine->stop)
		store->engine->stop(store->log);
}

int32_t store_refuse(struct mosaic_store *store, int32_t code, int os_errno, const char *format,
		     ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(store->open_error.text, sizeof(store->open_error.text), format, args);
	va_end(args);
	store->open_error.code = code;
	store->open_error.os_errno = os_errno;
	return code;
}

int32_t store_no_threads(const struct mosaic_store *store, struct mosaic_error *error)
{
	if (error) {
		error->code = MOSAIC_E_NOMEM;
		snprintf(error->text, sizeof(error->text),
			 "cannot start the threads of %s: raise the limit of threads (ulimit -u)",
			 store->engine->plugin);
	}
	return MOSAIC_E_NOMEM;
}

static void open_done(struct job *job)
{
	struct mosaic_store *store = job->store;
	struct mosaic_store_open *req = store->open_req;
	req->was_clean = store->was_clean;
	req->n_streams = store->names.n + store->indexes.n + !store->engine->is_empty(store->log);
	if (store->open_status == 0) {
		store->is_open = true;
	} else {
		store_stop_log(store);
		directory_unlock(store);
		if (req->error) {
			uint32_t size = req->error->struct_size;
			*req->error = store->open_error;
			req->error->struct_size = size;
		}
	}
	req->req.status = store->open_status;
	req->req.done(&req->req);
}

int32_t store_open(struct mosaic_store *store, struct mosaic_store_open *req)
{
	const struct mosaic_host *host = store->host;
	if (store->log)
		return MOSAIC_E_INVAL;
	int32_t rc = store->engine->create(store, &store->log, req->error);
	if (rc != 0)
		return rc;
	if (worker_start(&store->helper, host, "store-helper") != 0 ||
	    worker_start(&store->slow, host, "store-slow") != 0)
		return store_no_threads(store, req->error);
	store->open_req = req;
	store->job.store = store;
	store->job.run = directory_open;
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
	struct mosaic_stream_info info;
	store->engine->info(store->log, &info);
	store->close_queues = (struct mosaic_req){ .done = close_synced, .data = store };
	store->close_sync = (struct mosaic_sync){ .req = store->close_queues,
						  .upto = info.end };
	if (cqueue_sync(store, NULL, &store->close_queues) < 0 ||
	    store->engine->sync(store->log, &store->close_sync) < 0)
		store->is_saved = false;
	store->is_closing = true;
}

void store_close_step(struct mosaic_store *store)
{
	if (!store->close_req || store->n_pending > 0 || store->n_jobs > 0 ||
	    store->is_batch_posted)
		return;
	if (store->close_stage == CLOSE_WAIT) {
		close_sync(store);
		if (store->n_pending > 0)
			return;
	}
	if (store->close_stage == CLOSE_SYNC) {
		store->close_stage = CLOSE_LAST;
		store->job.run = directory_close;
		store->job.done = close_done;
		worker_submit(&store->slow, &store->job);
		return;
	}
	struct mosaic_req *req = store->close_req;
	store->close_req = NULL;
	store_stop_log(store);
	store_stop_workers(store);
	req->done(req);
}

static void close_posted(struct mosaic_req *req)
{
	store_close_step(req->data);
}

int32_t store_close(struct mosaic_store *store, struct mosaic_req *req)
{
	if (!store->is_open || store->close_req)
		return MOSAIC_E_INVAL;
	store->is_closing = true;
	store->close_req = req;
	store->host->timer_stop(store->host, &store->queue_retry);
	store->engine->cancel(store->log, MOSAIC_E_CANCELED);
	for (uint32_t i = 0; i < store->names.n; i++)
		cqueue_tell_room((struct queue *)store->names.by_index[i], MOSAIC_E_CANCELED);
	store->engine->hurry(store->log);
	store->close_first = (struct mosaic_req){ .done = close_posted, .data = store };
	store->host->post(store->host, &store->close_first);
	return MOSAIC_PENDING;
}

void store_destroy(struct mosaic_store *store)
{
	store_stop_workers(store);
	while (store->names.n > 0) {
		struct queue *q = (struct queue *)store->names.by_index[store->names.n - 1];
		names_remove(&store->names, &q->base.name);
		cqueue_free(q);
	}
	names_fini(&store->names);
	ifile_destroy_all(store);
	if (store->log)
		store->engine->destroy(store->log);
	directory_unlock(store);
	free(store);
}
