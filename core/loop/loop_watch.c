#include "loop/loop_watch.h"

void loop_watch_init(struct loop_watch *watch, uint64_t now_ns, uint64_t idle_ns)
{
	loop_watch_reset(watch);
	watch->skips = false;
	watch->last_ns = now_ns;
	watch->last_idle_ns = idle_ns;
}

void loop_watch_turn(struct loop_watch *watch, uint64_t now_ns, uint64_t idle_ns)
{
	uint64_t passed = now_ns - watch->last_ns;
	uint64_t idle = idle_ns - watch->last_idle_ns;
	uint64_t busy = passed > idle ? passed - idle : 0; /* the clocks are not read at once */

	watch->last_ns = now_ns;
	watch->last_idle_ns = idle_ns;
	if (watch->skips) {
		watch->skips = false;
		return;
	}
	hist_add(&watch->turns, busy);
	if (busy > LOOP_STALL_NS)
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
		.p50_ns = hist_quantile(&watch->turns, 0.5),
		.p99_ns = hist_quantile(&watch->turns, 0.99),
		.max_ns = watch->turns.max,
		.busy_ns = watch->turns.sum,
	};
}

void loop_watch_reset(struct loop_watch *watch)
{
	hist_reset(&watch->turns);
	watch->stalls = 0;
}
