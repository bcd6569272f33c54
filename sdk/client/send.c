/*
 * Happy path: send_start -> route -> queue picked -> broker dialed -> sent -> answered -> end.
 *
 * Failure modes: the broker cannot be reached, the connection breaks, or it answers that it cannot
 * now: it is avoided for a while, the route is asked for again, and the next attempt goes to
 * another broker where there is one; any other answer: end with its code and text; the time is
 * over: end, wherever the send is.
 */
#include "engine.h"
#include "base/hash.h"
#include "base/mem.h"
#include "wire/codes.h"
#include <stdio.h>
#include <stdlib.h>

#define AVOID_FAILED_NS (10 * SECOND_NS)

static void attempt(struct send *s);

void send_end(struct send *s, int status, const char *text)
{
	struct engine *e = s->engine;

	if (s->is_ended)
		return;
	s->is_ended = true;
	e->host->timer_stop(e->host, &s->deadline);
	if (s->wait.link.next != NULL)
		list_remove(&s->wait.link);
	dialer_cancel(&e->dialer, &s->dial);
	call_cancel(&s->call);
	list_remove(&s->link);
	s->result.status = status;
	snprintf(s->result.text, sizeof(s->result.text), "%s", text);
	s->done(s);
}

/* How long a broker that took so long is passed over. */
static void judge(struct engine *e, const char *broker, uint64_t took_ns, bool failed)
{
	uint64_t avoid_ns = failed ? AVOID_FAILED_NS
			    : took_ns >= 3 * SECOND_NS	? 10 * SECOND_NS
			    : took_ns >= SECOND_NS / 2 ? 2 * SECOND_NS
						       : 0;
	struct avoided *a = map_get(&e->avoided, slice_str(broker));

	if (a == NULL && avoid_ns == 0)
		return;
	if (a == NULL) {
		a = mem_alloc(sizeof(*a));
		map_put(&e->avoided, slice_str(broker), a);
	}
	a->until_ns = host_now_ns(e->host) + avoid_ns;
}

static void retry(struct send *s, int status, const char *why)
{
	judge(s->engine, s->queue.broker, 0, true);
	route_refresh(s->engine, s->topic);
	if (s->attempts_left == 0)
		send_end(s, status, why);
	else
		attempt(s);
}

static bool is_passing(int32_t code)
{
	switch (code) {
	case RES_SYSTEM_ERROR:
	case RES_SYSTEM_BUSY:
	case RES_SERVICE_NOT_AVAILABLE:
	case RES_NO_PERMISSION:
	case RES_TOPIC_NOT_EXIST:
	case RES_NO_BUYER_ID:
	case RES_NOT_IN_CURRENT_UNIT:
	case RES_GO_AWAY:
		return true;
	default:
		return false;
	}
}

static void answered(struct call *call)
{
	struct send *s = call->data;
	struct mosaic_send_result *res = &s->result;
	char why[200];

	if (s->is_ended)
		return;
	if (call->status != 0) {
		snprintf(why, sizeof(why), "%s: %s", s->queue.address, status_text(call->status));
		retry(s, call->status, why);
		return;
	}
	res->broker_code = call->response->code;
	switch (res->broker_code) {
	case RES_SUCCESS:
	case RES_FLUSH_DISK_TIMEOUT:
	case RES_SLAVE_NOT_AVAILABLE:
	case RES_FLUSH_SLAVE_TIMEOUT:
		break;
	default:
		snprintf(why, sizeof(why), "%s answered %d: %.*s", s->queue.address,
			 res->broker_code, SLICE_ARG(call->response->remark));
		if (is_passing(res->broker_code))
			retry(s, MOSAIC_E_IO, why);
		else
			send_end(s, MOSAIC_E_IO, why);
		return;
	}
	struct mosaic_slice id = header_str(call->response, "msgId");
	judge(s->engine, s->queue.broker, host_now_ns(s->engine->host) - s->sent_ns, false);
	res->stored = res->broker_code;
	res->queue_id = s->queue.id;
	(void)header_i32(call->response, "queueId", &res->queue_id);
	(void)header_i64(call->response, "queueOffset", &res->queue_offset);
	snprintf(res->offset_id, sizeof(res->offset_id), "%.*s", SLICE_ARG(id));
	send_end(s, 0, "");
}

/* SendMessageRequestHeaderV2 of 5.3.3. */
static void put_header(struct send *s, struct header_writer *w)
{
	header_put_str(w, "a", s->group);
	header_put_str(w, "b", s->topic);
	header_put_str(w, "c", "TBW102");
	header_put_i64(w, "d", 4);
	header_put_i64(w, "e", s->queue.id);
	header_put_i64(w, "f", 0);
	header_put_i64(w, "g", (int64_t)host_wall_ms(s->engine->host));
	header_put_i64(w, "h", 0);
	header_put(w, "i", buf_slice(&s->props));
	header_put_i64(w, "j", 0);
	header_put_bool(w, "k", false);
	header_put_bool(w, "m", false);
	header_put_str(w, "n", s->queue.broker);
}

static void dialed(struct dial_wait *wait, struct peer *peer, const char *why)
{
	struct send *s = wait->data;
	struct call_writer cw;
	size_t room = 2 * CALL_ROOM + HEADER_FIELD_ROOM(1, s->props.len) +
		      HEADER_FIELD_ROOM(1, strlen(s->topic) + strlen(s->group)) + 1024;

	if (peer == NULL) {
		retry(s, MOSAIC_E_CLOSED, why);
		return;
	}
	if (!call_begin(&cw, peer, REQ_SEND_MESSAGE_V2, s->is_oneway, (uint32_t)room,
			s->body_len)) {
		if (peer_is_open(peer))
			send_end(s, MOSAIC_E_AGAIN, "the broker does not read what was sent");
		else
			retry(s, MOSAIC_E_CLOSED, "the connection broke");
		return;
	}
	put_header(s, &cw.w);
	s->sent_ns = host_now_ns(s->engine->host);
	if (s->is_oneway) {
		call_end_oneway(&cw, slice(s->body, s->body_len));
		send_end(s, 0, "");
		return;
	}
	s->call = (struct call){ .done = answered, .data = s };
	call_end(&cw, slice(s->body, s->body_len), &s->call, s->due_ns - s->sent_ns + SECOND_NS);
}

static bool is_avoided(struct engine *e, const char *broker)
{
	const struct avoided *a = map_get(&e->avoided, slice_str(broker));
	return a != NULL && a->until_ns > host_now_ns(e->host);
}

/* In turn, past the broker that failed last and those that are slow, where there are others. */
static const struct route_queue *pick(struct send *s, struct route *r)
{
	if (s->key != NULL) {
		uint32_t hash = (uint32_t)hash_java(slice_str(s->key));
		return &r->queues[(hash & 0x7fffffff) % r->n_queues];
	}
	for (int strict = 2; strict > 0; strict--)
		for (uint32_t i = 0; i < r->n_queues; i++) {
			const struct route_queue *q = &r->queues[(r->next + i) % r->n_queues];
			if (strcmp(q->broker, s->queue.broker) == 0 ||
			    (strict == 2 && is_avoided(s->engine, q->broker)))
				continue;
			r->next = (r->next + i + 1) % r->n_queues;
			return q;
		}
	const struct route_queue *q = &r->queues[r->next % r->n_queues];
	r->next = (r->next + 1) % r->n_queues;
	return q;
}

static void routed(struct route_wait *wait, struct route *r, int status, const char *why)
{
	struct send *s = wait->data;

	if (status != 0) {
		send_end(s, status, why);
		return;
	}
	s->queue = *pick(s, r);
	s->attempts_left--;
	s->result.attempts++;
	snprintf(s->result.broker, sizeof(s->result.broker), "%s", s->queue.broker);
	s->dial = (struct dial_wait){ .done = dialed, .data = s };
	uint64_t now = host_now_ns(s->engine->host);
	dialer_get(&s->engine->dialer, s->queue.address,
		   s->due_ns > now ? s->due_ns - now : 1, &s->dial);
}

static void attempt(struct send *s)
{
	s->wait = (struct route_wait){ .done = routed, .data = s };
	route_get(s->engine, s->topic, &s->wait);
}

static void expired(struct mosaic_timer *timer)
{
	send_end(timer->data, MOSAIC_E_TIMEOUT, "the time is over");
}

void send_start(struct send *s)
{
	struct engine *e = s->engine;

	list_add_tail(&e->sends, &s->link);
	s->result.broker_code = -1;
	if (s->key != NULL || s->is_oneway)
		s->attempts_left = 1;
	s->due_ns = host_now_ns(e->host) + s->timeout_ns;
	s->deadline = (struct mosaic_timer){ .fire = expired, .data = s };
	if (e->is_closing) {
		send_end(s, MOSAIC_E_CANCELED, "the client stops");
		return;
	}
	e->host->timer_start(e->host, &s->deadline, s->timeout_ns);
	attempt(s);
}

void send_free(struct send *s)
{
	buf_free(&s->props);
	free(s->topic);
	free(s->group);
	free(s->key);
	free(s->body);
	free(s);
}
