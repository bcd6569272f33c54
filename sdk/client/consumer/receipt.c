#include "consumer/receipt.h"
#include "base/num.h"
#include "wire/props.h"
#include <inttypes.h>
#include <stdio.h>

static struct mosaic_slice next_part(struct mosaic_slice *rest, char separator)
{
	struct mosaic_slice part = *rest;
	const uint8_t *end = rest->len > 0 ? memchr(rest->ptr, separator, rest->len) : NULL;

	if (end != NULL) {
		part.len = (size_t)(end - rest->ptr);
		rest->ptr += part.len + 1;
		rest->len -= part.len + 1;
	} else {
		rest->len = 0;
	}
	return part;
}

int receipt_read(const char *text, struct receipt *out)
{
	struct mosaic_slice rest = slice(text, text != NULL ? strnlen(text, RECEIPT_MAX) : 0);
	struct receipt r = { .start_offset = 0 };

	int rc = rest.len < RECEIPT_MAX ? 0 : MOSAIC_E_INVAL;
	rc |= num_parse_i64(next_part(&rest, ' '), &r.start_offset);
	rc |= num_parse_i64(next_part(&rest, ' '), &r.pop_ms);
	rc |= num_parse_i64(next_part(&rest, ' '), &r.invisible_ms);
	rc |= num_parse_i32(next_part(&rest, ' '), &r.revive_queue);
	rc |= num_parse_i32(next_part(&rest, ' '), &r.retry);
	struct mosaic_slice broker = next_part(&rest, ' ');
	rc |= num_parse_i32(next_part(&rest, ' '), &r.queue_id);
	rc |= num_parse_i64(next_part(&rest, ' '), &r.offset);
	if (rc != 0 || broker.len == 0 || broker.len >= sizeof(r.broker) || r.retry < 0 ||
	    r.retry > 2)
		return MOSAIC_E_INVAL;
	memcpy(r.broker, broker.ptr, broker.len);
	*out = r;
	return 0;
}

void receipt_write(const struct receipt *r, char out[RECEIPT_MAX])
{
	snprintf(out, RECEIPT_MAX,
		 "%" PRId64 " %" PRId64 " %" PRId64 " %d %d %s %d %" PRId64, r->start_offset,
		 r->pop_ms, r->invisible_ms, (int)r->revive_queue, (int)r->retry, r->broker,
		 (int)r->queue_id, r->offset);
}

int64_t receipt_start(struct mosaic_slice starts, int32_t queue_id, int64_t fallback)
{
	int64_t start;

	while (starts.len > 0) {
		struct mosaic_slice one = next_part(&starts, ';');
		struct mosaic_slice flag = next_part(&one, ' ');
		int32_t id;

		if (num_parse_i32(next_part(&one, ' '), &id) == 0 && id == queue_id &&
		    slice_is(flag, "0") && num_parse_i64(next_part(&one, ' '), &start) == 0)
			return start;
	}
	return fallback;
}

void pop_answer_read(const struct header *h, const char *broker, struct pop_answer *out)
{
	*out = (struct pop_answer){ .broker = broker,
				    .starts = header_str(h, "startOffsetInfo") };
	(void)header_i64(h, "popTime", &out->pop_ms);
	(void)header_i64(h, "invisibleTime", &out->invisible_ms);
	(void)header_i32(h, "reviveQid", &out->revive_queue);
}

void receipt_make(const struct pop_answer *a, const struct message *m, char out[RECEIPT_MAX])
{
	struct mosaic_slice of_broker = props_find(m->props, PROP_POP_CK);
	struct receipt r = { .pop_ms = a->pop_ms, .invisible_ms = a->invisible_ms,
			     .revive_queue = a->revive_queue, .queue_id = m->queue_id,
			     .offset = m->queue_offset };

	if (of_broker.ptr != NULL && of_broker.len < RECEIPT_MAX) { /* from the retry topic */
		memcpy(out, of_broker.ptr, of_broker.len);
		out[of_broker.len] = '\0';
		return;
	}
	r.start_offset = receipt_start(a->starts, m->queue_id, m->queue_offset);
	snprintf(r.broker, sizeof(r.broker), "%s", a->broker);
	receipt_write(&r, out);
}

void receipt_topic(const struct receipt *r, const char *group, const char *topic, char *out,
		   size_t room)
{
	if (r->retry == 0)
		snprintf(out, room, "%s", topic);
	else
		snprintf(out, room, "%%RETRY%%%s%c%s", group, r->retry == 1 ? '_' : '+', topic);
}
