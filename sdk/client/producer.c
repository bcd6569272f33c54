/*
 * The producer as other threads see it: bounds, and the ways to wait for a send. What happens on
 * the client's thread is in send.c.
 */
#include "producer_priv.h"
#include "base/mem.h"
#include "memory.h"
#include "wire/codes.h"
#include <stdlib.h>

/* ---- life ---- */

static void take_defaults(struct mosaic_producer_options *o)
{
	o->timeout_ms = o->timeout_ms ? o->timeout_ms : 3000;
	o->group = o->group ? o->group : "DEFAULT_PRODUCER";
	o->attempts = o->attempts ? o->attempts : 3;
	o->max_in_flight = o->max_in_flight ? o->max_in_flight : 1024;
	o->max_in_flight_bytes = o->max_in_flight_bytes ? o->max_in_flight_bytes : 64u << 20;
	o->compress_above = o->compress_above ? o->compress_above : 4096;
	o->batch_bytes = o->batch_bytes ? o->batch_bytes : 32u << 10;
	o->balance = o->balance ? o->balance : "lb-roundrobin";
	o->default_queues = o->default_queues ? o->default_queues : 4;
}

static int check_options(const struct mosaic_producer_options *o, struct mosaic_error *error)
{
	if (o->struct_size < sizeof(*o))
		return err_set(error, MOSAIC_E_INVAL, "options: struct_size is not set");
	if (o->group != NULL && !topic_is_valid(o->group))
		return err_set(error, MOSAIC_E_INVAL, "\"%s\" is no name of a group", o->group);
	if (o->compression > MOSAIC_COMPRESSION_ZSTD)
		return err_set(error, MOSAIC_E_INVAL, "no such compression: %u", o->compression);
	return 0;
}

static void fill_sender(struct mosaic_producer *p)
{
	const struct mosaic_producer_options *o = &p->options;

	p->sender = (struct sender){ .engine = &p->client->engine,
				     .group = p->group_name,
				     .balance = &p->balance,
				     .by_key = &p->by_key,
				     .attempts = o->attempts,
				     .default_queues = o->default_queues,
				     .timeout_ns = o->timeout_ms * MS_NS,
				     .max_message = p->client->options.max_message,
				     .compress_above = o->compress_above,
				     .compression = o->compression,
				     .hook = o->hook,
				     .hook_data = o->hook_data };
	list_init(&p->sender.sends);
	tracer_init(&p->tracer, &p->client->engine, &p->balance);
	p->sender.tracer = o->trace != 0 ? &p->tracer : NULL;
	p->lingers = (struct linger_set){ .sender = &p->sender, .bytes = o->batch_bytes,
					  .wait_ns = o->batch_linger_us * UINT64_C(1000) };
}

static void begin_join(struct client_task *task)
{
	struct mosaic_producer *p = task->data;

	producer_group_join(&p->client->engine, &p->group);
	client_task_end(task, 0);
}

static void begin_cancel(struct client_task *task)
{
	struct mosaic_producer *p = task->data;

	while (!list_empty(&p->sender.sends))
		send_end(LIST_ENTRY(p->sender.sends.next, struct send, link), MOSAIC_E_CANCELED,
			 "the producer stops");
	linger_cancel(&p->lingers);
	tracer_close(&p->tracer);
	requests_cancel(p);
	producer_group_leave(&p->client->engine, &p->group);
	client_task_end(task, 0);
}

static void stop_member(struct client_member *m)
{
	mosaic_producer_stop(CONTAINER_OF(m, struct mosaic_producer, member), 0);
}

static void destroy_member(struct client_member *m)
{
	struct mosaic_producer *p = CONTAINER_OF(m, struct mosaic_producer, member);

	mosaic_producer_destroy(&p);
}

static void producer_free(struct mosaic_producer *p)
{
	linger_free(&p->lingers);
	tracer_free(&p->tracer);
	balancer_free(&p->balance);
	balancer_free(&p->by_key);
	pthread_cond_destroy(&p->idle);
	pthread_mutex_destroy(&p->lock);
	free(p->group_name);
	free(p);
}

static int producer_open(struct mosaic_producer *p, struct mosaic_error *error)
{
	struct client_task join = { .begin = begin_join, .data = p };
	int rc = client_balancer(p->client, p->options.balance, &p->balance, error);

	if (rc == 0)
		rc = client_balancer(p->client, "lb-hash", &p->by_key, error);
	if (rc != 0)
		return rc;
	p->options.balance = NULL; /* theirs */
	p->is_open = true;
	if (p->options.check != NULL)
		rc = check_open(p, error);
	if (rc != 0)
		return rc;
	rc = client_add(p->client, &p->member);
	if (rc == 0) {
		rc = client_task_run(p->client, &join);
		if (rc == 0)
			return 0;
		client_remove(p->client, &p->member);
	}
	check_close(p);
	return err_set(error, rc, "a producer is made off the client's thread, while it runs");
}

int32_t mosaic_producer_create(struct mosaic_client *client,
			       const struct mosaic_producer_options *options,
			       struct mosaic_producer **out, struct mosaic_error *error)
{
	const struct mosaic_producer_options none = { .struct_size = sizeof(none) };
	int rc = check_options(options != NULL ? options : &none, error);

	if (rc == 0)
		rc = memory_check(error);
	if (rc != 0)
		return rc;
	struct mosaic_producer *p = mem_alloc(sizeof(*p));
	p->client = client;
	p->options = options != NULL ? *options : none;
	take_defaults(&p->options);
	p->group_name = mem_strdup(p->options.group);
	p->options.group = p->group_name;
	p->group.name = p->group_name;
	p->member.stop = stop_member;
	p->member.destroy = destroy_member;
	pthread_mutex_init(&p->lock, NULL);
	client_cond_init(&p->idle);
	fill_sender(p);
	rc = producer_open(p, error);
	if (rc != 0) {
		producer_free(p);
		return rc;
	}
	*out = p;
	return 0;
}

static void wait_until_idle(struct mosaic_producer *p, uint32_t timeout_ms)
{
	struct timespec due = client_due(timeout_ms);

	while (p->n_busy > 0 && pthread_cond_timedwait(&p->idle, &p->lock, &due) == 0)
		;
}

void mosaic_producer_stop(struct mosaic_producer *p, uint32_t timeout_ms)
{
	struct client_task cancel = { .begin = begin_cancel, .data = p };

	if (client_on_thread(p->client))
		return;
	pthread_mutex_lock(&p->lock);
	bool was_open = p->is_open;
	p->is_open = false;
	if (was_open)
		wait_until_idle(p, timeout_ms);
	pthread_mutex_unlock(&p->lock);
	if (!was_open)
		return;
	(void)client_task_run(p->client, &cancel); /* after it no send is left */
	check_close(p);
}

void mosaic_producer_destroy(struct mosaic_producer **producer)
{
	struct mosaic_producer *p = *producer;

	if (p == NULL || client_on_thread(p->client))
		return;
	mosaic_producer_stop(p, 0);
	client_remove(p->client, &p->member);
	producer_free(p);
	*producer = NULL;
}

/* ---- bounds ---- */

void producer_unbusy(struct mosaic_producer *p)
{
	pthread_mutex_lock(&p->lock);
	if (--p->n_busy == 0)
		pthread_cond_broadcast(&p->idle);
	pthread_mutex_unlock(&p->lock);
}

static void finished(struct send *s)
{
	struct mosaic_producer *p = s->data;

	atomic_fetch_sub_explicit(&p->client->engine.numbers.bytes_held, s->weight,
				  memory_order_relaxed);
	pthread_mutex_lock(&p->lock);
	p->count--;
	p->bytes -= s->weight;
	pthread_mutex_unlock(&p->lock);
	if (s->ended != NULL)
		s->ended(s->ended_data, &s->result);
	send_free(s);
	producer_unbusy(p);
}

static void posted(struct mosaic_req *req)
{
	struct send *s = CONTAINER_OF(req, struct send, post);
	struct mosaic_producer *p = s->data;

	if (s->may_batch)
		linger_add(&p->lingers, s);
	else
		send_start(s);
}

int producer_submit(struct mosaic_producer *p, struct send *s, send_ended ended, void *data)
{
	const struct mosaic_producer_options *o = &p->options;
	int rc = 0;

	s->done = finished;
	s->data = p;
	s->ended = ended;
	s->ended_data = data;
	if (s->post.done == NULL)
		s->post.done = posted;
	pthread_mutex_lock(&p->lock);
	if (!p->is_open)
		rc = MOSAIC_E_CLOSED;
	else if (p->count >= o->max_in_flight || p->bytes + s->weight > o->max_in_flight_bytes)
		rc = MOSAIC_E_AGAIN;
	if (rc == 0) {
		p->count++;
		p->n_busy++;
		p->bytes += s->weight;
		number_add(&p->client->engine.numbers.bytes_held, s->weight);
		/* Under the lock: who closes the producer posts behind all that was accepted. */
		host_loop_post(&p->client->loop, &s->post);
	}
	pthread_mutex_unlock(&p->lock);
	if (rc != 0)
		send_free(s);
	return rc;
}

/* Alone: what is compressed, half, a reply, for a certain queue or time, or wants no answer. */
static bool may_batch(const struct mosaic_producer *p, const struct mosaic_message *m,
		      const struct send *s)
{
	return p->lingers.wait_ns > 0 && s->code == REQ_SEND_MESSAGE_V2 && s->sys_flag == 0 &&
	       !s->is_oneway && s->key == NULL && s->broker == NULL && m->delay_level == 0 &&
	       m->deliver_ms == 0;
}

/* Makes and submits one message. [any] */
static int producer_send(struct mosaic_producer *p, const struct mosaic_message *m,
			 const struct send_shape *shape, send_ended ended, void *data)
{
	char id[ID_CHARS + 1];
	struct send *s;

	client_make_id(p->client, id);
	int rc = send_make(&p->sender, m, id, shape, &s);
	if (rc != 0)
		return rc;
	s->may_batch = may_batch(p, m, s);
	return producer_submit(p, s, ended, data);
}

/* ---- waiting ---- */

struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	struct mosaic_send_result *result;
	bool is_done;
};

static void wake(void *data, const struct mosaic_send_result *result)
{
	struct waiter *w = data;

	pthread_mutex_lock(&w->lock);
	*w->result = *result;
	w->is_done = true;
	pthread_cond_signal(&w->ended);
	pthread_mutex_unlock(&w->lock);
}

int producer_submit_wait(struct mosaic_producer *p, struct send *s,
			 struct mosaic_send_result *result)
{
	struct waiter w = { .lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER,
			    .result = result };

	if (client_on_thread(p->client)) { /* it would wait for itself */
		send_free(s);
		return MOSAIC_E_INVAL;
	}
	int rc = producer_submit(p, s, wake, &w);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&w.lock);
	while (!w.is_done)
		pthread_cond_wait(&w.ended, &w.lock);
	pthread_mutex_unlock(&w.lock);
	return result->status;
}

int producer_send_wait(struct mosaic_producer *p, const struct mosaic_message *m,
		       const struct send_shape *shape, struct mosaic_send_result *result)
{
	char id[ID_CHARS + 1];
	struct send *s;

	client_make_id(p->client, id);
	int rc = send_make(&p->sender, m, id, shape, &s);
	if (rc != 0)
		return rc;
	s->may_batch = may_batch(p, m, s);
	return producer_submit_wait(p, s, result);
}

static const struct send_shape normal = { .code = 0 };

int32_t mosaic_producer_send(struct mosaic_producer *p, const struct mosaic_message *message,
			     struct mosaic_send_result *result)
{
	struct mosaic_send_result local;

	return producer_send_wait(p, message, &normal, result != NULL ? result : &local);
}

int32_t mosaic_producer_send_async(struct mosaic_producer *p, const struct mosaic_message *message,
				   mosaic_send_fn done, void *data)
{
	return done == NULL ? MOSAIC_E_INVAL : producer_send(p, message, &normal, done, data);
}

int32_t mosaic_producer_send_oneway(struct mosaic_producer *p, const struct mosaic_message *message)
{
	const struct send_shape shape = { .is_oneway = true };

	return producer_send(p, message, &shape, NULL, NULL);
}
