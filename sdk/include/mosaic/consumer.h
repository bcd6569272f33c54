/*
 * mosaic/consumer.h - libmosaic: receiving. Read mosaic/client.h first.
 *
 * Three kinds on one client: mosaic_consumer calls a listener (push), mosaic_puller is asked (pull,
 * RocketMQ's "lite pull"), mosaic_popper takes single messages and acknowledges each (pop).
 */
#ifndef MOSAIC_CONSUMER_H
#define MOSAIC_CONSUMER_H

#include <mosaic/client.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mosaic_consumer;
struct mosaic_puller;
struct mosaic_popper;

enum mosaic_consume_model {
	MOSAIC_CLUSTERING = 0,  /* each message to one member of the group; offsets at the broker */
	MOSAIC_BROADCASTING = 1 /* each message to every member; offsets in a local file */
};

enum mosaic_consume_from { /* where a group starts in a queue that it has no offset for */
	MOSAIC_FROM_LAST = 0,
	MOSAIC_FROM_FIRST = 1,
	MOSAIC_FROM_TIME = 2
};

enum mosaic_consume_result {
	MOSAIC_CONSUMED = 0,
	/* Concurrent: sent back, comes again after a delay, to the DLQ after max_reconsume.
	 * Orderly: the queue stands still for suspend_ms, then the same messages come again. */
	MOSAIC_CONSUME_LATER = 1
};

enum mosaic_rebalance {
	MOSAIC_REBALANCE_CLIENT = 0, /* the members share the queues out among themselves */
	/* Brokers do (Java's clientRebalance=false), for concurrent consumers that are clustering;
	 * balance: NULL or "circle". An admin says which group pulls a topic and which pops it
	 * (mqadmin setConsumeMode). Popped: several members may have one queue; consumed messages
	 * are acknowledged; the others come again after 10 s, 30 s, 1 min ..., and in the end are
	 * dropped. Where brokers do not know how, as with CLIENT. */
	MOSAIC_REBALANCE_BROKER = 1
};

enum mosaic_expression { MOSAIC_TAGS = 0, MOSAIC_SQL92 = 1 };

/*
 * Runs on a listener thread of the consumer; may block and may call anything but the stop and
 * destroy of its own consumer. messages live during the call. Orderly: one call at a time per
 * queue, in order. The result is for all messages of the call, unless *consumed, preset to count,
 * is set lower: so many from the first on are consumed, the rest is to come later. A body that
 * cannot be decompressed is given as it is stored.
 */
typedef int32_t (*mosaic_listener)(void *data, const struct mosaic_received *messages,
				   uint32_t count, uint32_t *consumed);
/* Runs before (result -1) and after each call of the listener, on its thread. */
typedef void (*mosaic_consume_hook)(void *data, const struct mosaic_received *messages,
				    uint32_t count, int32_t result);

struct mosaic_consumer_options {
	uint32_t struct_size;
	uint32_t model;    /* enum mosaic_consume_model */
	const char *group; /* required */
	mosaic_listener listener; /* required */
	void *listener_data;
	uint32_t is_orderly;   /* 1: orderly */
	uint32_t threads;      /* that run the listener: 20 */
	uint32_t batch;        /* messages per call at most: 1 */
	uint32_t from;         /* enum mosaic_consume_from */
	int64_t from_ms;       /* MOSAIC_FROM_TIME: wall time; 0: half an hour ago */
	uint32_t pull_batch;   /* messages per pull: 32 */
	/* Flow control: a queue is not pulled while it holds more than these. */
	uint32_t max_cached;       /* messages per queue: 1000 */
	uint32_t max_cached_bytes; /* bytes per queue: 100 MiB */
	uint32_t max_span;         /* concurrent: newest - oldest offset: 2000 */
	int32_t max_reconsume;     /* 0: concurrent 16, orderly without end; -1: the same */
	uint32_t suspend_ms;       /* orderly, between tries: 1000 */
	uint32_t consume_timeout_ms; /* concurrent: 15 min, then the message is sent back */
	uint32_t commit_ms;          /* of offsets: 5000 */
	/* How queues are shared out, the same in all members. NULL: RocketMQ's average; "circle",
	 * "consistent-hash": as Java's of that name; else the name of a balance plugin. */
	const char *balance;
	/* Broadcasting: folder of the file with offsets, GROUP.json; "~/.mosaic_offsets". Two
	 * members of a group on one machine need two folders. */
	const char *offset_dir;
	uint32_t trace; /* 1: message trace to RMQ_SYS_TRACE_TOPIC */
	uint32_t rebalance; /* enum mosaic_rebalance */
	mosaic_consume_hook hook;
	void *hook_data;
	/* Of queues that brokers tell us to pop: */
	uint32_t pop_batch;    /* messages per pop, 1..32: 32 */
	/* To consume a message in, before others get it: 60000. So long nobody gets what was
	 * popped for a consumer that has stopped before it could give it to its listener. */
	uint32_t invisible_ms;
};

/* *out: to be destroyed, before the client or by its destroy. MOSAIC_E_NOTFOUND: no such balance
 * plugin; broadcasting: MOSAIC_E_IO, MOSAIC_E_CORRUPT, the file of offsets. */
MOSAIC_EXPORT int32_t mosaic_consumer_create(struct mosaic_client *client,
					     const struct mosaic_consumer_options *options,
					     struct mosaic_consumer **out,
					     struct mosaic_error *error);
/* [blocks] Before and after start; again for a topic: replaced. expression: "a || b" or NULL for
 * all; SQL92: a condition, which a broker checks: MOSAIC_E_INVAL says why it is none,
 * MOSAIC_E_UNSUPPORTED that this broker takes none. */
MOSAIC_EXPORT int32_t mosaic_consumer_subscribe(struct mosaic_consumer *consumer, const char *topic,
						uint32_t kind, const char *expression,
						struct mosaic_error *error);
/* [blocks] for a moment. What a listener was given already goes on. */
MOSAIC_EXPORT int32_t mosaic_consumer_unsubscribe(struct mosaic_consumer *consumer,
						  const char *topic);
/* [blocks] for a moment. MOSAIC_E_INVAL: nothing is subscribed, or the client has a member of this
 * group already. Topics that do not exist yet are waited for. */
MOSAIC_EXPORT int32_t mosaic_consumer_start(struct mosaic_consumer *consumer,
					    struct mosaic_error *error);
/* No new calls of the listener until resume. */
MOSAIC_EXPORT void mosaic_consumer_suspend(struct mosaic_consumer *consumer);
MOSAIC_EXPORT void mosaic_consumer_resume(struct mosaic_consumer *consumer);
/* [blocks] Waits up to timeout_ms for the listener calls under way, commits offsets, unlocks
 * queues, unregisters. What was not consumed comes to another member. A consumer is not started
 * again. The client's stop does this with 10 s. */
MOSAIC_EXPORT void mosaic_consumer_stop(struct mosaic_consumer *consumer, uint32_t timeout_ms);
/* [blocks] mosaic_consumer_stop(0) where that was not done; then waits for the listener calls that
 * still run. NULL is fine. */
MOSAIC_EXPORT void mosaic_consumer_destroy(struct mosaic_consumer **consumer);

/* ---- pull ---- */

struct mosaic_puller_options {
	uint32_t struct_size;
	uint32_t model;
	const char *group; /* required */
	uint32_t batch;    /* messages per poll at most: 10 */
	uint32_t from;     /* enum mosaic_consume_from */
	int64_t from_ms;
	uint32_t pull_batch; /* 10 */
	uint32_t max_cached, max_cached_bytes, max_span;
	uint32_t is_manual; /* 1: offsets are committed by mosaic_puller_commit alone */
	uint32_t commit_ms; /* 5000 */
	const char *balance;
	const char *offset_dir;
	/* 1: reads assigned queues by itself: is no member of the group, begins where from says,
	 * and saves no offsets. For looking at a topic from outside. */
	uint32_t is_reader;
	uint32_t reserved0;
};

/* As mosaic_consumer_create. */
MOSAIC_EXPORT int32_t mosaic_puller_create(struct mosaic_client *client,
					   const struct mosaic_puller_options *options,
					   struct mosaic_puller **out, struct mosaic_error *error);
/* [blocks] Either subscribe (queues are shared out in the group) or assign (exactly these), not
 * both. Before and after start; assign again replaces the queues. MOSAIC_E_LIMIT: too many. */
MOSAIC_EXPORT int32_t mosaic_puller_subscribe(struct mosaic_puller *puller, const char *topic,
					      uint32_t kind, const char *expression,
					      struct mosaic_error *error);
MOSAIC_EXPORT int32_t mosaic_puller_assign(struct mosaic_puller *puller,
					   const struct mosaic_queue *queues, uint32_t count,
					   struct mosaic_error *error);
/* [blocks] After assign: which messages of a topic the assigned queues give, as for subscribe. */
MOSAIC_EXPORT int32_t mosaic_puller_filter(struct mosaic_puller *puller, const char *topic,
					   uint32_t kind, const char *expression,
					   struct mosaic_error *error);
/* [blocks] for a moment. As mosaic_consumer_start. */
MOSAIC_EXPORT int32_t mosaic_puller_start(struct mosaic_puller *puller, struct mosaic_error *error);
/*
 * [blocks] up to timeout_ms. *messages, *count: what came, 0 when nothing did; lent until the next
 * poll or destroy of this puller. One thread polls at a time. The next poll, a commit or the stop
 * takes them as consumed. MOSAIC_E_CLOSED: stopped or not started; MOSAIC_E_NOMEM: what came could
 * not be shown, the next poll shows it; MOSAIC_E_INVAL: another thread polls.
 */
MOSAIC_EXPORT int32_t mosaic_puller_poll(struct mosaic_puller *puller, uint32_t timeout_ms,
					 const struct mosaic_received **messages, uint32_t *count);
/* [blocks] Offsets of all that was polled, or of one queue. MOSAIC_E_TIMEOUT, MOSAIC_E_CLOSED,
 * MOSAIC_E_IO: not all of them are known to the broker; they are told again. */
MOSAIC_EXPORT int32_t mosaic_puller_commit(struct mosaic_puller *puller,
					   struct mosaic_error *error);
MOSAIC_EXPORT int32_t mosaic_puller_commit_offset(struct mosaic_puller *puller,
						  const struct mosaic_queue *queue, int64_t offset,
						  struct mosaic_error *error);
/* [blocks] for a moment. The next poll of this queue begins there; drops what is cached.
 * MOSAIC_E_NOTFOUND: not ours now, or not yet: see mosaic_puller_assignment. */
MOSAIC_EXPORT int32_t mosaic_puller_seek(struct mosaic_puller *puller,
					 const struct mosaic_queue *queue, int64_t offset);
/* [blocks] for a moment. A queue that is paused gives nothing; errors as for seek. */
MOSAIC_EXPORT int32_t mosaic_puller_pause(struct mosaic_puller *puller,
					  const struct mosaic_queue *queue, int32_t is_paused);
/* [blocks] for a moment. The queues that this member has now. *count in: room, out: how many. */
MOSAIC_EXPORT int32_t mosaic_puller_assignment(struct mosaic_puller *puller,
					       struct mosaic_queue *queues, uint32_t *count);
/* [blocks] Ends a poll, commits unless is_manual, unregisters. */
MOSAIC_EXPORT void mosaic_puller_stop(struct mosaic_puller *puller);
/* [blocks] NULL is fine. */
MOSAIC_EXPORT void mosaic_puller_destroy(struct mosaic_puller **puller);

/* [blocks] Offsets of a queue, asked of its broker. at_ms: first message stored at or after. */
MOSAIC_EXPORT int32_t mosaic_client_min_offset(struct mosaic_client *client,
					       const struct mosaic_queue *queue, int64_t *offset,
					       struct mosaic_error *error);
MOSAIC_EXPORT int32_t mosaic_client_max_offset(struct mosaic_client *client,
					       const struct mosaic_queue *queue, int64_t *offset,
					       struct mosaic_error *error);
MOSAIC_EXPORT int32_t mosaic_client_offset_at(struct mosaic_client *client,
					      const struct mosaic_queue *queue, int64_t at_ms,
					      int64_t *offset, struct mosaic_error *error);
/* MOSAIC_E_NOTFOUND: the group has none yet (brokers say 0 while a queue still has its first
 * message in memory). */
MOSAIC_EXPORT int32_t mosaic_client_committed(struct mosaic_client *client, const char *group,
					      const struct mosaic_queue *queue, int64_t *offset,
					      struct mosaic_error *error);

/* ---- pop ---- */

struct mosaic_popper_options {
	uint32_t struct_size;
	uint32_t batch;        /* 1..32: 16 */
	const char *group;     /* required */
	const char *topic;     /* required */
	const char *expression; /* NULL: all */
	uint32_t kind;          /* enum mosaic_expression */
	uint32_t invisible_ms;  /* nobody else gets a message for so long: 60000 */
	uint32_t poll_ms;       /* the broker holds an empty answer back: 15000 */
	uint32_t from; /* MOSAIC_FROM_LAST or _FIRST, of queues that are new to the group */
};

/* *out: to be destroyed, before the client or by its destroy. */
MOSAIC_EXPORT int32_t mosaic_popper_create(struct mosaic_client *client,
					   const struct mosaic_popper_options *options,
					   struct mosaic_popper **out, struct mosaic_error *error);
/* [blocks] As mosaic_puller_poll, but nothing is consumed before it is acknowledged. MOSAIC_E_IO:
 * the last that was heard of a broker, or its silence, was an error; MOSAIC_E_NOMEM: what came
 * is shown by the next receive, or comes again. */
MOSAIC_EXPORT int32_t mosaic_popper_receive(struct mosaic_popper *popper, uint32_t timeout_ms,
					    const struct mosaic_received **messages,
					    uint32_t *count);
/* [blocks] receipt: of the message; stays valid after the message is gone when it was copied. Any
 * thread. MOSAIC_E_INVAL: it is none; MOSAIC_E_NOTFOUND: the broker does not have the message. */
MOSAIC_EXPORT int32_t mosaic_popper_ack(struct mosaic_popper *popper, const char *receipt,
					struct mosaic_error *error);
/* [blocks] Comes again in invisible_ms; new_receipt: room for 512 bytes, may be NULL. */
MOSAIC_EXPORT int32_t mosaic_popper_change(struct mosaic_popper *popper, const char *receipt,
					   uint32_t invisible_ms, char *new_receipt,
					   struct mosaic_error *error);
/* [blocks] Ends a receive that waits. NULL is fine. */
MOSAIC_EXPORT void mosaic_popper_destroy(struct mosaic_popper **popper);

#ifdef __cplusplus
}
#endif
#endif
