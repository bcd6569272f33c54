/* What the files of the index share. */
#ifndef LOG_INDEX_PRIV_H
#define LOG_INDEX_PRIV_H

#include "log/index.h"
#include "log/log_priv.h"

#define CHUNK_ENTRIES 3200 /* 64,000 bytes: one write */
#define CHUNKS_MAX 64      /* 4 MiB wait for the store; then the index stops following */
#define SLOT_PAGE 1024     /* slots per page that is known to be written to or not */

struct index_file {
	uint64_t name;
	struct mosaic_stream *stream;
	struct index_header header;
	uint8_t *slots;    /* as in the file; NULL: they are there */
	uint64_t *dirty;   /* a bit per page of slots */
	uint32_t n_chunks; /* not yet written */
	bool is_changed;   /* since its slots and header were read or written */
	struct mosaic_req resize, drop;
	struct index *index;
};

/* Entries on their way to the stream, in order. */
struct index_chunk {
	struct index_chunk *next;
	struct index *index;
	struct index_file *file;
	uint32_t first, n;       /* entries */
	uint32_t n_sent, n_done; /* of them */
	bool is_sending;
	struct mosaic_write write;
	uint8_t bytes[CHUNK_ENTRIES * INDEX_ENTRY_BYTES];
};

/* Writing slots and header of a file that does not grow any more, then syncing it. */
struct index_finish {
	struct index_file *file;                    /* NULL: nothing to do */
	uint32_t page;                              /* next page of slots to look at */
	uint32_t n_pages;                           /* that are being written */
	bool is_busy, is_header_written, is_failed; /* failed: the next tick tries again */
	struct mosaic_write write;
	struct mosaic_sync sync;
	uint8_t header[INDEX_HEADER_BYTES];
};

enum snapshot_state { SNAPSHOT_NONE, SNAPSHOT_WRITING, SNAPSHOT_SYNCING, SNAPSHOT_DURABLE };

/* The last file's entries on their way into the checkpoint. */
struct index_snapshot {
	enum snapshot_state state;
	struct index_mark mark;
	uint64_t log_end; /* the log must be durable up to here */
	struct mosaic_sync sync;
};

enum index_state {
	INDEX_CLOSED,
	INDEX_LOOKING,   /* at the files that were found */
	INDEX_LOADING,   /* slots of the last one */
	INDEX_FOLLOWING, /* records are read from the log */
	INDEX_LIVE,      /* log_append hands them over */
	INDEX_BROKEN
};

struct index {
	struct log *log;
	const struct mosaic_store_ops *ops;
	struct index_shape shape;
	enum index_state state;
	bool is_crash;
	struct index_file **files; /* by name */
	uint32_t n_files, cap_files;
	struct index_file *tail; /* takes entries; NULL: the next entry makes one */
	uint64_t at;             /* records below are in the index */
	uint32_t skip;           /* keys of the record at `at` that are in */
	struct index_chunk *chunks, **chunks_end, *open_chunk, *free_chunk;
	uint32_t n_chunks;
	struct index_finish finish;
	struct index_snapshot snapshot;
	uint32_t snapshot_ticks;
	struct { /* of full files, waits for the log to be durable */
		int64_t ms;
		uint64_t log_end;
		bool is_waiting;
	} full;
	struct mosaic_timer tick, follow;
	struct index_query *waiting; /* until the slots are there */
	void (*closed)(struct log *log);
	bool is_close_failed;
	/* while looking and loading */
	struct cursor cursor;
	void (*step)(struct index *index);
	uint32_t step_at;
	bool is_rebuilt;    /* slots are made from entries, not read */
	uint64_t step_phys; /* the entries' offsets only grow */
};

/* index.c */
/* All keys of a record but the first n_skip. */
void index_put(struct index *index, int32_t topic_hash, const struct message *m, uint32_t n_skip);
struct index_file *index_add_file(struct index *index, uint64_t name);
/* Opens its stream: false when the store cannot, and the index is broken. */
bool index_open_file(struct index *index, struct index_file *file);
/* Takes the file out of the list and deletes it. */
void index_drop_file(struct index *index, uint32_t i);
void index_make_slots(struct index *index, struct index_file *file);
void index_break(struct index *index, const char *what, int status);
/* The store is far behind: no more for now. */
bool index_is_congested(const struct index *index);

/* index_write.c */
/* The chunk that takes entries of the last file. */
struct index_chunk *index_chunk(struct index *index);
/* It takes no more. */
void index_chunk_end(struct index *index);
void index_tick(struct mosaic_timer *timer);
void index_tick_later(struct index *index);
/* Goes on with full files, and with what a close waits for. */
void index_write_on(struct index *index);
void index_free_chunks(struct index *index);

/* index_follow.c */
/* Starts or goes on following the log, after delay_ns. */
void index_follow_later(struct index *index, uint64_t delay_ns);
void index_follow(struct mosaic_timer *timer);
void index_resume(struct cursor *cursor);

/* index_query.c */
/* Runs those that wait for the slots, or ends them when there is nothing to wait for. */
void index_run_waiting(struct index *index);

#endif
