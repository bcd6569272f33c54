/*
 * A broker, a client and a producer, and a sink where listeners put what they get. The broker is a
 * `mosaic` of the test's own, or, with MOSAIC_CLIENT_NAMESRV (a port on this machine) in the
 * environment, one that runs already: tests/interop gives it Apache's. MOSAIC_CLIENT_CAN says what
 * the latter can do that ours cannot yet.
 */
#ifndef CLIENT_CONSUME_RIG_H
#define CLIENT_CONSUME_RIG_H

#include "robust.h"
#include <mosaic/consumer.h>
#include <mosaic/producer.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LONG_MS 45000 /* for an event that must come: the machine may be slow */
#define SINK_MAX 4096

/* What a listener was given, and how it answers. */
struct sink {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct {
		char body[64];
		char topic[64];
		int32_t queue, reconsumed;
		int64_t offset;
	} got[SINK_MAX];
	uint32_t count;
	uint32_t running, most_running; /* calls of the listener */
	/* 0: consumed; else how often the first tries of a message are refused */
	int32_t refusals;
	bool is_blocked; /* calls wait while it is */
};

static inline void sink_init(struct sink *s)
{
	memset(s, 0, sizeof(*s));
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
}

static inline void sink_fini(struct sink *s)
{
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->changed);
}

static inline void sink_add(struct sink *s, const struct mosaic_received *m)
{
	if (s->count == SINK_MAX)
		return;
	snprintf(s->got[s->count].body, sizeof(s->got[0].body), "%.*s", (int)m->body.len,
		 (const char *)m->body.ptr);
	snprintf(s->got[s->count].topic, sizeof(s->got[0].topic), "%s", m->topic);
	s->got[s->count].queue = m->queue_id;
	s->got[s->count].offset = m->queue_offset;
	s->got[s->count].reconsumed = m->reconsume_times;
	s->count++;
}

static int32_t sink_listen(void *data, const struct mosaic_received *messages, uint32_t count,
			   uint32_t *consumed)
{
	struct sink *s = data;
	int32_t result = MOSAIC_CONSUMED;

	(void)consumed;
	pthread_mutex_lock(&s->lock);
	s->running++;
	if (s->running > s->most_running)
		s->most_running = s->running;
	for (uint32_t i = 0; i < count; i++) {
		sink_add(s, &messages[i]);
		if (messages[i].reconsume_times < s->refusals)
			result = MOSAIC_CONSUME_LATER;
	}
	pthread_cond_broadcast(&s->changed);
	while (s->is_blocked)
		pthread_cond_wait(&s->changed, &s->lock);
	s->running--;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	return result;
}

static inline void sink_block(struct sink *s, bool is_blocked)
{
	pthread_mutex_lock(&s->lock);
	s->is_blocked = is_blocked;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

/* Waits until there are n; their number when the time is over. */
static inline uint32_t sink_wait(struct sink *s, uint32_t n)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += LONG_MS / 1000;
	pthread_mutex_lock(&s->lock);
	while (s->count < n && pthread_cond_timedwait(&s->changed, &s->lock, &until) == 0)
		;
	n = s->count;
	pthread_mutex_unlock(&s->lock);
	return n;
}

static inline uint32_t sink_count(struct sink *s)
{
	pthread_mutex_lock(&s->lock);
	uint32_t n = s->count;
	pthread_mutex_unlock(&s->lock);
	return n;
}

/* How many different numbers below SINK_MAX came to the sinks as bodies. */
static inline uint32_t sinks_distinct(struct sink *s, uint32_t n_sinks)
{
	bool seen[SINK_MAX] = { false }; /* no memory of the heap: a test lets that fail */
	uint32_t n = 0;

	for (uint32_t i = 0; i < n_sinks; i++) {
		pthread_mutex_lock(&s[i].lock);
		for (uint32_t j = 0; j < s[i].count; j++) {
			int number = atoi(s[i].got[j].body);
			n += !seen[number];
			seen[number] = true;
		}
		pthread_mutex_unlock(&s[i].lock);
	}
	return n;
}

static inline uint32_t sink_distinct(struct sink *s)
{
	return sinks_distinct(s, 1);
}

static inline void pause_ms(uint32_t ms)
{
	struct timespec t = { .tv_nsec = (long)ms * 1000000 };
	nanosleep(&t, NULL);
}

/* Until condition, which is looked at often; fails the test when it never comes true. */
#define AWAIT(condition)                                                                          \
	do {                                                                                      \
		uint64_t until_ = now_ns() + LONG_MS * UINT64_C(1000000);                         \
		while (!(condition)) {                                                            \
			if (now_ns() > until_)                                                    \
				fail_msg("never: %s", #condition);                                \
			pause_ms(5);                                                              \
		}                                                                                 \
	} while (0)

struct rig {
	struct child child;
	char dir[64]; /* a fresh folder */
	uint16_t namesrv;
	struct mosaic_client *client;
	struct mosaic_producer *producer;
};

static inline bool is_elsewhere(void)
{
	return getenv("MOSAIC_CLIENT_NAMESRV") != NULL;
}

/* Whether the broker has a feature; the reason for leaving a test out is printed. */
static inline bool can(const char *what)
{
	const char *list = getenv("MOSAIC_CLIENT_CAN");

	if (list != NULL && strstr(list, what) != NULL)
		return true;
	print_message("left out: this broker has no %s\n", what);
	return false;
}

static inline struct mosaic_client *rig_client(struct rig *r)
{
	struct mosaic_client *client;
	struct mosaic_error err = { .struct_size = sizeof(err) };
	char namesrv[64];

	snprintf(namesrv, sizeof(namesrv), "127.0.0.1:%u", r->namesrv);
	struct mosaic_client_options o = { .struct_size = sizeof(o), .namesrv = namesrv };
	assert_int_equal(mosaic_client_create(&o, &client, &err), 0);
	assert_int_equal(mosaic_client_start(client, &err), 0);
	return client;
}

/* broker: members of the broker's section, each behind a comma. */
static inline void rig_init(struct rig *r, const char *broker)
{
	struct mosaic_error err = { .struct_size = sizeof(err) };

	child_init(&r->child);
	snprintf(r->dir, sizeof(r->dir), "%s", r->child.dir);
	if (is_elsewhere()) {
		r->namesrv = (uint16_t)atoi(getenv("MOSAIC_CLIENT_NAMESRV"));
	} else {
		child_config(&r->child, "", "flush-async", "", broker);
		child_start(&r->child);
		r->namesrv = r->child.namesrv;
	}
	r->client = rig_client(r);
	struct mosaic_producer_options o = { .struct_size = sizeof(o), .timeout_ms = 10000 };
	assert_int_equal(mosaic_producer_create(r->client, &o, &r->producer, &err), 0);
}

static inline void rig_fini(struct rig *r)
{
	mosaic_client_destroy(&r->client);
	child_fini(&r->child);
}

/* Sends "0", "1", ... with that tag and key (each may be NULL). */
static inline void rig_send(struct rig *r, const char *topic, int from, int to, const char *tag,
			    const char *key)
{
	for (int i = from; i < to; i++) {
		char body[16];
		snprintf(body, sizeof(body), "%d", i);
		struct mosaic_message m = { .struct_size = sizeof(m), .topic = topic, .tag = tag,
					    .sharding_key = key,
					    .body = { (const uint8_t *)body, strlen(body) } };
		struct mosaic_send_result result;
		int32_t rc = mosaic_producer_send(r->producer, &m, &result);
		if (rc != 0)
			fail_msg("send: %s", result.text);
	}
}

/* A name of this run's own: the broker may have been used before. Lives until the next but 7. */
static inline const char *own(const char *name)
{
	static char texts[8][64];
	static uint32_t next;
	char *text = texts[next++ % 8];

	snprintf(text, sizeof(texts[0]), "%s-%d", name, (int)getpid());
	return text;
}

/* Setup of a program: a broker that was just started takes its time until it is in routes. */
static inline int rig_await(void **state)
{
	struct mosaic_message m = { .struct_size = sizeof(m), .topic = own("Ready"),
				    .body = { (const uint8_t *)"x", 1 } };
	struct rig r;

	(void)state;
	if (!is_elsewhere())
		return 0;
	rig_init(&r, "");
	AWAIT(mosaic_producer_send(r.producer, &m, NULL) == 0);
	rig_fini(&r);
	return 0;
}

static inline struct mosaic_consumer_options rig_options(const char *group, struct sink *sink)
{
	return (struct mosaic_consumer_options){
		.struct_size = sizeof(struct mosaic_consumer_options),
		.group = group,
		.listener = sink_listen,
		.listener_data = sink,
		.from = MOSAIC_FROM_FIRST,
		.threads = 4,
	};
}

static inline struct mosaic_consumer *rig_consumer(struct mosaic_client *client,
						   const struct mosaic_consumer_options *o,
						   const char *topic, const char *expression)
{
	struct mosaic_consumer *c = NULL;
	struct mosaic_error err = { .struct_size = sizeof(err) };

	if (mosaic_consumer_create(client, o, &c, &err) != 0 ||
	    mosaic_consumer_subscribe(c, topic, MOSAIC_TAGS, expression, &err) != 0 ||
	    mosaic_consumer_start(c, &err) != 0)
		fail_msg("consumer: %s", err.text);
	return c;
}

#endif
