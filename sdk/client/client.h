/*
 * The client: the thread around an engine, and the doors by which other threads come onto it.
 * Every function here says where it may run: [any] any thread, [core] the client's thread, [blocks]
 * any thread but the client's.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "balancer.h"
#include "engine.h"
#include "id.h"
#include "loop/host.h"
#include "plugin/plugins.h"
#include <pthread.h>
#include <time.h>

/*
 * Producers and consumers of a client. stop() and destroy() are those of the public header: they
 * block, run without the lock, and destroy() calls client_remove(). The struct is the member's.
 */
struct client_member {
	struct list link;
	void (*stop)(struct client_member *member);
	void (*destroy)(struct client_member *member);
};

struct mosaic_client {
	struct engine engine; /* [core] only, but for engine.numbers and engine.client_id */
	struct logger logger;
	struct host_loop loop;
	struct host host;
	struct loaded_plugin tcp;
	struct plugin_instance place;
	struct mosaic_transport *transport;
	struct mosaic_req started, stop, closed;
	struct mosaic_client_options options; /* with defaults; strings are copies */
	char *plugin_path;
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	struct list members;     /* struct client_member */
	struct plugins *plugins; /* balance plugins, made on first use */
	struct id_maker ids;
	bool is_running;
};

/* The message id of MessageClientIDSetter, 32 characters and 0. [any] */
void client_make_id(struct mosaic_client *c, char *out);
/* [any] req->done(req) runs on the client's thread, in order of posting per thread. 0, or
 * MOSAIC_E_CLOSED: it will not run. */
NODISCARD int client_post(struct mosaic_client *c, struct mosaic_req *req);
/* [any] */
bool client_on_thread(const struct mosaic_client *c);

/*
 * Something that is begun on the client's thread and waited for by another one: begin() runs on the
 * client's thread and leads to client_task_end(), there, once, now or later. On the caller's stack.
 */
struct client_task {
	void (*begin)(struct client_task *task); /* [core] */
	void *data;
	int status;
	/* client.c's */
	struct mosaic_req req;
	struct mosaic_client *client;
	pthread_cond_t ended;
	bool is_ended;
};
/* [blocks] The status given to client_task_end(); MOSAIC_E_INVAL on the client's thread, E_CLOSED
 * when the client does not run. */
int client_task_run(struct mosaic_client *c, struct client_task *task);
void client_task_end(struct client_task *task, int status); /* [core] */

/*
 * A request to a broker, waited for. ask: code, room, body, fill, data as for engine_ask; done is
 * set here. take, which may be NULL, runs on the client's thread with the answer while it lives and
 * gives the status; without it a code that is not 0 is MOSAIC_E_IO. err may be NULL. [blocks]
 */
int client_ask(struct mosaic_client *c, struct ask *ask, const char *address, uint64_t timeout_ns,
	       int (*take)(struct ask *ask, struct mosaic_error *err), struct mosaic_error *err);
/* [blocks] The route of a topic, waited for; take runs on the client's thread and gives the
 * status. */
int client_route(struct mosaic_client *c, const char *topic, bool for_write,
		 int (*take)(struct route *route, void *data), void *data,
		 struct mosaic_error *error);

/* [any] E_CLOSED when the client does not run. */
NODISCARD int client_add(struct mosaic_client *c, struct client_member *member);
void client_remove(struct mosaic_client *c, struct client_member *member);

/* Waiting with a limit, whatever the wall clock does: a condition for client_due(). [any] */
void client_cond_init(pthread_cond_t *cond);
struct timespec client_due(uint32_t timeout_ms);

/* By name, from plugin_path or built in. [any] */
NODISCARD int client_balancer(struct mosaic_client *c, const char *name, struct balancer *out,
			      struct mosaic_error *error);

#endif
