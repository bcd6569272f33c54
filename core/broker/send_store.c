/*
 * Into the log. What sends, messages that are sent back and messages whose delay is over share; the
 * functions are those of sends.h.
 */
#include "base/hash.h"
#include "base/num.h"
#include "broker/schedule.h"
#include "broker/send_priv.h"
#include "broker/stats.h"
#include "wire/codes.h"

/* A delay level moves the message to the schedule topic; where it was bound for goes with it. */
static int store_delayed(struct message *m, struct props_edit *props, int32_t level,
			 uint8_t queue_text[20])
{
	uint32_t n = num_format_i64(queue_text, m->queue_id);
	int rc = props_edit_put(props, slice_str(PROP_REAL_TOPIC), m->topic);
	if (rc == 0)
		rc = props_edit_put(props, slice_str(PROP_REAL_QUEUE_ID), slice(queue_text, n));
	m->topic = slice_str(TOPIC_SCHEDULE);
	m->queue_id = level - 1;
	return rc;
}

int sends_append(struct broker *b, struct message *m, uint64_t *end)
{
	struct topic *topic = topics_find(b->topics, m->topic);
	if (topic == NULL)
		return MOSAIC_E_NOTFOUND;
	if (m->queue_id >= topic_queue_count(topic))
		return MOSAIC_E_NOTFOUND;
	struct queue *queue = topic_queue(b, topic, m->queue_id);
	if (queue == NULL)
		return MOSAIC_E_NOMEM;
	queue_prefetch_stream(queue);
	m->store_host = b->config.store_host;
	m->prepared_offset = 0;
	m->body_crc = hash_crc32(m->body.ptr, m->body.len) & 0x7fffffff;
	int rc = log_append(b->log, queue, m, end);
	if (rc == 0)
		stats_put(b->stats, topic, 1, m->body.len);
	else
		stats_put_failed(b->stats);
	return rc;
}

int sends_store(struct broker *b, struct message *m, struct props_edit *props, uint64_t *end)
{
	struct sends *s = b->sends;
	uint8_t queue_text[20];
	int32_t level = delay_level(props);
	if (level > 0 && !slice_is(m->topic, TOPIC_SCHEDULE)) {
		int rc = store_delayed(m, props, level, queue_text);
		if (rc != 0)
			return rc;
	}
	buf_clear(&s->props);
	props_edit_write(props, &s->props);
	m->props = buf_slice(&s->props);
	m->tags = props_edit_get(props, &prop_key_tags);
	m->has_tags = true;
	m->uniq_key = props_edit_get(props, &prop_key_uniq_key);
	m->keys = props_edit_get(props, &prop_key_keys);
	m->has_keys = true;
	return sends_append(b, m, end);
}
