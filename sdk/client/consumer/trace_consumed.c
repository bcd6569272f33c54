/* Trace of messages that listeners were given (SubBefore and SubAfter of TraceDataEncoder, 5.3.3).
 * Both are written when the call has ended. */
#include "consumer/push.h"
#include "wire/props.h"

/* ConsumeReturnType */
#define RETURNED_SUCCESS 0
#define RETURNED_FAILED 4

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

static void end_record(struct buf *out)
{
	out->len--; /* the last separator */
	buf_append_byte(out, TRACE_RECORD);
}

static void put_before(struct buf *out, const struct mosaic_consumer *c, const char *request_id,
		       const struct listener_call *call, const struct message *m)
{
	put(out, slice_str("SubBefore"));
	put_number(out, call->began_ms);
	put(out, props_find(m->props, PROP_MSG_REGION));
	put(out, slice_str(c->member.config.group));
	put(out, slice_str(request_id));
	put(out, props_find(m->props, PROP_UNIQ_KEY));
	put_number(out, m->reconsume_times);
	put(out, props_find(m->props, PROP_KEYS));
	end_record(out);
}

static void put_after(struct buf *out, const struct mosaic_consumer *c, const char *request_id,
		      const struct listener_call *call, const struct message *m, bool is_consumed)
{
	put(out, slice_str("SubAfter"));
	put(out, slice_str(request_id));
	put(out, props_find(m->props, PROP_UNIQ_KEY));
	put_number(out, call->took_ms / call->n_items);
	put(out, slice_str(is_consumed ? "true" : "false"));
	put(out, props_find(m->props, PROP_KEYS));
	put_number(out, is_consumed ? RETURNED_SUCCESS : RETURNED_FAILED);
	put_number(out, call->began_ms + call->took_ms);
	put(out, slice_str(c->member.config.group));
	end_record(out);
}

void trace_consumed(struct mosaic_consumer *c, const struct listener_call *call)
{
	char request_id[ID_CHARS + 1];
	struct buf records = BUF_INIT;
	struct message m;

	if (c->options.trace == 0 || !call->was_called)
		return;
	client_make_id(c->client, request_id);
	for (uint32_t i = 0; i < call->n_items; i++) {
		item_decode(call->items[i], &m);
		if (slice_is(props_find(m.props, PROP_TRACE_ON), "false"))
			continue;
		put_before(&records, c, request_id, call, &m);
		put_after(&records, c, request_id, call, &m, i < call->consumed);
		tracer_add(&c->tracer, buf_slice(&records), props_find(m.props, PROP_UNIQ_KEY),
			   props_find(m.props, PROP_KEYS));
		buf_clear(&records);
	}
	buf_free(&records);
}
