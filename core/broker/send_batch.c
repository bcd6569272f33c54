/* A batch: one request, a record for each of its messages, one answer with all their ids. */
#include "base/hash.h"
#include "broker/send_priv.h"
#include "broker/stats.h"
#include "wire/codes.h"
#include <stdio.h>

/* NULL when every record of the batch is whole and small enough, else the remark. */
static const char *batch_check(const struct broker *b, struct mosaic_slice body, size_t props_len,
			       uint32_t *n)
{
	const uint8_t *at = body.ptr, *end = body.ptr + body.len;
	struct batch_item item;
	int rc;
	*n = 0;
	if (body.len > b->config.max_message_bytes)
		return "the message is illegal, the batch is larger than the message limit";
	while ((rc = batch_next(&at, end, &item)) == 1) {
		++*n;
		if (item.props.len + 1 + props_len > PROPS_MAX)
			return "the message is illegal, properties of a batched message are too "
			       "long";
	}
	if (rc != 0 || *n == 0)
		return "the message is illegal, the batch cannot be decoded";
	return NULL;
}

/* One record of a batch: its own properties, then the batch's (last wins, as in Apache). */
static int batch_store(struct sends *sends, const struct send *s, const struct batch_item *item,
		       struct mosaic_slice batch_props, struct message *m, uint64_t *end)
{
	struct broker *b = sends->broker;
	send_message(b, s, m);
	buf_clear(&sends->props);
	buf_append_slice(&sends->props, item->props);
	if (item->props.len > 0 && item->props.ptr[item->props.len - 1] != 2)
		buf_append_byte(&sends->props, 2);
	buf_append_slice(&sends->props, batch_props);
	m->props = buf_slice(&sends->props);
	m->body = item->body;
	m->flag = item->flag;
	m->body_crc = hash_crc32(m->body.ptr, m->body.len) & 0x7fffffff;
	struct queue *queue = topic_queue(b, s->to, s->queue_id);
	return queue != NULL ? log_append(b->log, queue, m, end) : MOSAIC_E_NOMEM;
}

bool send_append_batch(struct sends *sends, struct send *s, struct props_edit *edit)
{
	struct broker *b = sends->broker;
	struct batch_item item;
	struct message m;
	struct sent sent = { .queue_id = s->queue_id, .uniq = s->uniq };
	uint64_t end = 0;
	uint32_t n, stored = 0;
	int rc = 0;

	if (slice_has_prefix(s->topic, RETRY_PREFIX)) {
		SEND_REFUSE(&s->req->ticket, RES_MESSAGE_ILLEGAL,
			    "batch request does not support retry group %.*s",
			    SLICE_ARG(s->topic));
		return true;
	}
	buf_clear(&sends->batch_props);
	props_edit_write(edit, &sends->batch_props);
	const char *bad = batch_check(b, s->req->body, sends->batch_props.len, &n);
	if (bad != NULL) {
		send_refuse(&s->req->ticket, RES_MESSAGE_ILLEGAL, bad);
		return true;
	}
	buf_clear(&sends->ids);
	const uint8_t *at = s->req->body.ptr, *limit = at + s->req->body.len;
	while (rc == 0 && batch_next(&at, limit, &item) == 1) {
		rc = batch_store(sends, s, &item, buf_slice(&sends->batch_props), &m, &end);
		if (rc != 0)
			break;
		if (stored++ == 0)
			sent.queue_offset = m.queue_offset;
		else
			buf_append_byte(&sends->ids, ',');
		uint8_t *id = buf_room(&sends->ids, MESSAGE_ID_MAX);
		sends->ids.len += message_offset_id(id, &b->config.store_host, m.phys_offset);
	}
	if (rc == MOSAIC_E_AGAIN && stored == 0)
		return false;
	if (rc != 0) {
		send_failed(b, &s->req->ticket, rc);
		return true;
	}
	sent.ids = buf_slice(&sends->ids);
	stats_put(b->stats, s->to, stored, s->req->body.len);
	send_wait_gate(sends, s, &sent, end);
	return true;
}
