/* What the kinds of mosaic bench share: options, the clock, the figures and how they are shown. */
#ifndef TOOLS_BENCH_H
#define TOOLS_BENCH_H

#include "base/hist.h"
#include <mosaic/producer.h>
#include <mosaic/consumer.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

#define BENCH_STAMP 32 /* first bytes of a body: run and due time in hex */

struct bench {
	const char *namesrv, *topic, *group;
	int64_t size, rate, in_flight, seconds, warmup; /* rate 0: as fast as answers come */
	bool as_json, quiet;

	struct mosaic_client *client;
	uint64_t run;                  /* tells the messages of this run */
	uint64_t begin_ns, measure_ns; /* when it began, when warm-up ended */
	pthread_mutex_t lock; /* guards what follows up to the blank line, and measure_ns */
	struct hist latency;
	uint64_t done, failed; /* after warm-up; done includes failed */
	uint64_t bytes;

	char error[512]; /* of the first that failed; by the client's thread until it stops */
};

uint64_t bench_now_ns(void);
void bench_sleep_until(uint64_t ns);
/* One answer or message: latency since due_ns, counted when the warm-up is over by then.
 * due_ns 0: without a latency. */
void bench_add(struct bench *b, uint64_t due_ns, uint64_t bytes, bool failed);
/* Counts from here on: what came before is forgotten. */
void bench_begin(struct bench *b, uint64_t warmup_ns);
/* A line on a terminal once a second, until seconds have passed. Returns at once when it is not
 * time for a line. */
void bench_progress(struct bench *b, uint64_t *next_ns);
void bench_show(const struct bench *b, const char *what, uint64_t took_ns);

/* Sends until the time is over; stamps every body. 0 or a negative status. */
int bench_send(struct bench *b, uint64_t *sent, bool count_answers);

/* Kinds. 0 or a negative status with b->error set. */
int bench_produce(struct bench *b);
int bench_consume(struct bench *b);
int bench_e2e(struct bench *b);

#endif
