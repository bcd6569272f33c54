/*
 * mosaic consume: its options, what both ways of reading share, and the two ways: as a member of a
 * group (consume_group.c), or alone (consume_alone.c).
 */
#ifndef TOOLS_CONSUME_H
#define TOOLS_CONSUME_H

#include "base/err.h"
#include "interrupt.h"
#include "show.h"
#include <mosaic/consumer.h>
#include <stdatomic.h>

#define CONSUME_LOOK_MS 50 /* between two looks for signals and at the clock */

struct consume {
	/* the command line */
	const char *namesrv, *topic, *group, *tag, *sql;
	int64_t from;               /* a moment: MOMENT_FIRST, MOMENT_LAST, ms */
	int64_t from_offset, queue; /* -1: not given */
	int64_t count;              /* 0: without end */
	int64_t timeout_s;          /* 0: none */
	struct show show;

	struct mosaic_client *client;
	struct interrupt interrupt;
	struct mosaic_queue *queues;
	uint32_t n_queues;
	int64_t seen;
	uint64_t last_ns;       /* when a message came, or it began */
	atomic_bool is_told;    /* of a broker that does not answer, since the last message */
	struct mosaic_error err;
};

/* Prints one. 0; 1: it was the last that is wanted; MOSAIC_E_IO with err set. */
NODISCARD int consume_print(struct consume *c, const struct mosaic_received *m);
/* 0: go on; 1: a signal has come; MOSAIC_E_TIMEOUT with err set. */
NODISCARD int consume_look(struct consume *c);
uint32_t consume_from(const struct consume *c); /* enum mosaic_consume_from */
uint32_t consume_kind(const struct consume *c); /* enum mosaic_expression */
const char *consume_expression(const struct consume *c);

/* Until --count, a signal or an error. 0 or an error with err set. */
NODISCARD int consume_alone(struct consume *c);
NODISCARD int consume_in_group(struct consume *c);

#endif
