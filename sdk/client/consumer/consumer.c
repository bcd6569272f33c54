/*
 * Push. Happy path: share has messages -> ready() -> push_dispatch -> a listener's thread -> ended
 * -> share_settled -> offsets are committed with the next tick.
 *
 * Stop: no new calls, wait for those under way -> offsets, locks -> out of the group.
 */
#include "base/err.h"
#include "base/mem.h"
#include "consumer/push.h"
#include "consumer/push_pop.h"
#include "memory.h"
#include <stdio.h>
#include <stdlib.h>

#define THREADS_MAX 1024
#define BATCH_MAX 1024
#define PULL_BATCH_MAX 1024
#define POP_BATCH_MAX 32 /* as brokers take it */
#define AGAIN_NS SECOND_NS /* after a call that could not be made for want of memory */

/* ---- dispatch ---- */

static bool is_ready(struct mosaic_consumer *c, const struct share *s)
{
	return share_is_usable(s) && s->suspend.due_ns == 0 && !list_empty(&s->queue.ready) &&
	       !(c->options.is_orderly && s->queue.n_out > 0);
}

static void ready(struct member *m, struct share *s)
{
	struct mosaic_consumer *c = push_of(s);

	(void)m;
	if (list_empty(&s->service) && is_ready(c, s))
		list_add_tail(&c->ready, &s->service);
	push_dispatch(c);
}

static void ends(struct member *m, struct share *s)
{
	(void)m;
	list_remove(&s->service);
}

static void drained(struct member *m);

static void stop_if_idle(struct mosaic_consumer *c)
{
	const struct mosaic_host *host = c->member.engine->host;

	if (!c->is_stopping || c->is_stopped || listeners_busy(c->listeners) > 0 ||
	    send_back_waits(c))
		return;
	host->timer_stop(host, &c->stop_limit);
	c->is_stopped = true;
	send_back_cancel(c);
	member_stop(&c->member, drained);
}

static void call_ended(struct mosaic_req *req)
{
	struct listener_call *call = CONTAINER_OF(req, struct listener_call, req);
	struct mosaic_consumer *c = call->data;
	struct share *s = share_of(call->items[0]);

	if (!call->was_called && s != NULL && !c->is_stopping)
		c->member.engine->host->timer_start(c->member.engine->host, &s->suspend, AGAIN_NS);
	if (!c->is_stopped)
		trace_consumed(c, call);
	if (call->was_called && s != NULL)
		stats_called(member_stats(&c->member, s->sub->topic), call->took_ms, call->n_items,
			     call->consumed);
	if (c->options.is_orderly)
		orderly_ended(c, call);
	else
		concurrent_ended(c, call);
	free(call);
	push_call_ended(c);
}

void push_call_ended(struct mosaic_consumer *c)
{
	listeners_returned(c->listeners);
	push_dispatch(c);
	stop_if_idle(c);
}

static void give_out(struct mosaic_consumer *c, struct share *s)
{
	uint32_t batch = c->options.batch;
	struct listener_call *call = mem_alloc(sizeof(*call) + batch * sizeof(call->items[0]));

	call->n_items = process_queue_take(&s->queue, call->items, batch,
					   host_now_ns(c->member.engine->host));
	call->req.done = call_ended;
	call->data = c;
	call->broker = s->broker->name;
	listeners_call(c->listeners, call);
}

void push_dispatch(struct mosaic_consumer *c)
{
	while (!c->is_stopping && !(list_empty(&c->ready) && list_empty(&c->pops_ready)) &&
	       listeners_room(c->listeners) > 0) {
		push_pop_give(c);
		if (list_empty(&c->ready) || listeners_room(c->listeners) == 0)
			continue;
		struct share *s = LIST_ENTRY(c->ready.next, struct share, service);

		list_remove(&s->service);
		if (!is_ready(c, s))
			continue;
		give_out(c, s);
		if (is_ready(c, s))
			list_add_tail(&c->ready, &s->service);
	}
}

void push_settled(struct mosaic_consumer *c, struct share *s)
{
	if (list_empty(&s->service) && is_ready(c, s))
		list_add_tail(&c->ready, &s->service);
	share_settled(s); /* may end it */
	push_dispatch(c);
	stop_if_idle(c);
}

static const struct member_ops ops = { .ready = ready, .ends = ends,
				       .consume_directly = direct_consume,
				       .pops = push_pop_apply, .write_pops = push_pop_write };

/* ---- create ---- */

static uint32_t given(uint32_t value, uint32_t fallback)
{
	return value != 0 ? value : fallback;
}

static void take_options(struct mosaic_consumer *c, const struct mosaic_consumer_options *options)
{
	struct mosaic_consumer_options *o = &c->options;

	*o = *options;
	o->threads = given(o->threads, 20);
	o->batch = given(o->batch, 1);
	o->pull_batch = given(o->pull_batch, 32);
	o->max_cached = given(o->max_cached, 1000);
	o->max_cached_bytes = given(o->max_cached_bytes, 100u << 20);
	o->max_span = given(o->max_span, 2000);
	o->suspend_ms = given(o->suspend_ms, 1000);
	o->consume_timeout_ms = given(o->consume_timeout_ms, 15 * 60 * 1000);
	o->commit_ms = given(o->commit_ms, 5000);
	o->pop_batch = given(o->pop_batch, 32);
	o->invisible_ms = given(o->invisible_ms, 60000);
	if (o->max_reconsume <= 0)
		o->max_reconsume = o->is_orderly ? -1 : 16;
}

static int check(const struct mosaic_consumer_options *o, struct mosaic_error *error)
{
	if (o->struct_size < sizeof(*o))
		return err_set(error, MOSAIC_E_INVAL, "options: struct_size is not set");
	if (o->listener == NULL)
		return err_set(error, MOSAIC_E_INVAL, "no listener is given");
	if (o->model > MOSAIC_BROADCASTING)
		return err_set(error, MOSAIC_E_INVAL, "model: no such value");
	if (o->threads > THREADS_MAX || o->batch > BATCH_MAX || o->pull_batch > PULL_BATCH_MAX)
		return err_set(error, MOSAIC_E_INVAL,
			       "threads, batch and pull_batch are at most 1024");
	if (o->rebalance > MOSAIC_REBALANCE_BROKER || o->pop_batch > POP_BATCH_MAX)
		return err_set(error, MOSAIC_E_INVAL,
			       "rebalance: no such value; or pop_batch: above 32");
	if (o->rebalance == MOSAIC_REBALANCE_BROKER && o->balance != NULL &&
	    strcmp(o->balance, "circle") != 0)
		return err_set(error, MOSAIC_E_INVAL, "brokers share out by average or circle");
	return 0;
}

static void stop_member(struct client_member *place)
{
	mosaic_consumer_stop(CONTAINER_OF(place, struct mosaic_consumer, place), 10000);
}

static void destroy_member(struct client_member *place)
{
	struct mosaic_consumer *c = CONTAINER_OF(place, struct mosaic_consumer, place);

	mosaic_consumer_destroy(&c);
}

int32_t mosaic_consumer_create(struct mosaic_client *client,
			       const struct mosaic_consumer_options *options,
			       struct mosaic_consumer **out, struct mosaic_error *error)
{
	int rc = check(options, error);

	if (rc == 0)
		rc = memory_check(error);
	if (rc != 0)
		return rc;
	struct mosaic_consumer *c = mem_alloc(sizeof(*c));
	c->client = client;
	list_init(&c->ready);
	list_init(&c->backs);
	list_init(&c->pops_ready);
	take_options(c, options);
	const struct mosaic_consumer_options *o = &c->options;
	struct member_config config = {
		.group = o->group, .type = "CONSUME_PASSIVELY",
		.is_broadcast = o->model == MOSAIC_BROADCASTING, .is_orderly = o->is_orderly != 0,
		.from = o->from, .from_ms = o->from_ms, .pull_batch = o->pull_batch,
		.max_cached = o->max_cached, .max_cached_bytes = o->max_cached_bytes,
		.max_span = o->max_span, .commit_ns = o->commit_ms * MS_NS,
		.balance = o->balance, .offset_dir = o->offset_dir, .threads = o->threads,
		.is_brokered = o->rebalance == MOSAIC_REBALANCE_BROKER,
	};
	rc = member_init(&c->member, client, &config, &ops, error);
	c->options.group = c->options.balance = c->options.offset_dir = NULL; /* theirs */
	c->place = (struct client_member){ .stop = stop_member, .destroy = destroy_member };
	if (rc == 0 && client_add(client, &c->place) != 0)
		rc = err_set(error, MOSAIC_E_CLOSED, "the client is not running");
	if (rc != 0) {
		member_free(&c->member);
		free(c);
		return rc;
	}
	struct listeners_config listeners = {
		.threads = o->threads, .listener = o->listener, .hook = o->hook,
		.listener_data = o->listener_data, .hook_data = o->hook_data,
	};
	c->listeners = listeners_create(client, &listeners);
	tracer_init(&c->tracer, &client->engine, &c->member.balance);
	*out = c;
	return 0;
}

/* ---- subscriptions ---- */

struct subscribing {
	struct client_task task;
	struct mosaic_consumer *consumer;
	struct subscription *sub;
	const char *topic;
};

static void begin_subscribing(struct client_task *task)
{
	struct subscribing *x = CONTAINER_OF(task, struct subscribing, task);
	struct mosaic_consumer *c = x->consumer;

	if (c->is_stopping) {
		client_task_end(task, MOSAIC_E_CLOSED);
		return;
	}
	if (x->sub != NULL)
		member_subscribe(&c->member, x->sub);
	else
		member_unsubscribe(&c->member, x->topic);
	client_task_end(task, 0);
}

int32_t mosaic_consumer_subscribe(struct mosaic_consumer *c, const char *topic, uint32_t kind,
				  const char *expression, struct mosaic_error *error)
{
	struct subscribing x = { .task = { .begin = begin_subscribing }, .consumer = c };

	int rc = memory_check(error);
	if (rc == 0)
		rc = subscription_make(topic, kind, expression, &x.sub, error);
	if (rc != 0)
		return rc;
	rc = subscription_check(c->client, c->member.config.group, x.sub, error);
	if (rc == 0) {
		rc = client_task_run(c->client, &x.task);
		if (rc != 0)
			err_set(error, rc, "%s", status_text(rc));
	}
	if (rc != 0)
		subscription_free(x.sub);
	return rc;
}

int32_t mosaic_consumer_unsubscribe(struct mosaic_consumer *c, const char *topic)
{
	struct subscribing x = { .task = { .begin = begin_subscribing }, .consumer = c,
				 .topic = topic };

	return client_task_run(c->client, &x.task);
}

/* ---- start and stop ---- */

struct running {
	struct client_task task;
	struct mosaic_consumer *consumer;
	uint32_t timeout_ms;
	struct mosaic_error *error;
};

static int start(struct mosaic_consumer *c, struct mosaic_error *error)
{
	const struct mosaic_host *host = c->member.engine->host;
	struct subscription *retry;
	char topic[256];
	int rc;

	if (c->is_started)
		return err_set(error, MOSAIC_E_INVAL, "a consumer is started once");
	if (map_count(&c->member.topics) > 0 && !c->member.config.is_broadcast) {
		snprintf(topic, sizeof(topic), "%%RETRY%%%s", c->member.config.group);
		rc = subscription_make(topic, MOSAIC_TAGS, NULL, &retry, error);
		if (rc != 0)
			return rc;
		member_subscribe(&c->member, retry);
	}
	rc = member_start(&c->member, error);
	if (rc != 0)
		return rc;
	c->is_started = true;
	c->expiry = (struct mosaic_timer){ .fire = concurrent_expire, .data = c };
	if (!c->options.is_orderly)
		host->timer_start(host, &c->expiry, SECOND_NS);
	return 0;
}

static void begin_start(struct client_task *task)
{
	struct running *x = CONTAINER_OF(task, struct running, task);

	client_task_end(task, start(x->consumer, x->error));
}

int32_t mosaic_consumer_start(struct mosaic_consumer *c, struct mosaic_error *error)
{
	struct running x = { .task = { .begin = begin_start }, .consumer = c, .error = error };

	return client_task_run(c->client, &x.task);
}

void mosaic_consumer_suspend(struct mosaic_consumer *c)
{
	listeners_pause(c->listeners, true);
}

void mosaic_consumer_resume(struct mosaic_consumer *c)
{
	listeners_pause(c->listeners, false);
}

static void drained(struct member *m)
{
	struct mosaic_consumer *c = CONTAINER_OF(m, struct mosaic_consumer, member);
	struct client_task *task = c->stopping;

	tracer_close(&c->tracer);
	c->stopping = NULL;
	client_task_end(task, 0);
}

static void stop_now(struct mosaic_timer *timer)
{
	struct mosaic_consumer *c = timer->data;

	LOG_WARN(c->member.engine->host, "listeners_still_run", "group=%s calls=%u",
		 c->member.config.group, listeners_busy(c->listeners));
	c->is_stopped = true;
	send_back_cancel(c);
	member_stop(&c->member, drained);
}

static void begin_stop(struct client_task *task)
{
	struct running *x = CONTAINER_OF(task, struct running, task);
	struct mosaic_consumer *c = x->consumer;
	const struct mosaic_host *host = c->member.engine->host;

	if (!c->is_started || c->is_stopping) {
		c->is_stopping = true;
		client_task_end(task, 0);
		return;
	}
	c->is_stopping = true;
	c->stopping = task;
	host->timer_stop(host, &c->expiry);
	member_quiet(&c->member);
	push_pop_end(c);
	c->stop_limit = (struct mosaic_timer){ .fire = stop_now, .data = c };
	host->timer_start(host, &c->stop_limit, x->timeout_ms * MS_NS);
	listeners_drop(c->listeners);
	stop_if_idle(c);
}

void mosaic_consumer_stop(struct mosaic_consumer *c, uint32_t timeout_ms)
{
	struct running x = { .task = { .begin = begin_stop }, .consumer = c,
			     .timeout_ms = timeout_ms };

	(void)client_task_run(c->client, &x.task); /* without a running client it was stopped */
}

/* ---- destroy ---- */

static void begin_nothing(struct client_task *task)
{
	client_task_end(task, 0);
}

void mosaic_consumer_destroy(struct mosaic_consumer **consumer)
{
	struct mosaic_consumer *c = *consumer;
	struct client_task behind = { .begin = begin_nothing };
	struct list left;

	if (c == NULL || client_on_thread(c->client))
		return;
	mosaic_consumer_stop(c, 0);
	list_init(&left);
	listeners_join(c->listeners, &left);
	(void)client_task_run(c->client, &behind); /* what the threads posted has run */
	while (!list_empty(&left)) {
		struct listener_call *call = LIST_ENTRY(left.next, struct listener_call, link);
		list_remove(&call->link);
		call->req.done(&call->req);
	}
	listeners_destroy(&c->listeners);
	tracer_free(&c->tracer);
	client_remove(c->client, &c->place);
	member_free(&c->member);
	map_free(&c->pops);
	free(c);
	*consumer = NULL;
}
