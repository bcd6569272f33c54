/*
 * A push consumer: a member of a group whose messages go to listeners. concurrent.c and orderly.c
 * say what becomes of a call that has ended.
 */
#ifndef CONSUMER_PUSH_H
#define CONSUMER_PUSH_H

#include "consumer/listeners.h"
#include "consumer/member.h"
#include "trace.h"

struct mosaic_consumer {
	struct mosaic_client *client;
	struct client_member place;
	struct mosaic_consumer_options options; /* with defaults; no strings */
	struct listeners *listeners;
	struct member member;
	struct list ready;  /* struct share.service: has messages to give out */
	struct map pops;    /* key -> struct pop_share */
	struct list pops_ready; /* struct pop_share.service: the same */
	struct list backs;  /* struct back */
	struct mosaic_timer expiry, stop_limit;
	struct tracer tracer;
	struct client_task *stopping;
	bool is_started, is_stopping, is_stopped;
};

static inline struct mosaic_consumer *push_of(struct share *s)
{
	return CONTAINER_OF(s->member, struct mosaic_consumer, member);
}
static inline struct share *share_of(const struct item *item)
{
	return item->queue != NULL ? CONTAINER_OF(item->queue, struct share, queue) : NULL;
}

/* Gives out what is ready, as far as there are listeners. */
void push_dispatch(struct mosaic_consumer *c);
/* One message has ended without a listener's call: sent back. */
void push_settled(struct mosaic_consumer *c, struct share *s);
/* A call of the listener has come back and what it was about is settled. */
void push_call_ended(struct mosaic_consumer *c);

/* ---- trace_consumed.c ---- */

void trace_consumed(struct mosaic_consumer *c, const struct listener_call *call);

/* ---- direct.c ---- */

void direct_consume(struct member *m, struct request *req);

/* ---- concurrent.c, orderly.c ---- */

void concurrent_ended(struct mosaic_consumer *c, struct listener_call *call);
void concurrent_expire(struct mosaic_timer *timer);
void orderly_ended(struct mosaic_consumer *c, struct listener_call *call);

/* ---- send_back.c ---- */

#define SEND_BACK_DLQ (-1)

/* Takes an item that is out: to the group's retry topic (level 0: the broker decides on the delay)
 * or its DLQ. When that fails, the item is given to a listener again after 5 s. */
void send_back(struct mosaic_consumer *c, struct item *item, int32_t level);
bool send_back_waits(const struct mosaic_consumer *c);
void send_back_cancel(struct mosaic_consumer *c);

#endif
