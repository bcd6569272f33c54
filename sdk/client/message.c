/*
 * Messages of the caller -> what goes over the wire. Everything is measured first, then one block
 * is allocated: sizes are the caller's, so a failed allocation is MOSAIC_E_NOMEM and nothing else.
 */
#include "base/bytes.h"
#include "base/hash.h"
#include "codec.h"
#include "send.h"
#include "wire/codes.h"
#include "wire/message.h"
#include "wire/props.h"
#include <stdio.h>
#include <stdlib.h>

#define TOPIC_MAX 127
#define PROPS_SENT_MAX 32000 /* the broker adds some of its own up to PROPS_MAX */

bool topic_is_valid(const char *topic)
{
	size_t len = topic != NULL ? strnlen(topic, TOPIC_MAX + 1) : 0;

	return len > 0 && len <= TOPIC_MAX &&
	       strspn(topic, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			     "0123456789_-%|") == len;
}

/* ---- properties ---- */

/* Where pairs go; with at NULL they are only measured. */
struct pairs {
	uint8_t *at;
	size_t len;
	bool is_bad;
};

static bool is_text(const char *text)
{
	return text != NULL && *text != '\0' && strpbrk(text, "\1\2") == NULL;
}

static void put_bytes(struct pairs *p, const char *text, char end)
{
	size_t len = strlen(text);

	if (p->at != NULL) {
		memcpy(p->at + p->len, text, len);
		p->at[p->len + len] = (uint8_t)end;
	}
	p->len += len + 1;
}

static void put_pair(struct pairs *p, const char *name, const char *value)
{
	if (!is_text(name) || !is_text(value)) {
		p->is_bad = true;
		return;
	}
	put_bytes(p, name, 1);
	put_bytes(p, value, 2);
}

/* Set by the library from members of the message: a second one would hide it. */
static bool is_reserved(const char *name)
{
	static const char *const names[] = { PROP_UNIQ_KEY, PROP_TAGS, PROP_KEYS, PROP_DELAY,
					     PROP_TRAN_MSG, "PGROUP", "TIMER_DELIVER_MS",
					     "CORRELATION_ID", "REPLY_TO_CLIENT" };

	for (uint32_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static void put_all(struct pairs *p, const struct mosaic_message *m, const char *id,
		    const struct send_shape *shape)
{
	bool has_wait = false;
	char number[24];

	if (id != NULL)
		put_pair(p, PROP_UNIQ_KEY, id);
	for (uint32_t i = 0; i < m->n_properties && !p->is_bad; i++) {
		const struct mosaic_property *q = &m->properties[i];

		put_pair(p, q->name, q->value);
		if (!p->is_bad) {
			p->is_bad = is_reserved(q->name);
			has_wait |= strcmp(q->name, PROP_WAIT) == 0;
		}
	}
	if (!has_wait)
		put_pair(p, PROP_WAIT, "true");
	if (m->tag != NULL)
		put_pair(p, PROP_TAGS, m->tag);
	if (m->keys != NULL)
		put_pair(p, PROP_KEYS, m->keys);
	if (m->delay_level != 0) {
		snprintf(number, sizeof(number), "%u", m->delay_level);
		put_pair(p, PROP_DELAY, number);
	}
	if (m->deliver_ms != 0) {
		snprintf(number, sizeof(number), "%lld", (long long)m->deliver_ms);
		put_pair(p, "TIMER_DELIVER_MS", number);
	}
	for (uint32_t i = 0; i < shape->n_more; i++)
		put_pair(p, shape->more[i].name, shape->more[i].value);
}

/* ---- one message ---- */

static int check(const struct sender *sender, const struct mosaic_message *m,
		 const struct send_shape *shape)
{
	bool is_transaction = (shape->sys_flag & SYS_TRANSACTION_MASK) != 0;

	if (m->struct_size < sizeof(*m) || !topic_is_valid(m->topic) || m->body.len == 0 ||
	    m->body.ptr == NULL || (m->properties == NULL && m->n_properties > 0) ||
	    m->deliver_ms < 0 || m->delay_level > INT32_MAX ||
	    (m->delay_level != 0 && m->deliver_ms != 0) ||
	    (is_transaction && (m->delay_level != 0 || m->deliver_ms != 0)))
		return MOSAIC_E_INVAL;
	if (m->queue != NULL && (m->queue->id < 0 || m->queue->broker[0] == '\0' ||
				 memchr(m->queue->broker, 0, sizeof(m->queue->broker)) == NULL))
		return MOSAIC_E_INVAL;
	return m->body.len > sender->max_message ? MOSAIC_E_LIMIT : 0;
}

static size_t text_size(const char *text)
{
	return text != NULL ? strlen(text) + 1 : 0;
}

static char *put_text(uint8_t **at, const char *text)
{
	size_t size = text_size(text);

	if (size == 0)
		return NULL;
	char *copy = memcpy(*at, text, size);
	*at += size;
	return copy;
}

/* Its texts are long, and mostly empty: their first bytes will do. */
static void send_result_clear(struct mosaic_send_result *r)
{
	r->struct_size = sizeof(*r);
	r->status = r->stored = 0;
	r->broker_code = r->queue_id = -1;
	r->attempts = 0;
	r->queue_offset = -1;
	r->broker[0] = r->message_id[0] = r->offset_id[0] = '\0';
	r->transaction_id[0] = r->recall_handle[0] = r->text[0] = '\0';
}

static struct send *send_alloc(struct sender *sender, size_t extra, const char *id)
{
	struct send *s = malloc(sizeof(*s) + extra);

	if (s == NULL)
		return NULL;
	memset(s, 0, offsetof(struct send, result));
	send_result_clear(&s->result);
	s->sender = sender;
	s->queue_id = -1;
	text_copy(s->result.message_id, sizeof(s->result.message_id), slice_str(id));
	return s;
}

static int send_fill(struct sender *sender, const struct mosaic_message *m, const char *id,
		     const struct send_shape *shape, struct mosaic_slice body, struct send **out)
{
	struct pairs p = { .at = NULL };
	const char *broker = m->queue != NULL ? m->queue->broker : NULL;

	put_all(&p, m, id, shape);
	if (p.is_bad)
		return MOSAIC_E_INVAL;
	if (p.len > PROPS_SENT_MAX)
		return MOSAIC_E_LIMIT;
	size_t extra = text_size(m->topic) + text_size(m->sharding_key) + text_size(broker) +
		       body.len + p.len * (sender->hook != NULL ? 2 : 1);
	struct send *s = send_alloc(sender, extra, id);
	if (s == NULL)
		return MOSAIC_E_NOMEM;
	uint8_t *at = (uint8_t *)(s + 1);
	s->topic = put_text(&at, m->topic);
	s->key = put_text(&at, m->sharding_key);
	s->broker = put_text(&at, broker);
	p = (struct pairs){ .at = at };
	put_all(&p, m, id, shape);
	s->props = slice(at, p.len);
	at += p.len;
	if (sender->hook != NULL) {
		s->view = (char *)at;
		for (size_t i = 0; i < p.len; i++)
			at[i] = s->props.ptr[i] <= 2 ? 0 : s->props.ptr[i];
		at += p.len;
	}
	memcpy(at, body.ptr, body.len);
	s->body = slice(at, body.len);
	s->queue_id = m->queue != NULL ? m->queue->id : -1;
	s->code = shape->code != 0 ? shape->code : REQ_SEND_MESSAGE_V2;
	s->sys_flag = shape->sys_flag;
	s->is_oneway = shape->is_oneway;
	s->weight = s->body.len + s->props.len;
	*out = s;
	return 0;
}

int send_make(struct sender *sender, const struct mosaic_message *m, const char *id,
	      const struct send_shape *shape, struct send **out)
{
	struct mosaic_slice body = m->body;
	uint8_t *packed = NULL;
	int32_t bits = 0;
	int rc = check(sender, m, shape);

	if (rc != 0)
		return rc;
	if (body.len >= sender->compress_above) {
		rc = codec_compress(sender->compression, m->body, &packed, &body.len, &bits);
		if (rc == 0)
			body.ptr = packed;
		else if (rc == MOSAIC_E_LIMIT)
			body = m->body; /* it would not shrink */
		else
			return rc;
	}
	rc = send_fill(sender, m, id, shape, body, out);
	free(packed);
	if (rc == 0)
		(*out)->sys_flag |= bits;
	return rc;
}

void send_free(struct send *s)
{
	free(s->ids);
	free(s);
}

/* ---- batches (MessageDecoder.encodeMessage) ---- */

static const struct send_shape plain = { .code = 0 };

size_t batch_item_len(const struct sender *sender, const struct mosaic_message *m, const char *id)
{
	struct pairs p = { .at = NULL };

	if (check(sender, m, &plain) != 0 || m->delay_level != 0 || m->deliver_ms != 0)
		return 0;
	put_all(&p, m, id, &plain);
	return p.is_bad || p.len > PROPS_SENT_MAX ? 0 : BATCH_ITEM_FIXED + m->body.len + p.len;
}

static void put_item_head(uint8_t *at, size_t size, size_t body_len)
{
	put_be32(at, (uint32_t)size);
	put_be32(at + 4, 0);  /* magic and crc are the broker's */
	put_be32(at + 8, 0);
	put_be32(at + 12, 0); /* flag */
	put_be32(at + 16, (uint32_t)body_len);
}

uint8_t *batch_item_put(uint8_t *at, const struct mosaic_message *m, const char *id)
{
	uint8_t *props = at + 20 + m->body.len;
	struct pairs p = { .at = props + 2 };

	memcpy(at + 20, m->body.ptr, m->body.len);
	put_all(&p, m, id, &plain);
	put_be16(props, (uint16_t)p.len);
	put_item_head(at, BATCH_ITEM_FIXED + m->body.len + p.len, m->body.len);
	return props + 2 + p.len;
}

uint8_t *batch_item_encode(uint8_t *at, struct mosaic_slice body, struct mosaic_slice props)
{
	uint8_t *end = at + BATCH_ITEM_FIXED + body.len + props.len;

	put_item_head(at, (size_t)(end - at), body.len);
	memcpy(at + 20, body.ptr, body.len);
	put_be16(at + 20 + body.len, (uint16_t)props.len);
	memcpy(end - props.len, props.ptr, props.len);
	return end;
}

int send_make_batch(struct sender *sender, const char *topic, size_t bytes, const char *id,
		    struct send **out, uint8_t **body)
{
	/* Not its id: the broker appends the properties of a batch to those of each message. */
	static const char props[] = "WAIT\1true\2";
	struct send *s = send_alloc(sender, text_size(topic) + bytes, id);

	if (s == NULL)
		return MOSAIC_E_NOMEM;
	uint8_t *at = (uint8_t *)(s + 1);
	s->topic = put_text(&at, topic);
	s->body = slice(at, bytes);
	s->props = slice(props, sizeof(props) - 1);
	s->code = REQ_SEND_BATCH_MESSAGE;
	s->weight = bytes;
	*out = s;
	*body = at;
	return 0;
}
