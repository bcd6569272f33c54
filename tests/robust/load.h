/*
 * Load with a memory: a client that sends with many requests under way and remembers, for every
 * queue and offset that was acknowledged, what was sent there. Later everything must be there.
 */
#ifndef ROBUST_LOAD_H
#define ROBUST_LOAD_H

#include "robust.h"

#define LOAD_QUEUES 4

struct load {
	const char *topic;
	uint64_t next;                /* number of the next message; its body begins with it */
	uint64_t n_acked;             /* of all runs */
	uint64_t *acked[LOAD_QUEUES]; /* by offset: number + 1, or 0 */
	int64_t size[LOAD_QUEUES];    /* of acked[] */
	int64_t found[LOAD_QUEUES];   /* by the last load_check */
	uint64_t under_way;           /* sent on the connection, not answered yet */
	size_t body_bytes;
	int32_t refused;  /* code of the last refusal, 0: none */
	char remark[256]; /* its text */
	uint32_t n_refused;
};

void load_init(struct load *l, const char *topic, size_t body_bytes);
void load_free(struct load *l);
/* Sends until n more are acknowledged or refused, with a window of requests under way. Leaves the
 * connection open: load_drain takes what is still to come. False: the broker closed it. */
bool load_run(struct load *l, struct client *c, uint64_t n, uint32_t window);
/* Takes answers until the other side closes. */
void load_drain(struct load *l, struct client *c);
/* Pulls everything: each acknowledged message is where its answer said, offsets are dense. */
void load_check(struct load *l, uint16_t port);

/* The same where a first part may be all that is left: what is there must be right, what lay behind
 * it is not asked for any more. */
void load_forget_lost(struct load *l, uint16_t port);

#endif
