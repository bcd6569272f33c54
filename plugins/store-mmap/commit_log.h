/*
 * The commit log: mapped segments, the writer's end of the stream, reads, syncs and cuts.
 */
#ifndef STORE_MMAP_COMMIT_LOG_H
#define STORE_MMAP_COMMIT_LOG_H

#include "log_files.h"
#include "pace.h"

#include <stdatomic.h>

struct log_trim;

/* Bytes of the log that a probe has found in memory, and when. */
struct warm {
	uint64_t from, upto, ns;
};
#define WARM_STRETCHES 4

struct segment {
	struct job job; /* first: unmapping and deleting */
	uint64_t start;
	uint8_t *map;
	uint32_t pins;
	bool is_writable; /* its blocks are allocated: writing cannot end in SIGBUS */
	bool is_retired;  /* the log has forgotten it; unmapped with the last pin */
	bool is_unlinked; /* its file goes with it */
	int fd;           /* of a file that has no name any more: its blocks are still to go; -1 */
	uint64_t left;    /* of them, in bytes */
	struct log_trim *trim; /* waits for that */
};

/* Prepares the next segment and the pages ahead of the writer. One at a time. */
struct ahead {
	struct job job; /* first */
	bool is_running;
	bool creates; /* in: a segment at create_start */
	uint64_t create_start;
	struct segment *created; /* out */
	uint8_t *pages[2];       /* in: ranges to make present, page-aligned */
	size_t n_bytes[2];
	uint8_t *behind; /* in: a range to take out of this process's memory */
	size_t n_behind;
	bool is_at_leisure; /* in: the writer is slow */
	uint64_t upto;     /* present below, when it is back; out: less, where it stopped */
	bool is_stale;     /* not prepared as it would be now: does not count */
	bool writes_zeros; /* in: [zero_from, upto) is written before it is used */
	uint64_t zero_from;
	uint8_t *zero_map;      /* where that is mapped */
	bool zeros_are_synced;  /* in: and sent to the disk, in pieces that fit small syncs */
	_Atomic int zero_state; /* enum zero_state: of the range, between the two threads */
	int write_errno;        /* out: writing zeros failed */
	bool cannot_populate;   /* the kernel lacks MADV_POPULATE_WRITE */
};

struct commit_log {
	struct mosaic_stream base; /* first */
	struct worker reader;      /* brings in what is cold */
	struct pace pace;          /* how fast */
	uint64_t brought_upto;     /* where the last cold read ended */
	uint64_t begin, end;
	_Atomic uint64_t committed; /* `end` for the syncer; release, with its acquire */
	uint64_t segment_bytes;

	/* The writer's segment, NULL when the next one is not ready. */
	struct segment *tail;
	uint64_t tail_end; /* of the segment that `end` lies in, ready or not */
	uint32_t reserved;
	uint64_t lend_upto; /* zeros are being written from here on; UINT64_MAX: nowhere */
	uint64_t wake_at;   /* commit() looks ahead when end reaches it */

	uint64_t first; /* index of segments[0] */
	struct segment **segments;
	uint32_t n, capacity;

	struct ahead ahead;
	uint64_t present_upto; /* pages below are prepared */
	uint64_t forgotten;    /* pages below were taken out of memory again */
	uint64_t window;       /* how far ahead, adapts to the rate: when, where it last did */
	uint64_t woken_ns, woken_at;
	struct warm warm[WARM_STRETCHES]; /* one for each reader, when there are few */
	uint32_t next_warm;
	bool is_end_known; /* the reader of records has told where they stop */
	bool is_full;      /* the disk had no room for the next segment */
	struct mosaic_timer retry;
	struct mosaic_req *room;

	struct job sync_job;
	struct mosaic_sync *syncs;  /* waiting, in order of upto */
	struct segment *syncing[8]; /* pinned by the job */
	uint32_t n_syncing;
	uint64_t synced, sync_from;
	uint64_t again_from, again_upto; /* after a crash: the next sync writes it again */
	bool syncs_again;
	uint64_t sync_upto;   /* in: end of what is pinned; out: the end when the job began */
	uint64_t sync_claim;  /* its success proves no more than this: where a cut was meanwhile */
	uint64_t sync_gather; /* the job waits a moment for the end to come here */
	uint64_t flight;      /* bytes of those who wait at once, by the last sync */
	uint64_t sync_ns;     /* how long a sync takes, smoothed */
	bool is_syncing, is_folder_dirty, syncs_folder;
	uint64_t sync_bytes;  /* that a sync covers, smoothed */
	bool are_syncs_small; /* so pages ahead are worth a write of their own */

	struct log_cut *cut; /* under way: reserve() waits */
	struct log_trim *trim;
};

static inline uint8_t *clog_page_floor(const uint8_t *p)
{
	return (uint8_t *)((uintptr_t)p & ~(uintptr_t)(PAGE_BYTES - 1));
}

/* commit_log.c */
struct commit_log *clog_create(struct mosaic_store *store);
void clog_destroy(struct commit_log *log);
/* Appends a segment that was found or made; false: no memory. */
bool clog_add_segment(struct commit_log *log, struct segment *segment);
/* Where the next segment starts. */
uint64_t clog_next_start(const struct commit_log *log);
/* Points the writer at the segment of `end`. */
void clog_find_tail(struct commit_log *log);
/* [worker] maps an open file of a whole segment; NULL: errno. */
struct segment *segment_map(struct mosaic_store *store, int fd, uint64_t start);
/* The log has forgotten it: unmapped when unpinned, on the helper. */
void segment_retire(struct segment *segment, bool unlink);
void segment_unpin(struct segment *segment);

int32_t clog_reserve(struct commit_log *log, uint32_t max_len, struct mosaic_span *room);
void clog_commit(struct commit_log *log, uint32_t len);
int32_t clog_room(struct commit_log *log, struct mosaic_req *req);
int32_t clog_start_at(struct commit_log *log, uint64_t offset);

/* log_read.c */
int32_t clog_read(struct commit_log *log, uint64_t offset, uint32_t len, struct mosaic_read *read);
void clog_unpin(struct mosaic_read *read);

/* log_sync.c */
int32_t clog_sync(struct commit_log *log, struct mosaic_sync *req);
void clog_distrust(struct commit_log *log, uint64_t from);
/* Ends the waiting syncs and room waiters; at close and at a failure. */
void clog_cancel(struct commit_log *log, int32_t status);

/* log_ahead.c */
void clog_look_ahead(struct commit_log *log);
/* Tells who waits for room. */
void clog_tell_room(struct commit_log *log, int32_t status);
/* Asks the disk again a little later, as long as somebody waits. */
void clog_retry_later(struct commit_log *log);
/* [helper] Between two pieces. */
void ahead_rest(const struct ahead *ahead);
/* [helper] Makes pages present without changing them. */
void log_populate(struct ahead *ahead, uint8_t *from, size_t n_bytes);

/* log_zero.c */
/* Bounds what is written ahead and keeps the writer out of it; false: nothing to write. */
bool log_zero_plan(struct commit_log *log, uint64_t *from, uint64_t *upto);
/* The writer has come to lend_upto and takes the range over; false: not yet, a piece is written. */
bool log_zero_take(struct commit_log *log);
/* A sync has covered so many bytes. */
void log_zero_learn(struct commit_log *log, uint64_t n_bytes);
/* [helper] */
void log_zero_run(struct ahead *ahead);

/* log_cut.c */
int32_t clog_truncate(struct commit_log *log, uint64_t to, struct mosaic_req *req);

/* log_trim.c */
int32_t clog_trim(struct commit_log *log, uint64_t below, struct mosaic_req *req);
/* At close: no more pauses. */
void clog_trim_hurry(struct commit_log *log);
/* It is unmapped: frees what is left of it. */
void clog_segment_gone(struct segment *segment);

#endif
