/*
 * A unit: one core thread with its loop, and the services that live on it: a NameServer, a broker,
 * or both. The first unit runs on the main thread; each further broker of a process is a unit of
 * its own.
 */
#ifndef NODE_UNIT_H
#define NODE_UNIT_H

#include "node/broker_node.h"
#include "loop/host.h"
#include "node/namesrv_node.h"

#define UNIT_HOSTS 8 /* instances: two transports, store, flush, replication */

struct unit {
	struct host_loop loop;
	struct host core_host;
	struct host hosts_of[UNIT_HOSTS];
	uint32_t n_hosts;
	struct node_hosts hosts;
	struct namesrv_node *namesrv; /* NULL: none */
	struct broker_node *broker;   /* NULL: none */
	bool has_loop, has_thread;
	pthread_t thread;
	struct mosaic_error err;
	/* start and stop are asked for from the main thread and answered there */
	struct host_loop *main_loop;
	struct mosaic_req command, answer, step;
	struct loop_stats stats; /* of the loop until it was stopped */
	void (*answered)(struct unit *unit, int status); /* [main thread's loop] */
	/* The NameServer's port is bound; its broker, if any, starts next. May be NULL. */
	void (*namesrv_bound)(struct unit *unit, uint32_t port);
	void *owner;
};

/* A loop and its hosts. [main] */
NODISCARD int unit_init(struct unit *u, struct logger *logger, struct host_loop *main_loop,
			struct mosaic_error *err);
/* Runs the unit's loop on a thread of its own. [main] */
NODISCARD int unit_spawn(struct unit *u, struct mosaic_error *err);
/* Starts the services on the unit's thread; answered() tells, with u->err on failure. */
void unit_start(struct unit *u, void (*answered)(struct unit *unit, int status));
/* Stops them; answered() tells. */
void unit_stop(struct unit *u, void (*answered)(struct unit *unit, int status));
/* Ends the thread, destroys services and loop. [main] */
void unit_fini(struct unit *u);

#endif
