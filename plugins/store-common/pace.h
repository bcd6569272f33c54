/*
 * Cold reads that leave room for the writer. Who reads the log from far back takes all that the
 * disk, the memory and the processors give, and those who send feel it: on two cores a reader of
 * 400 MB/s makes the p99 of a producer twice to five times as long. So while messages are being
 * written, cold reads have a rate; when nobody writes they are as fast as they can be.
 *
 * The rate is that of the option `coldRead`, or three times that of the writer where this is more,
 * as a reader who gets less than the writer would never come to the end.
 *
 * [core]
 */
#ifndef STORE_COMMON_PACE_H
#define STORE_COMMON_PACE_H

#include <mosaic/host.h>

#include <stdbool.h>
#include <stdint.h>

/* One read; the caller's, from pace_ask() until go() is called. */
struct pace_turn {
	struct pace_turn *next;
	/* How many bytes it has to fetch, asked when it is its turn; 0: somebody else has. */
	uint64_t (*cost)(struct pace_turn *turn);
	void (*go)(struct pace_turn *turn);
};

struct pace {
	const struct mosaic_host *host;
	const uint64_t *log_end; /* moves when messages are written */
	uint64_t least;          /* bytes a second; 0: reads never wait */
	uint64_t due_ns;         /* what was read so far is paid for then */
	uint64_t seen_ns, seen_end, written; /* the last look at the log, bytes a second until it */
	struct pace_turn *first, *last;
	struct mosaic_timer timer;
};

void pace_init(struct pace *pace, const struct mosaic_host *host, const uint64_t *log_end,
	       uint64_t least);
/* turn->go(): at once, or from a timer, in the order in which they were asked for. */
void pace_ask(struct pace *pace, struct pace_turn *turn);
/* Somebody writes: small pieces, so that what they hold up is short. */
bool pace_is_on(const struct pace *pace);
/* Nobody waits from now on: at close. */
void pace_hurry(struct pace *pace);

#endif
