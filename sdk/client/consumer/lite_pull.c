/*
 * Pull: a member of a group whose messages wait for poll(). What a poll has given away is consumed
 * when the next one begins, when it is committed, or at the stop.
 *
 * poll -> begin_poll -> something is there -> taken. Else ready() -> taken, or the time is over.
 */
#include "base/err.h"
#include "base/mem.h"
#include "consumer/member.h"
#include "consumer/received_set.h"
#include "memory.h"
#include <mosaic/consumer.h>
#include <stdio.h>
#include <stdlib.h>

#define BATCH_MAX 1024
#define QUEUES_MAX 65536

struct polling;

struct mosaic_puller {
	struct mosaic_client *client;
	struct client_member place;
	struct member member;
	struct list ready; /* struct share.service: has messages to give out */
	struct item **held;
	const char **brokers; /* of held */
	uint32_t batch, n_held;
	/* The thread that polls makes messages of held. Set by the client's thread before that one
	 * wakes, cleared with release when it is done, asked with acquire before held changes. */
	atomic_bool is_showing;
	struct polling *polling; /* that waits */
	struct mosaic_timer poll_limit;
	struct received_set set; /* of the thread that polls */
	bool has_failed; /* to show, for want of memory. Guarded by is_showing like held */
	struct client_task *stopping;
	bool is_started, is_stopped;
};

static inline struct mosaic_puller *puller_of(struct member *m)
{
	return CONTAINER_OF(m, struct mosaic_puller, member);
}

/* ---- poll ---- */

struct polling {
	struct client_task task;
	struct mosaic_puller *puller;
	uint32_t timeout_ms;
};

static bool is_ready(const struct share *s)
{
	return share_is_usable(s) && !list_empty(&s->queue.ready);
}

static void take(struct mosaic_puller *p)
{
	uint64_t now = host_now_ns(p->member.engine->host);

	while (p->n_held < p->batch && !list_empty(&p->ready)) {
		struct share *s = LIST_ENTRY(p->ready.next, struct share, service);

		list_remove(&s->service);
		if (!share_is_usable(s))
			continue;
		uint32_t n = process_queue_take(&s->queue, p->held + p->n_held,
						p->batch - p->n_held, now);
		for (uint32_t i = 0; i < n; i++)
			p->brokers[p->n_held++] = s->broker->name;
		if (is_ready(s))
			list_add_tail(&p->ready, &s->service);
	}
}

static void end_poll(struct mosaic_puller *p, int status)
{
	atomic_store_explicit(&p->is_showing, p->n_held > 0, memory_order_relaxed);
	struct polling *x = p->polling;

	p->polling = NULL;
	p->member.engine->host->timer_stop(p->member.engine->host, &p->poll_limit);
	client_task_end(&x->task, status);
}

static void poll_is_over(struct mosaic_timer *timer)
{
	end_poll(timer->data, 0);
}

static void ready(struct member *m, struct share *s)
{
	struct mosaic_puller *p = puller_of(m);

	if (list_empty(&s->service) && is_ready(s))
		list_add_tail(&p->ready, &s->service);
	if (p->polling == NULL)
		return;
	take(p);
	if (p->n_held > 0)
		end_poll(p, 0);
}

static void ends(struct member *m, struct share *s)
{
	(void)m;
	list_remove(&s->service);
}

static const struct member_ops ops = { .ready = ready, .ends = ends };

static void settle_one(struct mosaic_puller *p, struct item *item)
{
	struct share *s = item->queue != NULL ? CONTAINER_OF(item->queue, struct share, queue)
					      : NULL;

	if (p->has_failed)
		process_queue_put_back(item);
	else
		process_queue_done(item);
	if (s != NULL && p->has_failed)
		ready(&p->member, s);
	else if (s != NULL)
		share_settled(s);
}

/* What was given away is consumed now; not what a poll is just about to give. What could not be
 * shown comes again. */
static void settle(struct mosaic_puller *p)
{
	uint32_t n = p->n_held;

	if (atomic_load_explicit(&p->is_showing, memory_order_acquire))
		return;
	p->n_held = 0;
	if (!p->has_failed)
		number_add(&p->member.engine->numbers.consumed, n);
	for (uint32_t i = 0; i < n; i++)
		settle_one(p, p->held[i]);
}

static void begin_poll(struct client_task *task)
{
	struct polling *x = CONTAINER_OF(task, struct polling, task);
	struct mosaic_puller *p = x->puller;
	const struct mosaic_host *host = p->member.engine->host;

	if (!p->member.is_running || p->polling != NULL) {
		client_task_end(task, p->polling != NULL ? MOSAIC_E_INVAL : MOSAIC_E_CLOSED);
		return;
	}
	settle(p);
	take(p);
	p->polling = x;
	if (p->n_held > 0 || x->timeout_ms == 0) {
		end_poll(p, 0);
		return;
	}
	p->poll_limit = (struct mosaic_timer){ .fire = poll_is_over, .data = p };
	host->timer_start(host, &p->poll_limit, x->timeout_ms * MS_NS);
}

/* The items stay as they are until the next poll, which is not before this one returns. */
static int show(struct mosaic_puller *p)
{
	struct message m;

	if (p->n_held == 0)
		return 0;
	int rc = received_set_init(&p->set, p->n_held);
	for (uint32_t i = 0; rc == 0 && i < p->n_held; i++) {
		item_decode(p->held[i], &m);
		rc = received_set_add(&p->set, &m, p->brokers[i]);
	}
	if (rc != 0)
		received_set_free(&p->set);
	p->has_failed = rc != 0;
	atomic_store_explicit(&p->is_showing, false, memory_order_release);
	return rc;
}

int32_t mosaic_puller_poll(struct mosaic_puller *p, uint32_t timeout_ms,
			   const struct mosaic_received **messages, uint32_t *count)
{
	struct polling x = { .task = { .begin = begin_poll }, .puller = p,
			     .timeout_ms = timeout_ms };

	*messages = NULL;
	*count = 0;
	if (client_on_thread(p->client))
		return MOSAIC_E_INVAL;
	received_set_free(&p->set);
	int rc = client_task_run(p->client, &x.task);
	if (rc == 0)
		rc = show(p);
	*messages = p->set.messages;
	*count = p->set.count;
	return rc;
}

/* ---- offsets ---- */

struct committing {
	struct client_task task;
	struct mosaic_puller *puller;
	const struct mosaic_queue *queue; /* NULL: all that was polled */
	int64_t offset;
	uint32_t n_left;
	int status;
};

static void one_is_committed(struct member_ask *a)
{
	struct committing *x = a->data;

	offsets_committed(a);
	if (a->ask.status != 0)
		x->status = a->ask.status;
	else if (a->ask.response->code != 0)
		x->status = MOSAIC_E_IO;
	if (--x->n_left == 0)
		client_task_end(&x->task, x->status);
}

static void commit_one(struct committing *x, struct member_ask *a)
{
	if (a == NULL)
		return;
	a->data = x;
	a->done = one_is_committed;
	x->n_left++;
	offsets_send(a);
}

static int commit_given(struct committing *x)
{
	struct member *m = &x->puller->member;
	const struct mosaic_queue *q = x->queue;
	struct broker *b = broker_find(m->engine, q->broker);
	char key[512];

	if (b == NULL || x->offset < 0)
		return b == NULL ? MOSAIC_E_NOTFOUND : MOSAIC_E_INVAL;
	snprintf(key, sizeof(key), "%s@%s@%d", q->topic, q->broker, (int)q->id);
	if (m->file != NULL)
		offsets_put(m, key, x->offset);
	else
		commit_one(x, offsets_make_one(m, b, key, x->offset));
	return 0;
}

static void begin_committing(struct client_task *task)
{
	struct committing *x = CONTAINER_OF(task, struct committing, task);
	struct member *m = &x->puller->member;
	struct map_entry *e;

	if (!m->is_running) {
		client_task_end(task, MOSAIC_E_CLOSED);
		return;
	}
	x->n_left = 1;
	if (x->queue != NULL) {
		x->status = commit_given(x);
	} else {
		settle(x->puller);
		for (uint32_t pos = 0; (e = map_next(&m->shares, &pos)) != NULL;)
			commit_one(x, offsets_make(e->value));
	}
	if (m->file != NULL && x->status == 0)
		x->status = offsets_save(m);
	if (--x->n_left == 0)
		client_task_end(task, x->status);
}

static int commit(struct committing *x, struct mosaic_error *error)
{
	int rc = client_task_run(x->puller->client, &x->task);

	return rc != 0 ? err_set(error, rc, "not committed: %s", status_text(rc)) : 0;
}

int32_t mosaic_puller_commit(struct mosaic_puller *p, struct mosaic_error *error)
{
	struct committing x = { .task = { .begin = begin_committing }, .puller = p };

	return commit(&x, error);
}

int32_t mosaic_puller_commit_offset(struct mosaic_puller *p, const struct mosaic_queue *queue,
				    int64_t offset, struct mosaic_error *error)
{
	struct committing x = { .task = { .begin = begin_committing }, .puller = p,
				.queue = queue, .offset = offset };

	return commit(&x, error);
}

/* ---- queues ---- */

struct moving {
	struct client_task task;
	struct mosaic_puller *puller;
	const struct mosaic_queue *queue;
	int64_t offset; /* seek */
	bool is_paused; /* pause */
	struct mosaic_queue *queues; /* assignment */
	uint32_t room, count;
};

static struct share *share_given(struct moving *x)
{
	return member_share(&x->puller->member, x->queue->topic, x->queue->broker, x->queue->id);
}

static void begin_seek(struct client_task *task)
{
	struct moving *x = CONTAINER_OF(task, struct moving, task);
	struct share *s = share_given(x);

	if (s != NULL)
		share_restart(s, x->offset);
	client_task_end(task, s != NULL ? 0 : MOSAIC_E_NOTFOUND);
}

int32_t mosaic_puller_seek(struct mosaic_puller *p, const struct mosaic_queue *queue,
			   int64_t offset)
{
	struct moving x = { .task = { .begin = begin_seek }, .puller = p, .queue = queue,
			    .offset = offset };

	return offset < 0 ? MOSAIC_E_INVAL : client_task_run(p->client, &x.task);
}

static void begin_pause(struct client_task *task)
{
	struct moving *x = CONTAINER_OF(task, struct moving, task);
	struct share *s = share_given(x);

	if (s != NULL) {
		s->is_paused = x->is_paused;
		pull_next(s);
		ready(&x->puller->member, s);
	}
	client_task_end(task, s != NULL ? 0 : MOSAIC_E_NOTFOUND);
}

int32_t mosaic_puller_pause(struct mosaic_puller *p, const struct mosaic_queue *queue,
			    int32_t is_paused)
{
	struct moving x = { .task = { .begin = begin_pause }, .puller = p, .queue = queue,
			    .is_paused = is_paused != 0 };

	return client_task_run(p->client, &x.task);
}

static void begin_listing(struct client_task *task)
{
	struct moving *x = CONTAINER_OF(task, struct moving, task);
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(&x->puller->member.shares, &pos)) != NULL;) {
		const struct share *s = e->value;
		if (s->state != SHARE_RUNNING || x->count++ >= x->room)
			continue;
		struct mosaic_queue *q = &x->queues[x->count - 1];
		*q = (struct mosaic_queue){ .id = s->id };
		snprintf(q->topic, sizeof(q->topic), "%s", s->sub->topic);
		snprintf(q->broker, sizeof(q->broker), "%s", s->broker->name);
	}
	client_task_end(task, 0);
}

int32_t mosaic_puller_assignment(struct mosaic_puller *p, struct mosaic_queue *queues,
				 uint32_t *count)
{
	struct moving x = { .task = { .begin = begin_listing }, .puller = p, .queues = queues,
			    .room = *count };
	int rc = client_task_run(p->client, &x.task);

	*count = x.count;
	return rc;
}

/* ---- subscribe, assign, filter ---- */

struct subscribing {
	struct client_task task;
	struct mosaic_puller *puller;
	struct subscription *sub;
	bool is_filter;
	struct mosaic_queue *queues;
	uint32_t count;
	struct mosaic_error *error;
};

static void begin_subscribing(struct client_task *task)
{
	struct subscribing *x = CONTAINER_OF(task, struct subscribing, task);
	struct member *m = &x->puller->member;
	int rc = 0;

	if (x->puller->is_stopped)
		rc = err_set(x->error, MOSAIC_E_CLOSED, "the puller is stopped");
	else if (x->is_filter != (m->assigned != NULL))
		rc = err_set(x->error, MOSAIC_E_INVAL, x->is_filter ? "no queues were assigned"
								    : "queues were assigned");
	if (rc == 0)
		member_subscribe(m, x->sub);
	client_task_end(task, rc);
}

static int subscribe(struct mosaic_puller *p, const char *topic, uint32_t kind,
		     const char *expression, bool is_filter, struct mosaic_error *error)
{
	struct subscribing x = { .task = { .begin = begin_subscribing }, .puller = p,
				 .is_filter = is_filter, .error = error };
	int rc = memory_check(error);

	if (rc == 0)
		rc = subscription_make(topic, kind, expression, &x.sub, error);
	if (rc != 0)
		return rc;
	rc = subscription_check(p->client, p->member.config.group, x.sub, error);
	if (rc == 0)
		rc = client_task_run(p->client, &x.task);
	if (rc != 0)
		subscription_free(x.sub);
	return rc;
}

int32_t mosaic_puller_subscribe(struct mosaic_puller *p, const char *topic, uint32_t kind,
				const char *expression, struct mosaic_error *error)
{
	return subscribe(p, topic, kind, expression, false, error);
}

int32_t mosaic_puller_filter(struct mosaic_puller *p, const char *topic, uint32_t kind,
			     const char *expression, struct mosaic_error *error)
{
	return subscribe(p, topic, kind, expression, true, error);
}

static void assign(struct subscribing *x)
{
	struct member *m = &x->puller->member;
	struct map_entry *e;

	free(m->assigned);
	m->assigned = x->queues;
	x->queues = NULL; /* taken */
	m->n_assigned = x->count;
	for (uint32_t i = 0; i < x->count; i++) {
		struct subscription *sub;
		const char *topic = m->assigned[i].topic;
		if (map_get(&m->topics, slice_str(topic)) == NULL &&
		    subscription_make(topic, MOSAIC_TAGS, NULL, &sub, NULL) == 0)
			member_subscribe(m, sub);
	}
	for (uint32_t pos = 0; (e = map_next(&m->topics, &pos)) != NULL;)
		rebalance_topic(e->value);
}

static void begin_assigning(struct client_task *task)
{
	struct subscribing *x = CONTAINER_OF(task, struct subscribing, task);
	struct member *m = &x->puller->member;
	int rc = 0;

	if (x->puller->is_stopped)
		rc = err_set(x->error, MOSAIC_E_CLOSED, "the puller is stopped");
	else if (m->assigned == NULL && map_count(&m->topics) > 0)
		rc = err_set(x->error, MOSAIC_E_INVAL, "topics were subscribed");
	if (rc == 0)
		assign(x);
	client_task_end(task, rc);
}

int32_t mosaic_puller_assign(struct mosaic_puller *p, const struct mosaic_queue *queues,
			     uint32_t count, struct mosaic_error *error)
{
	struct subscribing x = { .task = { .begin = begin_assigning }, .puller = p,
				 .count = count, .error = error };

	if (count > QUEUES_MAX)
		return err_set(error, MOSAIC_E_LIMIT, "more than %d queues", QUEUES_MAX);
	int rc = memory_check(error);
	if (rc != 0)
		return rc;
	x.queues = mem_alloc((count + 1) * sizeof(*x.queues));
	if (count > 0)
		memcpy(x.queues, queues, count * sizeof(*queues));
	rc = client_task_run(p->client, &x.task);
	free(x.queues); /* that were not taken */
	return rc;
}

/* ---- create, start, stop ---- */

static void stop_member(struct client_member *place)
{
	mosaic_puller_stop(CONTAINER_OF(place, struct mosaic_puller, place));
}

static void destroy_member(struct client_member *place)
{
	struct mosaic_puller *p = CONTAINER_OF(place, struct mosaic_puller, place);

	mosaic_puller_destroy(&p);
}

static uint32_t given(uint32_t value, uint32_t fallback)
{
	return value != 0 ? value : fallback;
}

int32_t mosaic_puller_create(struct mosaic_client *client, const struct mosaic_puller_options *o,
			     struct mosaic_puller **out, struct mosaic_error *error)
{
	if (o->struct_size < sizeof(*o))
		return err_set(error, MOSAIC_E_INVAL, "options: struct_size is not set");
	if (o->model > MOSAIC_BROADCASTING || o->batch > BATCH_MAX || o->pull_batch > BATCH_MAX)
		return err_set(error, MOSAIC_E_INVAL,
			       "model: no such value; or batch, pull_batch: above 1024");
	struct member_config config = {
		.group = o->group, .type = "CONSUME_ACTIVELY",
		.is_broadcast = o->model == MOSAIC_BROADCASTING,
		.is_manual = o->is_manual != 0 || o->is_reader != 0,
		.is_reader = o->is_reader != 0, .from = o->from, .from_ms = o->from_ms,
		.pull_batch = given(o->pull_batch, 10), .max_cached = given(o->max_cached, 1000),
		.max_cached_bytes = given(o->max_cached_bytes, 100u << 20),
		.max_span = given(o->max_span, 2000),
		.commit_ns = given(o->commit_ms, 5000) * MS_NS, .balance = o->balance,
		.offset_dir = o->offset_dir,
	};
	int rc = memory_check(error);
	if (rc != 0)
		return rc;
	struct mosaic_puller *p = mem_alloc(sizeof(*p));
	p->client = client;
	p->batch = given(o->batch, 10);
	p->held = mem_alloc(p->batch * sizeof(struct item *));
	p->brokers = mem_alloc(p->batch * sizeof(const char *));
	p->place = (struct client_member){ .stop = stop_member, .destroy = destroy_member };
	list_init(&p->ready);
	rc = member_init(&p->member, client, &config, &ops, error);
	if (rc == 0 && client_add(client, &p->place) != 0)
		rc = err_set(error, MOSAIC_E_CLOSED, "the client is not running");
	if (rc != 0) {
		list_init(&p->place.link);
		mosaic_puller_destroy(&p);
		return rc;
	}
	*out = p;
	return 0;
}

struct running {
	struct client_task task;
	struct mosaic_puller *puller;
	struct mosaic_error *error;
};

static void begin_start(struct client_task *task)
{
	struct running *x = CONTAINER_OF(task, struct running, task);
	struct mosaic_puller *p = x->puller;
	int rc = 0;

	if (p->is_started)
		rc = err_set(x->error, MOSAIC_E_INVAL, "a puller is started once");
	else
		rc = member_start(&p->member, x->error);
	p->is_started |= rc == 0;
	client_task_end(task, rc);
}

int32_t mosaic_puller_start(struct mosaic_puller *p, struct mosaic_error *error)
{
	struct running x = { .task = { .begin = begin_start }, .puller = p, .error = error };

	return client_task_run(p->client, &x.task);
}

static void drained(struct member *m)
{
	struct mosaic_puller *p = puller_of(m);

	client_task_end(p->stopping, 0);
}

static void begin_stop(struct client_task *task)
{
	struct running *x = CONTAINER_OF(task, struct running, task);
	struct mosaic_puller *p = x->puller;
	bool was_running = p->is_started && !p->is_stopped;

	p->is_stopped = true;
	if (!was_running) {
		client_task_end(task, 0);
		return;
	}
	p->stopping = task;
	member_quiet(&p->member);
	if (p->polling != NULL)
		end_poll(p, MOSAIC_E_CLOSED);
	settle(p);
	member_stop(&p->member, drained);
}

void mosaic_puller_stop(struct mosaic_puller *p)
{
	struct running x = { .task = { .begin = begin_stop }, .puller = p };

	(void)client_task_run(p->client, &x.task); /* without a running client it was stopped */
}

void mosaic_puller_destroy(struct mosaic_puller **puller)
{
	struct mosaic_puller *p = *puller;

	if (p == NULL || client_on_thread(p->client))
		return;
	mosaic_puller_stop(p);
	settle(p); /* a poll that the stop has met */
	client_remove(p->client, &p->place);
	received_set_free(&p->set);
	member_free(&p->member);
	free(p->held);
	free(p->brokers);
	free(p);
	*puller = NULL;
}
