#include "consumer/stats.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void add(struct stats_ring *r, const struct stats_sums *now, uint64_t period_ms)
{
	if (r->n == 0)
		r->at[r->n++] = (struct stats_sums){ .at_ms = now->at_ms - period_ms };
	if (r->n == STATS_KEPT)
		memmove(&r->at[0], &r->at[1], --r->n * sizeof(r->at[0]));
	r->at[r->n++] = *now;
}

void stats_sample(struct topic_stats *s, uint64_t now_ms, bool is_long)
{
	const uint64_t period_ms = STATS_PERIOD_NS / MS_NS;

	s->now.at_ms = now_ms;
	add(&s->minute, &s->now, period_ms);
	if (is_long)
		add(&s->hour, &s->now, STATS_PER_LONG * period_ms);
}

/* What was added in the time of the ring. */
static struct stats_sums growth(const struct stats_ring *r)
{
	static const struct stats_sums none;
	const struct stats_sums *a = r->n > 0 ? &r->at[0] : &none;
	const struct stats_sums *b = r->n > 0 ? &r->at[r->n - 1] : &none;

	return (struct stats_sums){
		.at_ms = b->at_ms - a->at_ms, .pulls = b->pulls - a->pulls,
		.pull_ms = b->pull_ms - a->pull_ms, .pulled = b->pulled - a->pulled,
		.calls = b->calls - a->calls, .consume_ms = b->consume_ms - a->consume_ms,
		.consumed = b->consumed - a->consumed, .failed = b->failed - a->failed,
	};
}

/* A fraction with three digits, in no locale. */
static void put(struct json_writer *w, const char *key, uint64_t sum, uint64_t by)
{
	uint64_t thousandths = by > 0 ? sum * 1000 / by : 0;
	char text[48];
	int len = snprintf(text, sizeof(text), "%" PRIu64 ".%03u", thousandths / 1000,
			   (unsigned)(thousandths % 1000));

	jw_key(w, key);
	jw_raw(w, slice(text, (size_t)len));
}

void stats_write(const struct topic_stats *s, struct json_writer *w)
{
	struct stats_sums minute = growth(&s->minute), hour = growth(&s->hour);
	const struct stats_sums *calls = minute.consume_ms > 0 ? &minute : &hour;

	jw_put_i64(w, "consumeFailedMsgs", (int64_t)hour.failed);
	put(w, "consumeFailedTPS", minute.failed * 1000, minute.at_ms);
	put(w, "consumeOKTPS", minute.consumed * 1000, minute.at_ms);
	put(w, "consumeRT", calls->consume_ms, calls->calls);
	put(w, "pullRT", minute.pull_ms, minute.pulls);
	put(w, "pullTPS", minute.pulled * 1000, minute.at_ms);
}
