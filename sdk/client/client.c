/* The thread of a client around its engine, and the doors for other threads. */
#include "client.h"
#include "base/mem.h"
#include "memory.h"
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

extern const struct mosaic_plugin mosaic_plugin_transport_tcp;
extern const struct mosaic_plugin mosaic_plugin_lb_roundrobin, mosaic_plugin_lb_hash;

static const struct plugin_builtin builtins[] = {
	{ &mosaic_plugin_lb_roundrobin },
	{ &mosaic_plugin_lb_hash },
};

const char *mosaic_status_text(int32_t status)
{
	return status_text(status);
}

/* ---- create ---- */

static int take_options(struct mosaic_client *c, const struct mosaic_client_options *options,
			struct mosaic_error *error)
{
	struct mosaic_client_options *o = &c->options;
	char ip_text[INET_ADDRSTRLEN], id[sizeof(c->engine.client_id)], instance[64];
	uint64_t random = host_loop_now_ns() * UINT64_C(0x9E3779B97F4A7C15) ^ (uintptr_t)c;
	uint8_t ip[4];

	*o = *options;
	o->route_refresh_ms = o->route_refresh_ms ? o->route_refresh_ms : 30000;
	o->heartbeat_ms = o->heartbeat_ms ? o->heartbeat_ms : 30000;
	o->max_message = o->max_message ? o->max_message : 4u << 20;
	if (o->max_message > 15u << 20)
		return err_set(error, MOSAIC_E_INVAL, "max_message: 15 MiB is the most");
	if (o->plugin_path != NULL)
		c->plugin_path = mem_strdup(o->plugin_path);
	id_own_address(ip);
	id_init(&c->ids, ip, getpid(), (uint32_t)(random >> 32));
	inet_ntop(AF_INET, ip, ip_text, sizeof(ip_text));
	snprintf(instance, sizeof(instance), "%d#%llx", (int)getpid(), (unsigned long long)random);
	snprintf(id, sizeof(id), "%s@%.100s", ip_text, o->instance ? o->instance : instance);
	int rc = engine_init(&c->engine, &c->host.api, o->namesrv, o->route_refresh_ms * MS_NS,
			     o->heartbeat_ms * MS_NS, id, error);
	o->namesrv = o->instance = o->plugin_path = NULL; /* theirs */
	return rc;
}

int32_t mosaic_client_create(const struct mosaic_client_options *options,
			     struct mosaic_client **out, struct mosaic_error *error)
{
	if (options->struct_size < sizeof(*options))
		return err_set(error, MOSAIC_E_INVAL, "options: struct_size is not set");
	int rc = memory_check(error);
	if (rc != 0)
		return rc;
	struct mosaic_client *c = mem_alloc(sizeof(*c));
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	list_init(&c->members);
	logger_init(&c->logger, -1);
	rc = take_options(c, options, error);
	if (rc == 0)
		rc = plugin_adopt(&mosaic_plugin_transport_tcp, "(built in)", NULL, &c->tcp, error);
	if (rc != 0) {
		mosaic_client_destroy(&c);
		return rc;
	}
	*out = c;
	return 0;
}

const char *mosaic_client_id(const struct mosaic_client *c)
{
	return c->engine.client_id;
}

/* ---- log ---- */

static const char *const level_names[] = { "error", "warn", "info", "debug" };

static void write_log(const struct mosaic_host *api, uint32_t level, const char *event,
		      const char *text)
{
	struct mosaic_client *c = CONTAINER_OF(api->ctx, struct mosaic_client, host);
	const struct mosaic_client_options *o = &c->options;
	char line[1200];

	if (level > MOSAIC_LOG_DEBUG)
		level = MOSAIC_LOG_DEBUG;
	int32_t theirs = MOSAIC_CLIENT_LOG_ERROR - (int32_t)level;
	if (o->log == NULL || theirs < o->log_level)
		return;
	snprintf(line, sizeof(line), "level=%s event=%s%s%s", level_names[level], event,
		 text != NULL && text[0] != '\0' ? " " : "", text != NULL ? text : "");
	o->log(o->log_data, theirs, line);
}

/* ---- start ---- */

static void on_started(struct mosaic_req *req)
{
	struct mosaic_client *c = CONTAINER_OF(req, struct mosaic_client, started);

	pthread_mutex_lock(&c->lock);
	c->is_running = true;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

static void on_never(struct mosaic_req *req)
{
	(void)req;
}

static void *run(void *client)
{
	struct mosaic_client *c = client;

	host_loop_run(&c->loop);
	return NULL;
}

static int start_thread(struct mosaic_client *c)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int rc = pthread_create(&c->thread, NULL, run, c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

static void end_loop(struct mosaic_client *c)
{
	plugin_instance_free(&c->place);
	host_loop_fini(&c->loop);
	atomic_store(&c->loop.thread, 0); /* this thread, or another of its number, goes on */
}

int32_t mosaic_client_start(struct mosaic_client *c, struct mosaic_error *error)
{
	if (c->transport != NULL)
		return err_set(error, MOSAIC_E_INVAL, "a client is started once");
	int rc = memory_check(error);
	if (rc == 0)
		rc = host_loop_init(&c->loop, &c->logger, error);
	if (rc != 0)
		return rc;
	host_init(&c->host, &c->loop, "client", NULL, NULL);
	c->host.api.log = write_log;
	plugin_instance_init(&c->place, &c->tcp);
	rc = c->tcp.ops.transport.create(&c->host.api, c->place.options, &c->transport, error);
	if (rc != 0)
		goto fini_loop;
	engine_dial_with(&c->engine, &c->tcp.ops.transport, c->transport);
	/* Posted while the loop is still this thread's; from here on it is the new one's. */
	c->started.done = on_started;
	host_loop_post(&c->loop, &c->started);
	int os = start_thread(c);
	if (os != 0) {
		c->started.done = on_never;
		rc = err_set_os(error, MOSAIC_E_NOMEM, os, "cannot start the client's thread");
		c->tcp.ops.transport.destroy(c->transport);
		c->transport = NULL;
		goto fini_loop;
	}
	pthread_mutex_lock(&c->lock);
	while (!c->is_running)
		pthread_cond_wait(&c->changed, &c->lock);
	pthread_mutex_unlock(&c->lock);
	return 0;
fini_loop:
	end_loop(c);
	return rc;
}

/* ---- stop ---- */

static void on_closed(struct mosaic_req *req)
{
	struct mosaic_client *c = CONTAINER_OF(req, struct mosaic_client, closed);

	host_loop_stop(&c->loop);
}

static void on_stop(struct mosaic_req *req)
{
	struct mosaic_client *c = CONTAINER_OF(req, struct mosaic_client, stop);

	engine_close(&c->engine);
	c->closed.done = on_closed;
	int rc = c->tcp.ops.transport.close(c->transport, &c->closed);
	ASSERT(rc == 0); /* it is the first close */
}

/* Each is moved to the end of the list, so that one that stays there is stopped once. */
static void stop_members(struct mosaic_client *c)
{
	struct list done;

	list_init(&done);
	pthread_mutex_lock(&c->lock);
	while (!list_empty(&c->members)) {
		struct client_member *m = LIST_ENTRY(c->members.next, struct client_member, link);

		list_remove(&m->link);
		list_add_tail(&done, &m->link);
		pthread_mutex_unlock(&c->lock);
		m->stop(m);
		pthread_mutex_lock(&c->lock);
	}
	while (!list_empty(&done)) {
		struct list *node = done.next;

		list_remove(node);
		list_add_tail(&c->members, node);
	}
	pthread_mutex_unlock(&c->lock);
}

void mosaic_client_stop(struct mosaic_client *c)
{
	pthread_mutex_lock(&c->lock);
	bool was_running = c->is_running;
	pthread_mutex_unlock(&c->lock);
	if (!was_running || client_on_thread(c))
		return;
	stop_members(c);
	pthread_mutex_lock(&c->lock);
	c->is_running = false;
	pthread_mutex_unlock(&c->lock);
	c->stop.done = on_stop;
	host_loop_post(&c->loop, &c->stop);
	pthread_join(c->thread, NULL);
	c->tcp.ops.transport.destroy(c->transport);
	end_loop(c);
}

void mosaic_client_destroy(struct mosaic_client **client)
{
	struct mosaic_client *c = *client;

	if (c == NULL || client_on_thread(c))
		return;
	mosaic_client_stop(c);
	while (!list_empty(&c->members)) {
		struct client_member *m = LIST_ENTRY(c->members.next, struct client_member, link);
		m->destroy(m);
	}
	engine_free(&c->engine);
	if (c->plugins != NULL)
		plugins_destroy(&c->plugins);
	free(c->plugin_path);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	free(c);
	*client = NULL;
}

/* ---- the doors ---- */

void client_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

struct timespec client_due(uint32_t timeout_ms)
{
	struct timespec due;

	clock_gettime(CLOCK_MONOTONIC, &due);
	due.tv_sec += timeout_ms / 1000;
	due.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (due.tv_nsec >= 1000000000) {
		due.tv_sec++;
		due.tv_nsec -= 1000000000;
	}
	return due;
}

bool client_on_thread(const struct mosaic_client *c)
{
	return host_loop_on_core(&c->loop);
}

int client_post(struct mosaic_client *c, struct mosaic_req *req)
{
	int rc = MOSAIC_E_CLOSED;

	pthread_mutex_lock(&c->lock);
	if (c->is_running) {
		/* Under the lock: after stop() took it nothing is posted behind its request. */
		host_loop_post(&c->loop, req);
		rc = 0;
	}
	pthread_mutex_unlock(&c->lock);
	return rc;
}

static void begin_task(struct mosaic_req *req)
{
	struct client_task *task = CONTAINER_OF(req, struct client_task, req);

	task->begin(task);
}

int client_task_run(struct mosaic_client *c, struct client_task *task)
{
	if (client_on_thread(c))
		return MOSAIC_E_INVAL; /* it would wait for itself */
	task->client = c;
	task->is_ended = false;
	task->req = (struct mosaic_req){ .done = begin_task };
	pthread_cond_init(&task->ended, NULL);
	int rc = client_post(c, &task->req);
	if (rc == 0) {
		pthread_mutex_lock(&c->lock);
		while (!task->is_ended)
			pthread_cond_wait(&task->ended, &c->lock);
		pthread_mutex_unlock(&c->lock);
		rc = task->status;
	}
	pthread_cond_destroy(&task->ended);
	return rc;
}

void client_task_end(struct client_task *task, int status)
{
	struct mosaic_client *c = task->client;

	pthread_mutex_lock(&c->lock);
	task->status = status;
	task->is_ended = true;
	pthread_cond_signal(&task->ended); /* under the lock: the task is gone once it is free */
	pthread_mutex_unlock(&c->lock);
}

/* ---- asking ---- */

struct asking {
	struct client_task task;
	struct ask ask;
	const char *address;
	uint64_t timeout_ns;
	int (*take)(struct ask *ask, struct mosaic_error *error);
	struct mosaic_error *error;
};

static void asked(struct ask *a)
{
	struct asking *x = CONTAINER_OF(a, struct asking, ask);
	int rc = a->status;

	if (rc != 0)
		rc = err_set(x->error, rc, "%s", a->why);
	else if (x->take != NULL)
		rc = x->take(a, x->error);
	else if (!a->is_oneway && a->response->code != 0)
		rc = err_set(x->error, MOSAIC_E_IO, "%s answered %d: %.*s", a->address,
			     a->response->code, SLICE_ARG(a->response->remark));
	client_task_end(&x->task, rc);
}

static void begin_asking(struct client_task *task)
{
	struct asking *x = CONTAINER_OF(task, struct asking, task);

	engine_ask(&task->client->engine, &x->ask, x->address, x->timeout_ns);
}

int client_ask(struct mosaic_client *c, struct ask *ask, const char *address, uint64_t timeout_ns,
	       int (*take)(struct ask *ask, struct mosaic_error *error), struct mosaic_error *error)
{
	struct asking x = { .task = { .begin = begin_asking }, .ask = *ask, .address = address,
			    .timeout_ns = timeout_ns, .take = take, .error = error };

	x.ask.done = asked;
	return client_task_run(c, &x.task);
}

struct routing {
	struct client_task task;
	struct route_wait wait;
	const char *topic;
	int (*take)(struct route *route, void *data);
	void *data;
	struct mosaic_error *error;
};

static void routed(struct route_wait *wait, struct route *route, int status, const char *why)
{
	struct routing *x = CONTAINER_OF(wait, struct routing, wait);

	client_task_end(&x->task, status == 0 ? x->take(route, x->data)
					      : err_set(x->error, status, "%s: %s", x->topic, why));
}

static void begin_routing(struct client_task *task)
{
	struct routing *x = CONTAINER_OF(task, struct routing, task);

	route_get(&task->client->engine, x->topic, &x->wait);
}

int client_route(struct mosaic_client *c, const char *topic, bool for_write,
		 int (*take)(struct route *route, void *data), void *data,
		 struct mosaic_error *error)
{
	struct routing x = { .task = { .begin = begin_routing }, .topic = topic, .take = take,
			     .data = data, .error = error,
			     .wait = { .done = routed, .for_write = for_write } };

	return client_task_run(c, &x.task);
}

struct queue_list {
	struct mosaic_queue *queues;
	uint32_t room, count;
	bool for_write;
};

static int take_queues(struct route *route, void *data)
{
	struct queue_list *l = data;
	const struct route_queue *from = l->for_write ? route->writes : route->reads;

	l->count = l->for_write ? route->n_writes : route->n_reads;
	for (uint32_t i = 0; i < l->count && i < l->room; i++) {
		struct mosaic_queue *q = &l->queues[i];

		*q = (struct mosaic_queue){ .id = from[i].id };
		snprintf(q->topic, sizeof(q->topic), "%s", route->topic);
		snprintf(q->broker, sizeof(q->broker), "%s", from[i].broker->name);
	}
	return 0;
}

int32_t mosaic_client_queues(struct mosaic_client *c, const char *topic, int32_t for_write,
			     struct mosaic_queue *queues, uint32_t *count,
			     struct mosaic_error *error)
{
	struct queue_list l = { .queues = queues, .room = *count, .for_write = for_write != 0 };

	int rc = client_route(c, topic, l.for_write, take_queues, &l, error);
	*count = l.count;
	return rc;
}

/* ---- members, ids, numbers ---- */

int client_add(struct mosaic_client *c, struct client_member *member)
{
	int rc = MOSAIC_E_CLOSED;

	list_init(&member->link);
	pthread_mutex_lock(&c->lock);
	if (c->is_running) {
		list_add_tail(&c->members, &member->link);
		rc = 0;
	}
	pthread_mutex_unlock(&c->lock);
	return rc;
}

void client_remove(struct mosaic_client *c, struct client_member *member)
{
	pthread_mutex_lock(&c->lock);
	list_remove(&member->link);
	pthread_mutex_unlock(&c->lock);
}

void client_make_id(struct mosaic_client *c, char *out)
{
	int64_t now = (int64_t)host_wall_ms(&c->host.api);

	pthread_mutex_lock(&c->lock);
	id_make(&c->ids, now, out);
	pthread_mutex_unlock(&c->lock);
}

void mosaic_client_metrics(struct mosaic_client *c, struct mosaic_client_metrics *out)
{
	struct numbers *n = &c->engine.numbers;
	struct mosaic_client_metrics m = { .struct_size = out->struct_size };

#define TAKE(name) m.name = atomic_load_explicit(&n->name, memory_order_relaxed)
	TAKE(connections);
	TAKE(bytes_held);
	TAKE(sent);
	TAKE(send_errors);
	TAKE(send_retries);
	TAKE(pulled);
	TAKE(consumed);
	TAKE(consume_errors);
	TAKE(sent_back);
	TAKE(route_asks);
	TAKE(heartbeats);
	TAKE(requests);
	TAKE(request_errors);
	TAKE(acknowledged);
	TAKE(traces_lost);
#undef TAKE
	memcpy(out, &m, out->struct_size < sizeof(m) ? out->struct_size : sizeof(m));
}

/* ---- balance plugins ---- */

static int add_folders(struct mosaic_client *c, struct mosaic_error *error)
{
	const char *path = c->plugin_path;
	int rc = 0;

	while (rc == 0 && path != NULL && *path != '\0') {
		size_t len = strcspn(path, ":");
		char *folder = slice_dup(slice(path, len));

		if (len > 0)
			rc = plugins_add_folder(c->plugins, folder, error);
		free(folder);
		path += len + (path[len] == ':');
	}
	return rc;
}

/* Under the lock. */
static int find_plugin(struct mosaic_client *c, const char *name, const struct loaded_plugin **out,
		       struct mosaic_error *error)
{
	if (c->plugins == NULL) {
		c->plugins = plugins_create(builtins, ARRAY_LEN(builtins));
		int rc = add_folders(c, error);
		if (rc != 0) {
			plugins_destroy(&c->plugins);
			return rc;
		}
	}
	return plugins_find(c->plugins, name, MOSAIC_BALANCE, out, error);
}

int client_balancer(struct mosaic_client *c, const char *name, struct balancer *out,
		    struct mosaic_error *error)
{
	*out = (struct balancer)BALANCER_INIT;
	pthread_mutex_lock(&c->lock);
	int rc = find_plugin(c, name, &out->plugin, error);
	pthread_mutex_unlock(&c->lock);
	if (rc != 0)
		return rc;
	return balancer_open(out, &c->host.api, error);
}
