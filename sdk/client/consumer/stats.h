/*
 * How fast a topic is pulled and consumed: sums, looked at every 10 s and every 10 min, of which
 * the last seven are kept, as StatsItem of 5.3.3 does for admins. [core]
 */
#ifndef CONSUMER_STATS_H
#define CONSUMER_STATS_H

#include "base/host.h"
#include "wire/json.h"
#include <stdbool.h>
#include <stdint.h>

#define STATS_PERIOD_NS (10 * SECOND_NS)
#define STATS_PER_LONG 60 /* short periods in a long one */
#define STATS_KEPT 7

struct stats_sums {
	uint64_t at_ms;
	uint64_t pulls, pull_ms, pulled;              /* answers with messages */
	uint64_t calls, consume_ms, consumed, failed; /* of the listener; messages */
};

struct stats_ring {
	struct stats_sums at[STATS_KEPT];
	uint32_t n;
};

struct topic_stats {
	struct stats_sums now;
	struct stats_ring minute, hour;
};

/* An answer with messages has come; a call of the listener has ended. */
static inline void stats_pulled(struct stats_sums *s, uint64_t took_ms, uint64_t n)
{
	s->pulls++;
	s->pull_ms += took_ms;
	s->pulled += n;
}
static inline void stats_called(struct stats_sums *s, int64_t took_ms, uint32_t n,
				uint32_t consumed)
{
	s->calls++;
	s->consume_ms += took_ms > 0 ? (uint64_t)took_ms : 0;
	s->consumed += consumed;
	s->failed += n - consumed;
}

void stats_sample(struct topic_stats *s, uint64_t now_ms, bool is_long);
/* The members of a ConsumeStatus; the object is open. */
void stats_write(const struct topic_stats *s, struct json_writer *w);

#endif
