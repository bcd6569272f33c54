/* What a consumer says of itself to admins: ConsumerRunningInfo and its status, of 5.3.3. */
#include "consumer/running_info.h"
#include "consumer/member.h"
#include "wire/json.h"
#include <inttypes.h>
#include <stdio.h>

void running_info_key(struct json_writer *w, const char *topic, const char *broker, int32_t id)
{
	struct buf key = BUF_INIT;
	struct json_writer k;

	jw_init(&k, &key);
	jw_object(&k);
	jw_put_cstr(&k, "brokerName", broker);
	jw_put_i64(&k, "queueId", id);
	jw_put_cstr(&k, "topic", topic);
	jw_object_end(&k);
	jw_key_raw(w, buf_slice(&key));
	buf_free(&key);
}

static void put_queue_key(struct json_writer *w, const struct share *s)
{
	running_info_key(w, s->sub->topic, s->broker->name, s->id);
}

/* Monotonic time of the host as wall time; 0 stays 0. */
static int64_t wall(const struct member *m, uint64_t ns)
{
	const struct mosaic_host *host = m->engine->host;

	return ns == 0 ? 0
		       : (int64_t)(host_wall_ms(host) - (host_now_ns(host) - ns) / MS_NS);
}

static void write_share(struct json_writer *w, const struct share *s)
{
	const struct process_queue *q = &s->queue;
	int64_t first = list_empty(&q->items)
				? 0
				: LIST_ENTRY(q->items.next, struct item, link)->offset;

	put_queue_key(w, s);
	jw_object(w);
	jw_put_i64(w, "cachedMsgCount", q->n_items);
	jw_put_i64(w, "cachedMsgMaxOffset", list_empty(&q->items) ? 0 : q->last);
	jw_put_i64(w, "cachedMsgMinOffset", first);
	jw_put_i64(w, "cachedMsgSizeInMiB", (int64_t)(q->bytes >> 20));
	jw_put_i64(w, "commitOffset", q->commit);
	jw_put_bool(w, "droped", false); /* sic */
	jw_put_i64(w, "lastConsumeTimestamp", wall(s->member, s->settled_ns));
	jw_put_i64(w, "lastLockTimestamp", wall(s->member, s->locked_ns));
	jw_put_i64(w, "lastPullTimestamp", wall(s->member, s->pulled_ns));
	jw_put_bool(w, "locked", s->locked_ns != 0);
	jw_put_i64(w, "transactionMsgCount", 0);
	jw_put_i64(w, "transactionMsgMaxOffset", 0);
	jw_put_i64(w, "transactionMsgMinOffset", 0);
	jw_put_i64(w, "tryUnlockTimes", 0);
	jw_object_end(w);
}

static void write_properties(struct json_writer *w, const struct member *m)
{
	char text[32];

	jw_key(w, "properties");
	jw_object(w);
	jw_put_cstr(w, "PROP_CLIENT_VERSION", "V5_3_3");
	jw_put_cstr(w, "PROP_CONSUMEORDERLY", m->config.is_orderly ? "true" : "false");
	snprintf(text, sizeof(text), "%" PRId64, wall(m, m->started_ns));
	jw_put_cstr(w, "PROP_CONSUMER_START_TIMESTAMP", text);
	jw_put_cstr(w, "PROP_CONSUME_TYPE", m->heartbeat.type);
	jw_put_cstr(w, "PROP_NAMESERVER_ADDR", m->engine->namesrv[m->engine->namesrv_at]);
	snprintf(text, sizeof(text), "%u", m->config.threads);
	jw_put_cstr(w, "PROP_THREADPOOL_CORE_SIZE", text);
	jw_object_end(w);
}

static void write_status(struct json_writer *w, const struct member *m)
{
	struct map_entry *e;

	jw_key(w, "statusTable");
	jw_object(w);
	for (uint32_t pos = 0; (e = map_next(&m->topics, &pos)) != NULL;) {
		jw_key_slice(w, e->key);
		jw_object(w);
		stats_write(&((struct member_topic *)e->value)->stats, w);
		jw_object_end(w);
	}
	jw_object_end(w);
}

void running_info_write(const struct member *m, struct buf *out)
{
	struct json_writer w;
	struct map_entry *e;

	jw_init(&w, out);
	jw_object(&w);
	jw_key(&w, "mqPopTable");
	jw_object(&w);
	if (m->ops->write_pops != NULL)
		m->ops->write_pops(m, &w);
	jw_object_end(&w);
	jw_key(&w, "mqTable");
	jw_object(&w);
	for (uint32_t pos = 0; (e = map_next(&m->shares, &pos)) != NULL;)
		write_share(&w, e->value);
	jw_object_end(&w);
	write_properties(&w, m);
	write_status(&w, m);
	jw_key(&w, "subscriptionSet");
	jw_array(&w);
	for (uint32_t pos = 0; (e = map_next(&m->topics, &pos)) != NULL;)
		subscription_write(((struct member_topic *)e->value)->sub, &w);
	jw_array_end(&w);
	jw_object_end(&w);
}

void running_info_offsets(const struct member *m, struct mosaic_slice topic, struct buf *out)
{
	struct json_writer w;
	struct map_entry *e;

	jw_init(&w, out);
	jw_object(&w);
	jw_key(&w, "consumerTable");
	jw_object(&w);
	jw_object_end(&w);
	jw_key(&w, "messageQueueTable");
	jw_object(&w);
	for (uint32_t pos = 0; (e = map_next(&m->shares, &pos)) != NULL;) {
		const struct share *s = e->value;
		if (!slice_is(topic, s->sub->topic) || s->queue.commit < 0)
			continue;
		put_queue_key(&w, s);
		jw_i64(&w, s->queue.commit);
	}
	jw_object_end(&w);
	jw_object_end(&w);
}
