#include "loop/loop_watch.h"

void loop_watch_init(struct loop_watch *watch, const struct loop_time *time)
{
	loop_watch_reset(watch);
	watch->skips = false;
	watch->last = *time;
}

/* One sleep of a turn that waited is poll's. */
static bool is_displaced(const struct loop_time *from, const struct loop_time *to)
{
	uint64_t in_poll = to->idle_ns > from->idle_ns ? 1 : 0;

	return to->cpu_ns - from->cpu_ns <= LOOP_STALL_NS && to->sleeps - from->sleeps <= in_poll;
}

void loop_watch_turn(struct loop_watch *watch, const struct loop_time *time)
{
	struct loop_time last = watch->last;
	uint64_t passed = time->now_ns - last.now_ns;
	uint64_t idle = time->idle_ns - last.idle_ns;
	uint64_t busy = passed > idle ? passed - idle : 0; /* the clocks are not read at once */

	watch->last = *time;
	if (watch->skips) {
		watch->skips = false;
		return;
	}
	hist_add(&watch->turns, busy);
	if (busy <= LOOP_STALL_NS)
		return;
	if (is_displaced(&last, time))
		watch->displaced++;
	else
		watch->stalls++;
}

void loop_watch_skip(struct loop_watch *watch)
{
	watch->skips = true;
}

struct loop_stats loop_watch_stats(const struct loop_watch *watch)
{
	return (struct loop_stats){
		.turns = watch->turns.count,
		.stalls = watch->stalls,
		.displaced = watch->displaced,
		.p50_ns = hist_quantile(&watch->turns, 0.5),
		.p99_ns = hist_quantile(&watch->turns, 0.99),
		.max_ns = watch->turns.max,
		.busy_ns = watch->turns.sum,
	};
}

void loop_watch_reset(struct loop_watch *watch)
{
	hist_reset(&watch->turns);
	watch->stalls = watch->displaced = 0;
}
