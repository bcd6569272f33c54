/* What the files of this folder share. */
#ifndef LOG_LOG_PRIV_H
#define LOG_LOG_PRIV_H

#include "log/checkpoint.h"
#include "log/log.h"

struct recovery;

/* Bytes that the store cannot read, and how long that is believed. */
struct lost_bytes {
	uint64_t from, upto, until_ns;
};
#define LOST_MOST 64 /* more than a pull has records; the oldest gives way and is found again */

struct log_private {
	struct checkpoint checkpoint;
	struct recovery *recovery; /* while opening */
	/* Appends that wait for room: one request to the store stands for all of them. */
	struct mosaic_req *room_first, **room_tail;
	struct mosaic_req room;
	bool asked_for_room;
	struct mosaic_stream *full; /* which stream last had no room */
	struct mosaic_flush_port flush_port;
	struct queue *dropped; /* kept until destroy: reads may be under way */
	struct mosaic_req *close_req;
	struct mosaic_req step; /* of closing */
	int close_status;
	uint64_t damage_told, damage_told_ns; /* how many the last line told of, and when */
	struct lost_bytes lost[LOST_MOST];
	uint32_t next_lost;
	uint64_t lost_until; /* when the last of them is forgotten; 0: never was one */
};

/* append.c */
/* Prepared and rolled back transactions are in no consume queue. Batches in one record would have a
 * queue of another shape, which is not kept here. */
static inline bool record_has_unit(int32_t sys_flag)
{
	int32_t transaction = sys_flag & SYS_TRANSACTION_MASK;
	return (transaction == 0 || transaction == SYS_TRANSACTION_COMMIT) &&
	       !(sys_flag & SYS_INNER_BATCH);
}
int64_t queue_tags_code(const struct queue *q, const struct message *m);
/* Offset of the store time in a record with this sysFlag; needs RECORD_PEEK_BYTES of the record. */
#define RECORD_PEEK_BYTES 76
int64_t record_peek_store_ms(const uint8_t *record);
void log_tell_room(struct log *log);

/* queue.c */
/* The unit at `index`, which is in the stream: 0, MOSAIC_PENDING or an error. */
NODISCARD int queue_unit_at(struct cursor *c, struct queue *q, int64_t index,
			    struct queue_unit *unit);
/* Moves *low up to the first index in [*low, *high) whose unit is not below phys_offset: 0,
 * MOSAIC_PENDING (call again with the same pointers) or an error. */
NODISCARD int queue_bound(struct cursor *c, struct queue *q, uint64_t phys_offset, int64_t *low,
			  int64_t *high);
void queue_destroy(struct queue *q);

/* recover.c */
NODISCARD int recovery_start(struct log *log, struct log_open_req *req);

#endif
