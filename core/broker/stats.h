/*
 * What the broker counts (BrokerStatsManager, StoreStatsService of 5.3.3): totals for the node's
 * rate keys, and messages per topic and per topic@group. Counting is a few additions; each second
 * the totals are sampled, each ten seconds or less often the items, and rates are differences of
 * samples. All [core].
 */
#ifndef BROKER_STATS_H
#define BROKER_STATS_H

#include "broker/broker.h"
#include "broker/topics.h"

#define STATS_SECONDS 601 /* samples of the totals: ten minutes */
/* Items are sampled in steps of 10 s, 10 min and 4 h; seven samples span a minute, an hour,
 * a day. */
#define STATS_ITEM_SAMPLES 7
enum stats_span { STATS_MINUTE, STATS_HOUR, STATS_DAY, STATS_SPANS };

struct stats_totals {
	uint64_t put_messages, put_bytes, put_failed;
	uint64_t got_messages, got_bytes;
	uint64_t gets_found, gets_missed; /* pulls that were answered with and without messages */
};

/* Messages of one topic (put) or of one topic and group (got). */
struct stats_item {
	uint64_t messages, bytes, calls;
	uint64_t rings[STATS_SPANS][STATS_ITEM_SAMPLES][3]; /* of messages, bytes, calls */
};

struct broker_stats {
	struct broker *broker;
	struct stats_totals now;
	struct stats_totals seconds[STATS_SECONDS]; /* ring; the next: n_seconds % STATS_SECONDS */
	uint64_t n_seconds, n_samples[STATS_SPANS];
	struct map puts, gets; /* topic, topic@group -> struct stats_item */
	struct mosaic_timer timer;
};

struct broker_stats *stats_create(struct broker *b);
void stats_destroy(struct broker_stats *s);
void stats_start(struct broker_stats *s); /* the sampling timer */
void stats_stop(struct broker_stats *s);

/* n messages were stored in a topic; one call per request. */
void stats_put(struct broker_stats *s, struct topic *topic, uint32_t n, uint64_t bytes);
static inline void stats_put_failed(struct broker_stats *s) { s->now.put_failed++; }
/* A pull was answered with n messages; 0 counts as a miss. */
void stats_got(struct broker_stats *s, struct mosaic_slice topic, struct mosaic_slice group,
	       uint32_t n, uint64_t bytes);

void stats_delete_topic(struct broker_stats *s, struct mosaic_slice topic);
/* Messages, bytes and calls of the last minute, hour or day (or since boot), and how long that
 * is. */
void stats_item_sums(const struct broker_stats *s, const struct stats_item *item,
		     enum stats_span span, uint64_t out[3], uint32_t *seconds);
/* Messages a second over the last minute; 0 for NULL. */
double stats_item_tps(const struct broker_stats *s, const struct stats_item *item);
struct stats_item *stats_topic_puts(const struct broker_stats *s, struct mosaic_slice topic);
struct stats_item *stats_group_gets(const struct broker_stats *s, struct mosaic_slice topic,
				    struct mosaic_slice group);
/* Rates of one total over `seconds`; member is offsetof(struct stats_totals, ...). */
double stats_rate(const struct broker_stats *s, size_t member, uint32_t seconds);

#endif
