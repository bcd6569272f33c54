/*
 * Threads that run a consumer's listener. The client's thread hands out calls and gets each back
 * exactly once; a bound keeps what is handed out small, so that the rest can still be dropped or
 * reordered where it lies.
 */
#ifndef CONSUMER_LISTENERS_H
#define CONSUMER_LISTENERS_H

#include "client.h"
#include <mosaic/consumer.h>

struct listeners;
struct item;

/* One call of the listener. */
struct listener_call {
	struct mosaic_req req; /* req.done runs on the client's thread when the call has ended */
	struct list link;
	const char *broker;
	uint32_t n_items;
	int32_t result;    /* of the listener; CONSUME_LATER when it could not be called */
	uint32_t consumed; /* of them */
	bool was_called;
	int64_t began_ms, took_ms; /* of the listener; wall time */
	void *data;
	struct item *items[];
};

struct listeners_config {
	uint32_t threads;
	mosaic_listener listener;
	void *listener_data;
	mosaic_consume_hook hook;
	void *hook_data;
};

struct listeners *listeners_create(struct mosaic_client *client,
				   const struct listeners_config *config);
/* Waits for the calls under way and ends the threads. Calls that could not be given back, because
 * the client has ended, are in `left`. [blocks] */
void listeners_join(struct listeners *l, struct list *left);
void listeners_destroy(struct listeners **l); /* joined */
/* How many more calls may be handed out now. [core] */
uint32_t listeners_room(const struct listeners *l);
uint32_t listeners_busy(const struct listeners *l); /* handed out and not back. [core] */
void listeners_call(struct listeners *l, struct listener_call *call); /* [core] */
void listeners_returned(struct listeners *l);                         /* [core] in req.done */
/* No call begins until it is resumed. [any] */
void listeners_pause(struct listeners *l, bool is_paused);
/* Gives back, without having been called, all that did not begin. [core] */
void listeners_drop(struct listeners *l);

#endif
