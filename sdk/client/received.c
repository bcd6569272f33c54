#include "received.h"
#include "codec.h"
#include "wire/props.h"
#include <stdlib.h>

static uint32_t count_pairs(struct mosaic_slice props)
{
	struct props_iter it = props_iter(props);
	struct mosaic_slice name, value;
	uint32_t n = 0;

	while (props_next(&it, &name, &value))
		n++;
	return n;
}

static char *put(char **at, struct mosaic_slice text)
{
	char *copy = *at;

	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	*at += text.len + 1;
	return copy;
}

static void put_pairs(struct received *r, struct mosaic_slice props, char **at)
{
	struct mosaic_property *pairs = (struct mosaic_property *)(void *)(r + 1);
	struct props_iter it = props_iter(props);
	struct mosaic_slice name, value;
	uint32_t n = 0;

	for (; props_next(&it, &name, &value); n++) {
		pairs[n].name = put(at, name);
		pairs[n].value = put(at, value);
	}
	r->api.properties = pairs;
	r->api.n_properties = n;
	r->api.tag = mosaic_received_property(&r->api, PROP_TAGS);
	r->api.keys = mosaic_received_property(&r->api, PROP_KEYS);
	r->api.message_id = mosaic_received_property(&r->api, PROP_UNIQ_KEY);
}

static void put_offset_id(struct received *r, const struct message *m, char **at)
{
	uint32_t len = 0;

	if (m->store_host.ip_len != 0)
		len = message_offset_id((uint8_t *)*at, &m->store_host, m->phys_offset);
	r->api.offset_id = *at;
	(*at)[len] = '\0';
	*at += len + 1;
	if (r->api.message_id == NULL)
		r->api.message_id = r->api.offset_id;
}

static int make(const struct message *m, struct mosaic_slice body, const char *broker,
		struct mosaic_slice topic, struct received **out)
{
	/* Separators of properties become the ends of texts; one more for a missing last one. */
	size_t size = sizeof(struct received) +
		      count_pairs(m->props) * sizeof(struct mosaic_property) + m->props.len + 2 +
		      topic.len + 1 + strlen(broker) + 1 + MESSAGE_ID_MAX + 1 + body.len + 1;
	struct received *r = malloc(size);

	if (r == NULL)
		return MOSAIC_E_NOMEM;
	memset(r, 0, sizeof(*r));
	r->bytes = size;
	r->phys_offset = m->phys_offset;
	r->api.struct_size = sizeof(r->api);
	char *at = (char *)(r + 1) + count_pairs(m->props) * sizeof(struct mosaic_property);
	put_pairs(r, m->props, &at);
	put_offset_id(r, m, &at);
	r->api.topic = put(&at, topic);
	r->api.broker = put(&at, slice_str(broker));
	r->api.body = slice(put(&at, body), body.len);
	ASSERT(at <= (char *)r + size);
	r->api.queue_id = m->queue_id;
	r->api.queue_offset = m->queue_offset;
	r->api.reconsume_times = m->reconsume_times;
	r->api.born_ms = m->born_ms;
	r->api.store_ms = m->store_ms;
	*out = r;
	return 0;
}

int received_make(const struct message *m, const char *broker, const char *topic, size_t max_body,
		  struct received **out)
{
	struct mosaic_slice body = m->body;
	uint8_t *plain = NULL;
	int rc = 0;

	if ((m->sys_flag & SYS_COMPRESSED) != 0) {
		rc = codec_decompress(m->sys_flag, m->body, max_body, &plain, &body.len);
		body.ptr = plain;
	} else if (body.len > max_body) {
		rc = MOSAIC_E_LIMIT;
	}
	if (rc == 0)
		rc = make(m, body, broker, topic != NULL ? slice_str(topic) : m->topic, out);
	free(plain);
	return rc;
}

void received_free(struct received *r)
{
	free(r);
}

const char *mosaic_received_property(const struct mosaic_received *message, const char *name)
{
	const char *value = NULL;

	for (uint32_t i = 0; i < message->n_properties; i++) /* the last one wins */
		if (strcmp(message->properties[i].name, name) == 0)
			value = message->properties[i].value;
	return value;
}
