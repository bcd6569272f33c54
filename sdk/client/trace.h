/*
 * Message trace: what happened to messages, written to RMQ_SYS_TRACE_TOPIC as Java's clients write
 * it (TraceDataEncoder, 5.3.3). Traces are collected for a second and sent together; what cannot be
 * sent is lost, and nobody waits. [core]
 */
#ifndef CLIENT_TRACE_H
#define CLIENT_TRACE_H

#include "send.h"

#define TRACE_TOPIC "RMQ_SYS_TRACE_TOPIC"

struct tracer {
	struct sender sender;
	struct buf records;
	struct map keys; /* message ids and keys of these records: tools look for them */
	struct mosaic_timer timer;
	uint32_t n_sending;
	bool is_closed; /* what comes now is lost */
};

/* balance: lent, for the sends of traces. */
void tracer_init(struct tracer *t, struct engine *e, const struct balancer *balance);
/* A record: fields, joined by TRACE_FIELD and ended by TRACE_RECORD. keys: separated by blanks. */
#define TRACE_FIELD '\1'
#define TRACE_RECORD '\2'
void tracer_add(struct tracer *t, struct mosaic_slice record, struct mosaic_slice message_id,
		struct mosaic_slice keys);
/* Sends what is there, and ends those on their way: oneway, so that they have left. */
void tracer_close(struct tracer *t);
void tracer_free(struct tracer *t); /* after tracer_close */

/* The record of a send that was answered. region: property MSG_REGION of the answer. */
void trace_sent(struct tracer *t, const struct send *s, struct mosaic_slice region);

/* How a transaction ended, told to the broker or about to be. Texts may be NULL. */
struct trace_end {
	const char *topic, *message_id, *transaction_id, *tag, *keys, *address;
	int32_t state; /* enum mosaic_transaction */
	bool is_checked; /* the broker had asked */
};
void trace_ended(struct tracer *t, const char *group, const struct trace_end *end);

/* A timer message was taken back, or was not. region: as above. */
void trace_recalled(struct tracer *t, const char *group, const char *topic, const char *message_id,
		    struct mosaic_slice region, bool is_recalled);

#endif
