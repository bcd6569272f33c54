/*
 * A consume queue: units of 20 bytes, one per message of a queue (ConsumeQueue of 5.3.3):
 *   8 commit log offset | 4 record size | 8 tagsCode
 * Index i is at byte 20 * i. All [core].
 */
#ifndef LOG_QUEUE_H
#define LOG_QUEUE_H

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/slice.h"
#include "log/cursor.h"

#define QUEUE_UNIT_BYTES 20
/* Of a stream, whatever store it is of, an append needs the beginning. */
#define QUEUE_STREAM_HOT_BYTES 128
/* Size in a unit that stands for nothing: fills a queue up to the first index that it really
 * has. */
#define QUEUE_FILLER_SIZE 0x7fffffffu
/* A tags code up to this one is an address in consumequeue_ext/ (ConsumeQueueExt.isExtAddr of
 * 5.3.3): Apache's broker writes them with enableConsumeQueueExt, we do not. */
#define QUEUE_EXT_ADDRESS_MAX (-INT64_C(2147483649))

struct log;
struct queue_recovery;

struct queue_unit {
	uint64_t phys_offset;
	uint32_t size;
	int64_t tags_code;
};

/* What keeps records of a queue longer, or not so long; see retention.h. */
struct queue_wish {
	int64_t keep_ms;  /* own time of its topic, 0: the broker's */
	int64_t consumed; /* all groups have consumed below; INT64_MAX: there is no group */
};
#define QUEUE_WISH_NONE ((struct queue_wish){ 0, INT64_MAX })

struct queue {
	struct log *log;
	struct mosaic_stream *stream;
	char *topic;
	uint32_t topic_len;
	int32_t queue_id;
	int32_t key_hash; /* of its messages' keys: index_topic_hash() of its topic */
	int64_t segment_units; /* units per file */
	int64_t min_offset; /* first index whose record still exists */
	int64_t max_offset; /* next index to be assigned */
	int64_t visible;    /* next index consumers may not see yet */
	uint64_t max_phys;  /* end of the last record with a unit here */
	uint64_t min_phys;  /* where the record at min_offset is, UINT64_MAX: not known */
	struct queue_wish wish;
	void *polls;        /* the broker's held pulls, NULL when none */
	bool is_delay;      /* of SCHEDULE_TOPIC_XXXX: units carry the time they are due */
	struct queue_recovery *recovery; /* while the log opens */
	bool is_dropped; /* its topic was deleted */
	struct queue *next_dropped;
};

static inline struct mosaic_slice queue_topic(const struct queue *q)
{
	return slice(q->topic, q->topic_len);
}

/* An append to this queue comes soon: among very many, each is far from the processor. First the
 * queue, then, when other work has been done meanwhile, what the store has of it. */
static inline void queue_prefetch(const struct queue *q)
{
	prefetch(q, sizeof(*q));
}

static inline void queue_prefetch_stream(const struct queue *q)
{
	prefetch(q->stream, QUEUE_STREAM_HOT_BYTES);
}

static inline void queue_unit_decode(const uint8_t *p, struct queue_unit *unit)
{
	unit->phys_offset = get_be64(p);
	unit->size = get_be32(p + 8);
	unit->tags_code = (int64_t)get_be64(p + 12);
}

/* No record was ever here: a hole, or filler. */
static inline bool unit_is_nothing(const struct queue_unit *unit)
{
	return unit->size == QUEUE_FILLER_SIZE || (unit->size == 0 && unit->phys_offset == 0);
}

static inline void queue_unit_encode(uint8_t *p, const struct queue_unit *unit)
{
	put_be64(p, unit->phys_offset);
	put_be32(p + 8, unit->size);
	put_be64(p + 12, (uint64_t)unit->tags_code);
}

/* Units from `index`: as mosaic_store_ops.read; read->len is a multiple of QUEUE_UNIT_BYTES, at
 * most n units. 0, MOSAIC_PENDING or E_NOTFOUND (outside [min, max)). */
NODISCARD int queue_read(struct queue *q, int64_t index, uint32_t n, struct mosaic_read *read);
void queue_unpin(struct queue *q, struct mosaic_read *read);

/*
 * Offset by store time (SEARCH_OFFSET_BY_TIMESTAMP; semantics of 5.3.3): asynchronous, because the
 * records it looks at may be cold.
 */
struct queue_search {
	struct mosaic_req req; /* done(): status 0 and offset set */
	int64_t timestamp_ms;
	bool upper; /* UPPER instead of LOWER */
	int64_t offset;
	struct queue *queue; /* private from here */
	int64_t low, high, n_lost;
	struct cursor units, records;
};
/* 0: answered at once; MOSAIC_PENDING: done() will run; negative: the store cannot read. */
NODISCARD int queue_search(struct queue *q, struct queue_search *search);

#endif
