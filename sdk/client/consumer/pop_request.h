/* POP_MESSAGE and what ends a popped message, for poppers and push consumers. */
#ifndef CONSUMER_POP_REQUEST_H
#define CONSUMER_POP_REQUEST_H

#include "consumer/receipt.h"
#include "consumer/subscription.h"
#include "wire/header.h"

struct pop_request {
	const char *group, *topic, *broker;
	const struct subscription *sub;
	int32_t queue_id; /* -1: any */
	uint32_t batch;   /* 1..32 */
	uint32_t invisible_ms;
	uint64_t hold_ms; /* the broker holds an empty answer back */
	int64_t now_ms;
	bool is_from_first; /* in queues that are new to the group */
};

size_t pop_request_room(const struct pop_request *r);
void pop_request_put(const struct pop_request *r, struct header_writer *w);

/* ACK_MESSAGE, or CHANGE_MESSAGE_INVISIBLETIME when is_change. */
struct pop_ending {
	const char *group, *topic, *receipt; /* topic: that was subscribed */
	struct receipt parts;                /* of the receipt */
	bool is_change;
	uint32_t invisible_ms; /* change: it comes again then */
};

int32_t pop_ending_code(const struct pop_ending *e);
size_t pop_ending_room(const struct pop_ending *e);
void pop_ending_put(const struct pop_ending *e, struct header_writer *w);

#endif
