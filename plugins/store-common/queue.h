/*
 * Consume queues: many, small and seldom read far behind, so they are not mapped.
 *
 * What is committed lies in chunks of memory until the helper has written it; one write of a queue
 * is under way at most, so a killed process loses a tail and nothing in between. Files are opened
 * when needed; a bounded number stays open.
 */
#ifndef STORE_COMMON_QUEUE_H
#define STORE_COMMON_QUEUE_H

#include "store.h"

#include <stddef.h>

#define QUEUE_FOLDER "consumequeue"
#define QUEUE_PATH_BYTES 512 /* a file name is at most 255 bytes */
#define QUEUE_FILES_MOST 256 /* open at the same time, of all queues */

/* What RocketMQ puts into units of a file that come before its first message. */
extern const uint8_t cqueue_filler[QUEUE_UNIT];

/* Bytes [start, start + len) of a queue; freed with its last reference. */
struct chunk {
	struct chunk *next;
	uint64_t start;
	uint32_t refs; /* the queue, the write under way, reads */
	uint32_t len, capacity;
	uint8_t bytes[];
};

/* An open file of a queue; in the store's LRU list. */
struct queue_file {
	struct queue_file *newer, *older;
	struct queue *queue;
	uint32_t slot;  /* queue->files[slot] */
	uint32_t refs;  /* users of fd on other threads; not closed meanwhile */
	uint64_t start; /* of the file, in the queue */
	int fd;
};

enum { FILE_WRITE, FILE_READ, FILE_SLOTS };

/*
 * Places are bytes of the queue, 20 for each unit:
 *
 *   begin ......... synced ......... written ......... end
 *     | on the disk   | in the files   | in chunks      |
 */
struct queue {
	struct mosaic_stream base; /* first */

	/* What an append needs: in the first two cache lines, which the core fetches ahead. */
	uint64_t begin, end;
	uint64_t written;          /* below: in the files (the page cache) */
	struct chunk *head, *last; /* cover at least [written, end) */
	uint8_t *room_at;          /* what is left of the last one */
	uint32_t room_left;
	uint32_t reserved;
	struct queue *dirty_next, **dirty_link; /* in store->dirty while end > synced */

	uint64_t synced;                 /* below: durable */
	uint64_t again_from, again_upto; /* the next sync writes these bytes again */
	struct mosaic_req *room;         /* waits for less to be unwritten; NULL: nobody */

	struct queue_file *files[FILE_SLOTS];
	uint64_t write_to;    /* write on until here without waiting for more */
	uint64_t filler_from; /* filler up to `begin` is still to be written; == begin: none */
	uint64_t sized_file;  /* the file that starts here has its full size; UINT64_MAX: none */
	struct queue *first_next;  /* in store->firsts */
	struct queue_cut *cut;     /* waits for the write under way, then runs */
	struct queue_delete *drop; /* when dropped: runs after both */
	struct queue *zombie_next; /* in store->zombies when dropped */

	uint32_t refs;         /* the table and everything under way */
	bool is_writing;       /* a write is under way */
	bool is_first;         /* it is one of store->n_firsts */
	bool is_waiting_first; /* in store->firsts */
	bool is_full;          /* the disk had no room for the last write */
	bool is_new;           /* a file was made since the last sync */
	bool is_dropped;
};
_Static_assert(offsetof(struct queue, dirty_link) + sizeof(struct queue **) <= 128,
	       "core/log fetches 128 bytes of a stream ahead");

static inline struct queue *cqueue_of(struct mosaic_stream *stream)
{
	return (struct queue *)stream;
}

/* All [core] that does not say otherwise; those named as in struct mosaic_store_ops do what is said
 * there. */

/* queue.c */
int32_t cqueue_open(struct mosaic_store *store, const struct mosaic_stream_name *name,
		    struct queue **out);
/* Whether a topic can be the name of a folder. */
bool cqueue_topic_is_valid(const char *topic);
void cqueue_unref(struct queue *q);
/* At destroy, and with the last reference: nothing is under way. */
void cqueue_free(struct queue *q);
/* [any] */
void cqueue_folder(char path[QUEUE_PATH_BYTES], const struct queue *q);
void cqueue_path(char path[QUEUE_PATH_BYTES], const struct queue *q, uint64_t start);
int32_t cqueue_reserve(struct queue *q, uint32_t max_len, struct mosaic_span *room);
void cqueue_commit(struct queue *q, uint32_t len);
int32_t cqueue_room(struct queue *q, struct mosaic_req *req);
/* Who waits for room comes again. */
void cqueue_tell_room(struct queue *q, int32_t status);
int32_t cqueue_start_at(struct queue *q, uint64_t offset);
void chunk_unref(struct chunk *chunk);
/* Forgets chunks that are written; all of them with `all`, else the last one stays for more. */
void cqueue_forget_chunks(struct queue *q, bool all);
/* `last` or none is the last chunk, and takes no more. */
void cqueue_end_chunks(struct queue *q, struct chunk *last);
/* In store->dirty, for the next sync, or not. */
void cqueue_mark_dirty(struct queue *q);
void cqueue_undirty(struct queue *q);

/* queue_find.c: [slow] the queues of a directory that is opened; 0, or E_... with open_error. */
int32_t cqueue_find_all(struct mosaic_store *store);

/* queue_files.c */
/* The open file of a segment, with a reference; NULL: not open. */
struct queue_file *cqueue_file_find(struct queue *q, uint64_t start);
/* Takes over fd; without a reference. */
void cqueue_file_keep(struct queue *q, uint32_t slot, uint64_t start, int fd);
void cqueue_file_unref(struct queue_file *file);
/* Those in use are closed when they are not any more. */
void cqueue_files_close(struct queue *q);

/* queue_write.c */
/* Writes on as far as write_to asks for it, a part of one file per job. */
void cqueue_write(struct queue *q);
/* The queue has its first units: its folder and file are made soon, while nobody waits for them. */
void cqueue_first(struct queue *q);
/* store->queue_retry: queues that met a full disk are written again. */
void cqueue_retry(struct mosaic_timer *timer);

/* queue_read.c */
int32_t cqueue_read(struct queue *q, uint64_t offset, uint32_t len, struct mosaic_read *read);
void cqueue_unpin(struct mosaic_read *read);

/* queue_sync.c */
/* One queue, or with NULL all that are dirty; MOSAIC_PENDING, or E_... and req is not taken. */
int32_t cqueue_sync(struct mosaic_store *store, struct queue *q, struct mosaic_req *req);
void cqueue_distrust(struct queue *q, uint64_t from);
/* A write of a queue of the running batch is back. */
void cqueue_batch_step(struct mosaic_store *store);

/* queue_cut.c */
int32_t cqueue_truncate(struct queue *q, uint64_t to, struct mosaic_req *req);
/* Runs a cut that waited for a write. */
void cqueue_run_cut(struct queue *q);

/* queue_delete.c */
int32_t cqueue_trim(struct queue *q, uint64_t below, struct mosaic_req *req);
int32_t cqueue_drop(struct queue *q, struct mosaic_req *req);
/* Deletes the files when nothing of the queue is under way on the helper any more. */
void cqueue_drop_step(struct queue *q);

#endif
