/*
 * Automatic batches: messages of one topic that are sent within a short time of each other go as
 * one request. [core]
 */
#ifndef CLIENT_LINGER_H
#define CLIENT_LINGER_H

#include "send.h"

struct linger_set {
	struct sender *sender;
	uint64_t wait_ns;
	size_t bytes;      /* a batch that has so many goes at once */
	struct map topics; /* topic -> struct linger */
};

/* A send that may wait for others: its may_batch is set. It ends by its own done(). */
void linger_add(struct linger_set *set, struct send *s);
/* Ends those that wait with E_CANCELED; the set can be used again. */
void linger_cancel(struct linger_set *set);
/* After linger_cancel. */
void linger_free(struct linger_set *set);

#endif
