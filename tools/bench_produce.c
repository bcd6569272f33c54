/*
 * mosaic bench produce: one thread sends, at most in_flight unanswered. At a given rate each
 * message has a due time, and its latency counts from there, whenever it could really be sent: a
 * broker that stands still for a second is seen by all messages of that second ("coordinated
 * omission").
 */
#include "bench.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sender {
	struct bench *bench;
	struct mosaic_producer *producer;
	sem_t room; /* messages that may be sent before an answer comes */
	bool counts;
};

struct sending {
	struct sender *sender;
	uint64_t due_ns;
};

/* [client's thread] */
static void on_answer(void *data, const struct mosaic_send_result *result)
{
	struct sending *s = data;
	struct bench *b = s->sender->bench;

	if (result->status != 0 && b->error[0] == '\0')
		snprintf(b->error, sizeof(b->error), "%s", result->text);
	if (s->sender->counts || result->status != 0)
		bench_add(b, s->due_ns, (uint64_t)b->size, result->status != 0);
	sem_post(&s->sender->room);
	free(s);
}

static int send_one(struct sender *sender, struct mosaic_message *m, char *body, uint64_t due_ns)
{
	struct sending *s = mem_alloc(sizeof(*s));
	char stamp[BENCH_STAMP + 1];

	s->sender = sender;
	s->due_ns = due_ns;
	snprintf(stamp, sizeof(stamp), "%016llx%016llx", (unsigned long long)sender->bench->run,
		 (unsigned long long)due_ns);
	memcpy(body, stamp, BENCH_STAMP);
	int rc = mosaic_producer_send_async(sender->producer, m, on_answer, s);
	if (rc != 0) {
		snprintf(sender->bench->error, sizeof(sender->bench->error), "%s",
			 mosaic_status_text(rc));
		free(s);
	}
	return rc;
}

static int send_all(struct sender *sender, uint64_t *sent)
{
	struct bench *b = sender->bench;
	char *body = mem_alloc((size_t)b->size);
	uint64_t end_ns = b->measure_ns + (uint64_t)b->seconds * UINT64_C(1000000000);
	uint64_t next_line = b->begin_ns;
	struct mosaic_message m = { .struct_size = sizeof(m), .topic = b->topic,
				    .body = { (const uint8_t *)body, (size_t)b->size } };
	int rc = 0;

	memset(body, 'm', (size_t)b->size);
	for (*sent = 0; rc == 0; ++*sent) {
		uint64_t due_ns = bench_now_ns();
		if (b->rate > 0) {
			due_ns = b->begin_ns + *sent * UINT64_C(1000000000) / (uint64_t)b->rate;
			bench_sleep_until(due_ns);
		}
		bench_progress(b, &next_line);
		if (due_ns >= end_ns)
			break;
		while (sem_wait(&sender->room) != 0) {} /* a signal came */
		rc = send_one(sender, &m, body, due_ns);
	}
	free(body);
	return rc;
}

int bench_send(struct bench *b, uint64_t *sent, bool count_answers)
{
	struct sender sender = { .bench = b, .counts = count_answers };
	struct mosaic_producer_options options = { .struct_size = sizeof(options),
						   .group = "mosaic-bench",
						   .timeout_ms = 10000,
						   .attempts = 1,
						   .compress_above = UINT32_MAX,
						   .max_in_flight = (uint32_t)b->in_flight,
						   .max_in_flight_bytes = UINT64_MAX };
	struct mosaic_error err = { .code = 0 };

	int rc = mosaic_producer_create(b->client, &options, &sender.producer, &err);
	if (rc != 0) {
		snprintf(b->error, sizeof(b->error), "%s", err.text);
		return rc;
	}
	sem_init(&sender.room, 0, (unsigned)b->in_flight);
	rc = send_all(&sender, sent);
	mosaic_producer_stop(sender.producer, 15000);
	mosaic_producer_destroy(&sender.producer);
	sem_destroy(&sender.room);
	return rc;
}

int bench_produce(struct bench *b)
{
	uint64_t sent;
	int rc = bench_send(b, &sent, true);

	if (rc == 0)
		bench_show(b, "sent", (uint64_t)b->seconds * UINT64_C(1000000000));
	return rc;
}
