/*
 * Request and reply.
 *
 * Happy path: request sent with a correlation id -> a consumer sends its reply to a broker of the
 * cluster -> the broker pushes it to us (code 326) -> done().
 *
 * Failure modes: the request is not stored: done() with that status; nobody replies in time:
 * E_TIMEOUT; the producer stops: E_CANCELED; a reply that nobody waits for: dropped.
 */
#include "incoming.h"
#include "producer_priv.h"
#include "received.h"
#include "wire/codes.h"
#include "wire/props.h"
#include <stdio.h>
#include <stdlib.h>

struct reply_wait {
	struct mosaic_producer *producer;
	char correlation[ID_CHARS + 1];
	mosaic_reply_fn done;
	void *data;
	struct mosaic_timer timer;
	uint64_t timeout_ns;
	bool is_sent, is_over; /* freed when both are so */
};

/* ---- asking ---- */

static void end(struct reply_wait *w, int32_t status, const struct mosaic_received *reply)
{
	struct mosaic_producer *p = w->producer;
	struct engine *e = &p->client->engine;

	e->host->timer_stop(e->host, &w->timer);
	map_remove(&e->requests, slice_str(w->correlation));
	pthread_mutex_lock(&p->lock);
	p->n_requests--;
	pthread_mutex_unlock(&p->lock);
	w->done(w->data, status, reply);
	w->is_over = true;
	if (w->is_sent)
		free(w);
	producer_unbusy(p);
}

static void timed_out(struct mosaic_timer *timer)
{
	end(timer->data, MOSAIC_E_TIMEOUT, NULL);
}

/* The reply may have been there before the answer to the send. */
static void sent(void *data, const struct mosaic_send_result *result)
{
	struct reply_wait *w = data;

	w->is_sent = true;
	if (w->is_over)
		free(w);
	else if (result->status != 0)
		end(w, result->status, NULL);
}

static void posted(struct mosaic_req *req)
{
	struct send *s = CONTAINER_OF(req, struct send, post);
	struct reply_wait *w = s->ended_data;
	struct engine *e = s->sender->engine;

	map_put(&e->requests, slice_str(w->correlation), w);
	w->timer = (struct mosaic_timer){ .fire = timed_out, .data = w };
	e->host->timer_start(e->host, &w->timer, w->timeout_ns);
	send_start(s);
}

static int take_place(struct mosaic_producer *p)
{
	pthread_mutex_lock(&p->lock);
	bool is_full = p->n_requests >= p->options.max_in_flight;
	if (!is_full) {
		p->n_requests++;
		p->n_busy++;
	}
	pthread_mutex_unlock(&p->lock);
	return is_full ? MOSAIC_E_AGAIN : 0;
}

static void give_place(struct mosaic_producer *p)
{
	pthread_mutex_lock(&p->lock);
	p->n_requests--;
	pthread_mutex_unlock(&p->lock);
	producer_unbusy(p);
}

static int submit(struct mosaic_producer *p, const struct mosaic_message *m, uint32_t timeout_ms,
		  struct reply_wait *w)
{
	char ttl[16];
	const struct mosaic_property more[] = { { "CORRELATION_ID", w->correlation },
						{ "REPLY_TO_CLIENT", p->client->engine.client_id },
						{ "TTL", ttl } };
	const struct send_shape shape = { .more = more, .n_more = ARRAY_LEN(more) };
	struct send *s;

	snprintf(ttl, sizeof(ttl), "%u", timeout_ms);
	int rc = send_make(&p->sender, m, w->correlation, &shape, &s);
	if (rc != 0)
		return rc;
	rc = take_place(p);
	if (rc != 0) {
		send_free(s);
		return rc;
	}
	s->post.done = posted;
	rc = producer_submit(p, s, sent, w);
	if (rc != 0)
		give_place(p);
	return rc;
}

int32_t mosaic_producer_request(struct mosaic_producer *p, const struct mosaic_message *message,
				uint32_t timeout_ms, mosaic_reply_fn done, void *data)
{
	if (done == NULL || timeout_ms == 0)
		return MOSAIC_E_INVAL;
	struct reply_wait *w = malloc(sizeof(*w));
	if (w == NULL)
		return MOSAIC_E_NOMEM;
	*w = (struct reply_wait){ .producer = p, .done = done, .data = data,
				  .timeout_ns = timeout_ms * MS_NS };
	client_make_id(p->client, w->correlation); /* the message's own id: unique as it is */
	int rc = submit(p, message, timeout_ms, w);
	if (rc != 0)
		free(w);
	return rc;
}

void requests_cancel(struct mosaic_producer *p)
{
	struct map *requests = &p->client->engine.requests;
	struct map_entry *m;

	for (uint32_t pos = 0; (m = map_next(requests, &pos)) != NULL;)
		if (((struct reply_wait *)m->value)->producer == p)
			end(m->value, MOSAIC_E_CANCELED, NULL);
}

/* ---- the reply arrives ---- */

static void read_reply(const struct request *req, struct message *m)
{
	const struct header *h = &req->header;

	*m = (struct message){ .topic = header_str(h, "topic"), .body = req->body,
			       .props = header_str(h, "properties") };
	(void)header_i32(h, "queueId", &m->queue_id);
	(void)header_i32(h, "sysFlag", &m->sys_flag);
	(void)header_i64(h, "bornTimestamp", &m->born_ms);
	(void)header_i64(h, "storeTimestamp", &m->store_ms);
}

void incoming_reply(void *service, struct request *req)
{
	struct engine *e = service;
	struct received *received = NULL;
	struct message m;

	read_reply(req, &m);
	struct reply_wait *w = map_get(&e->requests, props_find(m.props, "CORRELATION_ID"));
	reply_code(&req->ticket, RES_SUCCESS); /* also when it came too late */
	if (w == NULL)
		return;
	int rc = received_make(&m, "", NULL, w->producer->sender.max_message, &received);
	end(w, rc, received != NULL ? &received->api : NULL);
	received_free(received);
}

/* ---- answering ---- */

int32_t mosaic_producer_reply(struct mosaic_producer *p, const struct mosaic_received *request,
			      struct mosaic_slice body, struct mosaic_send_result *result)
{
	const struct mosaic_property more[] = {
		{ "CORRELATION_ID", mosaic_received_property(request, "CORRELATION_ID") },
		{ "REPLY_TO_CLIENT", mosaic_received_property(request, "REPLY_TO_CLIENT") },
		{ "MSG_TYPE", "reply" },
		{ "TTL", mosaic_received_property(request, "TTL") },
	};
	const struct send_shape shape = { .more = more, .n_more = ARRAY_LEN(more),
					  .code = REQ_SEND_REPLY_MESSAGE_V2 };
	const char *cluster = mosaic_received_property(request, PROP_CLUSTER);
	struct mosaic_send_result local;
	char topic[256];

	if (cluster == NULL || more[0].value == NULL || more[1].value == NULL)
		return MOSAIC_E_INVAL; /* no request, or a broker that does not say its cluster */
	snprintf(topic, sizeof(topic), "%s_REPLY_TOPIC", cluster);
	struct mosaic_message m = { .struct_size = sizeof(m), .topic = topic, .body = body };
	return producer_send_wait(p, &m, &shape, result != NULL ? result : &local);
}
