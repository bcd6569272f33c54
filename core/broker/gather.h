/*
 * The messages of one answer to a pull: units of a queue, from an offset on, that match the
 * subscription, and the bytes of their records, lent by the store. (GetMessageResult of 5.3.3.)
 * All [core].
 */
#ifndef BROKER_GATHER_H
#define BROKER_GATHER_H

#include "broker/subscription.h"
#include "log/log.h"

#define GATHER_COUNT_MAX 32
/* A run of bytes may be lent in several pieces. */
#define GATHER_PIECES_MAX (GATHER_COUNT_MAX * 2)

/* What is asked for; it stays as it is until gather_run has returned. */
struct gather_want {
	struct log *log;
	uint64_t memory_bytes; /* of the machine: how much of the log's end Apache takes for hot */
	bool was_cold;         /* this try has waited for the store */
	struct mosaic_slice topic;
	int32_t queue_id;
	struct queue *queue;
	const struct subscription *sub;
	int64_t offset;
	int64_t max_count, max_bytes;
};

struct gather_record {
	struct queue_unit unit;
	int64_t index;
};

/* Begins as zeros. It stays where it is while a read pends and while bytes are lent. */
struct gather {
	struct gather_want want;
	/* What was cold has come (0), or cannot be read (E_...). Nothing is lent now. */
	void (*warmed)(struct gather *g, int32_t status);
	/* the result, as the pull's answer says it */
	int32_t code;
	const char *remark;
	int64_t next; /* offset to pull from */
	uint32_t n_records, n_bytes;
	uint32_t n_pieces; /* the records, one behind the other */
	struct mosaic_read pieces[GATHER_PIECES_MAX];
	/* private */
	struct gather_record records[GATHER_COUNT_MAX];
	struct mosaic_read units; /* of the consume queue */
	struct queue *cold_queue; /* whose read pends; NULL: it is of the commit log */
};

/* 0: there is a result, its pieces are lent. MOSAIC_PENDING: warmed() follows. E_...: the store
 * cannot read; nothing is lent. */
int gather_run(struct gather *g);
/* The result is that there is nothing, for this reason. */
void gather_nothing(struct gather *g, int32_t code, const char *remark, int64_t next);
/* Gives back what is lent. */
void gather_release(struct gather *g);

#endif
