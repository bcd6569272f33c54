/* Offsets of a queue, asked of its broker. */
#include "base/err.h"
#include "client.h"
#include "wire/codes.h"
#include <mosaic/consumer.h>
#include <stdio.h>

struct query {
	const struct mosaic_queue *queue;
	const char *group; /* committed() */
	int64_t at_ms;     /* offset_at() */
	int64_t *offset;
	char address[64];
};

static int take_address(struct route *route, void *data)
{
	struct query *q = data;

	for (uint32_t i = 0; i < route->n_reads; i++) {
		const struct broker *b = route->reads[i].broker;
		const char *address = broker_address_any(b);
		if (strcmp(b->name, q->queue->broker) != 0 || address == NULL)
			continue;
		snprintf(q->address, sizeof(q->address), "%s", address);
		return 0;
	}
	return MOSAIC_E_NOTFOUND;
}

static void fill(struct ask *ask, struct header_writer *w)
{
	const struct query *q = ask->data;

	header_put_str(w, "topic", q->queue->topic);
	header_put_i64(w, "queueId", q->queue->id);
	header_put_str(w, "bname", q->queue->broker);
	if (q->group != NULL)
		header_put_str(w, "consumerGroup", q->group);
	if (ask->code == REQ_SEARCH_OFFSET_BY_TIMESTAMP)
		header_put_i64(w, "timestamp", q->at_ms);
}

static int take_offset(struct ask *ask, struct mosaic_error *error)
{
	const struct query *q = ask->data;

	if (ask->response->code == RES_QUERY_NOT_FOUND)
		return err_set(error, MOSAIC_E_NOTFOUND, "the group has no offset there yet");
	if (ask->response->code != RES_SUCCESS ||
	    header_i64(ask->response, "offset", q->offset) != 0)
		return err_set(error, MOSAIC_E_IO, "the broker answered %d: %.*s",
			       (int)ask->response->code, SLICE_ARG(ask->response->remark));
	return 0;
}

static int run(struct mosaic_client *c, struct query *q, int32_t code, struct mosaic_error *error)
{
	struct ask ask = { .code = code, .fill = fill, .data = q };

	int rc = client_route(c, q->queue->topic, false, take_address, q, error);
	if (rc != 0)
		return err_set(error, rc, "no broker %s of topic %s", q->queue->broker,
			       q->queue->topic);
	ask.room = 6 * HEADER_FIELD_ROOM(20, 20) +
		   6 * (strlen(q->queue->topic) + strlen(q->queue->broker) +
			(q->group != NULL ? strlen(q->group) : 0));
	return client_ask(c, &ask, q->address, 5 * SECOND_NS, take_offset, error);
}

int32_t mosaic_client_min_offset(struct mosaic_client *client, const struct mosaic_queue *queue,
				 int64_t *offset, struct mosaic_error *error)
{
	struct query q = { .queue = queue, .offset = offset };

	return run(client, &q, REQ_GET_MIN_OFFSET, error);
}

int32_t mosaic_client_max_offset(struct mosaic_client *client, const struct mosaic_queue *queue,
				 int64_t *offset, struct mosaic_error *error)
{
	struct query q = { .queue = queue, .offset = offset };

	return run(client, &q, REQ_GET_MAX_OFFSET, error);
}

int32_t mosaic_client_offset_at(struct mosaic_client *client, const struct mosaic_queue *queue,
				int64_t at_ms, int64_t *offset, struct mosaic_error *error)
{
	struct query q = { .queue = queue, .offset = offset, .at_ms = at_ms };

	return run(client, &q, REQ_SEARCH_OFFSET_BY_TIMESTAMP, error);
}

int32_t mosaic_client_committed(struct mosaic_client *client, const char *group,
				const struct mosaic_queue *queue, int64_t *offset,
				struct mosaic_error *error)
{
	struct query q = { .queue = queue, .offset = offset, .group = group };

	return run(client, &q, REQ_QUERY_CONSUMER_OFFSET, error);
}
