/* Several received messages in one array, as listeners and polls want them. [any] */
#ifndef CONSUMER_RECEIVED_SET_H
#define CONSUMER_RECEIVED_SET_H

#include "received.h"

struct received_set {
	struct mosaic_received *messages;
	uint32_t count, room;
	struct received **owners;
};

#define RECEIVED_SET_INIT { NULL, 0, 0, NULL }
#define RECEIVED_BODY_MAX (64u << 20) /* of a body, decompressed */

NODISCARD int received_set_init(struct received_set *set, uint32_t room); /* 0 or E_NOMEM */
/* A copy, under the topic that was subscribed. A body that cannot be decompressed is given as it is
 * stored. 0 or E_NOMEM. */
NODISCARD int received_set_add(struct received_set *set, const struct message *m,
			       const char *broker);
void received_set_free(struct received_set *set); /* and back to INIT */

/* The subscribed topic of a message: that of a retry is in its properties. */
struct mosaic_slice received_topic(const struct message *m);

#endif
