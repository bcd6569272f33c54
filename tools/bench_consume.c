/* mosaic bench consume, e2e: what a push consumer with one listener thread gets. */
#include "bench.h"
#include <stdio.h>
#include <string.h>

#define WAIT_NS UINT64_C(30000000000) /* for the first message, and for the last */
#define POLL_NS UINT64_C(1000000)

struct receiver {
	struct bench *bench;
	struct mosaic_consumer *consumer;
	bool is_e2e;
	atomic_uint_fast64_t seen; /* of this run, warm-up included */
};

/* The due time of a message of this run; 0: of another. */
static uint64_t due_of(const struct bench *b, struct mosaic_slice body)
{
	char text[BENCH_STAMP + 1];
	unsigned long long run, due;

	if (body.len < BENCH_STAMP)
		return 0;
	memcpy(text, body.ptr, BENCH_STAMP);
	text[BENCH_STAMP] = '\0';
	if (sscanf(text, "%16llx%16llx", &run, &due) != 2 || run != b->run)
		return 0;
	return due;
}

/* [listener thread, the only one] */
static int32_t on_messages(void *data, const struct mosaic_received *messages, uint32_t count,
			   uint32_t *consumed)
{
	struct receiver *r = data;

	(void)consumed;
	for (uint32_t i = 0; i < count; i++) {
		struct mosaic_slice body = messages[i].body;
		uint64_t due_ns = r->is_e2e ? due_of(r->bench, body) : 0;
		if (r->is_e2e && due_ns == 0)
			continue; /* of an earlier run */
		bench_add(r->bench, due_ns, body.len, false);
		atomic_fetch_add(&r->seen, 1);
	}
	return MOSAIC_CONSUMED;
}

static int receive_start(struct receiver *r)
{
	struct bench *b = r->bench;
	struct mosaic_consumer_options options = { .struct_size = sizeof(options),
						   .group = b->group,
						   .listener = on_messages,
						   .listener_data = r,
						   .threads = 1,
						   .batch = 32,
						   .from = MOSAIC_FROM_FIRST };
	struct mosaic_error err = { .code = 0 };

	int rc = mosaic_consumer_create(b->client, &options, &r->consumer, &err);
	if (rc == 0)
		rc = mosaic_consumer_subscribe(r->consumer, b->topic, MOSAIC_TAGS, NULL, &err);
	if (rc == 0)
		rc = mosaic_consumer_start(r->consumer, &err);
	if (rc != 0)
		snprintf(b->error, sizeof(b->error), "%s", err.text);
	return rc;
}

/* Waits until so many were seen; false after WAIT_NS. */
static bool wait_seen(struct receiver *r, uint64_t count)
{
	uint64_t end_ns = bench_now_ns() + WAIT_NS;

	while (atomic_load(&r->seen) < count) {
		if (bench_now_ns() > end_ns)
			return false;
		bench_sleep_until(bench_now_ns() + POLL_NS);
	}
	return true;
}

int bench_consume(struct bench *b)
{
	struct receiver r = { .bench = b };
	uint64_t next_line = b->begin_ns;
	uint64_t end_ns = b->measure_ns + (uint64_t)b->seconds * UINT64_C(1000000000);
	int rc = receive_start(&r);

	while (rc == 0 && bench_now_ns() < end_ns) {
		bench_progress(b, &next_line);
		bench_sleep_until(bench_now_ns() + 10 * POLL_NS);
	}
	mosaic_consumer_destroy(&r.consumer);
	if (rc == 0)
		bench_show(b, "received", (uint64_t)b->seconds * UINT64_C(1000000000));
	return rc;
}

/* One message there and back: the topic is made and the consumer has its queues. */
static int first_message(struct bench *b, struct receiver *r)
{
	int64_t rate = b->rate, seconds = b->seconds;
	uint64_t sent;

	b->rate = 1;
	b->seconds = 1;
	bench_begin(b, 0);
	int rc = bench_send(b, &sent, false);
	b->rate = rate;
	b->seconds = seconds;
	if (rc == 0 && !wait_seen(r, sent)) {
		snprintf(b->error, sizeof(b->error), "no message came back within 30 s");
		rc = MOSAIC_E_TIMEOUT;
	}
	return rc;
}

int bench_e2e(struct bench *b)
{
	struct receiver r = { .bench = b, .is_e2e = true };
	uint64_t warmup_ns = b->measure_ns - b->begin_ns, sent = 0;
	int rc = receive_start(&r);

	if (rc == 0)
		rc = first_message(b, &r);
	if (rc == 0) {
		uint64_t before = atomic_load(&r.seen);
		bench_begin(b, warmup_ns); /* nothing is under way */
		rc = bench_send(b, &sent, false);
		if (rc == 0 && !wait_seen(&r, before + sent)) {
			snprintf(b->error, sizeof(b->error), "%llu of %llu messages came back",
				 (unsigned long long)(atomic_load(&r.seen) - before),
				 (unsigned long long)sent);
			rc = MOSAIC_E_TIMEOUT;
		}
	}
	mosaic_consumer_destroy(&r.consumer);
	if (rc == 0)
		bench_show(b, "received", (uint64_t)b->seconds * UINT64_C(1000000000));
	return rc;
}
