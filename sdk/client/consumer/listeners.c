#include "consumer/listeners.h"
#include "base/mem.h"
#include "consumer/process_queue.h"
#include "consumer/received_set.h"
#include <signal.h>
#include <stdlib.h>

#define CALLS_PER_THREAD 2 /* one that runs, one that is ready when it ends */

struct listeners {
	struct mosaic_client *client;
	struct listeners_config config;
	uint32_t n_busy; /* [core] */
	pthread_t *threads;
	uint32_t n_threads; /* [core] */
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	struct list calls, left; /* struct listener_call.link */
	uint32_t n_idle, n_calls;
	bool is_paused, is_ending;
};

struct listeners *listeners_create(struct mosaic_client *client,
				   const struct listeners_config *config)
{
	struct listeners *l = mem_alloc(sizeof(*l));

	l->client = client;
	l->config = *config;
	l->threads = mem_alloc(config->threads * sizeof(*l->threads));
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->changed, NULL);
	list_init(&l->calls);
	list_init(&l->left);
	return l;
}

/* ---- on a listener's thread ---- */

static int make_set(struct received_set *set, const struct listener_call *call)
{
	struct message m;
	int rc = received_set_init(set, call->n_items);

	for (uint32_t i = 0; rc == 0 && i < call->n_items; i++) {
		item_decode(call->items[i], &m);
		m.reconsume_times += call->items[i]->tries;
		rc = received_set_add(set, &m, call->broker);
	}
	return rc;
}

static void run_call(const struct listeners_config *c, struct listener_call *call)
{
	struct received_set set = RECEIVED_SET_INIT;

	call->result = MOSAIC_CONSUME_LATER;
	call->consumed = 0;
	if (make_set(&set, call) == 0) {
		uint32_t consumed = set.count;
		if (c->hook != NULL)
			c->hook(c->hook_data, set.messages, set.count, -1);
		call->was_called = true;
		call->began_ms = (int64_t)host_loop_wall_ms();
		call->result =
			c->listener(c->listener_data, set.messages, set.count, &consumed);
		call->took_ms = (int64_t)host_loop_wall_ms() - call->began_ms;
		if (consumed < call->n_items)
			call->consumed = consumed;
		else
			call->consumed = call->result == MOSAIC_CONSUMED ? call->n_items : 0;
		if (c->hook != NULL)
			c->hook(c->hook_data, set.messages, set.count, call->result);
	}
	received_set_free(&set);
}

/* The next call, or NULL: the end. Under the lock. */
static struct listener_call *next_call(struct listeners *l)
{
	while (!l->is_ending && (l->is_paused || list_empty(&l->calls))) {
		l->n_idle++;
		pthread_cond_wait(&l->changed, &l->lock);
		l->n_idle--;
	}
	if (l->is_ending)
		return NULL;
	struct listener_call *call = LIST_ENTRY(l->calls.next, struct listener_call, link);
	list_remove(&call->link);
	l->n_calls--;
	return call;
}

static void *run(void *listeners)
{
	struct listeners *l = listeners;
	struct listener_call *call;

	pthread_mutex_lock(&l->lock);
	while ((call = next_call(l)) != NULL) {
		pthread_mutex_unlock(&l->lock);
		run_call(&l->config, call);
		int rc = client_post(l->client, &call->req);
		pthread_mutex_lock(&l->lock);
		if (rc != 0)
			list_add_tail(&l->left, &call->link);
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

/* ---- on the client's thread ---- */

uint32_t listeners_room(const struct listeners *l)
{
	uint32_t most = l->config.threads * CALLS_PER_THREAD;

	return l->n_busy < most ? most - l->n_busy : 0;
}

uint32_t listeners_busy(const struct listeners *l)
{
	return l->n_busy;
}

static void start_thread(struct listeners *l)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	/* Without another thread the ones that are there do the work, later. */
	if (pthread_create(&l->threads[l->n_threads], NULL, run, l) == 0)
		l->n_threads++;
	else
		LOG_ERROR(&l->client->host.api, "no_listener_thread", "running=%u", l->n_threads);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void listeners_call(struct listeners *l, struct listener_call *call)
{
	l->n_busy++;
	pthread_mutex_lock(&l->lock);
	list_add_tail(&l->calls, &call->link);
	bool is_short = ++l->n_calls > l->n_idle && l->n_threads < l->config.threads;
	pthread_cond_signal(&l->changed);
	pthread_mutex_unlock(&l->lock);
	if (is_short)
		start_thread(l);
}

void listeners_returned(struct listeners *l)
{
	ASSERT(l->n_busy > 0);
	l->n_busy--;
}

void listeners_pause(struct listeners *l, bool is_paused)
{
	pthread_mutex_lock(&l->lock);
	l->is_paused = is_paused;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
}

void listeners_drop(struct listeners *l)
{
	struct list dropped;

	list_init(&dropped);
	pthread_mutex_lock(&l->lock);
	while (!list_empty(&l->calls)) {
		struct list *node = l->calls.next;
		list_remove(node);
		list_add_tail(&dropped, node);
	}
	l->n_calls = 0;
	pthread_mutex_unlock(&l->lock);
	while (!list_empty(&dropped)) {
		struct listener_call *c = LIST_ENTRY(dropped.next, struct listener_call, link);
		list_remove(&c->link);
		c->req.done(&c->req);
	}
}

void listeners_join(struct listeners *l, struct list *left)
{
	pthread_mutex_lock(&l->lock);
	l->is_ending = true;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
	for (uint32_t i = 0; i < l->n_threads; i++)
		pthread_join(l->threads[i], NULL);
	l->n_threads = 0;
	while (!list_empty(&l->left)) {
		struct list *node = l->left.next;
		list_remove(node);
		list_add_tail(left, node);
	}
}

void listeners_destroy(struct listeners **listeners)
{
	struct listeners *l = *listeners;

	ASSERT(l->n_threads == 0);
	pthread_cond_destroy(&l->changed);
	pthread_mutex_destroy(&l->lock);
	free(l->threads);
	free(l);
	*listeners = NULL;
}
