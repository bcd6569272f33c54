/*
 * Happy path: send_start -> route -> queue picked -> broker asked -> answered -> end.
 *
 * Failure modes: the broker cannot be reached, the connection breaks, or it answers that it cannot
 * now: it is avoided for a while, the route is asked for again, and the next attempt goes to
 * another broker where there is one; any other answer: end with its code and text; the time is
 * over: end, wherever the send is.
 */
#include "send.h"
#include "trace.h"
#include "wire/codes.h"
#include <stdio.h>
#include <stdlib.h>

/*
 * MQFaultStrategy of 5.3.3: after an answer that took so long a broker is passed over for so long,
 * where there is another one. Java has it off by default; here it is always on: it is a preference
 * and never leaves a message without a queue. A failure counts as 10 s.
 */
static const struct {
	uint64_t took_ms, avoid_ms;
} faults[] = {
	{ 15000, 30000 }, { 5000, 10000 }, { 3000, 6000 }, { 1800, 5000 },
	{ 550, 2000 },	  { 100, 0 },	   { 50, 0 },
};
#define FAILED_MS 10000

static void attempt(struct send *s);

static void judge(struct engine *e, struct broker *b, uint64_t took_ms)
{
	for (uint32_t i = 0; i < ARRAY_LEN(faults); i++)
		if (took_ms >= faults[i].took_ms) {
			b->avoid_ns = host_now_ns(e->host) + faults[i].avoid_ms * MS_NS;
			return;
		}
	b->avoid_ns = 0;
}

/* ---- hooks ---- */

#define VIEW_PROPERTIES 128 /* more than these are not shown */

void send_hook(struct send *s, const struct mosaic_send_result *result)
{
	struct mosaic_property pairs[VIEW_PROPERTIES];
	struct mosaic_message m = { .struct_size = sizeof(m), .topic = s->topic, .body = s->body,
				    .sharding_key = s->key, .properties = pairs };
	const char *at = s->view;

	if (s->sender->hook == NULL || s->view == NULL) /* a batch shows its messages instead */
		return;
	while (at != NULL && at < s->view + s->props.len && m.n_properties < VIEW_PROPERTIES) {
		struct mosaic_property *p = &pairs[m.n_properties++];

		p->name = at;
		p->value = at + strlen(at) + 1;
		at = p->value + strlen(p->value) + 1;
		if (strcmp(p->name, "TAGS") == 0)
			m.tag = p->value;
		else if (strcmp(p->name, "KEYS") == 0)
			m.keys = p->value;
		else if (strcmp(p->name, "DELAY") == 0)
			m.delay_level = (uint32_t)strtoul(p->value, NULL, 10);
		else if (strcmp(p->name, "TIMER_DELIVER_MS") == 0)
			m.deliver_ms = strtoll(p->value, NULL, 10);
	}
	s->sender->hook(s->sender->hook_data, &m, result);
}

/* ---- the end ---- */

void send_end(struct send *s, int status, const char *text)
{
	struct engine *e = s->sender->engine;

	if (s->is_ended)
		return;
	s->is_ended = true;
	e->host->timer_stop(e->host, &s->deadline);
	route_wait_cancel(&s->wait);
	ask_cancel(&s->ask);
	list_remove(&s->link);
	s->result.status = status;
	if (status != 0)
		snprintf(s->result.text, sizeof(s->result.text), "%s", text);
	number_add(status == 0 ? &e->numbers.sent : &e->numbers.send_errors, 1);
	send_hook(s, &s->result);
	s->done(s);
}

static void retry(struct send *s, int status, const char *why)
{
	struct engine *e = s->sender->engine;

	judge(e, s->to, FAILED_MS);
	route_refresh(e, s->topic);
	if (s->attempts_left == 0) {
		send_end(s, status, why);
		return;
	}
	number_add(&e->numbers.send_retries, 1);
	attempt(s);
}

/* Another broker may take it (DefaultMQProducer.retryResponseCodes). */
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

static void accepted(struct send *s, const struct header *h)
{
	struct mosaic_send_result *r = &s->result;
	struct engine *e = s->sender->engine;
	struct mosaic_slice id = header_str(h, "msgId");

	judge(e, s->to, (host_now_ns(e->host) - s->sent_ns) / MS_NS);
	r->stored = r->broker_code;
	(void)header_i32(h, "queueId", &r->queue_id);
	(void)header_i64(h, "queueOffset", &r->queue_offset);
	text_copy(r->offset_id, sizeof(r->offset_id), id);
	if (s->code == REQ_SEND_BATCH_MESSAGE) {
		r->offset_id[strcspn(r->offset_id, ",")] = '\0'; /* that of its first message */
		s->ids = strndup((const char *)id.ptr, id.len);
	}
	text_copy(r->recall_handle, sizeof(r->recall_handle), header_str(h, "recallHandle"));
	text_copy(r->transaction_id, sizeof(r->transaction_id), header_str(h, "transactionId"));
	/* The broker says where it is, and whether it wants traces. */
	if (s->sender->tracer != NULL && header_str(h, "MSG_REGION").len > 0 &&
	    header_bool(h, "TRACE_ON", true))
		trace_sent(s->sender->tracer, s, header_str(h, "MSG_REGION"));
	send_end(s, 0, "");
}

static void answered(struct ask *a)
{
	struct send *s = a->data;
	char why[sizeof(s->result.text)];

	if (s->is_ended)
		return;
	if (a->status != 0) {
		retry(s, a->status, a->why);
		return;
	}
	if (s->is_oneway) {
		send_end(s, 0, "");
		return;
	}
	s->result.broker_code = a->response->code;
	switch (a->response->code) {
	case RES_SUCCESS:
	case RES_FLUSH_DISK_TIMEOUT:
	case RES_SLAVE_NOT_AVAILABLE:
	case RES_FLUSH_SLAVE_TIMEOUT:
		accepted(s, a->response);
		return;
	default:
		break;
	}
	snprintf(why, sizeof(why), "%s answered %d: %.*s", a->address, a->response->code,
		 SLICE_ARG(a->response->remark));
	if (is_passing(a->response->code))
		retry(s, MOSAIC_E_IO, why);
	else
		send_end(s, MOSAIC_E_IO, why);
}

/* ---- an attempt ---- */

/* SendMessageRequestHeaderV2 of 5.3.3. */
static void put_header(struct ask *a, struct header_writer *w)
{
	struct send *s = a->data;

	header_put_str(w, "a", s->sender->group);
	header_put_str(w, "b", s->topic);
	header_put_str(w, "c", "TBW102");
	header_put_i64(w, "d", s->sender->default_queues);
	header_put_i64(w, "e", s->result.queue_id);
	header_put_i64(w, "f", s->sys_flag);
	header_put_i64(w, "g", (int64_t)host_wall_ms(s->sender->engine->host));
	header_put_i64(w, "h", 0);
	header_put(w, "i", s->props);
	header_put_i64(w, "j", 0);
	header_put_bool(w, "k", false);
	header_put_bool(w, "m", s->code == REQ_SEND_BATCH_MESSAGE);
	header_put_str(w, "n", s->to->name);
}

static void ask_broker(struct send *s, const char *address)
{
	struct engine *e = s->sender->engine;

	s->sent_ns = host_now_ns(e->host);
	s->ask.code = s->code; /* field by field: the struct is long, and zeroed when it is made */
	s->ask.is_oneway = s->is_oneway;
	s->ask.body = s->body;
	s->ask.fill = put_header;
	s->ask.done = answered;
	s->ask.data = s;
	s->ask.room = HEADER_FIELD_ROOM(1, s->props.len) +
		      HEADER_FIELD_ROOM(1, strlen(s->topic)) +
		      HEADER_FIELD_ROOM(1, strlen(s->sender->group)) +
		      HEADER_FIELD_ROOM(1, strlen(s->to->name)) + 10 * HEADER_FIELD_ROOM(1, 20);
	send_hook(s, NULL);
	/* The deadline ends it; the ask's own time only has to be no shorter. */
	engine_ask(e, &s->ask, address, s->due_ns - s->sent_ns + SECOND_NS);
}

/* Queues of a topic that is not made yet are fewer than those of TBW102. */
static bool is_open(const struct send *s, const struct route *r, const struct route_queue *q)
{
	return !r->is_default || q->id < (int32_t)s->sender->default_queues;
}

/*
 * The balance plugin says which, message by message; what it says is passed over while it points at
 * the broker of the last attempt or at one to be avoided, where there are others.
 */
static const struct route_queue *pick(struct send *s, struct route *r)
{
	const struct mosaic_slice none = { NULL, 0 };
	struct engine *e = s->sender->engine;

	for (int strict = 2; strict >= 0; strict--)
		for (uint32_t i = 0; i < r->n_writes; i++) {
			uint64_t turn = r->next++;
			const struct route_queue *q =
				&r->writes[balancer_pick(s->sender->balance, none, turn,
							 r->n_writes)];

			if (is_open(s, r, q) && (strict == 0 || q->broker != s->to) &&
			    (strict < 2 || q->broker->avoid_ns == 0 ||
			     q->broker->avoid_ns <= host_now_ns(e->host)))
				return q;
		}
	return &r->writes[0];
}

static const struct route_queue *pick_by_key(struct send *s, struct route *r)
{
	uint32_t n = 0;

	while (n < r->n_writes && is_open(s, r, &r->writes[n]))
		n++;
	return &r->writes[balancer_pick(s->sender->by_key, slice_str(s->key), 0, n > 0 ? n : 1)];
}

static const struct route_queue *pick_fixed(struct send *s, struct route *r)
{
	for (uint32_t i = 0; i < r->n_writes; i++)
		if (r->writes[i].id == s->queue_id &&
		    strcmp(r->writes[i].broker->name, s->broker) == 0)
			return &r->writes[i];
	return NULL;
}

static void routed(struct route_wait *wait, struct route *r, int status, const char *why)
{
	struct send *s = wait->data;

	if (status != 0) {
		send_end(s, status, why);
		return;
	}
	const struct route_queue *q = s->broker != NULL ? pick_fixed(s, r)
				      : s->key != NULL	? pick_by_key(s, r)
							: pick(s, r);
	if (q == NULL) {
		route_refresh(s->sender->engine, s->topic);
		send_end(s, MOSAIC_E_NOTFOUND, "there is no such queue that can be written to");
		return;
	}
	s->to = q->broker;
	s->attempts_left--;
	s->result.attempts++;
	s->result.queue_id = q->id;
	text_copy(s->result.broker, sizeof(s->result.broker), slice_str(s->to->name));
	ask_broker(s, broker_address(s->to, 0));
}

static void attempt(struct send *s)
{
	s->wait = (struct route_wait){ .done = routed, .data = s, .for_write = true };
	route_get(s->sender->engine, s->topic, &s->wait);
}

static void expired(struct mosaic_timer *timer)
{
	struct send *s = timer->data;
	char why[sizeof(s->result.text)];

	if (s->to != NULL)
		judge(s->sender->engine, s->to, s->sender->timeout_ns / MS_NS);
	snprintf(why, sizeof(why), "the time is over%s%s", s->to != NULL ? ", waiting for " : "",
		 s->to != NULL ? s->to->name : "");
	send_end(s, MOSAIC_E_TIMEOUT, why);
}

void send_start(struct send *s)
{
	struct sender *sender = s->sender;
	struct engine *e = sender->engine;

	list_add_tail(&sender->sends, &s->link);
	s->attempts_left = s->key != NULL || s->broker != NULL || s->is_oneway ? 1
									      : sender->attempts;
	s->due_ns = host_now_ns(e->host) + sender->timeout_ns;
	s->deadline = (struct mosaic_timer){ .fire = expired, .data = s };
	if (e->is_closing) {
		send_end(s, MOSAIC_E_CANCELED, "the client stops");
		return;
	}
	e->host->timer_start(e->host, &s->deadline, sender->timeout_ns);
	attempt(s);
}
