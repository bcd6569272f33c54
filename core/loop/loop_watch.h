/*
 * How long the core thread works in one turn of its loop, from the return of poll to the next poll:
 * what a request that arrives at a bad moment waits for before anybody looks at it.
 */
#ifndef LOOP_LOOP_WATCH_H
#define LOOP_LOOP_WATCH_H

#include "base/hist.h"
#include <stdbool.h>

#define LOOP_STALL_NS 1000000 /* the contract: nothing on the core thread takes longer */

struct loop_watch {
	struct hist turns; /* nanoseconds of work per turn */
	uint64_t stalls;   /* turns above LOOP_STALL_NS */
	uint64_t last_ns, last_idle_ns;
	bool skips; /* the present turn does not count */
};

struct loop_stats {
	uint64_t turns, stalls;
	uint64_t p50_ns, p99_ns, max_ns, busy_ns; /* busy: sum of all turns */
};

void loop_watch_init(struct loop_watch *watch, uint64_t now_ns, uint64_t idle_ns);
/* Once per turn, just before poll. idle_ns: all time spent waiting in poll so far. */
void loop_watch_turn(struct loop_watch *watch, uint64_t now_ns, uint64_t idle_ns);
/* A signal ended the wait of this turn: libuv counts such a wait as work. The turn is left out. */
void loop_watch_skip(struct loop_watch *watch);
struct loop_stats loop_watch_stats(const struct loop_watch *watch);
/* Starts a new period for stats. */
void loop_watch_reset(struct loop_watch *watch);

#endif
