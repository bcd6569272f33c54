#include "log/damage.h"
#include "log/log_priv.h"
#include <inttypes.h>

#define TELL_NS SECOND_NS
#define LOST_NS (60 * SECOND_NS)
/* Light queues (LiteConsumeQueue, LmqDispatch of 5.3.3): their units are of records of other
 * queues. */
#define LMQ_PREFIX "%LMQ%"

bool unit_fits(const struct log *log, const struct queue_unit *unit)
{
	return unit->size >= RECORD_FIXED_BYTES && unit->size <= log->segment_bytes &&
	       unit->phys_offset < log->end && unit->size <= log->end - unit->phys_offset &&
	       unit->phys_offset % log->segment_bytes + unit->size <= log->segment_bytes;
}

bool record_fits(const struct queue *q, int64_t index, const struct queue_unit *unit,
		 const uint8_t *bytes)
{
	struct message m;
	uint32_t len;
	if (record_decode(bytes, unit->size, true, &m, &len) != RECORD_MESSAGE ||
	    len != unit->size || m.phys_offset != (int64_t)unit->phys_offset)
		return false;
	if (slice_has_prefix(queue_topic(q), LMQ_PREFIX))
		return true;
	return m.queue_id == q->queue_id && m.queue_offset == index &&
	       slice_eq(m.topic, queue_topic(q));
}

void log_damaged(struct log *log, struct mosaic_slice topic, int32_t queue_id, int64_t index,
		 uint64_t at)
{
	struct log_private *priv = log->priv;
	uint64_t now = host_now_ns(log->host);
	log->stats.damaged++;
	if (priv->damage_told && now - priv->damage_told_ns < TELL_NS)
		return;
	LOG_ERROR(log->host, "message_damaged",
		  "topic=%.*s queue=%d offset=%" PRId64 " at=%" PRIu64 " since_last=%" PRIu64
		  " text=\"the disk gives back other bytes than were stored, or none. It is "
		  "skipped; mosaic store verify says what else is damaged\"",
		  SLICE_ARG(topic), queue_id, index, at, log->stats.damaged - priv->damage_told);
	priv->damage_told = log->stats.damaged;
	priv->damage_told_ns = now;
}

void log_lost(struct log *log, const struct mosaic_read *read)
{
	struct log_private *priv = log->priv;
	uint64_t until = host_now_ns(log->host) + LOST_NS;
	struct lost_bytes *slot = &priv->lost[priv->next_lost++ % LOST_MOST];
	*slot = (struct lost_bytes){ read->offset, read->offset + read->len, until };
	if (priv->lost_until < until)
		priv->lost_until = until;
}

uint32_t log_readable(struct log *log, uint64_t offset, uint32_t len)
{
	const struct log_private *priv = log->priv;
	if (LIKELY(priv->lost_until == 0))
		return len;
	uint64_t now = host_now_ns(log->host);
	uint64_t end = offset + len;
	for (uint32_t i = 0; i < LOST_MOST && now < priv->lost_until; i++) {
		const struct lost_bytes *lost = &priv->lost[i];
		if (now < lost->until_ns && lost->from < end && lost->upto > offset)
			end = lost->from > offset ? lost->from : offset;
	}
	return (uint32_t)(end - offset);
}
