/*
 * One message, or one batch, on its way: made on any thread, sent on the client's thread.
 * Everything of a send lies in one block of memory. [core] unless said otherwise.
 */
#ifndef CLIENT_SEND_H
#define CLIENT_SEND_H

#include "balancer.h"
#include "engine.h"
#include <mosaic/producer.h>

struct tracer;

/* What the sends of one producer share. Does not change while they are on their way. */
struct sender {
	struct engine *engine;
	const char *group;
	const struct balancer *balance; /* for messages without a key */
	const struct balancer *by_key;  /* lb-hash */
	uint32_t attempts, default_queues;
	uint64_t timeout_ns;
	uint32_t max_message, compress_above, compression;
	mosaic_send_hook hook;
	void *hook_data;
	struct tracer *tracer; /* NULL: no message trace */
	struct list sends;     /* struct send.link: on the client's thread */
};

struct send {
	struct mosaic_req post; /* the owner's, to come onto the client's thread */
	struct list link;
	struct sender *sender;
	struct route_wait wait;
	struct ask ask;
	struct mosaic_timer deadline;
	const char *topic;  /* in the block */
	const char *key;    /* sharding key, NULL: none */
	const char *broker; /* exactly this one's queue queue_id; NULL: chosen */
	struct mosaic_slice props, body;
	int32_t code; /* REQ_SEND_MESSAGE_V2, REQ_SEND_BATCH_MESSAGE, REQ_SEND_REPLY_MESSAGE_V2 */
	int32_t sys_flag, queue_id;
	uint32_t attempts_left;
	bool is_oneway, is_ended, may_batch;
	char *ids; /* of a batch: those the broker gave, separated by commas; may be NULL */
	struct broker *to; /* of this attempt */
	uint64_t due_ns, sent_ns;
	size_t weight; /* what it counts against the bounds */
	char *view; /* properties with 0 for 1 and 2, when there is a hook; name 0 value 0 ... */
	void (*done)(struct send *send); /* once; owns the send again */
	void *data;
	/* producer.c's: whom it tells */
	void (*ended)(void *data, const struct mosaic_send_result *result);
	void *ended_data;
	struct mosaic_send_result result; /* last: it is not zeroed as the rest is */
};

/* What a message is sent as. Zero: a message like any other. */
struct send_shape {
	const struct mosaic_property *more; /* properties of the library */
	uint32_t n_more;
	int32_t sys_flag;
	int32_t code; /* 0: REQ_SEND_MESSAGE_V2 */
	bool is_oneway;
};

/* Checks and copies a message, compresses its body. id: its message id. 0, E_INVAL, E_LIMIT or
 * E_NOMEM. [any] */
NODISCARD int send_make(struct sender *sender, const struct mosaic_message *m, const char *id,
			const struct send_shape *shape, struct send **out);
/* A batch of so many bytes, which are written to *body before it is started: 0 or E_NOMEM. [any] */
NODISCARD int send_make_batch(struct sender *sender, const char *topic, size_t bytes,
			      const char *id, struct send **out, uint8_t **body);
#define BATCH_ITEM_FIXED 22 /* 4 size, 4 magic, 4 crc, 4 flag, 4 body length, 2 properties */
/* Bytes that a message needs in a batch; 0: it is not valid there. [any] */
size_t batch_item_len(const struct sender *sender, const struct mosaic_message *m, const char *id);
/* Write them and return their end. [any] */
uint8_t *batch_item_put(uint8_t *at, const struct mosaic_message *m, const char *id);
uint8_t *batch_item_encode(uint8_t *at, struct mosaic_slice body, struct mosaic_slice props);
void send_free(struct send *s); /* [any] */

/* done() runs exactly once, maybe inside. s->done and s->data are set. */
void send_start(struct send *s);
void send_end(struct send *s, int status, const char *text); /* no-op when it has ended */

/* Calls the producer's hook, if there is one; result NULL: before. */
void send_hook(struct send *s, const struct mosaic_send_result *result);

/* Whether brokers and Java's clients take it as a topic's name. [any] */
bool topic_is_valid(const char *topic);

#endif
