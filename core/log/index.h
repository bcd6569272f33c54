/*
 * The index: finds messages by their keys (IndexService of 5.3.3). Its files are streams of the
 * store, byte for byte as Apache's broker writes them; index_file.h says how they look.
 *
 *   log_append -> index_append  the slots of the last file are in memory, entries go into chunks
 *   a tick                      chunks are written to the stream; every 10 s they are made durable
 *                               and the checkpoint says so
 *   a file is full, or close    slots and header are written, and synced
 *
 * It follows the log: what it has not seen, because it was opened with less than the log holds or
 * because the store is slow, it reads from the log again, a little at a time. So opening waits for
 * nothing of this, and a send never does.
 *
 * What is believed after a crash: full files that the checkpoint's index time covers, and of one
 * more file the entries that the checkpoint names. Everything else is deleted and made again from
 * the log. Slots are not written while a file grows: they are made again from its entries.
 *
 * Failure modes: the store cannot write (tried again each second; meanwhile the index falls behind)
 * or has no memory: then what is there can be found, and the log says so. All [core].
 */
#ifndef LOG_INDEX_H
#define LOG_INDEX_H

#include "log/cursor.h"
#include "log/index_file.h"

#define INDEX_SLOTS 5000000    /* maxHashSlotNum */
#define INDEX_ENTRIES 20000000 /* maxIndexNum: a file of 420,000,040 bytes */

struct index;
struct log;

/* What the checkpoint says about the file that was not full. */
struct index_mark {
	uint64_t file; /* its name; 0: nothing */
	struct index_header header; /* the entries below its count are durable */
};

/* NULL: the store keeps no index, or slots is 0. */
struct index *index_create(struct log *log, const struct index_shape *shape);
void index_destroy(struct index *index);

/* While the log opens: a file that the store has found. */
void index_found(struct index *index, const char *name);
/* The log is open. Everything goes on in the background. */
void index_start(struct index *index, bool is_crash);
/* Writes what is in memory, then closed(log), perhaps inside the call. */
void index_close(struct index *index, void (*closed)(struct log *log));

/* A record was appended; its bytes end at `end`. topic_hash: index_topic_hash() of its topic. */
void index_append(struct index *index, int32_t topic_hash, const struct message *m, uint64_t end);
/* Files that only know records below `below` may go; never the last one. */
void index_trim(struct index *index, uint64_t below);

#define INDEX_QUERY_MAX 64 /* maxMsgsNumBatch */

/*
 * Records by key: at most `max` offsets, and the end of the last file. Equal hashes are not told
 * apart, as in Apache's broker: the caller looks at the records, or leaves it to the client.
 */
struct index_query {
	struct mosaic_req req; /* done(): status 0, or why the store could not read */
	uint32_t hash;         /* index_key_hash() */
	int64_t begin_ms, end_ms;
	uint32_t max;
	uint64_t phys_offsets[INDEX_QUERY_MAX];
	uint32_t n;
	int64_t last_ms, last_phys;
	struct index_query *next; /* private from here */
	struct index *index;
	bool has_last;
	uint64_t file;  /* name of the one that is looked at */
	uint32_t entry; /* where in its chain; 0: not begun */
	struct cursor cursor;
	struct mosaic_req pause;
};

/* 0: answered at once; MOSAIC_PENDING: done() will run. index may be NULL. */
NODISCARD int index_query(struct index *index, struct index_query *query);

/* For status pages and tests. */
bool index_is_live(const struct index *index); /* all records are in it */
uint32_t index_count_files(const struct index *index);

#endif
