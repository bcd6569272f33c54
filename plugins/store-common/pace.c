#include "pace.h"

#define SECOND_NS UINT64_C(1000000000)
#define LOOK_NS (SECOND_NS / 10) /* the writer's rate is measured over at least so long */
#define SLACK_NS (SECOND_NS / 100) /* that a reader may be ahead, having been behind */
#define WRITER_LEAST (UINT64_C(16) << 10) /* bytes a second; with less there is nobody to spare */
#define WRITER_TIMES 3

static void pace_look(struct pace *pace, uint64_t now)
{
	uint64_t end = *pace->log_end, passed = now - pace->seen_ns;
	if (passed < LOOK_NS)
		return;
	uint64_t grown = end > pace->seen_end ? end - pace->seen_end : 0;
	/* Of a long time without reads nothing is known but the mean. */
	pace->written = (uint64_t)((double)grown * SECOND_NS / (double)passed);
	if (pace->seen_ns == 0)
		pace->written = 0;
	pace->seen_ns = now;
	pace->seen_end = end;
}

bool pace_is_on(const struct pace *pace)
{
	return pace->least > 0 && pace->written >= WRITER_LEAST;
}

/* How long the next read has to wait; 0: it goes, and is accounted for. */
static uint64_t pace_wait(struct pace *pace, uint64_t n_bytes)
{
	uint64_t now = pace->host->now_ns(pace->host);
	pace_look(pace, now);
	if (!pace_is_on(pace)) {
		pace->due_ns = 0;
		return 0;
	}
	if (n_bytes == 0)
		return 0;
	if (pace->due_ns > now)
		return pace->due_ns - now;
	uint64_t rate = pace->written * WRITER_TIMES;
	rate = rate > pace->least ? rate : pace->least;
	uint64_t from = pace->due_ns + SLACK_NS > now ? pace->due_ns : now - SLACK_NS;
	pace->due_ns = from + (uint64_t)((double)n_bytes * SECOND_NS / (double)rate);
	return 0;
}

static void pace_go(struct pace *pace)
{
	while (pace->first) {
		struct pace_turn *turn = pace->first;
		uint64_t wait_ns = pace_wait(pace, turn->cost(turn));
		if (wait_ns > 0) {
			pace->host->timer_start(pace->host, &pace->timer, wait_ns);
			return;
		}
		pace->first = turn->next;
		turn->go(turn);
	}
}

static void pace_fire(struct mosaic_timer *timer)
{
	pace_go(timer->data);
}

void pace_init(struct pace *pace, const struct mosaic_host *host, const uint64_t *log_end,
	       uint64_t least)
{
	*pace = (struct pace){ .host = host, .log_end = log_end, .least = least };
	pace->timer.fire = pace_fire;
	pace->timer.data = pace;
}

void pace_ask(struct pace *pace, struct pace_turn *turn)
{
	bool is_first = !pace->first;
	turn->next = NULL;
	if (is_first)
		pace->first = turn;
	else
		pace->last->next = turn;
	pace->last = turn;
	if (is_first)
		pace_go(pace);
}

void pace_hurry(struct pace *pace)
{
	pace->least = 0;
	pace->host->timer_stop(pace->host, &pace->timer);
	pace_go(pace);
}
