/*
 * What the stores with files share: the store, its consume queues, documents and threads. What
 * differs is the commit log, struct log_engine; each store has one.
 *
 * Threads: the core owns everything in these structs. What a job works on is copied into the job or
 * kept alive and untouched by a pin, a reference or a flag until the job is back.
 *   helper  prepares segments (and pages) ahead of the writer, writes and cuts consume queues;
 *           never syncs, so it is never long away
 *   syncer  syncs of the commit log, what acknowledgements wait for; where the engine needs one
 *   reader  store-mmap: brings in what is cold; gives way to all others
 *   slow    documents, syncs of consume queues, cuts and deletions of segments, open and close;
 *           open has a few more for the consume queues, while it lasts
 * In the headers of the stores [slow] and [helper] are these, [worker] is any of them.
 */
#ifndef STORE_COMMON_STORE_H
#define STORE_COMMON_STORE_H

#include "names.h"
#include "worker.h"

#include <stdbool.h>
#include <stddef.h>

#define QUEUE_UNIT 20
#define PAGE_BYTES 4096
#define SEGMENT_NAME_FORMAT "%020" PRIu64 /* a file is named by where it starts */

struct options {
	const char *dir;
	uint64_t segment_bytes;
	uint64_t queue_segment_bytes;
	uint64_t cold_read_rate; /* bytes a second */
	uint64_t prefault_bytes; /* store-mmap */
	uint64_t tail_bytes;     /* store-uring, this and what follows */
	uint64_t cache_bytes;
	uint8_t uses_sqpoll;
};

struct mosaic_stream {
	struct name name; /* first: names.c */
	struct mosaic_store *store;
};

struct commit_log; /* the engine's; its first member is a struct mosaic_stream */
struct queue;
struct queue_file;
struct queue_batch;

/*
 * The commit log of one store. All [core] but for those that say otherwise; those named as in
 * struct mosaic_store_ops do what is said there.
 */
struct log_engine {
	const char *plugin; /* its name, for texts */
	/* Makes an empty log before anything is read, and starts what it needs. */
	int32_t (*create)(struct mosaic_store *store, struct commit_log **log,
			  struct mosaic_error *error);
	void (*destroy)(struct commit_log *log);
	/* [slow] The directory is ours: can it be used at all? 0, or E_... with open_error. */
	int32_t (*check)(struct commit_log *log);
	/* [slow] An open file of a segment, in order of start; it is closed by the caller. 0 or
	 * an errno. */
	int (*found)(struct commit_log *log, uint64_t start, int fd);
	/* [slow] All are found. 0 or an errno. */
	int (*found_all)(struct commit_log *log);
	/* [slow] At the end of close: what was prepared and not used goes. */
	void (*close_files)(struct commit_log *log);
	/* After everything: nothing comes back any more. May be NULL. */
	void (*stop)(struct commit_log *log);
	bool (*is_end_known)(const struct commit_log *log);
	bool (*is_empty)(const struct commit_log *log); /* no segment was found or made */
	/* Nobody has to find the end: the first segment may be made. */
	void (*prepare)(struct commit_log *log);
	/* Close begins: ends waiters and pauses. */
	void (*hurry)(struct commit_log *log);
	/* Ends who waits for room, and in a broken store for a sync. */
	void (*cancel)(struct commit_log *log, int32_t status);

	void (*info)(const struct commit_log *log, struct mosaic_stream_info *info);
	int32_t (*reserve)(struct commit_log *log, uint32_t max_len, struct mosaic_span *room);
	void (*commit)(struct commit_log *log, uint32_t len);
	int32_t (*room)(struct commit_log *log, struct mosaic_req *req);
	int32_t (*start_at)(struct commit_log *log, uint64_t offset);
	int32_t (*read)(struct commit_log *log, uint64_t offset, uint32_t len,
			struct mosaic_read *read);
	void (*unpin)(struct mosaic_read *read); /* pin[1] is MOSAIC_COMMIT_LOG */
	int32_t (*sync)(struct commit_log *log, struct mosaic_sync *req);
	int32_t (*truncate)(struct commit_log *log, uint64_t to, struct mosaic_req *req);
	int32_t (*trim)(struct commit_log *log, uint64_t below, struct mosaic_req *req);
	/* As the operation of the store. */
	void (*distrust)(struct commit_log *log, uint64_t from);
};

struct mosaic_store {
	const struct mosaic_host *host;
	const struct log_engine *engine;
	struct options options;
	int dir_fd, lock_fd; /* -1: not open */
	struct worker helper, syncer, slow;
	struct names names;     /* consume queues; the commit log is not among them */
	struct names indexes;   /* files of the index */
	struct commit_log *log; /* NULL before open */

	struct queue *dirty;                 /* queues whose end is not durable, in any order */
	uint32_t n_dirty;                    /* with those that the batch has not looked at yet */
	struct queue *firsts, **firsts_last; /* have first units, and soon a file */
	uint32_t n_firsts;                   /* files that are being made for them */
	struct queue *zombies;               /* dropped, files not yet deleted */
	struct queue_file *lru_new, *lru_old;
	uint32_t n_files;
	struct mosaic_timer queue_retry;
	struct queue_batch *batch, *batches_waiting; /* sync_queues under way; next ones */

	struct mosaic_req batch_req;
	bool is_batch_posted;

	uint32_t n_pending; /* requests accepted and not done */
	uint32_t n_jobs;    /* jobs submitted and not back */
	bool is_open, is_closing;
	bool is_broken;        /* after the first error of the disk */
	bool was_clean;        /* the last user has closed it */
	bool was_broken;       /* the last user's disk failed: its cache is not believed */
	bool is_saved;         /* everything was synced by close() */
	uint64_t lost_told_ns; /* when the log last said that something cannot be read */
	uint32_t close_stage;
	int32_t close_status;
	struct mosaic_req *close_req;
	struct mosaic_store_open *open_req;
	struct mosaic_req close_first;  /* its first step, from the loop */
	struct mosaic_req close_queues; /* the syncs that close() asks for */
	struct mosaic_sync close_sync;
	struct job job; /* open, then close */
	struct job fail_job;
	int32_t open_status;
	struct mosaic_error open_error;
};

/* Whether new requests are taken: 0 or E_CLOSED. */
int32_t store_state(const struct mosaic_store *store);
/* Accepts a request: counted until store_done(). 0 or E_CLOSED. */
int32_t store_accept(struct mosaic_store *store);
void store_done(struct mosaic_store *store, struct mosaic_req *req, int32_t status);
/* The guards of every truncate, whose end must be inside of the stream, one at a time: a struct of
 * so many bytes, zeroed, and the request is accepted; or NULL, and *rc says why. */
void *store_cut_begin(struct mosaic_store *store, bool is_inside, bool is_cutting, size_t n_bytes,
		      int32_t *rc);
/* Ends an accepted request later, from the loop. */
void store_done_later(struct mosaic_store *store, struct mosaic_req *req, int32_t status);
/* STORE-04: broken for good; the host is told once. */
void store_fail(struct mosaic_store *store, int32_t code, int os_errno, const char *what,
		const char *object);
/* [slow] Why open() fails, for open_error; returns code. */
int32_t store_refuse(struct mosaic_store *store, int32_t code, int os_errno, const char *format,
		     ...) __attribute__((format(printf, 4, 5)));
/* The error of open() when a thread cannot be had; returns its code. */
int32_t store_no_threads(const struct mosaic_store *store, struct mosaic_error *error);
void store_log(struct mosaic_store *store, uint32_t level, const char *event, const char *format,
	       ...) __attribute__((format(printf, 4, 5)));
/* Goes on with close() when nothing is under way any more. */
void store_close_step(struct mosaic_store *store);

/* The operations of a store, as in struct mosaic_store_ops; `create` is its own and calls
 * store_create(). */
int32_t store_create(const struct mosaic_host *host, const struct log_engine *engine,
		     const void *options, struct mosaic_store **out, struct mosaic_error *error);
int32_t store_open(struct mosaic_store *store, struct mosaic_store_open *req);
int32_t store_close(struct mosaic_store *store, struct mosaic_req *req);
void store_destroy(struct mosaic_store *store);

/* streams.c: the same, by the kind of the stream */
int32_t store_stream_at(struct mosaic_store *store, uint32_t index,
			struct mosaic_stream_name *name);
int32_t store_stream_open(struct mosaic_store *store, const struct mosaic_stream_name *name,
			  struct mosaic_stream **out);
void store_stream_info(struct mosaic_stream *stream, struct mosaic_stream_info *info);
int32_t store_stream_drop(struct mosaic_stream *stream, struct mosaic_req *req);
int32_t store_reserve(struct mosaic_stream *stream, uint32_t max_len, struct mosaic_span *room);
void store_commit(struct mosaic_stream *stream, uint32_t len);
int32_t store_room(struct mosaic_stream *stream, struct mosaic_req *req);
int32_t store_start_at(struct mosaic_stream *stream, uint64_t offset);
int32_t store_read(struct mosaic_stream *stream, uint64_t offset, uint32_t len,
		   struct mosaic_read *read);
void store_unpin(struct mosaic_stream *stream, struct mosaic_read *read);
int32_t store_sync(struct mosaic_stream *stream, struct mosaic_sync *req);
int32_t store_sync_queues(struct mosaic_store *store, struct mosaic_req *req);
int32_t store_truncate(struct mosaic_stream *stream, uint64_t to, struct mosaic_req *req);
int32_t store_trim(struct mosaic_stream *stream, uint64_t below, struct mosaic_req *req);
int32_t store_write(struct mosaic_stream *stream, struct mosaic_write *write);
void store_distrust(struct mosaic_stream *stream, uint64_t from);

/* space.c */
int32_t store_space(struct mosaic_store *store, struct mosaic_space *space);

/* docs.c */
int32_t doc_load(struct mosaic_store *store, struct mosaic_doc *doc);
void doc_release(struct mosaic_store *store, struct mosaic_doc *doc);
int32_t doc_save(struct mosaic_store *store, struct mosaic_doc *doc);

#define STORE_OPS(its_create, ...)                                                                \
	{                                                                                         \
		.struct_size = sizeof(struct mosaic_store_ops), .create = its_create,             \
		.open = store_open, .close = store_close, .destroy = store_destroy,               \
		.stream_at = store_stream_at, .stream_open = store_stream_open,                   \
		.stream_info = store_stream_info, .stream_drop = store_stream_drop,               \
		.reserve = store_reserve, .commit = store_commit, .room = store_room,             \
		.start_at = store_start_at, .read = store_read, .unpin = store_unpin,             \
		.sync = store_sync, .sync_queues = store_sync_queues,                             \
		.truncate = store_truncate, .trim = store_trim, .doc_load = doc_load,             \
		.doc_release = doc_release, .doc_save = doc_save, .space = store_space,           \
		.write = store_write, .distrust = store_distrust, __VA_ARGS__                     \
	}

/* Options that every store with files has; the first of its table. */
#define STORE_OPTIONS                                                                             \
	{ "dir", MOSAIC_T_STRING, 0, offsetof(struct options, dir), "mosaic-data", NULL, NULL,    \
	  NULL, "Directory of all files of this broker; made when it is not there" },             \
	{ "segment", MOSAIC_T_SIZE, 0, offsetof(struct options, segment_bytes), "1GiB", "4KiB",   \
	  "64GiB", NULL, "Bytes per segment of the commit log, a multiple of 4096 "               \
	  "(mappedFileSizeCommitLog); bounds the size of a message" },                            \
	{ "queueSegment", MOSAIC_T_SIZE, 0, offsetof(struct options, queue_segment_bytes),        \
	  "6000000", "20", "1GiB", NULL, "Bytes per file of a consume queue, rounded up to a "    \
	  "multiple of 20 (mappedFileSizeConsumeQueue)" },                                        \
	{ "coldRead", MOSAIC_T_SIZE, 0, offsetof(struct options, cold_read_rate), "64MiB", "0",   \
	  "64GiB", NULL, "Bytes a second that are read from the disk for those far behind while " \
	  "messages are written, at least three times what is written; 0: no bound" }

#endif
