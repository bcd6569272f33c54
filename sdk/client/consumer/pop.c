/*
 * Pop. Happy path: receive -> every broker of the topic is asked, each once at a time -> the first
 * answer with messages ends it; the others' answers are kept for the next receive.
 *
 * Failure modes: nobody answers: asked again each second until the time of the receive is over,
 * then it says so; what is kept longer than the broker hides it is dropped, for somebody else gets
 * it.
 */
#include "base/err.h"
#include "base/mem.h"
#include "consumer/pop_request.h"
#include "consumer/received_set.h"
#include "consumer/subscription.h"
#include "client.h"
#include "memory.h"
#include "wire/codes.h"
#include "wire/props.h"
#include <mosaic/consumer.h>
#include <stdio.h>
#include <stdlib.h>

#define BATCH_MAX 32
#define GRACE_NS (5 * SECOND_NS) /* beyond the time that the broker may hold a pop back */
#define ACK_TIMEOUT_NS (3 * SECOND_NS)
#define GROUP_MAX 120
#define TOPIC_MAX 127

/* An answer with messages. */
struct popped {
	struct list link;
	struct pop_answer api; /* its starts are in the block */
	uint64_t until_ns;
	struct mosaic_slice records; /* in the block */
};

struct pop_source {
	struct mosaic_popper *popper;
	struct broker *broker;
	struct ask ask;
	uint64_t hold_ms;
};

struct mosaic_popper {
	struct mosaic_client *client;
	struct client_member place;
	char *group, *topic;
	struct subscription *sub;
	uint32_t batch, invisible_ms, poll_ms, from;
	/* the rest is the client's thread's */
	struct map sources;   /* broker -> struct pop_source */
	struct list answers;  /* struct popped */
	struct popped *shown; /* what the thread that receives reads, until its next receive */
	struct client_task *receiving;
	struct route_wait wait;
	struct mosaic_timer limit, again;
	uint64_t due_ns;
	bool is_stopped;
	char why[300];
	/* the receiving thread's */
	bool has_failed; /* to show, for want of memory */
	struct received_set set;
	char (*receipts)[RECEIPT_MAX];
};

/* ---- answers ---- */

static void popped_free(struct mosaic_popper *p, struct popped *a)
{
	if (a == NULL)
		return;
	number_add(&p->client->engine.numbers.bytes_held, (uint64_t)0 - a->records.len);
	free(a);
}

static struct popped *popped_make(const struct pop_source *s, const struct ask *ask)
{
	struct pop_answer api;

	pop_answer_read(ask->response, s->broker->name, &api);
	struct popped *a = malloc(sizeof(*a) + api.starts.len + ask->answer.len);
	if (a == NULL)
		return NULL;
	*a = (struct popped){ .api = api };
	list_init(&a->link);
	a->until_ns = host_now_ns(ask->engine->host) +
		      (uint64_t)(api.invisible_ms > 0 ? api.invisible_ms : 0) * MS_NS;
	uint8_t *at = (uint8_t *)(a + 1);
	if (api.starts.len > 0)
		memcpy(at, api.starts.ptr, api.starts.len);
	a->api.starts = slice(at, api.starts.len);
	memcpy(at + api.starts.len, ask->answer.ptr, ask->answer.len);
	a->records = slice(at + api.starts.len, ask->answer.len);
	number_add(&ask->engine->numbers.bytes_held, a->records.len);
	return a;
}

/* The oldest answer that is still ours, or NULL. */
static struct popped *next_answer(struct mosaic_popper *p)
{
	while (!list_empty(&p->answers)) {
		struct popped *a = LIST_ENTRY(p->answers.next, struct popped, link);

		list_remove(&a->link);
		if (a->until_ns > host_now_ns(p->client->engine.host))
			return a;
		popped_free(p, a);
	}
	return NULL;
}

/* ---- receive, on the client's thread ---- */

struct receiving {
	struct client_task task;
	struct mosaic_popper *popper;
	uint32_t timeout_ms;
	bool is_again; /* what is shown could not be, for want of memory */
};

static void end_receive(struct mosaic_popper *p, int status)
{
	const struct mosaic_host *host = p->client->engine.host;
	struct client_task *task = p->receiving;

	p->receiving = NULL;
	host->timer_stop(host, &p->limit);
	host->timer_stop(host, &p->again);
	route_wait_cancel(&p->wait);
	client_task_end(task, status);
}

static void receive_is_over(struct mosaic_timer *timer)
{
	struct mosaic_popper *p = timer->data;

	end_receive(p, p->why[0] != '\0' ? MOSAIC_E_IO : 0);
}

static void ask_all(struct mosaic_popper *p);

static void ask_again(struct mosaic_timer *timer)
{
	ask_all(timer->data);
}

static void answered(struct ask *ask)
{
	struct pop_source *s = ask->data;
	struct mosaic_popper *p = s->popper;
	const struct mosaic_host *host = p->client->engine.host;
	uint64_t delay = SECOND_NS / 20; /* a broker that does not hold back is not asked at once */

	if (p->is_stopped)
		return;
	if (ask->status == 0 && ask->response->code == RES_SUCCESS && ask->answer.len > 0) {
		struct popped *a = popped_make(s, ask);
		if (a != NULL)
			list_add_tail(&p->answers, &a->link);
		else
			LOG_WARN(host, "pop_dropped", "topic=%s text=\"no memory\"", p->topic);
		p->why[0] = '\0';
	} else if (ask->status != 0) {
		snprintf(p->why, sizeof(p->why), "%s", ask->why);
		route_refresh(&p->client->engine, p->topic);
		delay = SECOND_NS;
	} else if (ask->response->code == RES_SUCCESS ||
		   ask->response->code == RES_POLLING_TIMEOUT ||
		   ask->response->code == RES_PULL_NOT_FOUND) {
		p->why[0] = '\0';
	} else {
		snprintf(p->why, sizeof(p->why), "code %d: %.*s", (int)ask->response->code,
			 SLICE_ARG(ask->response->remark));
		delay = SECOND_NS;
	}
	if (p->receiving == NULL)
		return;
	if (p->shown == NULL)
		p->shown = next_answer(p);
	if (p->shown != NULL) {
		end_receive(p, 0);
		return;
	}
	p->again = (struct mosaic_timer){ .fire = ask_again, .data = p };
	host->timer_start(host, &p->again, delay);
}

static struct pop_request request_of(const struct pop_source *s)
{
	const struct mosaic_popper *p = s->popper;

	return (struct pop_request){
		.group = p->group, .topic = p->topic, .broker = s->broker->name, .sub = p->sub,
		.queue_id = -1, .batch = p->batch, .invisible_ms = p->invisible_ms,
		.hold_ms = s->hold_ms, .is_from_first = p->from == MOSAIC_FROM_FIRST,
		.now_ms = (int64_t)host_wall_ms(p->client->engine.host),
	};
}

static void fill(struct ask *ask, struct header_writer *w)
{
	struct pop_request r = request_of(ask->data);

	pop_request_put(&r, w);
}

static void ask_one(struct mosaic_popper *p, struct broker *b, uint64_t left_ms)
{
	struct pop_source *s = map_get(&p->sources, slice_str(b->name));
	const char *address = broker_address_any(b);

	if (s == NULL) {
		s = mem_alloc(sizeof(*s));
		s->popper = p;
		s->broker = b;
		map_put(&p->sources, slice_str(b->name), s);
	}
	if (ask_waits(&s->ask) || address == NULL)
		return;
	s->hold_ms = left_ms < p->poll_ms ? left_ms : p->poll_ms;
	struct pop_request r = request_of(s);
	s->ask = (struct ask){ .code = REQ_POP_MESSAGE, .fill = fill, .done = answered, .data = s,
			       .room = pop_request_room(&r) };
	engine_ask(&p->client->engine, &s->ask, address, s->hold_ms * MS_NS + GRACE_NS);
}

static void routed(struct route_wait *wait, struct route *r, int status, const char *why)
{
	struct mosaic_popper *p = wait->data;
	const struct mosaic_host *host = p->client->engine.host;
	uint64_t now = host_now_ns(host);

	if (p->receiving == NULL)
		return;
	if (status != 0) {
		snprintf(p->why, sizeof(p->why), "%s", why);
		p->again = (struct mosaic_timer){ .fire = ask_again, .data = p };
		host->timer_start(host, &p->again, SECOND_NS);
		return;
	}
	for (uint32_t i = 0; i < r->n_reads && p->receiving != NULL; i++)
		if (i == 0 || r->reads[i].broker != r->reads[i - 1].broker)
			ask_one(p, r->reads[i].broker,
				now < p->due_ns ? (p->due_ns - now) / MS_NS : 0);
}

static void ask_all(struct mosaic_popper *p)
{
	p->wait = (struct route_wait){ .done = routed, .data = p };
	route_get(&p->client->engine, p->topic, &p->wait);
}

static void begin_receive(struct client_task *task)
{
	struct receiving *x = CONTAINER_OF(task, struct receiving, task);
	struct mosaic_popper *p = x->popper;
	const struct mosaic_host *host = p->client->engine.host;

	if (p->is_stopped || p->receiving != NULL) {
		client_task_end(task, p->is_stopped ? MOSAIC_E_CLOSED : MOSAIC_E_INVAL);
		return;
	}
	if (x->is_again && p->shown->until_ns > host_now_ns(host)) {
		list_add_tail(p->answers.next, &p->shown->link);
		p->shown = NULL;
	}
	popped_free(p, p->shown);
	p->shown = next_answer(p);
	p->why[0] = '\0';
	p->receiving = task;
	p->due_ns = host_now_ns(host) + x->timeout_ms * MS_NS;
	if (p->shown != NULL) {
		end_receive(p, 0);
		return;
	}
	p->limit = (struct mosaic_timer){ .fire = receive_is_over, .data = p };
	/* A little longer than the brokers hold it back: their last word is worth hearing. */
	host->timer_start(host, &p->limit, x->timeout_ms * MS_NS + SECOND_NS / 10);
	ask_all(p);
}

/* ---- receive, on the caller's thread ---- */

static bool next_record(struct mosaic_slice *rest, struct message *m)
{
	uint32_t len;

	if (rest->len == 0 || record_decode(rest->ptr, rest->len, false, m, &len) != RECORD_MESSAGE)
		return false;
	rest->ptr += len;
	rest->len -= len;
	return true;
}

static int show(struct mosaic_popper *p, const struct popped *a)
{
	struct mosaic_slice rest = a->records;
	struct message m;
	int rc = received_set_init(&p->set, p->batch);

	while (rc == 0 && p->set.count < p->batch && next_record(&rest, &m)) {
		if (!subscription_takes(p->sub, props_find(m.props, PROP_TAGS)))
			continue;
		char *receipt = p->receipts[p->set.count];
		receipt_make(&a->api, &m, receipt);
		rc = received_set_add(&p->set, &m, a->api.broker);
		if (rc == 0)
			p->set.messages[p->set.count - 1].receipt = receipt;
	}
	number_add(&p->client->engine.numbers.pulled, p->set.count);
	return rc;
}

int32_t mosaic_popper_receive(struct mosaic_popper *p, uint32_t timeout_ms,
			      const struct mosaic_received **messages, uint32_t *count)
{
	struct receiving x = { .task = { .begin = begin_receive }, .popper = p,
			       .timeout_ms = timeout_ms, .is_again = p->has_failed };

	*messages = NULL;
	*count = 0;
	if (client_on_thread(p->client))
		return MOSAIC_E_INVAL;
	p->has_failed = false;
	received_set_free(&p->set);
	int rc = client_task_run(p->client, &x.task);
	/* shown changes only in receive and destroy: this thread may read it. */
	if (rc == 0 && p->shown != NULL) {
		rc = show(p, p->shown);
		p->has_failed = rc != 0;
	}
	if (p->has_failed)
		received_set_free(&p->set);
	*messages = p->set.messages;
	*count = p->set.count;
	return rc;
}

/* ---- ack, change ---- */

struct acking {
	struct client_task task;
	struct mosaic_popper *popper;
	struct ask ask;
	struct pop_ending ending;
	char *new_receipt;
	struct mosaic_error *error;
};

static void fill_ack(struct ask *ask, struct header_writer *w)
{
	const struct acking *x = ask->data;

	pop_ending_put(&x->ending, w);
}

static void acked(struct ask *ask)
{
	struct acking *x = ask->data;
	const struct header *h = ask->response;
	int rc = 0;

	if (ask->status != 0) {
		rc = err_set(x->error, ask->status, "%s", ask->why);
	} else if (h->code != RES_SUCCESS) {
		rc = err_set(x->error,
			     h->code == RES_NO_MESSAGE ? MOSAIC_E_NOTFOUND : MOSAIC_E_IO,
			     "the broker answered %d: %.*s", (int)h->code, SLICE_ARG(h->remark));
	} else if (x->new_receipt != NULL) {
		struct receipt *r = &x->ending.parts;
		r->start_offset = r->offset;
		(void)header_i64(h, "popTime", &r->pop_ms);
		(void)header_i64(h, "invisibleTime", &r->invisible_ms);
		(void)header_i32(h, "reviveQid", &r->revive_queue);
		receipt_write(r, x->new_receipt);
	}
	if (rc == 0 && ask->code == REQ_ACK_MESSAGE) {
		number_add(&ask->engine->numbers.consumed, 1);
		number_add(&ask->engine->numbers.acknowledged, 1);
	}
	client_task_end(&x->task, rc);
}

static void begin_ack(struct client_task *task)
{
	struct acking *x = CONTAINER_OF(task, struct acking, task);
	struct engine *e = &task->client->engine;
	const struct broker *b = broker_find(e, x->ending.parts.broker);
	const char *address = b != NULL ? broker_address_any(b) : NULL;

	if (address == NULL) {
		client_task_end(task, err_set(x->error, MOSAIC_E_NOTFOUND, "no broker %s",
					      x->ending.parts.broker));
		return;
	}
	x->ask = (struct ask){ .code = pop_ending_code(&x->ending), .fill = fill_ack,
			       .done = acked, .data = x, .room = pop_ending_room(&x->ending) };
	engine_ask(e, &x->ask, address, ACK_TIMEOUT_NS);
}

static int run_ack(struct acking *x)
{
	x->task.begin = begin_ack;
	x->ending.group = x->popper->group;
	x->ending.topic = x->popper->topic;
	if (receipt_read(x->ending.receipt, &x->ending.parts) != 0)
		return err_set(x->error, MOSAIC_E_INVAL, "this is no receipt");
	return client_task_run(x->popper->client, &x->task);
}

int32_t mosaic_popper_ack(struct mosaic_popper *p, const char *receipt, struct mosaic_error *error)
{
	struct acking x = { .popper = p, .ending = { .receipt = receipt }, .error = error };

	return run_ack(&x);
}

int32_t mosaic_popper_change(struct mosaic_popper *p, const char *receipt, uint32_t invisible_ms,
			     char *new_receipt, struct mosaic_error *error)
{
	struct acking x = { .popper = p, .new_receipt = new_receipt, .error = error,
			    .ending = { .receipt = receipt, .is_change = true,
					.invisible_ms = invisible_ms } };

	return run_ack(&x);
}

/* ---- create and destroy ---- */

static void canceled(struct ask *ask)
{
	(void)ask;
}

static void begin_stop(struct client_task *task)
{
	struct mosaic_popper *p = task->data;
	struct map_entry *e;

	p->is_stopped = true;
	if (p->receiving != NULL)
		end_receive(p, MOSAIC_E_CLOSED);
	for (uint32_t pos = 0; (e = map_next(&p->sources, &pos)) != NULL;) {
		struct pop_source *s = e->value;
		if (ask_waits(&s->ask)) {
			s->ask.done = canceled;
			ask_cancel(&s->ask);
		}
	}
	client_task_end(task, 0);
}

static void stop(struct mosaic_popper *p)
{
	struct client_task task = { .begin = begin_stop, .data = p };

	(void)client_task_run(p->client, &task); /* without a running client it was stopped */
}

static void stop_member(struct client_member *place)
{
	stop(CONTAINER_OF(place, struct mosaic_popper, place));
}

static void destroy_member(struct client_member *place)
{
	struct mosaic_popper *p = CONTAINER_OF(place, struct mosaic_popper, place);

	mosaic_popper_destroy(&p);
}

static int check(const struct mosaic_popper_options *o, struct mosaic_error *error)
{
	if (o->struct_size < sizeof(*o))
		return err_set(error, MOSAIC_E_INVAL, "options: struct_size is not set");
	if (o->group == NULL || o->group[0] == '\0' ||
	    strnlen(o->group, GROUP_MAX + 1) > GROUP_MAX || o->topic == NULL ||
	    o->topic[0] == '\0' || strnlen(o->topic, TOPIC_MAX + 1) > TOPIC_MAX)
		return err_set(error, MOSAIC_E_INVAL, "a group and a topic have names of 1 to %d "
						      "and %d bytes",
			       GROUP_MAX, TOPIC_MAX);
	if (o->batch > BATCH_MAX || o->from > MOSAIC_FROM_FIRST)
		return err_set(error, MOSAIC_E_INVAL, "batch: 1 to %d; from: last or first",
			       BATCH_MAX);
	return 0;
}

int32_t mosaic_popper_create(struct mosaic_client *client, const struct mosaic_popper_options *o,
			     struct mosaic_popper **out, struct mosaic_error *error)
{
	int rc = check(o, error);

	if (rc == 0)
		rc = memory_check(error);
	if (rc != 0)
		return rc;
	struct mosaic_popper *p = mem_alloc(sizeof(*p));
	p->client = client;
	p->group = mem_strdup(o->group);
	p->topic = mem_strdup(o->topic);
	p->batch = o->batch != 0 ? o->batch : 16;
	p->invisible_ms = o->invisible_ms != 0 ? o->invisible_ms : 60000;
	p->poll_ms = o->poll_ms != 0 ? o->poll_ms : 15000;
	p->from = o->from;
	p->receipts = mem_alloc(p->batch * sizeof(*p->receipts));
	list_init(&p->answers);
	list_init(&p->place.link);
	p->place.stop = stop_member;
	p->place.destroy = destroy_member;
	rc = subscription_make(o->topic, o->kind, o->expression, &p->sub, error);
	if (rc == 0 && client_add(client, &p->place) != 0)
		rc = err_set(error, MOSAIC_E_CLOSED, "the client is not running");
	if (rc != 0)
		mosaic_popper_destroy(&p);
	else
		*out = p;
	return rc;
}

void mosaic_popper_destroy(struct mosaic_popper **popper)
{
	struct mosaic_popper *p = *popper;
	struct map_entry *e;

	if (p == NULL || client_on_thread(p->client))
		return;
	stop(p);
	client_remove(p->client, &p->place);
	received_set_free(&p->set);
	popped_free(p, p->shown);
	while (!list_empty(&p->answers)) {
		struct popped *a = LIST_ENTRY(p->answers.next, struct popped, link);
		list_remove(&a->link);
		popped_free(p, a);
	}
	for (uint32_t pos = 0; (e = map_next(&p->sources, &pos)) != NULL;)
		free(e->value);
	map_free(&p->sources);
	subscription_free(p->sub);
	free(p->receipts);
	free(p->group);
	free(p->topic);
	free(p);
	*popper = NULL;
}
