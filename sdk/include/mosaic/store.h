/*
 * mosaic/store.h - the store: owner of all files of one broker.
 *
 * A store keeps streams (byte ranges that grow at the end: the commit log and one consume queue
 * per topic and queue) and documents (small files that are replaced whole: topics.json,
 * checkpoint). It knows nothing of records. Whatever its engine, its files are laid out as RocketMQ
 * 5.3.3 lays them out, so that a directory moves between stores and to Apache's broker and back.
 *
 * Promises:
 *   STORE-01 what is committed can be read at once.
 *   STORE-02 after sync(upto) completed with 0, bytes of the stream below upto survive power loss.
 *   STORE-03 syncs of a stream complete in order of upto; one sync may cover many.
 *   STORE-04 after a failed write or sync nothing above it ever counts as durable: every later
 *            sync fails, and the store calls host->fail once.
 *   STORE-05 after a crash, what is readable is a prefix of what was committed, followed by zeros
 *            or a torn record; with MOSAIC_STORE_CAP_CRASH a process crash (kill -9) loses nothing
 *            committed to the commit log.
 *   STORE-06 a reservation never spans two segments.
 *   STORE-07 after truncate(to) completed, bytes at and above `to` never come back.
 *   STORE-08 pinned bytes stay readable and unchanged until unpin, whatever trim or close do.
 *   STORE-09 a document is replaced as a whole: after a crash it is the old or the new one.
 *
 * Kind change log, newest first:
 *   0.6  a read may end with E_LOST
 *   0.5  distrust(); a store without it has only what it reads from its disk
 *   0.4  usable(); a store without it is usable everywhere
 *   0.3  index streams and write(); a store without write() keeps no index
 *   0.2  space(); a store without it keeps everything until "retention.size" says otherwise
 *   0.1  first shape
 */
#ifndef MOSAIC_STORE_H
#define MOSAIC_STORE_H

#include <mosaic/host.h>
#include <mosaic/plugin.h>

#define MOSAIC_STORE_MAJOR 0
#define MOSAIC_STORE_MINOR 6
#define MOSAIC_KIND_STORE                                                                         \
	.kind = MOSAIC_STORE, .kind_major = MOSAIC_STORE_MAJOR, .kind_minor = MOSAIC_STORE_MINOR

/* What a store can do. */
#define MOSAIC_STORE_CAP_SYNC (UINT64_C(1) << 0)     /* sync means power loss */
#define MOSAIC_STORE_CAP_CRASH (UINT64_C(1) << 1)    /* committed bytes survive kill -9 */
#define MOSAIC_STORE_CAP_PIN (UINT64_C(1) << 2)      /* read lends memory of the store */
#define MOSAIC_STORE_CAP_TRUNCATE (UINT64_C(1) << 3)
#define MOSAIC_STORE_CAP_TRIM (UINT64_C(1) << 4)
#define MOSAIC_STORE_CAP_PREALLOC (UINT64_C(1) << 5) /* a full disk is met before bytes are lent */
#define MOSAIC_STORE_CAP_DIRECT (UINT64_C(1) << 6)   /* bypasses the page cache */

#ifdef __cplusplus
extern "C" {
#endif

struct mosaic_store;  /* the plugin's */
struct mosaic_stream; /* the plugin's */

enum mosaic_stream_kind {
	MOSAIC_COMMIT_LOG = 1,
	MOSAIC_CONSUME_QUEUE = 2, /* units of 20 bytes; named by topic and queue_id */
	/*
	 * Since 0.3: one file of the folder "index", `topic` is its name. It has the size that
	 * truncate() gives it, upwards too, zeros that cost nothing until written; write() puts
	 * bytes anywhere. No reserve, commit, room, start_at or trim. What a crash leaves of writes
	 * that no sync covered is anything: the core looks at it before it believes it.
	 */
	MOSAIC_INDEX = 3
};

struct mosaic_stream_name {
	uint32_t kind;
	int32_t queue_id;
	const char *topic; /* NULL for the commit log; borrowed during the call */
};

/*
 * Offsets are bytes in the stream's own space. After open and before the core has told the store
 * the true end (truncate), `end` of the commit log is the end of its last segment: only the reader
 * of records can tell where data stops. A consume queue's end is the last unit that is not zero.
 */
struct mosaic_stream_info {
	uint64_t begin;         /* first byte that still exists */
	uint64_t end;           /* next byte to be reserved */
	uint64_t segment_bytes; /* segments start at multiples of it */
};

/* Memory lent by reserve(): write-only for the core until commit. */
struct mosaic_span {
	uint8_t *ptr;
	uint32_t len;
	uint32_t reserved0;
};

/*
 * Result of read(): `ptr` and `len` lend bytes of the store, contiguous, from `offset`, at least 1
 * and at most the len asked for (less at a segment's or the stream's end). They stay until unpin().
 */
struct mosaic_read {
	struct mosaic_req req;
	uint64_t offset;
	const uint8_t *ptr;
	uint32_t len;
	uint32_t reserved0;
	uint64_t pin[2]; /* the store's */
};

struct mosaic_sync {
	struct mosaic_req req;
	uint64_t upto; /* in: bytes below must be durable; out: durable up to here, >= in */
};

/* open(): recovered facts, valid when done() ran with status 0. */
struct mosaic_store_open {
	struct mosaic_req req;
	struct mosaic_error *error; /* the caller's; filled when status is negative */
	uint32_t was_clean;         /* out: 1 when the last user closed it properly */
	uint32_t n_streams;         /* out: streams found, for stream_at() */
};

enum mosaic_doc_flags {
	MOSAIC_DOC_BACKUP = 1u << 0, /* keep the previous content beside it as NAME.bak */
	MOSAIC_DOC_LAZY = 1u << 1    /* save: need not survive power loss when done */
};

/*
 * A document: a small file named by a relative path such as "config/topics.json". load(): the
 * store sets content and len, its memory, valid until doc_release(); E_NOTFOUND when there is
 * neither the file nor its backup. save(): the caller's content, untouched until done().
 */
struct mosaic_doc {
	struct mosaic_req req;
	const char *name;
	const uint8_t *content;
	uint64_t len;
	uint32_t flags;
	uint32_t reserved0;
	void *reserved1; /* the store's */
};

/* space(): how full the disk is and how old the oldest bytes are, for whoever decides what goes. */
struct mosaic_space {
	struct mosaic_req req;
	uint64_t total;     /* out: bytes of the file system, without what only root may use */
	uint64_t used;      /* out: of these, by anybody's files */
	uint64_t oldest_ms; /* out: when the commit log's first segment was last written, in
			     * milliseconds since 1970; 0: there is none */
};

/* write(): the caller's bytes, untouched until done(). */
struct mosaic_write {
	struct mosaic_req req;
	uint64_t offset;
	const uint8_t *ptr;
	uint32_t len;
	uint32_t reserved0;
};

struct mosaic_store_ops {
	uint32_t struct_size;
	uint32_t reserved0;

	/* [main] allocate and check options; no I/O, no threads */
	int32_t (*create)(const struct mosaic_host *host, const void *options,
			  struct mosaic_store **out, struct mosaic_error *error);
	/* [core] take the lock, find the streams; asynchronous */
	int32_t (*open)(struct mosaic_store *store, struct mosaic_store_open *req);
	/* [core] flush everything, mark clean, release the lock; completes after all other
	 * requests. After a failure it does not mark clean. */
	int32_t (*close)(struct mosaic_store *store, struct mosaic_req *req);
	/* [main] after close, or after a failed open */
	void (*destroy)(struct mosaic_store *store);

	/* [core] index-th stream found by open(); name->topic lives until close */
	int32_t (*stream_at)(struct mosaic_store *store, uint32_t index,
			     struct mosaic_stream_name *name);
	/* [core] find or make; does not touch the disk before bytes are committed. The same name
	 * gives the same stream. */
	int32_t (*stream_open)(struct mosaic_store *store, const struct mosaic_stream_name *name,
			       struct mosaic_stream **out);
	/* [core] what there is of it now */
	void (*stream_info)(struct mosaic_stream *stream, struct mosaic_stream_info *info);
	/* [core] forget a stream and delete its files (topic deleted); asynchronous. The stream is
	 * gone for the caller when the call returns 0. */
	int32_t (*stream_drop)(struct mosaic_stream *stream, struct mosaic_req *req);

	/* [core] room for at least max_len bytes at the end of the stream, never blocks. E_AGAIN:
	 * the next segment or buffer is not ready, see room(). E_NOSPACE: the disk is full (may
	 * end). E_LIMIT: max_len is more than what is left of this segment (room.len says how much
	 * that is): the core pads and comes again. A second reserve replaces the first. */
	int32_t (*reserve)(struct mosaic_stream *stream, uint32_t max_len,
			   struct mosaic_span *room);
	/* [core] the first len bytes of the room are now the stream's end */
	void (*commit)(struct mosaic_stream *stream, uint32_t len);
	/* [core] ask to be told once when a reserve() that answered E_AGAIN or E_NOSPACE may go
	 * better. One waiter per stream. */
	int32_t (*room)(struct mosaic_stream *stream, struct mosaic_req *req);
	/* [core] start the stream at `offset` although nothing was written below; only for an empty
	 * stream (a queue whose first units are gone) */
	int32_t (*start_at)(struct mosaic_stream *stream, uint64_t offset);

	/* [core] 0: answered, done() will not run. MOSAIC_PENDING: cold, done() runs once.
	 * E_NOTFOUND: below begin or at the end. When it pended it may end with E_IO: the disk does
	 * not answer, all may be well later; or, of the commit log and since 0.6, with E_LOST: the
	 * disk answers, and has failed to read these bytes more than once; read->offset and
	 * read->len say which of those that were asked for, whatever else lies in the same page. */
	int32_t (*read)(struct mosaic_stream *stream, uint64_t offset, uint32_t len,
			struct mosaic_read *read);
	/* [core] exactly once for every read that succeeded */
	void (*unpin)(struct mosaic_stream *stream, struct mosaic_read *read);

	/* [core] see struct mosaic_sync and STORE-02 to 04; E_INVAL: upto is beyond the end,
	 * E_FATAL: a write or a sync has failed */
	int32_t (*sync)(struct mosaic_stream *stream, struct mosaic_sync *req);
	/* [core] make all consume queues durable as they are now, and trim their memory */
	int32_t (*sync_queues)(struct mosaic_store *store, struct mosaic_req *req);
	/* [core] cut the stream to end at `to`; also tells a freshly opened store the true end.
	 * E_INVAL: beyond the end, E_AGAIN: an earlier cut of this stream goes on. */
	int32_t (*truncate)(struct mosaic_stream *stream, uint64_t to, struct mosaic_req *req);
	/* [core] whole segments below `below` may be deleted, never the one that holds the end:
	 * `begin` moves at once, the files go one by one and the last of them is gone when it ends.
	 * E_AGAIN: an earlier trim of this stream goes on. */
	int32_t (*trim)(struct mosaic_stream *stream, uint64_t below, struct mosaic_req *req);

	/* [core] see struct mosaic_doc; loads and saves of one name complete in order */
	int32_t (*doc_load)(struct mosaic_store *store, struct mosaic_doc *doc);
	void (*doc_release)(struct mosaic_store *store, struct mosaic_doc *doc);
	int32_t (*doc_save)(struct mosaic_store *store, struct mosaic_doc *doc);

	/* [core] since 0.2, may be NULL: asynchronous, as it asks the file system */
	int32_t (*space)(struct mosaic_store *store, struct mosaic_space *space);

	/* [core] since 0.3, may be NULL: bytes of an index stream, below its size. Truncates and
	 * writes of one stream take effect in order; a sync covers writes that are done. */
	int32_t (*write)(struct mosaic_stream *stream, struct mosaic_write *write);

	/* [main] since 0.4, may be NULL: whether a store of these options can work on this machine,
	 * without changing anything. 0 or E_UNSUPPORTED with the reason. What only open() can find
	 * out is no reason. */
	int32_t (*usable)(const void *options, struct mosaic_error *error);

	/*
	 * [core] since 0.5, may be NULL: after a crash. What the stream has in [from, end) can be
	 * read and may be on no disk, although a sync would say 0: a sync of the process that died
	 * may have failed before it could tell anybody, and the kernel takes such pages for
	 * written.
	 * The next sync of the stream (of the queues) writes these bytes again.
	 */
	void (*distrust)(struct mosaic_stream *stream, uint64_t from);
};

#ifdef __cplusplus
}
#endif
#endif
