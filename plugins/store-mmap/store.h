/*
 * What the files of store-mmap share: the store and its two kinds of streams.
 *
 * Threads: the core owns everything in these structs. What a job works on is copied into the job or
 * kept alive and untouched by a pin, a reference or a flag until the job is back.
 *   helper  prepares segments and pages ahead of the writer, writes and cuts consume queues; never
 *           syncs, so it is never long away
 *   syncer  msync of the commit log, what acknowledgements wait for
 *   slow    documents, syncs of consume queues, cuts and deletions of segments, open and close
 */
#ifndef STORE_MMAP_STORE_H
#define STORE_MMAP_STORE_H

#include "names.h"
#include "worker.h"

#include <stdbool.h>

#define QUEUE_UNIT 20
#define PAGE_BYTES 4096
#define SEGMENT_NAME_FORMAT "%020" PRIu64

struct options {
	const char *dir;
	uint64_t segment_bytes;
	uint64_t queue_segment_bytes;
	uint64_t prefault_bytes;
};

struct mosaic_stream {
	struct name name; /* first: names.c */
	struct mosaic_store *store;
};

struct commit_log;
struct queue;
struct queue_file;
struct queue_batch;

struct mosaic_store {
	const struct mosaic_host *host;
	struct options options;
	int dir_fd, lock_fd; /* -1: not open */
	struct worker helper, syncer, slow;
	struct names names;     /* consume queues; the commit log is not among them */
	struct commit_log *log; /* NULL before open */

	struct queue *dirty;        /* queues whose end is not durable, in any order */
	struct queue *zombies;      /* dropped, files not yet deleted */
	struct queue_file *lru_new, *lru_old;
	uint32_t n_files;
	struct mosaic_timer queue_retry;
	struct queue_batch *batch, *batches_waiting; /* sync_queues under way; next ones */

	struct mosaic_req batch_req;
	bool is_batch_posted;

	uint32_t n_pending; /* requests accepted and not done */
	uint32_t n_jobs;    /* jobs submitted and not back */
	bool is_open, is_closing, is_broken, was_clean;
	bool is_saved; /* everything was synced by close() */
	uint32_t close_stage;
	int32_t close_status;
	struct mosaic_req *close_req;
	struct mosaic_store_open *open_req;
	struct mosaic_req close_queues; /* the syncs that close() asks for */
	struct mosaic_sync close_sync;
	struct job job; /* open, then close */
	int32_t open_status;
	struct mosaic_error open_error;
};

/* Accepts a request: counted until store_done(). */
int32_t store_accept(struct mosaic_store *store);
void store_done(struct mosaic_store *store, struct mosaic_req *req, int32_t status);
/* Ends an accepted request later, from the loop. */
void store_done_later(struct mosaic_store *store, struct mosaic_req *req, int32_t status);
/* Whether new requests are taken: 0, E_CLOSED. */
int32_t store_state(const struct mosaic_store *store);
/* STORE-04: broken for good; the host is told once. */
void store_fail(struct mosaic_store *store, int32_t code, int os_errno, const char *what,
		const char *object);
void store_log(struct mosaic_store *store, uint32_t level, const char *event, const char *format,
	       ...) __attribute__((format(printf, 4, 5)));
/* Goes on with close() when nothing is under way any more. */
void store_close_step(struct mosaic_store *store);

/* recover.c: [worker] everything that open() does; fills open_error. */
void recover_run(struct job *job);
/* [worker] marks clean unless broken, gives the lock back. */
void recover_close(struct job *job);
/* [any] gives the lock back */
void recover_unlock(struct mosaic_store *store);

/* docs.c */
int32_t doc_load(struct mosaic_store *store, struct mosaic_doc *doc);
void doc_release(struct mosaic_store *store, struct mosaic_doc *doc);
int32_t doc_save(struct mosaic_store *store, struct mosaic_doc *doc);

#endif
