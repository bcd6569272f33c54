/* Messages of one topic as few requests as the broker's limit allows, one after the other. */
#include "producer_priv.h"

#define PART_MAX 8192 /* messages of a part: the broker answers with an id for each of them */

struct part {
	uint32_t from, count;
	size_t bytes;
};

static int measure(struct mosaic_producer *p, const struct mosaic_message *m, const char *topic,
		   size_t *len)
{
	if (m->topic == NULL || strcmp(m->topic, topic) != 0 || m->sharding_key != NULL ||
	    m->queue != NULL)
		return MOSAIC_E_INVAL;
	if (m->body.len > p->sender.max_message)
		return MOSAIC_E_LIMIT;
	/* Any id: all are of one length. */
	*len = batch_item_len(&p->sender, m, "00000000000000000000000000000000");
	return *len == 0 ? MOSAIC_E_INVAL : 0;
}

static int check_all(struct mosaic_producer *p, const struct mosaic_message *messages,
		     uint32_t count)
{
	size_t len;
	int rc = count == 0 || messages[0].topic == NULL ? MOSAIC_E_INVAL : 0;

	for (uint32_t i = 0; rc == 0 && i < count; i++)
		rc = measure(p, &messages[i], messages[0].topic, &len);
	return rc;
}

/* As many as fit; one that fills a part alone may pass the limit by its properties. */
static void choose(struct mosaic_producer *p, const struct mosaic_message *messages, uint32_t count,
		   struct part *part)
{
	part->count = 0;
	part->bytes = 0;
	for (uint32_t i = part->from; i < count && part->count < PART_MAX; i++) {
		size_t len = 0;

		(void)measure(p, &messages[i], messages[0].topic, &len);
		if (part->count > 0 && part->bytes + len > p->sender.max_message)
			break;
		part->bytes += len;
		part->count++;
	}
}

static int encode(struct mosaic_producer *p, const struct mosaic_message *messages,
		  const struct part *part, struct send **out)
{
	char id[ID_CHARS + 1];
	uint8_t *at;

	client_make_id(p->client, id);
	int rc = send_make_batch(&p->sender, messages[0].topic, part->bytes, id, out, &at);
	if (rc != 0)
		return rc;
	for (uint32_t i = 0; i < part->count; i++) {
		if (i > 0)
			client_make_id(p->client, id);
		at = batch_item_put(at, &messages[part->from + i], id);
	}
	ASSERT(at == (*out)->body.ptr + part->bytes);
	return 0;
}

static int send_part(struct mosaic_producer *p, const struct mosaic_message *messages,
		     const struct part *part, struct mosaic_send_result *result)
{
	struct send *s;
	int rc = encode(p, messages, part, &s);

	return rc != 0 ? rc : producer_submit_wait(p, s, result);
}

int32_t mosaic_producer_send_batch(struct mosaic_producer *p,
				   const struct mosaic_message *messages, uint32_t count,
				   struct mosaic_send_result *result)
{
	struct mosaic_send_result local, first;
	struct part part = { .from = 0 };
	int rc = check_all(p, messages, count);

	result = result != NULL ? result : &local;
	for (; rc == 0 && part.from < count; part.from += part.count) {
		choose(p, messages, count, &part);
		rc = send_part(p, messages, &part, result);
		if (part.from == 0)
			first = *result;
	}
	if (rc == 0)
		*result = first;
	return rc;
}
