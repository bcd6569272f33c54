#include "trace.h"
#include "wire/message.h"
#include "wire/props.h"

#define WAIT_NS SECOND_NS
#define BATCH_BYTES (64u << 10)
#define KEYS_MAX 512   /* of a message of traces */
#define SENDING_MAX 64 /* more are lost: traces never hold messages up */

void tracer_init(struct tracer *t, struct engine *e, const struct balancer *balance)
{
	*t = (struct tracer){ .sender = { .engine = e, .group = "_INNER_TRACE_PRODUCER",
					  .balance = balance, .by_key = balance, .attempts = 2,
					  .default_queues = 1, .timeout_ns = 5 * SECOND_NS,
					  .max_message = 4u << 20,
					  .compress_above = UINT32_MAX } };
	list_init(&t->sender.sends);
}

static void sent(struct send *s)
{
	struct tracer *t = s->data;

	t->n_sending--;
	if (s->result.status != 0)
		number_add(&t->sender.engine->numbers.traces_lost, 1);
	send_free(s);
}

static const char *join_keys(struct tracer *t, struct buf *out)
{
	struct map_entry *m;

	for (uint32_t pos = 0; (m = map_next(&t->keys, &pos)) != NULL;) {
		if (out->len > 0)
			buf_append_byte(out, ' ');
		buf_append_slice(out, m->key);
	}
	return out->len > 0 ? buf_cstr(out) : NULL;
}

static void flush(struct tracer *t, bool is_last)
{
	const struct send_shape shape = { .is_oneway = is_last };
	struct mosaic_message m = { .struct_size = sizeof(m), .topic = TRACE_TOPIC,
				    .body = buf_slice(&t->records) };
	struct buf keys = BUF_INIT;
	struct send *s;

	t->sender.engine->host->timer_stop(t->sender.engine->host, &t->timer);
	if (t->records.len == 0)
		return;
	m.keys = join_keys(t, &keys);
	if (t->n_sending < SENDING_MAX &&
	    send_make(&t->sender, &m, "TRACE", &shape, &s) == 0) {
		t->n_sending++;
		s->done = sent;
		s->data = t;
		send_start(s);
	} else {
		number_add(&t->sender.engine->numbers.traces_lost, 1);
	}
	buf_free(&keys);
	map_free(&t->keys);
	buf_clear(&t->records);
}

static void time_is_over(struct mosaic_timer *timer)
{
	flush(timer->data, false);
}

static void add_key(struct tracer *t, struct mosaic_slice key)
{
	if (key.len > 0 && map_count(&t->keys) < KEYS_MAX)
		map_put(&t->keys, key, t);
}

void tracer_add(struct tracer *t, struct mosaic_slice record, struct mosaic_slice message_id,
		struct mosaic_slice keys)
{
	const struct mosaic_host *host = t->sender.engine->host;

	if (t->is_closed)
		return;
	if (t->records.len == 0) {
		t->timer = (struct mosaic_timer){ .fire = time_is_over, .data = t };
		host->timer_start(host, &t->timer, WAIT_NS);
	}
	buf_append_slice(&t->records, record);
	add_key(t, message_id);
	while (keys.len > 0) {
		const uint8_t *blank = memchr(keys.ptr, ' ', keys.len);
		size_t len = blank != NULL ? (size_t)(blank - keys.ptr) : keys.len;

		add_key(t, slice(keys.ptr, len));
		len += blank != NULL;
		keys = slice(keys.ptr + len, keys.len - len);
	}
	if (t->records.len >= BATCH_BYTES || map_count(&t->keys) >= KEYS_MAX)
		flush(t, false);
}

void tracer_close(struct tracer *t)
{
	flush(t, true);
	t->is_closed = true;
	while (!list_empty(&t->sender.sends))
		send_end(LIST_ENTRY(t->sender.sends.next, struct send, link), MOSAIC_E_CANCELED,
			 "the producer stops");
}

void tracer_free(struct tracer *t)
{
	buf_free(&t->records);
	map_free(&t->keys);
}

/* ---- records ---- */

static void put(struct buf *out, struct mosaic_slice text)
{
	buf_append_slice(out, text);
	buf_append_byte(out, TRACE_FIELD);
}

static void put_number(struct buf *out, int64_t value)
{
	buf_append_i64(out, value);
	buf_append_byte(out, TRACE_FIELD);
}

/* TraceBean.msgType: 0 normal, 1 half, 3 delayed. */
static int64_t type_of(const struct send *s)
{
	if ((s->sys_flag & SYS_TRANSACTION_MASK) != 0)
		return 1;
	return props_find(s->props, PROP_DELAY).ptr != NULL ||
			       props_find(s->props, "TIMER_DELIVER_MS").ptr != NULL
		       ? 3
		       : 0;
}

void trace_sent(struct tracer *t, const struct send *s, struct mosaic_slice region)
{
	const struct mosaic_host *host = t->sender.engine->host;
	uint64_t took_ms = (host_now_ns(host) - s->sent_ns) / MS_NS;
	struct mosaic_slice id = slice_str(s->result.message_id);
	struct mosaic_slice keys = props_find(s->props, PROP_KEYS);
	const char *address = broker_address(s->to, 0);
	struct buf r = BUF_INIT;

	put(&r, slice_str("Pub"));
	put_number(&r, (int64_t)(host_wall_ms(host) - took_ms));
	put(&r, region);
	put(&r, slice_str(s->sender->group));
	put(&r, slice_str(s->topic));
	put(&r, id);
	put(&r, props_find(s->props, PROP_TAGS));
	put(&r, keys);
	put(&r, slice_str(address != NULL ? address : ""));
	put_number(&r, (int64_t)s->body.len);
	put_number(&r, (int64_t)took_ms);
	put_number(&r, type_of(s));
	put(&r, slice_str(s->result.offset_id));
	buf_append_str(&r, s->result.stored == MOSAIC_STORED ? "true" : "false");
	buf_append_byte(&r, TRACE_RECORD);
	tracer_add(t, buf_slice(&r), id, keys);
	buf_free(&r);
}

/* MessageType.Trans_msg_Commit, whatever the end. */
#define TYPE_END 2
#define DEFAULT_REGION "DefaultRegion"

static struct mosaic_slice or_empty(const char *text)
{
	return slice_str(text != NULL ? text : "");
}

void trace_ended(struct tracer *t, const char *group, const struct trace_end *end)
{
	static const char *const states[] = { "UNKNOW", "COMMIT_MESSAGE", "ROLLBACK_MESSAGE" };
	uint32_t state = (uint32_t)end->state < ARRAY_LEN(states) ? (uint32_t)end->state : 0;
	struct buf r = BUF_INIT;

	put(&r, slice_str("EndTransaction"));
	put_number(&r, (int64_t)host_wall_ms(t->sender.engine->host));
	put(&r, slice_str(DEFAULT_REGION));
	put(&r, slice_str(group));
	put(&r, slice_str(end->topic));
	put(&r, slice_str(end->message_id));
	put(&r, or_empty(end->tag));
	put(&r, or_empty(end->keys));
	put(&r, or_empty(end->address));
	put_number(&r, TYPE_END);
	put(&r, slice_str(end->transaction_id));
	put(&r, slice_str(states[state]));
	buf_append_str(&r, end->is_checked ? "true" : "false");
	buf_append_byte(&r, TRACE_RECORD);
	tracer_add(t, buf_slice(&r), slice_str(end->message_id), or_empty(end->keys));
	buf_free(&r);
}

void trace_recalled(struct tracer *t, const char *group, const char *topic, const char *message_id,
		    struct mosaic_slice region, bool is_recalled)
{
	struct buf r = BUF_INIT;

	put(&r, slice_str("Recall"));
	put_number(&r, (int64_t)host_wall_ms(t->sender.engine->host));
	put(&r, region);
	put(&r, slice_str(group));
	put(&r, slice_str(topic));
	put(&r, slice_str(message_id));
	buf_append_str(&r, is_recalled ? "true" : "false");
	buf_append_byte(&r, TRACE_RECORD);
	tracer_add(t, buf_slice(&r), slice_str(message_id), slice(NULL, 0));
	buf_free(&r);
}
