#include "broker/wishes.h"
#include "base/num.h"
#include "broker/offsets.h"
#include "broker/schedule.h"
#include "broker/topics.h"

#define RESERVE_TIME "reserve.time" /* TopicAttributes: hours, as the tiered store counts them */
#define HOUR_MS INT64_C(3600000)
#define HOURS_MAX (INT64_MAX / HOUR_MS / 2)

static void want_time(const struct broker *b, const struct topic *t)
{
	struct mosaic_error err = { .struct_size = sizeof(err) };
	int64_t hours = -1;
	json_t *attributes = json_read(slice_str(t->attributes), &err);

	if (attributes)
		(void)num_parse_i64(json_get_str(attributes, RESERVE_TIME), &hours);
	json_decref(attributes);
	if (hours <= 0)
		return;
	hours = hours < HOURS_MAX ? hours : HOURS_MAX;
	for (int32_t i = 0; i < topic_queue_count(t); i++) {
		struct queue *q = log_queue_find(b->log, slice(t->name, t->name_len), i);
		if (q)
			q->wish.keep_ms = hours * HOUR_MS;
	}
}

static void want_times(const struct broker *b)
{
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(&b->topics->table, &pos)) != NULL;) {
		const struct topic *t = e->value;
		if (t->attributes && strstr(t->attributes, RESERVE_TIME))
			want_time(b, t);
	}
}

static void want_from(const struct broker *b, struct mosaic_slice topic, int32_t queue_id,
		      int64_t consumed)
{
	struct queue *q = log_queue_find(b->log, topic, queue_id);

	consumed = consumed > 0 ? consumed : 0;
	if (q && consumed < q->wish.consumed)
		q->wish.consumed = consumed;
}

/* A group counts for all queues of a topic once it has committed an offset of one. */
static void want_offsets(const struct broker *b)
{
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(&b->offsets->table, &pos)) != NULL;) {
		const struct offset_table *t = e->value;
		const uint8_t *at = memchr(e->key.ptr, '@', e->key.len);
		if (!at)
			continue;
		struct mosaic_slice name = slice(e->key.ptr, (size_t)(at - e->key.ptr));
		const struct topic *topic = topics_find(b->topics, name);
		int32_t n = topic ? topic_queue_count(topic) : 0;
		for (int32_t i = 0; i < n || (uint32_t)i < t->n; i++)
			want_from(b, name, i, (uint32_t)i < t->n ? t->offsets[i] : -1);
	}
}

void wishes_look(void *broker)
{
	const struct broker *b = broker;

	want_times(b);
	want_offsets(b);
	for (int32_t level = 1; level <= DELAY_LEVELS; level++)
		want_from(b, slice_str(TOPIC_SCHEDULE), level - 1,
			  schedule_safe(b->schedule, level));
}
