/*
 * One thread per stream of messages. All but the short-lived ones send through one client, which
 * lives as long as the program.
 */
#include "soak.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 8
#define SHORT_SENDS 20

struct sending;

/* Storage of a callback. */
struct slot {
	struct sending *sending;
	uint32_t number;
	_Atomic bool is_used;
};

struct sending {
	struct producers *producers;
	enum stream stream;
	uint32_t weight; /* its part of the rate, in hundredths */
	struct mosaic_producer *producer;
	struct slot *slots;
	uint32_t n_slots, at;
	int64_t last[BROKERS][QUEUES]; /* ordered: offset of the last message */
	pthread_t thread;
};

struct producers {
	struct soak *soak;
	struct ledger *ledger;
	struct mosaic_client *client;
	struct sending sendings[STREAMS];
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint32_t n_paused;
	_Atomic bool is_pausing, is_ending;
};

static struct mosaic_message message(const char *topic, const uint8_t *body, uint32_t len)
{
	return (struct mosaic_message){ .struct_size = sizeof(struct mosaic_message),
					.topic = topic, .body = { body, len } };
}

static void producer_make(struct producers *p, struct mosaic_client *client, uint32_t linger_us,
			  struct mosaic_producer **out)
{
	struct mosaic_error error = { .struct_size = sizeof(error) };
	struct mosaic_producer_options o = { .struct_size = sizeof(o), .group = "SoakProducers",
					     .max_in_flight = 256,
					     .batch_linger_us = linger_us };

	if (mosaic_producer_create(client, &o, out, &error) != 0) {
		failure(p->soak, "producer: %s", error.text);
		abort();
	}
}

/* ---- one way to send each ---- */

static void send_sync(struct sending *s)
{
	struct ledger *l = s->producers->ledger;
	uint8_t body[BODY_MAX];
	uint32_t number, len;

	if (!ledger_begin(l, s->stream, &number, body, &len))
		return;
	struct mosaic_message m = message("Soak", body, len);
	ledger_accepted(l, s->stream, number);
	ledger_ended(l, s->stream, number, mosaic_producer_send(s->producer, &m, NULL));
}

/* What was acknowledged lies behind what was acknowledged before. */
static void check_offset(struct sending *s, const struct mosaic_send_result *r)
{
	int broker;

	if (sscanf(r->broker, "broker-%d", &broker) != 1 || broker < 0 || broker >= BROKERS ||
	    r->queue_id < 0 || r->queue_id >= QUEUES) {
		failure(s->producers->soak, "sent to nowhere: %s %d", r->broker, r->queue_id);
		return;
	}
	int64_t *last = &s->last[broker][r->queue_id];
	if (r->queue_offset <= *last)
		failure(s->producers->soak, "%s queue %d: offset %lld behind %lld", r->broker,
			r->queue_id, (long long)r->queue_offset, (long long)*last);
	*last = r->queue_offset;
}

static void send_ordered(struct sending *s)
{
	struct ledger *l = s->producers->ledger;
	struct mosaic_send_result result;
	uint8_t body[BODY_MAX];
	uint32_t number, len;
	char key[16];

	if (!ledger_begin(l, s->stream, &number, body, &len))
		return;
	struct mosaic_message m = message("SoakOrder", body, len);
	snprintf(key, sizeof(key), "key-%u", number % 31);
	m.sharding_key = key;
	ledger_accepted(l, s->stream, number);
	int32_t rc = mosaic_producer_send(s->producer, &m, &result);
	ledger_ended(l, s->stream, number, rc);
	if (rc == 0)
		check_offset(s, &result);
}

static void send_batch(struct sending *s)
{
	struct ledger *l = s->producers->ledger;
	struct mosaic_message m[BATCH];
	uint8_t *bodies = malloc(BATCH * BODY_MAX);
	uint32_t numbers[BATCH], n, len;

	for (n = 0; n < BATCH; n++) {
		uint8_t *body = bodies + (size_t)n * BODY_MAX;
		if (!ledger_begin(l, s->stream, &numbers[n], body, &len))
			break;
		m[n] = message("Soak", body, len);
		ledger_accepted(l, s->stream, numbers[n]);
	}
	int32_t rc = n > 0 ? mosaic_producer_send_batch(s->producer, m, n, NULL) : 0;
	for (uint32_t i = 0; i < n; i++)
		ledger_ended(l, s->stream, numbers[i], rc);
	free(bodies);
}

static void ended(void *data, const struct mosaic_send_result *result)
{
	struct slot *slot = data;
	struct sending *s = slot->sending;

	ledger_ended(s->producers->ledger, s->stream, slot->number, result->status);
	atomic_store(&slot->is_used, false);
}

static struct slot *slot_take(struct sending *s)
{
	for (uint32_t i = 0; i < s->n_slots; i++) {
		struct slot *slot = &s->slots[s->at++ % s->n_slots];
		if (!atomic_load(&slot->is_used))
			return slot;
	}
	return NULL;
}

static void send_async(struct sending *s)
{
	struct ledger *l = s->producers->ledger;
	struct slot *slot = slot_take(s);
	uint8_t body[BODY_MAX];
	uint32_t len;

	if (slot == NULL || !ledger_begin(l, s->stream, &slot->number, body, &len))
		return;
	struct mosaic_message m = message("Soak", body, len);
	atomic_store(&slot->is_used, true);
	int32_t rc = mosaic_producer_send_async(s->producer, &m, ended, slot);
	if (rc == 0) {
		ledger_accepted(l, s->stream, slot->number);
		return;
	}
	atomic_store(&slot->is_used, false);
	ledger_refused(l, s->stream);
	if (rc != MOSAIC_E_AGAIN)
		failure(s->producers->soak, "send: %s", mosaic_status_text(rc));
}

/* A client from its beginning to its end, which comes while its messages are under way. */
static void send_short(struct sending *s)
{
	struct producers *p = s->producers;
	struct mosaic_client *client = client_make(p->soak);

	producer_make(p, client, 0, &s->producer);
	for (int i = 0; i < SHORT_SENDS; i++)
		send_async(s);
	pause_ms(s->at / SHORT_SENDS % 40);
	mosaic_client_destroy(&client);
	for (uint32_t i = 0; i < s->n_slots; i++)
		if (atomic_load(&s->slots[i].is_used))
			failure(p->soak, "a client has ended, and message %d/%u has not",
				s->stream, s->slots[i].number);
}

/* ---- their threads ---- */

static const struct way {
	void (*send)(struct sending *s);
	uint32_t messages; /* in a call */
	uint32_t weight;
	uint32_t slots;
	uint32_t linger_us;
} ways[STREAMS] = {
	[STREAM_SYNC] = { send_sync, 1, 10, 0, 0 },
	[STREAM_ASYNC] = { send_async, 1, 30, 512, 0 },
	[STREAM_BATCH] = { send_batch, BATCH, 20, 0, 0 },
	[STREAM_LINGER] = { send_async, 1, 20, 512, 2000 },
	[STREAM_SHORT] = { send_short, SHORT_SENDS, 10, SHORT_SENDS, 0 },
	[STREAM_ORDERED] = { send_ordered, 1, 10, 0, 0 },
};

static void wait_when_paused(struct producers *p)
{
	if (!p->is_pausing)
		return;
	pthread_mutex_lock(&p->lock);
	p->n_paused++;
	pthread_cond_broadcast(&p->changed);
	while (p->is_pausing && !p->is_ending)
		pthread_cond_wait(&p->changed, &p->lock);
	p->n_paused--;
	pthread_mutex_unlock(&p->lock);
}

static void *sending_run(void *data)
{
	struct sending *s = data;
	struct producers *p = s->producers;
	const struct way *way = &ways[s->stream];
	uint64_t step = UINT64_C(100000000000) * way->messages / ((uint64_t)way->weight *
								  p->soak->rate);
	uint64_t due = now_ns();

	while (!p->is_ending) {
		wait_when_paused(p);
		way->send(s);
		due += step;
		uint64_t now = now_ns();
		if (due > now)
			pause_ms((uint32_t)((due - now) / 1000000));
		else if (now - due > UINT64_C(1000000000))
			due = now; /* what was missed is not made up for */
	}
	return NULL;
}

struct producers *producers_create(struct soak *s, struct ledger *l)
{
	struct producers *p = calloc(1, sizeof(*p));

	p->soak = s;
	p->ledger = l;
	p->client = client_make(s);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	for (enum stream i = 0; i < STREAMS; i++) {
		struct sending *one = &p->sendings[i];

		one->producers = p;
		one->stream = i;
		one->n_slots = ways[i].slots;
		one->slots = calloc(one->n_slots + 1, sizeof(*one->slots));
		for (uint32_t n = 0; n < one->n_slots; n++)
			one->slots[n].sending = one;
		memset(one->last, 0xff, sizeof(one->last));
		if (i != STREAM_SHORT)
			producer_make(p, p->client, ways[i].linger_us, &one->producer);
		if (pthread_create(&one->thread, NULL, sending_run, one) != 0)
			abort();
	}
	return p;
}

static bool is_idle(struct producers *p)
{
	struct mosaic_client_metrics m = { .struct_size = sizeof(m) };

	mosaic_client_metrics(p->client, &m);
	return m.bytes_held == 0 && ledger_open(p->ledger) == 0;
}

void producers_pause(struct producers *p)
{
	uint64_t until = now_ns() + PATIENCE_MS * UINT64_C(1000000);

	pthread_mutex_lock(&p->lock);
	p->is_pausing = true;
	while (p->n_paused < STREAMS)
		pthread_cond_wait(&p->changed, &p->lock);
	pthread_mutex_unlock(&p->lock);
	while (!is_idle(p) && now_ns() < until)
		pause_ms(5);
	if (!is_idle(p))
		failure(p->soak, "producers are not idle: %llu messages have no end",
			(unsigned long long)ledger_open(p->ledger));
}

void producers_resume(struct producers *p)
{
	pthread_mutex_lock(&p->lock);
	p->is_pausing = false;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

void producers_destroy(struct producers **pp)
{
	struct producers *p = *pp;

	pthread_mutex_lock(&p->lock);
	p->is_ending = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	for (int i = 0; i < STREAMS; i++)
		pthread_join(p->sendings[i].thread, NULL);
	mosaic_client_destroy(&p->client);
	for (int i = 0; i < STREAMS; i++)
		free(p->sendings[i].slots);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->changed);
	free(p);
	*pp = NULL;
}
