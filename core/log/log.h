/*
 * The log of one broker: the commit log, its consume queues and the gate that holds answers until
 * their promise is kept. Everything is appended, read and recovered through a store plugin.
 *
 * Straight line of an append:
 *   log_append     assigns queue offset, physical offset and store time, encodes the record into
 *                  memory of the store, writes the consume queue unit
 *   gate_wait      remembers who waits for the record's end offset
 *   log_run_end    once per burst: tells flush and replication how far the log has grown
 *   log_watermark  a plugin has published: the gate releases a prefix
 *
 * Failure modes: no room (E_AGAIN: log_wait_room), disk full (E_NOSPACE: may end; also when
 * retention.h says that it is too full), a plugin failed
 * (E_FATAL: the log is read-only and `why` says why), record too large (E_LIMIT). All [core].
 */
#ifndef LOG_LOG_H
#define LOG_LOG_H

#include "base/host.h"
#include "base/map.h"
#include "log/gate.h"
#include "log/index.h"
#include "log/queue.h"
#include "log/retention.h"
#include "wire/message.h"
#include <mosaic/flush.h>
#include <mosaic/replication.h>
#include <mosaic/store.h>

struct log_config {
	const struct mosaic_host *host; /* the core's own services */
	const struct mosaic_store_ops *store_ops;
	struct mosaic_store *store; /* created, not open */
	/* NULL: nothing flushes (a store without SYNC) */
	const struct mosaic_flush_ops *flush_ops;
	struct mosaic_flush *flush;
	bool flush_gates; /* MOSAIC_FLUSH_CAP_GATES */
	/* NULL: no replication */
	const struct mosaic_replication_ops *repl_ops;
	struct mosaic_replication *repl;
	bool repl_gates; /* MOSAIC_REPLICATION_CAP_ACKABLE */
	uint32_t max_record_bytes;
	uint64_t gate_timeout_ns; /* 0: 5 s, RocketMQ's syncFlushTimeout */
	struct retention_config retention;
	struct index_shape index; /* of its files; no slots: messages are not found by key */
};

struct log_stats {
	uint64_t records, bytes;           /* appended since start */
	uint64_t recovered, scanned_bytes; /* by open */
	uint64_t damaged;                  /* messages that were not handed out: damage.h */
};

struct log {
	struct log_config config;
	const struct mosaic_host *host;
	struct mosaic_stream *commit_log;
	uint64_t segment_bytes; /* of the commit log */
	struct map queues; /* "topic\0" + 4 bytes queue id -> struct queue */
	struct gate gate;
	uint64_t begin, end; /* bytes of the commit log that exist */
	uint64_t visible;    /* consumers read below: the end, as nothing holds VISIBLE back yet */
	uint64_t unproven;   /* bytes below may have come from a disk, see damage.h */
	uint64_t told_end;   /* what flush and replication were last told */
	uint64_t durable;
	int64_t last_store_ms;
	uint64_t last_unit_phys; /* newest record that has a consume queue unit, UINT64_MAX: none */
	int64_t last_unit_ms;    /* its store time */
	uint64_t n_units;        /* the next offsets of all queues, added up */
	bool is_open, is_broken;
	bool is_out_of_space; /* for the last append: E_NOSPACE */
	char why[512]; /* why it is broken */
	struct log_stats stats;
	struct retention retention;
	struct index *index; /* NULL: none */
	/* A record of this queue became visible (long polls). Set by the owner before open. */
	void (*arrived)(void *ctx, struct queue *queue, int64_t next_offset, int64_t tags_code,
			const struct message *m);
	void *arrived_ctx;
	struct log_private *priv;
};

struct log *log_create(const struct log_config *config);
/* Opens the store, recovers commit log and consume queues. req->status 0, or err filled. */
struct log_open_req {
	struct mosaic_req req;
	struct mosaic_error err;
};
NODISCARD int log_open(struct log *log, struct log_open_req *req);
/* An open log only. Flushes and closes flush plugin and store. Everything that waits at the gate
 * ends first: GATE_KEPT when the last flush covered it, else GATE_BROKEN. */
NODISCARD int log_close(struct log *log, struct mosaic_req *req);
void log_destroy(struct log *log);

/*
 * Appends one message to a queue. In: topic, body, props, flags, hosts, born_ms, body_crc,
 * queue_id. Out in *m: queue_offset, phys_offset, store_ms. *end: the offset to wait for at the
 * gate. 0; E_AGAIN (no room now: log_wait_room); E_NOSPACE; E_FATAL (read-only); E_LIMIT (record
 * too large or longer than a segment).
 */
NODISCARD int log_append(struct log *log, struct queue *queue, struct message *m, uint64_t *end);
/* Once per burst of appends. */
void log_run_end(struct log *log);
/* From the host of the flush and replication instances: a watermark or a promise moved. */
void log_watermark(struct log *log, uint32_t which, uint64_t upto);
void log_promise(struct log *log, uint32_t which, uint32_t state);
/* A plugin failed for good: read-only, every waiter that cannot be kept any more is told. */
void log_fail(struct log *log, const struct mosaic_error *err);

/* Tells req once (status 0) when an append that answered E_AGAIN may go better. */
void log_wait_room(struct log *log, struct mosaic_req *req);

/* Bytes of the commit log, as mosaic_store_ops.read (0, MOSAIC_PENDING, E_NOTFOUND). */
NODISCARD int log_read(struct log *log, uint64_t offset, uint32_t len, struct mosaic_read *read);
void log_unpin(struct log *log, struct mosaic_read *read);

/* The queue, made when it is not there. NULL: the topic cannot name a folder (empty, above 255
 * bytes, '/', NUL, "." or ".."), the queue id is negative, or the store has no memory. */
struct queue *log_queue(struct log *log, struct mosaic_slice topic, int32_t queue_id);
struct queue *log_queue_find(const struct log *log, struct mosaic_slice topic, int32_t queue_id);
/* Topic deleted: all its queues are dropped with their files. Nothing new may be asked of them;
 * reads that are under way end as usual, queue_unpin included. */
void log_drop_topic(struct log *log, struct mosaic_slice topic);

/* Documents of the store (config/topics.json ...). */
NODISCARD int log_doc_load(struct log *log, struct mosaic_doc *doc);
void log_doc_release(struct log *log, struct mosaic_doc *doc);
NODISCARD int log_doc_save(struct log *log, struct mosaic_doc *doc);

#endif
