/*
 * Members of four groups, each with a client of its own: two of a push group, two of an orderly
 * one, a puller, and one that gets everything (broadcasting).
 */
#include "soak.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_IN 2000 /* one message of so many is refused at its first try */

struct consumer {
	struct soak *soak;
	struct ledger *ledger;
	enum group group;
	struct mosaic_client *client;
	struct mosaic_consumer *consumer;
	struct mosaic_puller *puller;
	pthread_t thread; /* that polls */
};

struct consumers {
	struct consumer members[MEMBERS];
};

static const enum group groups[MEMBERS] = { GROUP_PUSH, GROUP_PUSH, GROUP_ORDERED, GROUP_ORDERED,
					    GROUP_PULL, GROUP_CAST };

static const char *const names[GROUPS] = {
	[GROUP_PUSH] = "SoakPush",
	[GROUP_PULL] = "SoakPull",
	[GROUP_CAST] = "SoakCast",
	[GROUP_ORDERED] = "SoakOrdered",
};

/* Refused messages come again after 10 s, for which a short run has no time. */
static bool is_refused(const struct consumer *c, const struct mosaic_received *m)
{
	return c->group == GROUP_PUSH && c->soak->seconds > 60 && m->reconsume_times == 0 &&
	       m->queue_offset % RETRY_IN == RETRY_IN - 1;
}

static int32_t listen(void *data, const struct mosaic_received *messages, uint32_t count,
		      uint32_t *consumed)
{
	struct consumer *c = data;

	for (uint32_t i = 0; i < count; i++) {
		if (is_refused(c, &messages[i])) {
			*consumed = i;
			return MOSAIC_CONSUMED;
		}
		if (c->group == GROUP_ORDERED)
			ledger_in_order(c->ledger, &messages[i]);
		ledger_seen(c->ledger, c->group, &messages[i]);
		if (c->group == GROUP_ORDERED)
			ledger_passed(c->ledger, &messages[i]);
	}
	return MOSAIC_CONSUMED;
}

static void *poll_run(void *data)
{
	struct consumer *c = data;
	const struct mosaic_received *messages;
	uint32_t count;

	while (mosaic_puller_poll(c->puller, 1000, &messages, &count) == 0)
		for (uint32_t i = 0; i < count; i++)
			ledger_seen(c->ledger, c->group, &messages[i]);
	return NULL;
}

static void check(struct consumer *c, int32_t rc, const struct mosaic_error *error)
{
	if (rc == 0)
		return;
	failure(c->soak, "member of group %d: %s", c->group, error->text);
	abort();
}

static void puller_begin(struct consumer *c)
{
	struct mosaic_error e = { .struct_size = sizeof(e) };
	struct mosaic_puller_options o = { .struct_size = sizeof(o), .group = names[c->group],
					   .from = MOSAIC_FROM_FIRST, .batch = 32,
					   .pull_batch = 32 };

	check(c, mosaic_puller_create(c->client, &o, &c->puller, &e), &e);
	check(c, mosaic_puller_subscribe(c->puller, "Soak", MOSAIC_TAGS, NULL, &e), &e);
	check(c, mosaic_puller_start(c->puller, &e), &e);
	if (pthread_create(&c->thread, NULL, poll_run, c) != 0)
		abort();
}

static void push_begin(struct consumer *c)
{
	struct mosaic_error e = { .struct_size = sizeof(e) };
	struct mosaic_consumer_options o = {
		.struct_size = sizeof(o), .group = names[c->group], .listener = listen,
		.listener_data = c, .from = MOSAIC_FROM_FIRST, .threads = 4, .batch = 8,
		.is_orderly = c->group == GROUP_ORDERED,
		.model = c->group == GROUP_CAST ? MOSAIC_BROADCASTING : MOSAIC_CLUSTERING,
		.offset_dir = c->soak->dir,
	};
	const char *topic = c->group == GROUP_ORDERED ? "SoakOrder" : "Soak";

	check(c, mosaic_consumer_create(c->client, &o, &c->consumer, &e), &e);
	check(c, mosaic_consumer_subscribe(c->consumer, topic, MOSAIC_TAGS, NULL, &e), &e);
	check(c, mosaic_consumer_start(c->consumer, &e), &e);
}

static void begin(struct consumer *c)
{
	c->client = client_make(c->soak);
	if (c->group == GROUP_PULL)
		puller_begin(c);
	else
		push_begin(c);
}

static void end(struct consumer *c)
{
	if (c->puller != NULL) {
		mosaic_puller_stop(c->puller);
		pthread_join(c->thread, NULL);
		mosaic_puller_destroy(&c->puller);
	}
	mosaic_consumer_destroy(&c->consumer);
	mosaic_client_destroy(&c->client);
}

struct consumers *consumers_create(struct soak *s, struct ledger *l)
{
	struct consumers *c = calloc(1, sizeof(*c));

	for (int i = 0; i < MEMBERS; i++) {
		c->members[i] = (struct consumer){ .soak = s, .ledger = l, .group = groups[i] };
		begin(&c->members[i]);
	}
	return c;
}

void consumers_renew(struct consumers *c, uint32_t i)
{
	end(&c->members[i]);
	begin(&c->members[i]);
}

uint64_t consumers_bytes(struct consumers *c)
{
	struct mosaic_client_metrics m = { .struct_size = sizeof(m) };
	uint64_t sum = 0;

	for (int i = 0; i < MEMBERS; i++) {
		mosaic_client_metrics(c->members[i].client, &m);
		sum += m.bytes_held;
	}
	return sum;
}

void consumers_destroy(struct consumers **c)
{
	for (int i = 0; i < MEMBERS; i++)
		end(&(*c)->members[i]);
	free(*c);
	*c = NULL;
}
