/* The thread of a client around its engine, and the doors for other threads. */
#include "engine.h"
#include "base/mem.h"
#include "base/num.h"
#include "loop/host.h"
#include "plugin/loaded.h"
#include "wire/props.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

extern const struct mosaic_plugin mosaic_plugin_transport_tcp;

struct mosaic_client {
	struct engine engine;
	struct logger logger;
	struct host_loop loop;
	struct host host;
	struct loaded_plugin tcp;
	struct plugin_instance place;
	struct mosaic_transport *transport;
	struct mosaic_req started, stop, closed;
	struct mosaic_client_options options;
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t ended; /* a blocking send has its result, the thread runs */
	uint64_t bytes;
	uint32_t count;
	uint64_t ids;
	bool is_running;
};

const char *mosaic_status_text(int32_t status)
{
	return status_text(status);
}

int32_t mosaic_client_create(const struct mosaic_client_options *options,
			     struct mosaic_client **out, struct mosaic_error *error)
{
	if (options->struct_size < sizeof(*options))
		return err_set(error, MOSAIC_E_INVAL, "options: struct_size is not set");
	struct mosaic_client *c = mem_alloc(sizeof(*c));
	c->options = *options;
	struct mosaic_client_options *o = &c->options;
	o->route_refresh_ms = o->route_refresh_ms ? o->route_refresh_ms : 30000;
	o->max_in_flight = o->max_in_flight ? o->max_in_flight : 1024;
	o->max_message = o->max_message ? o->max_message : 4u << 20;
	o->max_in_flight_bytes = o->max_in_flight_bytes ? o->max_in_flight_bytes : 64u << 20;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->ended, NULL);
	logger_init(&c->logger, -1);
	int rc = engine_init(&c->engine, &c->host.api, options->namesrv,
			     o->route_refresh_ms * MS_NS, error);
	if (rc == 0)
		rc = plugin_adopt(&mosaic_plugin_transport_tcp, "(built in)", NULL, &c->tcp, error);
	if (rc != 0) {
		mosaic_client_destroy(&c);
		return rc;
	}
	*out = c;
	return 0;
}

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

static void on_started(struct mosaic_req *req)
{
	struct mosaic_client *c = CONTAINER_OF(req, struct mosaic_client, started);
	pthread_mutex_lock(&c->lock);
	c->is_running = true;
	pthread_cond_broadcast(&c->ended);
	pthread_mutex_unlock(&c->lock);
}

static void *run(void *client)
{
	struct mosaic_client *c = client;
	host_loop_run(&c->loop);
	return NULL;
}

int32_t mosaic_client_start(struct mosaic_client *c, struct mosaic_error *error)
{
	sigset_t all, old;

	if (c->transport != NULL)
		return err_set(error, MOSAIC_E_INVAL, "a client is started once");
	int rc = host_loop_init(&c->loop, &c->logger, error);
	if (rc != 0)
		return rc;
	host_init(&c->host, &c->loop, "client", NULL, NULL);
	plugin_instance_init(&c->place, &c->tcp);
	rc = c->tcp.ops.transport.create(&c->host.api, c->place.options, &c->transport, error);
	if (rc != 0)
		goto fini_loop;
	engine_dial_with(&c->engine, &c->tcp.ops.transport, c->transport);
	c->started.done = on_started;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int os = pthread_create(&c->thread, NULL, run, c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (os != 0) {
		rc = err_set_os(error, MOSAIC_E_NOMEM, os, "cannot start the client's thread");
		c->tcp.ops.transport.destroy(c->transport);
		c->transport = NULL;
		goto fini_loop;
	}
	host_loop_post(&c->loop, &c->started);
	/* From here on the loop is its thread's: nobody else posts before that is so. */
	pthread_mutex_lock(&c->lock);
	while (!c->is_running)
		pthread_cond_wait(&c->ended, &c->lock);
	pthread_mutex_unlock(&c->lock);
	return 0;
fini_loop:
	plugin_instance_free(&c->place);
	host_loop_fini(&c->loop);
	return rc;
}

void mosaic_client_stop(struct mosaic_client *c)
{
	pthread_mutex_lock(&c->lock);
	bool was_running = c->is_running;
	c->is_running = false;
	pthread_mutex_unlock(&c->lock);
	if (!was_running)
		return;
	c->stop.done = on_stop;
	host_loop_post(&c->loop, &c->stop);
	pthread_join(c->thread, NULL);
	c->tcp.ops.transport.destroy(c->transport);
	plugin_instance_free(&c->place);
	host_loop_fini(&c->loop);
}

void mosaic_client_destroy(struct mosaic_client **client)
{
	struct mosaic_client *c = *client;
	if (c == NULL)
		return;
	mosaic_client_stop(c);
	engine_free(&c->engine);
	pthread_cond_destroy(&c->ended);
	pthread_mutex_destroy(&c->lock);
	free(c);
	*client = NULL;
}

/* ---- sends ---- */

struct waiter {
	struct mosaic_send_result *result; /* blocking */
	bool is_done;
	mosaic_send_fn fn; /* asynchronous */
	void *data;
	struct mosaic_client *client;
	uint64_t weight;
};

struct job {
	struct waiter waiter;
	struct waiter *blocked; /* on the stack of the caller, or NULL */
};

static void finished(struct send *s)
{
	struct job *job = s->data;
	struct mosaic_client *c = job->waiter.client;

	if (job->waiter.fn != NULL)
		job->waiter.fn(job->waiter.data, &s->result);
	pthread_mutex_lock(&c->lock);
	c->count--;
	c->bytes -= job->waiter.weight;
	if (job->blocked != NULL) {
		*job->blocked->result = s->result;
		job->blocked->is_done = true;
		pthread_cond_broadcast(&c->ended);
	}
	pthread_mutex_unlock(&c->lock);
	free(job);
	send_free(s);
}

static void posted(struct mosaic_req *req)
{
	send_start(CONTAINER_OF(req, struct send, post));
}

static bool put(struct buf *props, const char *name, const char *value)
{
	if (name == NULL || value == NULL || *name == '\0' || *value == '\0' ||
	    strpbrk(name, "\1\2") != NULL || strpbrk(value, "\1\2") != NULL)
		return false;
	buf_append_str(props, name);
	buf_append_byte(props, 1);
	buf_append_str(props, value);
	buf_append_byte(props, 2);
	return true;
}

/* MessageClientIDSetter of 5.3.3: 10 bytes of the process, 4 and 2 that count. */
static void make_id(struct mosaic_client *c, char *out)
{
	uint8_t id[16];
	pthread_mutex_lock(&c->lock);
	uint64_t n = ++c->ids;
	pthread_mutex_unlock(&c->lock);
	memcpy(id, c->engine.id_prefix, 10);
	for (int i = 0; i < 6; i++)
		id[10 + i] = (uint8_t)(n >> (8 * (5 - i)));
	num_format_hex((uint8_t *)out, id, sizeof(id));
	out[32] = '\0';
}

static int fill(struct mosaic_client *c, struct send *s, const struct mosaic_message *m)
{
	make_id(c, s->result.message_id);
	bool ok = put(&s->props, PROP_UNIQ_KEY, s->result.message_id) &&
		  put(&s->props, PROP_WAIT, "true") &&
		  (m->tag == NULL || put(&s->props, PROP_TAGS, m->tag)) &&
		  (m->keys == NULL || put(&s->props, PROP_KEYS, m->keys));
	for (uint32_t i = 0; ok && i < m->n_properties; i++)
		ok = put(&s->props, m->properties[i].name, m->properties[i].value);
	if (!ok)
		return MOSAIC_E_INVAL;
	return s->props.len > PROPS_MAX ? MOSAIC_E_LIMIT : 0;
}

static bool is_topic(const char *topic)
{
	size_t len = topic != NULL ? strlen(topic) : 0;
	return len > 0 && len <= 127 &&
	       strspn(topic, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			     "0123456789_-%|") == len;
}

static int submit(struct mosaic_client *c, const struct mosaic_message *m,
		  const struct mosaic_send_options *o, struct waiter *w, bool oneway, bool blocks)
{
	if (m->struct_size < sizeof(*m) || (o != NULL && o->struct_size < sizeof(*o)) ||
	    !is_topic(m->topic) || m->body.len == 0)
		return MOSAIC_E_INVAL;
	if (m->body.len > c->options.max_message)
		return MOSAIC_E_LIMIT;
	struct send *s = mem_alloc(sizeof(*s));
	int rc = fill(c, s, m);
	struct job *job = mem_alloc(sizeof(*job));
	w->client = c;
	w->weight = m->body.len + s->props.len;
	*job = (struct job){ .waiter = *w, .blocked = blocks ? w : NULL };
	s->result.struct_size = sizeof(s->result);
	s->engine = &c->engine;
	s->topic = mem_strdup(m->topic);
	s->group = mem_strdup(o != NULL && o->group != NULL ? o->group : "DEFAULT_PRODUCER");
	s->key = m->sharding_key != NULL ? mem_strdup(m->sharding_key) : NULL;
	s->body = mem_alloc(m->body.len);
	memcpy(s->body, m->body.ptr, m->body.len);
	s->body_len = (uint32_t)m->body.len;
	s->is_oneway = oneway;
	s->attempts_left = o != NULL && o->attempts != 0 ? o->attempts : 3;
	s->timeout_ns = (o != NULL && o->timeout_ms != 0 ? o->timeout_ms : 3000) * MS_NS;
	s->done = finished;
	s->data = job;
	s->post.done = posted;
	pthread_mutex_lock(&c->lock);
	if (rc == 0 && !c->is_running)
		rc = MOSAIC_E_CLOSED;
	if (rc == 0 && blocks && pthread_equal(c->thread, pthread_self()))
		rc = MOSAIC_E_INVAL; /* it would wait for itself */
	if (rc == 0 && (c->count >= c->options.max_in_flight ||
			c->bytes + w->weight > c->options.max_in_flight_bytes))
		rc = MOSAIC_E_AGAIN;
	if (rc == 0) {
		c->count++;
		c->bytes += w->weight;
		/* Under the lock: after stop() took it nothing is posted behind its request. */
		host_loop_post(&c->loop, &s->post);
	}
	pthread_mutex_unlock(&c->lock);
	if (rc != 0) {
		free(job);
		send_free(s);
	}
	return rc;
}

int32_t mosaic_producer_send(struct mosaic_client *c, const struct mosaic_message *message,
			     const struct mosaic_send_options *options,
			     struct mosaic_send_result *result)
{
	struct mosaic_send_result local;
	struct waiter w = { .result = &local };

	int rc = submit(c, message, options, &w, false, true);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&c->lock);
	while (!w.is_done)
		pthread_cond_wait(&c->ended, &c->lock);
	pthread_mutex_unlock(&c->lock);
	if (result != NULL)
		*result = local;
	return local.status;
}

int32_t mosaic_producer_send_async(struct mosaic_client *c, const struct mosaic_message *message,
				   const struct mosaic_send_options *options, mosaic_send_fn done,
				   void *data)
{
	struct waiter w = { .fn = done, .data = data };
	return done == NULL ? MOSAIC_E_INVAL : submit(c, message, options, &w, false, false);
}

int32_t mosaic_producer_send_oneway(struct mosaic_client *c, const struct mosaic_message *message,
				    const struct mosaic_send_options *options)
{
	struct waiter w = { .fn = NULL };
	return submit(c, message, options, &w, true, false);
}
