/*
 * Happy path: pop -> held by the broker until there is something, or 15 s -> a batch -> listeners
 * -> each message acknowledged, or hidden for as long as its tries say -> pop again.
 *
 * Failure modes: too much is not acknowledged: popped again when some of it is; the broker cannot
 * be reached, or says no: again after 3 s; a message is too late (it was hidden for less time than
 * it took): nothing is said, for it is somebody else's now; an acknowledgement is lost: it comes
 * again. A queue that is not ours any more: what is with listeners is acknowledged all the same.
 */
#include "consumer/push_pop.h"
#include "base/err.h"
#include "base/mem.h"
#include "consumer/pop_request.h"
#include "consumer/push.h"
#include "consumer/running_info.h"
#include "wire/codes.h"
#include "wire/json.h"
#include "wire/props.h"
#include <stdio.h>
#include <stdlib.h>

#define UNACKED_MAX 96 /* popThresholdForQueue */
#define HOLD_MS 15000
#define TIMEOUT_NS (30 * SECOND_NS)
#define AGAIN_NS (3 * SECOND_NS)
#define SHORT_NS (50 * MS_NS) /* an empty answer sooner than this: the broker does not hold back */

struct pop_share {
	struct mosaic_consumer *consumer;
	char *key, *topic;
	struct broker *broker;
	int32_t id; /* -1: all queues of the broker */
	struct ask ask;
	struct mosaic_timer timer;
	struct list batches; /* struct pop_batch */
	struct list service; /* in consumer.pops_ready while there is something to give */
	uint32_t n_unacked;
	uint64_t asked_ns;
};

/* The messages of one answer; ends with the last of them. */
struct pop_batch {
	struct list link;
	struct process_queue queue;
	struct pop_share *share; /* NULL: it is not ours any more */
	struct pop_answer answer; /* its starts are in the block, and so is topic */
	const char *topic, *broker;
	uint64_t until_ns; /* others get them then */
};

static struct pop_batch *batch_of(const struct item *item)
{
	return CONTAINER_OF(item->queue, struct pop_batch, queue);
}

static void pop_next(struct pop_share *s);

static void pop_later(struct mosaic_timer *timer)
{
	pop_next(timer->data);
}

/* ---- ends of messages ---- */

static void item_end(struct item *item)
{
	struct pop_batch *b = batch_of(item);

	if (b->share != NULL)
		b->share->n_unacked--;
	process_queue_done(item);
	if (b->queue.n_items > 0)
		return;
	list_remove(&b->link);
	free(b);
}

static void item_ended(struct mosaic_consumer *c, struct item *item, bool is_consumed)
{
	struct numbers *n = &c->member.engine->numbers;
	const struct pop_batch *b = batch_of(item);
	struct message m;

	number_add(is_consumed ? &n->consumed : &n->consume_errors, 1);
	if (host_now_ns(c->member.engine->host) >= b->until_ns) {
		LOG_WARN(c->member.engine->host, "consumed_too_long",
			 "group=%s topic=%s offset=%lld", c->member.config.group, b->topic,
			 (long long)item->offset);
	} else if (!c->is_stopped) {
		item_decode(item, &m);
		push_pop_tell(c, &b->answer, b->topic, &m,
			      is_consumed ? 0 : push_pop_again_ms(c, &m));
	}
}

static void call_ended(struct mosaic_req *req)
{
	struct listener_call *call = CONTAINER_OF(req, struct listener_call, req);
	struct mosaic_consumer *c = call->data;
	struct pop_share *s = batch_of(call->items[0])->share;

	if (!c->is_stopped)
		trace_consumed(c, call);
	if (call->was_called)
		stats_called(member_stats(&c->member, batch_of(call->items[0])->topic),
			     call->took_ms, call->n_items, call->consumed);
	for (uint32_t i = 0; i < call->n_items; i++) {
		if (call->was_called)
			item_ended(c, call->items[i], i < call->consumed);
		item_end(call->items[i]); /* never called: it comes again */
	}
	free(call);
	if (s != NULL)
		pop_next(s);
	push_call_ended(c);
}

/* ---- giving ---- */

/* What nobody was given. */
static void drop(struct pop_batch *b)
{
	for (bool is_last = list_empty(&b->queue.ready); !is_last;) {
		struct item *item = LIST_ENTRY(b->queue.ready.next, struct item, waiting);

		is_last = item->waiting.next == &b->queue.ready;
		item_end(item); /* maybe the batch, when nothing of it is out */
	}
}

/* The first batch with messages to give; those that others may get by now are dropped. */
static struct pop_batch *fresh_batch(struct pop_share *s)
{
	uint64_t now = host_now_ns(s->consumer->member.engine->host);

	LIST_FOR_SAFE(it, &s->batches) {
		struct pop_batch *b = LIST_ENTRY(it, struct pop_batch, link);

		if (now >= b->until_ns)
			drop(b);
		else if (!list_empty(&b->queue.ready))
			return b;
	}
	return NULL;
}

static void give_out(struct mosaic_consumer *c, struct pop_batch *b)
{
	uint32_t batch = c->options.batch;
	struct listener_call *call = mem_alloc(sizeof(*call) + batch * sizeof(call->items[0]));

	call->n_items = process_queue_take(&b->queue, call->items, batch,
					   host_now_ns(c->member.engine->host));
	call->req.done = call_ended;
	call->data = c;
	call->broker = b->broker;
	listeners_call(c->listeners, call);
}

void push_pop_give(struct mosaic_consumer *c)
{
	if (list_empty(&c->pops_ready))
		return;
	struct pop_share *s = LIST_ENTRY(c->pops_ready.next, struct pop_share, service);
	list_remove(&s->service);
	struct pop_batch *b = fresh_batch(s);
	if (b != NULL)
		give_out(c, b);
	if (fresh_batch(s) != NULL)
		list_add_tail(&c->pops_ready, &s->service);
	pop_next(s);
}

/* ---- popping ---- */

static bool next_record(struct mosaic_slice *rest, struct message *m)
{
	uint32_t len;

	if (rest->len == 0 || record_decode(rest->ptr, rest->len, false, m, &len) != RECORD_MESSAGE)
		return false;
	rest->ptr += len;
	rest->len -= len;
	return true;
}

static bool is_wanted(const struct mosaic_consumer *c, const struct subscription *sub,
		      const struct message *m)
{
	return subscription_takes(sub, props_find(m->props, PROP_TAGS)) &&
	       m->reconsume_times <= c->options.max_reconsume;
}

/* Hashes of tags may meet, and tries come to an end: nobody is to get these again. */
static void acknowledge_unwanted(struct pop_share *s, const struct pop_answer *answer,
				 struct mosaic_slice records, const struct subscription *sub)
{
	struct message m;

	while (next_record(&records, &m))
		if (!is_wanted(s->consumer, sub, &m))
			push_pop_tell(s->consumer, answer, s->topic, &m, 0);
}

static struct pop_batch *make_batch(struct pop_share *s, const struct ask *ask)
{
	struct pop_answer answer;
	size_t topic_len = strlen(s->topic) + 1;

	pop_answer_read(ask->response, s->broker->name, &answer);
	struct pop_batch *b = malloc(sizeof(*b) + answer.starts.len + topic_len);
	if (b == NULL)
		return NULL;
	char *at = (char *)(b + 1);
	*b = (struct pop_batch){ .share = s, .answer = answer, .topic = at,
				 .broker = s->broker->name };
	list_init(&b->link);
	process_queue_init(&b->queue);
	b->until_ns = host_now_ns(ask->engine->host) +
		      (uint64_t)(answer.invisible_ms > 0 ? answer.invisible_ms : 0) * MS_NS;
	memcpy(at, s->topic, topic_len);
	if (answer.starts.len > 0)
		memcpy(at + topic_len, answer.starts.ptr, answer.starts.len);
	b->answer.starts = slice(at + topic_len, answer.starts.len);
	return b;
}

static void drop_tried(struct mosaic_consumer *c, struct pop_batch *b)
{
	struct message m;

	LIST_FOR_SAFE(it, &b->queue.items) {
		struct item *item = LIST_ENTRY(it, struct item, link);
		item_decode(item, &m);
		if (m.reconsume_times > c->options.max_reconsume)
			process_queue_done(item);
	}
}

static void take(struct pop_share *s, const struct ask *ask, const struct subscription *sub)
{
	struct mosaic_consumer *c = s->consumer;
	struct engine *e = c->member.engine;
	struct pop_batch *b = make_batch(s, ask);
	int64_t next = 0;

	if (b == NULL ||
	    process_queue_add(&b->queue, ask->answer, sub, INT64_MIN, &next, &e->numbers) < 0) {
		LOG_WARN(e->host, "pop_dropped", "queue=%s text=\"no memory\"", s->key);
		free(b);
		return; /* they come again */
	}
	acknowledge_unwanted(s, &b->answer, ask->answer, sub);
	drop_tried(c, b);
	if (b->queue.n_items == 0) {
		free(b);
		return;
	}
	number_add(&e->numbers.pulled, b->queue.n_items);
	stats_pulled(member_stats(&c->member, s->topic),
		     (host_now_ns(e->host) - s->asked_ns) / MS_NS, b->queue.n_items);
	s->n_unacked += b->queue.n_items;
	list_add_tail(&s->batches, &b->link);
	if (list_empty(&s->service))
		list_add_tail(&c->pops_ready, &s->service);
}

static void pop_after(struct pop_share *s, uint64_t delay_ns)
{
	const struct mosaic_host *host = s->consumer->member.engine->host;

	s->timer = (struct mosaic_timer){ .fire = pop_later, .data = s };
	host->timer_start(host, &s->timer, delay_ns);
}

static void failed(struct pop_share *s, const char *why)
{
	char text[300];

	LOG_WARN(s->consumer->member.engine->host, "pop_failed", "group=%s queue=%s why=%s",
		 s->consumer->member.config.group, s->key, host_log_quote(text, sizeof(text), why));
	route_refresh(s->consumer->member.engine, s->topic);
	pop_after(s, AGAIN_NS);
}

static struct subscription *sub_of(const struct pop_share *s)
{
	const struct member_topic *t =
		map_get(&s->consumer->member.topics, slice_str(s->topic));

	return t != NULL ? t->sub : NULL;
}

static void answered(struct ask *ask)
{
	struct pop_share *s = ask->data;
	struct mosaic_consumer *c = s->consumer;
	const struct header *h = ask->response;
	const struct subscription *sub = sub_of(s);
	char why[300];

	if (ask->status == MOSAIC_E_CANCELED)
		return;
	if (ask->status != 0) {
		failed(s, ask->why);
	} else if (h->code == RES_SUCCESS && ask->answer.len > 0 && sub != NULL) {
		take(s, ask, sub);
		pop_next(s);
		push_dispatch(c);
	} else if (h->code == RES_SUCCESS || h->code == RES_POLLING_TIMEOUT ||
		   h->code == RES_PULL_NOT_FOUND) {
		if (host_now_ns(ask->engine->host) - s->asked_ns < SHORT_NS)
			pop_after(s, SHORT_NS);
		else
			pop_next(s);
	} else {
		snprintf(why, sizeof(why), "code %d: %.*s", (int)h->code, SLICE_ARG(h->remark));
		failed(s, why);
	}
}

static struct pop_request request_of(const struct pop_share *s, const struct subscription *sub)
{
	const struct mosaic_consumer *c = s->consumer;

	return (struct pop_request){
		.group = c->member.config.group, .topic = s->topic, .broker = s->broker->name,
		.sub = sub, .queue_id = s->id, .batch = c->options.pop_batch,
		.invisible_ms = c->options.invisible_ms, .hold_ms = HOLD_MS,
		.is_from_first = c->options.from == MOSAIC_FROM_FIRST,
		.now_ms = (int64_t)host_wall_ms(c->member.engine->host),
	};
}

static void fill(struct ask *ask, struct header_writer *w)
{
	const struct pop_share *s = ask->data;
	struct pop_request r = request_of(s, sub_of(s));

	pop_request_put(&r, w);
}

static void pop_next(struct pop_share *s)
{
	struct member *m = &s->consumer->member;
	const struct subscription *sub = sub_of(s);
	const char *master = broker_address(s->broker, 0);

	if (!m->is_running || sub == NULL || s->n_unacked > UNACKED_MAX || s->timer.due_ns != 0 ||
	    ask_waits(&s->ask))
		return;
	if (master == NULL) {
		failed(s, "the broker has no master");
		return;
	}
	struct pop_request r = request_of(s, sub);
	s->asked_ns = host_now_ns(m->engine->host);
	s->ask = (struct ask){ .code = REQ_POP_MESSAGE, .fill = fill, .done = answered, .data = s,
			       .room = pop_request_room(&r) };
	engine_ask(m->engine, &s->ask, master, TIMEOUT_NS);
}

/* ---- shares ---- */

static void canceled(struct ask *ask)
{
	(void)ask;
}

static void make(struct mosaic_consumer *c, const char *topic, struct broker *b, int32_t id,
		 const char *key)
{
	struct pop_share *s = mem_alloc(sizeof(*s));

	*s = (struct pop_share){ .consumer = c, .key = mem_strdup(key), .broker = b, .id = id,
				 .topic = mem_strdup(topic) };
	list_init(&s->batches);
	list_init(&s->service);
	map_put(&c->pops, slice_str(key), s);
	LOG_INFO(c->member.engine->host, "queue_taken", "group=%s queue=%s mode=pop",
		 c->member.config.group, key);
	pop_next(s);
}

/* Batches that are with listeners live on until they come back. */
static void leave_batches(struct pop_share *s)
{
	LIST_FOR_SAFE(it, &s->batches) {
		struct pop_batch *b = LIST_ENTRY(it, struct pop_batch, link);

		list_remove(&b->link);
		b->share = NULL;
		drop(b);
	}
}

static void end(struct pop_share *s)
{
	struct mosaic_consumer *c = s->consumer;
	const struct mosaic_host *host = c->member.engine->host;

	host->timer_stop(host, &s->timer);
	if (ask_waits(&s->ask)) {
		s->ask.done = canceled;
		ask_cancel(&s->ask);
	}
	leave_batches(s);
	list_remove(&s->service);
	map_remove(&c->pops, slice_str(s->key));
	LOG_INFO(host, "queue_left", "group=%s queue=%s mode=pop", c->member.config.group, s->key);
	free(s->key);
	free(s->topic);
	free(s);
}

static bool has(const struct route_queue *queues, uint32_t n, const struct pop_share *s)
{
	for (uint32_t i = 0; i < n; i++)
		if (queues[i].broker == s->broker && queues[i].id == s->id)
			return true;
	return false;
}

void push_pop_apply(struct member *m, const char *topic, const struct route_queue *queues,
		    uint32_t n)
{
	struct mosaic_consumer *c = CONTAINER_OF(m, struct mosaic_consumer, member);
	struct map_entry *e;
	char key[512];

	for (uint32_t pos = 0; (e = map_next(&c->pops, &pos)) != NULL;) {
		struct pop_share *s = e->value;
		if (strcmp(s->topic, topic) == 0 && !has(queues, n, s))
			end(s);
	}
	for (uint32_t i = 0; i < n; i++) {
		snprintf(key, sizeof(key), "%s@%s@%d", topic, queues[i].broker->name,
			 (int)queues[i].id);
		if (map_get(&c->pops, slice_str(key)) == NULL)
			make(c, topic, queues[i].broker, queues[i].id, key);
	}
}

void push_pop_end(struct mosaic_consumer *c)
{
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(&c->pops, &pos)) != NULL;)
		end(e->value);
}

void push_pop_write(const struct member *m, struct json_writer *w)
{
	const struct mosaic_consumer *c =
		CONTAINER_OF((uintptr_t)m, struct mosaic_consumer, member);
	const struct mosaic_host *host = m->engine->host;
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(&c->pops, &pos)) != NULL;) {
		const struct pop_share *s = e->value;
		uint64_t ago_ms = (host_now_ns(host) - s->asked_ns) / MS_NS;

		running_info_key(w, s->topic, s->broker->name, s->id);
		jw_object(w);
		jw_put_bool(w, "droped", false); /* sic */
		jw_put_i64(w, "lastPopTimestamp", (int64_t)(host_wall_ms(host) - ago_ms));
		jw_put_i64(w, "waitAckCount", s->n_unacked);
		jw_object_end(w);
	}
}
