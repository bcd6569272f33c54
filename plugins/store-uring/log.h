/*
 * The commit log: blocks of memory that the core writes into, runs that carry them to segment
 * files around the page cache, and a cache of blocks that were read.
 *
 *   begin        tail_start      written     end
 *     | files, cache | blocks, files | blocks |
 */
#ifndef STORE_URING_LOG_H
#define STORE_URING_LOG_H

#include "log_files.h"
#include "pace.h"
#include "ring.h"

#include <inttypes.h>

#define BLOCK_BYTES (UINT32_C(1) << 20) /* of the append memory; the most that one write takes */
#define LINGER_NS UINT64_C(2000000)     /* how long the last bytes wait for more: 2 ms */
#define RUN_WRITES 8
#define RUN_SYNCS 8

/* Up to the next and down to the last multiple of a page: what O_DIRECT takes. */
static inline uint64_t page_up(uint64_t n)
{
	return (n + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
}

static inline uint64_t page_down(uint64_t n)
{
	return n & ~(uint64_t)(PAGE_BYTES - 1);
}

/* A file. Its descriptor is for O_DIRECT. */
struct segment {
	struct job job;      /* first: closing and deleting */
	struct ring_op open; /* under way while is_opening */
	uint64_t start;
	int fd;           /* -1: not open */
	int slot;         /* of the ring's files; -1: none */
	uint32_t refs;    /* operations under way */
	uint64_t used;    /* when it was last read from: the oldest is closed first */
	bool is_writable; /* its blocks are allocated */
	bool is_dirty;    /* has bytes that no sync has covered */
	bool is_opening, is_retired;
	bool is_unlinked;                      /* its file goes with it */
	struct block *first_load, **last_load; /* wait for it to be open */
	char path[LOG_PATH_BYTES];             /* while is_opening */
};

/*
 * Bytes of the log from `start`, a multiple of a page. A block of the tail begins with the bytes
 * of the last page of the block before it, when that page was not full: so each page is written
 * from one block, and whole.
 */
struct block {
	struct commit_log *log;
	struct block *older, *newer; /* in the tail by start, in the cache by use */
	uint64_t start, upto;        /* [start, upto) is there */
	uint8_t *bytes;
	uint32_t capacity;
	uint32_t refs; /* the list it is in, reads, the run */
	int pool_slot; /* -1: not of the pool */

	/* of the cache */
	struct ring_op op;
	struct pace_turn turn; /* to be loaded */
	struct segment *segment;
	struct block *next_load;
	struct cold_read *first_waiter, **last_waiter;
	uint32_t loaded, n_cuts; /* how often the log had been cut when the load began */
	bool is_loading, is_cached, is_sequential;
};

struct block_list {
	struct block *oldest, *newest;
	uint64_t bytes; /* capacities */
};

struct run_write {
	struct ring_op op; /* first */
	struct commit_log *log;
	struct block *block;
	struct segment *segment;
	const uint8_t *from;
	uint64_t offset; /* in the log */
	uint32_t len, done, tries;
};

struct run_sync {
	struct ring_op op; /* first */
	struct commit_log *log;
	struct segment *segment;
};

/* Writes that go together, then the syncs that make them durable. One at a time. */
struct run {
	struct run_write writes[RUN_WRITES];
	struct run_sync syncs[RUN_SYNCS];
	uint32_t n_writes, n_syncs; /* planned, then under way */
	struct segment *linked;     /* is synced by the only write or behind it */
	uint64_t upto;              /* written below, when it is back */
	uint64_t claim;             /* durable below, when its syncs are back */
	bool is_running, wants_sync, is_synced, is_linked, is_syncing;
	bool is_empty; /* nothing had to be written or synced */
};

struct zero_write {
	struct ring_op op; /* first */
	struct commit_log *log;
	struct segment *segment;
	uint64_t from;
	bool is_running;
};

/* Bytes of the log of which only as much is loaded as is asked for. */
struct narrow {
	uint64_t from, upto;
};
#define NARROW_MOST 16

/* Makes the next segment. */
struct ahead {
	struct job job; /* first */
	bool is_running;
	uint64_t start;
	struct segment *created; /* out */
	int fd;                  /* out: its descriptor */
};

struct commit_log {
	struct mosaic_stream base; /* first */
	struct ring ring;
	uint64_t begin, end;
	uint64_t written; /* below: in the files */
	uint64_t synced;  /* below: durable */
	uint64_t segment_bytes;

	/* log_tail.c */
	struct block_list tail;
	uint8_t *pool; /* n_pool blocks, a block of zeros, a page */
	uint32_t n_pool, n_free;
	uint32_t *free_slots;
	uint32_t reserved;
	struct mosaic_req *room;

	/* log_segment.c */
	struct segment **segments;
	uint32_t n, capacity;
	uint64_t first; /* index of segments[0] */
	uint32_t n_open;
	uint64_t n_uses;
	uint64_t wake_at; /* commit() looks ahead when end reaches it */
	struct ahead ahead;
	struct mosaic_timer retry;
	bool is_full, is_end_known;
	uint64_t open_slots; /* a bit for each slot that is taken */

	/* log_write.c */
	struct run run;
	struct zero_write zero;
	uint64_t zeroed_upto; /* zeros were written from end to here */
	struct mosaic_timer linger;
	struct mosaic_sync *syncs; /* waiting, in order of upto */
	uint64_t looked_end;       /* end and syncs since the last look at their size */
	uint32_t n_synced;
	bool syncs_are_small;
	bool has_dsync; /* the file system keeps RWF_DSYNC of one write */

	/* log_read.c */
	struct block_list cache;
	struct pace pace; /* of loads */
	uint32_t n_loading;
	struct cold_read *first_waiting, **last_waiting; /* for another load to end */
	struct narrow narrow[NARROW_MOST]; /* the last loads of more than was asked that failed */
	uint32_t next_narrow;

	struct log_cut *cut;     /* reserve() waits */
	struct log_again *again; /* writes wait */
	uint32_t n_cuts;
	struct log_trim *trim;
};

/* log_tail.c */
int32_t ulog_reserve(struct commit_log *log, uint32_t max_len, struct mosaic_span *room);
void ulog_commit(struct commit_log *log, uint32_t len);
int32_t ulog_room(struct commit_log *log, struct mosaic_req *req);
void ulog_tell_room(struct commit_log *log, int32_t status);
/* A block without a list, with one reference; NULL: no memory. */
struct block *block_create(struct commit_log *log, uint64_t start, uint32_t capacity);
void block_unref(struct block *block);
void block_list_add(struct block_list *list, struct block *block); /* as the newest */
void block_list_take(struct block_list *list, struct block *block);
/* Blocks cover everything from here to the end. */
uint64_t ulog_tail_start(const struct commit_log *log);
/* The block of the tail that holds a byte at or above its start and below the end. */
struct block *ulog_tail_find(const struct commit_log *log, uint64_t offset);
/* The tail ends at `to`; `page` holds the log's bytes from page_down(to) to `to`, where no block
 * has them. false: no memory. */
bool ulog_tail_cut(struct commit_log *log, uint64_t to, const uint8_t *page);

/* log_write.c */
int32_t ulog_sync(struct commit_log *log, struct mosaic_sync *req);
/* Starts a run when one is due and none is under way. */
void ulog_write(struct commit_log *log);
/* The same, down to the last byte. */
void ulog_write_all(struct commit_log *log);
void ulog_cancel(struct commit_log *log, int32_t status);
void ulog_linger(struct mosaic_timer *timer);
/* A cut may begin: nothing is being written. */
bool ulog_is_still(const struct commit_log *log);

/* log_read.c */
int32_t ulog_read(struct commit_log *log, uint64_t offset, uint32_t len, struct mosaic_read *read);
void ulog_unpin(struct mosaic_read *read);
/* Forgets what was read of [from, ...) or of everything below `below`. */
void ulog_cache_cut(struct commit_log *log, uint64_t below, uint64_t from);
/* Its segment is open, or cannot be. */
void block_load(struct block *block, int32_t os_errno);

/* log_segment.c */
struct segment *segment_create(struct mosaic_store *store, uint64_t start);
bool ulog_add_segment(struct commit_log *log, struct segment *segment);
struct segment *ulog_segment_at(const struct commit_log *log, uint64_t offset);
uint64_t ulog_next_start(const struct commit_log *log);
/* Makes the next segment when it is time. */
void ulog_look_ahead(struct commit_log *log);
void ulog_retry(struct mosaic_timer *timer);
void ulog_retry_later(struct commit_log *log);
/* Loads a block, now or when its segment is open. */
void segment_load(struct segment *segment, struct block *block);
/* [core] gives an open descriptor a slot of the ring */
void segment_opened(struct segment *segment, int fd);
void segment_unref(struct segment *segment);
/* The log has forgotten it: closed with the last reference. */
void segment_forget(struct segment *segment, bool unlink);
/* [main] after close */
void segment_free(struct segment *segment);
/* [worker] opens for O_DIRECT; the descriptor or -errno */
int segment_open_direct(struct mosaic_store *store, uint64_t start);

/* log_cut.c */
int32_t ulog_truncate(struct commit_log *log, uint64_t to, struct mosaic_req *req);
void ulog_distrust(struct commit_log *log, uint64_t from);
int32_t ulog_start_at(struct commit_log *log, uint64_t offset);
/* Goes on with a cut that waited for writes. */
void ulog_cut_step(struct commit_log *log);

/* log_trim.c */
int32_t ulog_trim(struct commit_log *log, uint64_t below, struct mosaic_req *req);
void ulog_trim_hurry(struct commit_log *log);

#endif
