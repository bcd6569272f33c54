#include "broker/stats.h"
#include "base/mem.h"
#include <stdlib.h>

#define KEY_MAX 512
#define ITEMS_MAX 500000 /* topics, and topic@group pairs */

static const uint32_t step_seconds[STATS_SPANS] = { 10, 600, 14400 };

static void sample(struct mosaic_timer *timer);

struct broker_stats *stats_create(struct broker *b)
{
	struct broker_stats *s = mem_alloc(sizeof(*s));

	s->broker = b;
	s->timer.fire = sample;
	s->timer.data = s;
	return s;
}

static void items_free(struct map *items)
{
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(items, &pos)) != NULL;)
		free(e->value);
	map_free(items);
}

void stats_destroy(struct broker_stats *s)
{
	stats_stop(s);
	items_free(&s->puts);
	items_free(&s->gets);
	free(s);
}

void stats_start(struct broker_stats *s)
{
	s->broker->host->timer_start(s->broker->host, &s->timer, SECOND_NS);
}

void stats_stop(struct broker_stats *s)
{
	s->broker->host->timer_stop(s->broker->host, &s->timer);
}

/* ---- counting --------------------------------------------------------------------------- */

static struct stats_item *item_of(struct map *items, struct mosaic_slice key)
{
	struct stats_item *item = map_get(items, key);

	if (item || map_count(items) >= ITEMS_MAX)
		return item;
	item = mem_alloc(sizeof(*item));
	map_put(items, key, item);
	return item;
}

static void count(struct stats_item *item, uint32_t n, uint64_t bytes)
{
	if (!item)
		return;
	item->messages += n;
	item->bytes += bytes;
	item->calls++;
}

void stats_put(struct broker_stats *s, struct topic *topic, uint32_t n, uint64_t bytes)
{
	s->now.put_messages += n;
	s->now.put_bytes += bytes;
	if (UNLIKELY(!topic->puts))
		topic->puts = item_of(&s->puts, slice(topic->name, topic->name_len));
	count(topic->puts, n, bytes);
}

/* "topic@group" in the caller's memory; len 0 when it is longer than any real pair. */
static struct mosaic_slice make_key(uint8_t room[KEY_MAX], struct mosaic_slice topic,
				    struct mosaic_slice group)
{
	if (topic.len + 1 + group.len > KEY_MAX || topic.len == 0 || group.len == 0)
		return slice(room, 0);
	memcpy(room, topic.ptr, topic.len);
	room[topic.len] = '@';
	memcpy(room + topic.len + 1, group.ptr, group.len);
	return slice(room, topic.len + 1 + group.len);
}

void stats_got(struct broker_stats *s, struct mosaic_slice topic, struct mosaic_slice group,
	       uint32_t n, uint64_t bytes)
{
	uint8_t room[KEY_MAX];
	struct mosaic_slice key;

	if (n == 0) {
		s->now.gets_missed++;
		return;
	}
	s->now.gets_found++;
	s->now.got_messages += n;
	s->now.got_bytes += bytes;
	key = make_key(room, topic, group);
	if (key.len > 0)
		count(item_of(&s->gets, key), n, bytes);
}

void stats_delete_topic(struct broker_stats *s, struct mosaic_slice topic)
{
	struct map_entry *e;

	free(map_remove(&s->puts, topic));
	for (uint32_t pos = 0; (e = map_next(&s->gets, &pos)) != NULL;) {
		if (e->key.len > topic.len && e->key.ptr[topic.len] == '@' &&
		    slice_eq(slice(e->key.ptr, topic.len), topic))
			free(map_remove(&s->gets, e->key));
	}
}

/* ---- sampling --------------------------------------------------------------------------- */

static void sample_items(struct broker_stats *s, const struct map *items, enum stats_span span)
{
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(items, &pos)) != NULL;) {
		struct stats_item *item = e->value;
		uint64_t *at = item->rings[span][s->n_samples[span] % STATS_ITEM_SAMPLES];

		at[0] = item->messages;
		at[1] = item->bytes;
		at[2] = item->calls;
	}
}

static void sample(struct mosaic_timer *timer)
{
	struct broker_stats *s = timer->data;

	s->seconds[s->n_seconds++ % STATS_SECONDS] = s->now;
	for (int span = 0; span < STATS_SPANS; span++) {
		if (s->n_seconds % step_seconds[span] != 0)
			continue;
		sample_items(s, &s->puts, (enum stats_span)span);
		sample_items(s, &s->gets, (enum stats_span)span);
		s->n_samples[span]++;
	}
	stats_start(s);
}

/* ---- rates ------------------------------------------------------------------------------ */

static uint64_t total_at(const struct stats_totals *t, size_t member)
{
	uint64_t value;

	memcpy(&value, (const char *)t + member, sizeof(value));
	return value;
}

double stats_rate(const struct broker_stats *s, size_t member, uint32_t seconds)
{
	uint64_t span = s->n_seconds < seconds + 1 ? s->n_seconds : seconds + 1, first, last;

	if (span < 2)
		return 0;
	last = total_at(&s->seconds[(s->n_seconds - 1) % STATS_SECONDS], member);
	first = total_at(&s->seconds[(s->n_seconds - span) % STATS_SECONDS], member);
	return (double)(last - first) / (double)(span - 1);
}

void stats_item_sums(const struct broker_stats *s, const struct stats_item *item,
		     enum stats_span span, uint64_t out[3], uint32_t *seconds)
{
	static const uint64_t boot[3];
	uint64_t n = s->n_samples[span];
	bool is_full = n >= STATS_ITEM_SAMPLES;
	/* The oldest sample of a full ring is the start of the span. */
	const uint64_t *first = is_full ? item->rings[span][n % STATS_ITEM_SAMPLES] : boot;

	out[0] = item->messages - first[0];
	out[1] = item->bytes - first[1];
	out[2] = item->calls - first[2];
	*seconds = (STATS_ITEM_SAMPLES - 1) * step_seconds[span];
	if (!is_full && s->n_seconds < *seconds)
		*seconds = s->n_seconds > 0 ? (uint32_t)s->n_seconds : 1;
}

double stats_item_tps(const struct broker_stats *s, const struct stats_item *item)
{
	uint64_t sums[3];
	uint32_t seconds;

	if (!item)
		return 0;
	stats_item_sums(s, item, STATS_MINUTE, sums, &seconds);
	return (double)sums[0] / seconds;
}

struct stats_item *stats_topic_puts(const struct broker_stats *s, struct mosaic_slice topic)
{
	return map_get(&s->puts, topic);
}

struct stats_item *stats_group_gets(const struct broker_stats *s, struct mosaic_slice topic,
				    struct mosaic_slice group)
{
	uint8_t room[KEY_MAX];
	struct mosaic_slice key = make_key(room, topic, group);

	return key.len > 0 ? map_get(&s->gets, key) : NULL;
}
