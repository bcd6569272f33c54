/*
 * Private to recover.c (which records are there), salvage.c (what follows bytes that are none) and
 * rebuild.c (which units they must have).
 *
 * A recovery is a chain of steps. Each step is a function that can be run again from its start:
 * it keeps what it has reached in struct recovery, and returns when it must wait; whatever it
 * waited for runs it again (recovery_run). recovery_next() goes on with another step.
 */
#ifndef LOG_RECOVER_H
#define LOG_RECOVER_H

#include "log/log_priv.h"

/* One queue while the log opens. Its max_offset counts the units that are known to be right. */
struct queue_recovery {
	struct cursor units;
	int64_t begin, end; /* indexes that are in the stream */
	int64_t checked;    /* from here on the scan looked at the units */
	int64_t segment_units;
	int64_t low, high; /* of a search that goes on */
	bool has_looked;   /* at the last unit */
	bool is_full;      /* the last unit is of a record in front of the scan */
};

/* Bytes at r->at that are no record; salvage.c. */
struct recovery_hole {
	uint64_t search_at, search_end;
	uint64_t next;   /* the whole record or blank behind it, UINT64_MAX: none so far */
	int64_t next_ms; /* store time of the first message behind it */
	uint64_t shape_at;
};

struct recovery {
	struct log *log;
	struct log_open_req *req;
	void (*step)(struct recovery *r);
	void (*then)(struct recovery *r); /* after a walk of rebuild.c */
	const struct mosaic_store_ops *ops;
	struct mosaic_store_open open;
	struct mosaic_doc doc;
	struct mosaic_req wait; /* for anything but a read */
	struct mosaic_sync sync;
	bool is_waiting;
	struct cursor records;
	struct cursor peek;             /* at another record meanwhile */
	struct mosaic_stream_info info; /* of the commit log */
	uint32_t pos;                   /* in a walk over the queues */
	struct queue *queue;            /* where the walk is */
	bool is_new_queue;              /* the walk has just come to it */

	bool is_crash;       /* units are checked one by one; else they are believed */
	bool is_whole;       /* the scan goes over the whole log: there is no way further back */
	uint64_t max_phys;   /* end of the last record that a unit points to */
	uint64_t resume_at;  /* what the checkpoint names, believed or not; UINT64_MAX: nothing */
	uint64_t resume_end; /* of the record that the checkpoint names */
	uint64_t segment;    /* start of the segment that is looked at */
	uint64_t start;      /* where the scan starts */
	uint64_t units_from; /* records from here on must have a unit */
	uint64_t at;         /* where the scan is */
	uint64_t durable;    /* below: on the disk, as the checkpoint knows */
	uint64_t whole_at;   /* a record that looked torn and is not */
	bool is_blank;       /* nothing was ever written where record_at looked last */
	struct recovery_hole hole;
	struct queue_unit damage; /* where the last damage was */
	uint64_t damaged_bytes;   /* that the scan went over */
	uint64_t n_units;         /* that are right before the scan; in the end: of the log */
	bool has_hole;            /* units in front of one that is right are not */
	bool has_lost_unit;       /* that of the record that the checkpoint names */
	bool is_recount;          /* units were lost: only topics with a queue get them again */
	uint64_t since;           /* from here on any topic does */
	uint64_t units_cut;       /* units without a record, of all queues */
	uint64_t pause_at;        /* where it lets others run */
	int64_t last_store_ms;
	uint64_t last_unit_phys;
	int64_t last_unit_ms;
};

void recovery_run(struct recovery *r);
void recovery_next(struct recovery *r, void (*step)(struct recovery *r));
/* Ends the recovery; code is negative. */
void recovery_fail(struct recovery *r, int code, const char *what);
/* For requests to the store: the first prepares r->wait, the second looks at what the call returned
 * and is false when it failed, in which case the recovery has ended. */
struct mosaic_req *recovery_wait(struct recovery *r);
bool recovery_waits(struct recovery *r, int rc, const char *what);
/* Reading: true when rc is 0; otherwise the step must return. */
bool recovery_has(struct recovery *r, int rc, const char *what);
/* Walks over all queues: the first or next one in r->queue; false at the end. */
bool recovery_walk(struct recovery *r);
/* The record at `offset`, whole and with a body that fits to its checksum: 0, MOSAIC_PENDING,
 * MOSAIC_E_CORRUPT when there is none, or an error of the store. */
NODISCARD int recovery_record_at(struct recovery *r, uint64_t offset, struct message *m,
				 uint32_t *len, int *kind);
/* How far units and checkpoint say that the log has reached. */
uint64_t recovery_known_end(const struct recovery *r);
/* The scan is over: r->at is the log's end. */
void recovery_ends_here(struct recovery *r);

/* salvage.c */
/* Whether there can be anything behind r->at, where no record begins. */
bool salvage_may_help(const struct recovery *r);
/* Goes on with r->then behind the damage, or with recovery_ends_here(). */
void salvage(struct recovery *r);
/* After the queues were cut: says what the log once had and has no more. */
void salvage_tell_lost(const struct recovery *r);

/* rebuild.c */
/* Whether the unit of this record is there: 0, MOSAIC_PENDING or an error. */
NODISCARD int rebuild_find_unit(struct recovery *r, const struct message *m, uint32_t len,
				bool *is_there);
/* Every queue's max_offset: the units of records below r->units_from. */
void rebuild_begin(struct recovery *r, void (*then)(struct recovery *r));
enum rebuild_result {
	REBUILD_DONE = 0,
	REBUILD_WAITS = 1, /* the step must return */
	REBUILD_GAP = 2    /* units of records before the scan's start are missing */
};
/* The unit of a record that the scan has found. */
enum rebuild_result rebuild_unit(struct recovery *r, const struct message *m, uint32_t len);
/* The same for a record of which only the frame is whole: nothing is made for it that the queue
 * does not expect. REBUILD_DONE or REBUILD_WAITS. */
enum rebuild_result rebuild_damaged(struct recovery *r, const struct message *m, uint32_t len);
/* Cuts off what no record stands behind, and finds the first index whose record exists. */
void rebuild_end(struct recovery *r, void (*then)(struct recovery *r));
void rebuild_free(struct recovery *r);

#endif
