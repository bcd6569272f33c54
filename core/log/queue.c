#include "base/mem.h"
#include "log/damage.h"
#include "log/delay.h"
#include "log/log_priv.h"
#include <stdlib.h>

/* A topic is a folder of the store. */
#define TOPIC_MAX 255

/* ---- the table of queues ---- */

static size_t queue_key(uint8_t *key, struct mosaic_slice topic, int32_t queue_id)
{
	memcpy(key, topic.ptr, topic.len);
	key[topic.len] = 0;
	put_be32(key + topic.len + 1, (uint32_t)queue_id);
	return topic.len + 5;
}

struct queue *log_queue_find(const struct log *log, struct mosaic_slice topic, int32_t queue_id)
{
	uint8_t key[TOPIC_MAX + 5];
	if (topic.len == 0 || topic.len > TOPIC_MAX)
		return NULL;
	return map_get(&log->queues, slice(key, queue_key(key, topic, queue_id)));
}

static bool topic_is_folder(struct mosaic_slice topic)
{
	return topic.len > 0 && topic.len <= TOPIC_MAX && !memchr(topic.ptr, '/', topic.len) &&
	       !memchr(topic.ptr, 0, topic.len) && !slice_is(topic, ".") && !slice_is(topic, "..");
}

struct queue *log_queue(struct log *log, struct mosaic_slice topic, int32_t queue_id)
{
	struct queue *q = log_queue_find(log, topic, queue_id);
	if (LIKELY(q != NULL))
		return q;
	if (!topic_is_folder(topic) || queue_id < 0)
		return NULL;
	q = mem_alloc(sizeof(*q));
	q->log = log;
	q->topic = slice_dup(topic);
	q->topic_len = (uint32_t)topic.len;
	q->queue_id = queue_id;
	q->key_hash = index_topic_hash(topic);
	q->is_delay = slice_is(topic, DELAY_TOPIC);
	q->wish = QUEUE_WISH_NONE;
	q->min_phys = UINT64_MAX;
	struct mosaic_stream_name name = { MOSAIC_CONSUME_QUEUE, queue_id, q->topic };
	if (log->config.store_ops->stream_open(log->config.store, &name, &q->stream) < 0) {
		queue_destroy(q);
		return NULL;
	}
	struct mosaic_stream_info info;
	log->config.store_ops->stream_info(q->stream, &info);
	q->segment_units = (int64_t)(info.segment_bytes / QUEUE_UNIT_BYTES);
	uint8_t key[TOPIC_MAX + 5];
	map_put(&log->queues, slice(key, queue_key(key, topic, queue_id)), q);
	return q;
}

void queue_destroy(struct queue *q)
{
	ASSERT(!q->recovery);
	free(q->topic);
	free(q);
}

struct queue_drop {
	struct mosaic_req req;
	struct log *log;
	char *topic;
	int32_t queue_id;
};

static void queue_dropped(struct mosaic_req *req)
{
	struct queue_drop *drop = req->data;
	if (req->status < 0)
		LOG_WARN(drop->log->host, "queue_not_deleted", "topic=%s queue=%d status=%d",
			 drop->topic, drop->queue_id, req->status);
	free(drop->topic);
	free(drop);
}

static void queue_drop(struct queue *q)
{
	struct log *log = q->log;
	struct queue_drop *drop = mem_alloc(sizeof(*drop));
	*drop = (struct queue_drop){ .req = { .done = queue_dropped, .data = drop },
				     .log = log,
				     .topic = mem_strdup(q->topic),
				     .queue_id = q->queue_id };
	if (log->priv->full == q->stream)
		log->priv->full = NULL;
	int rc = log->config.store_ops->stream_drop(q->stream, &drop->req);
	if (rc < 0) {
		drop->req.status = rc;
		queue_dropped(&drop->req);
	}
	q->is_dropped = true;
	log->n_units -= (uint64_t)q->max_offset;
	q->min_offset = q->max_offset = q->visible = 0;
	q->next_dropped = log->priv->dropped;
	log->priv->dropped = q;
}

void log_drop_topic(struct log *log, struct mosaic_slice topic)
{
	struct map_entry *entry;
	bool any = false;
	for (uint32_t pos = 0; (entry = map_next(&log->queues, &pos)) != NULL;) {
		struct queue *q = entry->value;
		if (!slice_eq(queue_topic(q), topic))
			continue;
		uint8_t key[TOPIC_MAX + 5];
		map_remove(&log->queues, slice(key, queue_key(key, topic, q->queue_id)));
		queue_drop(q);
		any = true;
	}
	/* A recovery that began before this point would bring the units back. */
	if (any && log->is_open)
		checkpoint_hurry(&log->priv->checkpoint);
}

/* ---- reading ---- */

int queue_read(struct queue *q, int64_t index, uint32_t n, struct mosaic_read *read)
{
	if (index < q->min_offset || index >= q->max_offset)
		return MOSAIC_E_NOTFOUND;
	int64_t most = q->max_offset - index;
	if (n > UINT32_MAX / QUEUE_UNIT_BYTES)
		n = UINT32_MAX / QUEUE_UNIT_BYTES;
	if (n > most)
		n = (uint32_t)most;
	return q->log->config.store_ops->read(q->stream, (uint64_t)index * QUEUE_UNIT_BYTES,
					      n * QUEUE_UNIT_BYTES, read);
}

void queue_unpin(struct queue *q, struct mosaic_read *read)
{
	q->log->config.store_ops->unpin(q->stream, read);
}

/* ---- searching ---- */

int queue_unit_at(struct cursor *c, struct queue *q, int64_t index, struct queue_unit *unit)
{
	const uint8_t *bytes;
	uint32_t len;
	int rc = cursor_get(c, q->stream, (uint64_t)index * QUEUE_UNIT_BYTES, QUEUE_UNIT_BYTES,
			    QUEUE_UNIT_BYTES, &bytes, &len);
	if (rc != 0)
		return rc;
	if (len < QUEUE_UNIT_BYTES)
		return MOSAIC_E_CORRUPT;
	queue_unit_decode(bytes, unit);
	return 0;
}

/* A hole, which a crash can leave, is at the end: nothing behind it counts. One that stands for
 * nothing begins with the segment in front of its neighbours' (mosaic store repair). */
static bool unit_is_below(const struct queue *q, const struct queue_unit *unit,
			  uint64_t phys_offset)
{
	if (unit->size == 0 || unit->size > QUEUE_FILLER_SIZE)
		return false;
	if (unit->size == QUEUE_FILLER_SIZE)
		return unit->phys_offset + q->log->segment_bytes < phys_offset;
	return unit->phys_offset < phys_offset;
}

/* Whether the unit at `index` is below, and the one before it too when it lies in the same file. */
static int check_below(struct cursor *c, struct queue *q, int64_t index, bool looks_back,
		       uint64_t phys_offset, bool *are_below)
{
	const uint8_t *bytes;
	struct queue_unit unit;
	looks_back = looks_back && index % q->segment_units > 0;
	uint32_t len, skip = looks_back ? QUEUE_UNIT_BYTES : 0;
	int rc = cursor_get(c, q->stream, (uint64_t)index * QUEUE_UNIT_BYTES - skip,
			    skip + QUEUE_UNIT_BYTES, skip + QUEUE_UNIT_BYTES, &bytes, &len);
	if (rc != 0)
		return rc;
	if (len < skip + QUEUE_UNIT_BYTES) /* only the other is in memory */
		return looks_back ? check_below(c, q, index, false, phys_offset, are_below)
				  : MOSAIC_E_CORRUPT;
	queue_unit_decode(bytes + skip, &unit);
	*are_below = unit_is_below(q, &unit, phys_offset);
	queue_unit_decode(bytes, &unit);
	*are_below = *are_below && unit_is_below(q, &unit, phys_offset);
	return 0;
}

/* Units grow from one to the next. One that is below and follows one that is not has been damaged,
 * and must not lead the search over its neighbours: a bound that is too low costs less. */
int queue_bound(struct cursor *c, struct queue *q, uint64_t phys_offset, int64_t *low,
		int64_t *high)
{
	while (*low < *high) {
		int64_t middle = *low + (*high - *low) / 2;
		bool is_below;
		int rc = check_below(c, q, middle, middle > *low, phys_offset, &is_below);
		if (rc != 0)
			return rc;
		if (is_below)
			*low = middle + 1;
		else
			*high = middle;
	}
	return 0;
}

/* Whether the record behind unit `index` is older than what is looked for. Units whose record is
 * gone count as old. 0, MOSAIC_PENDING, MOSAIC_E_LOST (the disk cannot tell) or an error. */
static int check_older(struct queue_search *s, int64_t index, bool *is_older)
{
	struct queue *q = s->queue;
	struct queue_unit unit;
	*is_older = true;
	if (index < q->min_offset) /* deleted meanwhile */
		return 0;
	int rc = queue_unit_at(&s->units, q, index, &unit);
	if (rc != 0)
		return rc;
	const uint8_t *record;
	uint32_t len;
	if (unit.size == QUEUE_FILLER_SIZE)
		return unit_is_below(q, &unit, q->log->begin) ? 0 : MOSAIC_E_LOST;
	if (log_readable(q->log, unit.phys_offset, RECORD_PEEK_BYTES) < RECORD_PEEK_BYTES)
		return MOSAIC_E_LOST;
	rc = cursor_get(&s->records, q->log->commit_log, unit.phys_offset, RECORD_PEEK_BYTES,
			RECORD_PEEK_BYTES, &record, &len);
	if (rc == MOSAIC_E_NOTFOUND)
		return 0;
	if (rc == MOSAIC_PENDING)
		q->log->unproven = q->log->end;
	if (rc == MOSAIC_E_LOST)
		log_lost(q->log, &s->records.read);
	if (rc == 0 && len >= RECORD_PEEK_BYTES) {
		int64_t store_ms = record_peek_store_ms(record);
		*is_older = store_ms < s->timestamp_ms || (s->upper && store_ms == s->timestamp_ms);
	}
	return rc;
}

/*
 * Finds the first index in [low, high) that is not older. LOWER is that one: the first at or after
 * the time, or the queue's end. UPPER is the one before it: the last at or before the time, or 0.
 */
static int search_run(struct queue_search *s)
{
	while (s->low < s->high) {
		if (s->queue->is_dropped)
			return MOSAIC_E_NOTFOUND;
		int64_t middle = s->low + (s->high - s->low) / 2;
		int64_t at = middle + s->n_lost; /* the next one tells, for those that cannot */
		bool is_older = false;
		int rc = at < s->high ? check_older(s, at, &is_older) : 0;
		if (rc == MOSAIC_E_LOST) {
			s->n_lost++;
			continue;
		}
		if (rc != 0)
			return rc;
		s->n_lost = 0;
		if (is_older)
			s->low = at + 1;
		else
			s->high = middle;
	}
	s->offset = s->low;
	if (s->upper)
		s->offset = s->low > s->queue->min_offset ? s->low - 1 : 0;
	return 0;
}

static int search_step(struct queue_search *s)
{
	int rc = search_run(s);
	if (rc != MOSAIC_PENDING) {
		cursor_drop(&s->units);
		cursor_drop(&s->records);
	}
	return rc;
}

static void search_resume(struct cursor *c)
{
	struct queue_search *s = c->data;
	int rc = search_step(s);
	if (rc == MOSAIC_PENDING)
		return;
	s->req.status = rc;
	s->req.done(&s->req);
}

int queue_search(struct queue *q, struct queue_search *s)
{
	s->queue = q;
	s->low = q->min_offset;
	s->high = q->visible;
	s->n_lost = 0;
	cursor_init(&s->units, q->log->config.store_ops, search_resume, s);
	cursor_init(&s->records, q->log->config.store_ops, search_resume, s);
	return search_step(s);
}
