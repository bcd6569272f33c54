/*
 * How long the core thread works in one turn of its loop, from the return of poll to the next poll:
 * what a request that arrives at a bad moment waits for before anybody looks at it. A long turn has
 * one of two reasons: the thread itself worked or slept (a stall, a fault of this program), or it
 * was ready to go on and the machine gave its core to somebody else (displaced).
 */
#ifndef LOOP_LOOP_WATCH_H
#define LOOP_LOOP_WATCH_H

#include "base/hist.h"
#include <stdbool.h>

#define LOOP_STALL_NS 1000000 /* the contract: nothing on the core thread takes longer */

/* Clocks of the thread, all growing since some start. */
struct loop_time {
	uint64_t now_ns;
	uint64_t idle_ns; /* spent waiting in poll */
	uint64_t cpu_ns;  /* of processor time, the kernel's for this thread included */
	uint64_t sleeps;  /* times that it gave up its core by itself, in poll included */
};

struct loop_watch {
	struct hist turns;  /* nanoseconds from poll to poll per turn, without the wait in poll */
	uint64_t stalls;    /* turns in which the thread worked, or slept, above LOOP_STALL_NS */
	uint64_t displaced; /* turns that took as long because the thread did not have a core */
	struct loop_time last;
	bool skips; /* the present turn does not count */
};

struct loop_stats {
	uint64_t turns, stalls, displaced;
	uint64_t p50_ns, p99_ns, max_ns, busy_ns; /* busy: sum of all turns */
};

void loop_watch_init(struct loop_watch *watch, const struct loop_time *time);
/* Once per turn, just before poll. */
void loop_watch_turn(struct loop_watch *watch, const struct loop_time *time);
/* A signal ended the wait of this turn: libuv counts such a wait as work. The turn is left out. */
void loop_watch_skip(struct loop_watch *watch);
struct loop_stats loop_watch_stats(const struct loop_watch *watch);
/* Starts a new period for stats. */
void loop_watch_reset(struct loop_watch *watch);

#endif
