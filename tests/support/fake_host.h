/*
 * A struct mosaic_host with a clock that the test moves. Nothing runs by itself: posted requests,
 * work and due timers run inside fake_host_run and fake_host_advance_ms, on the test's thread.
 *
 *   struct fake_host h;
 *   fake_host_init(&h);
 *   thing = thing_create(&h.host);
 *   fake_host_run(&h);               everything that is due now
 *   fake_host_advance_ms(&h, 120000); timers fire at their own time, in order
 *   assert_true(fake_host_logged(&h, "broker_expired"));
 *   fake_host_fini(&h);
 *
 * FAKE_HOST_LOG=1 in the environment prints the log lines to stderr.
 */
#ifndef SUPPORT_FAKE_HOST_H
#define SUPPORT_FAKE_HOST_H

#include "base/buf.h"
#include "base/host.h"

struct fake_host {
	struct mosaic_host host; /* pass &h.host */
	uint64_t now_ns;         /* starts at one second */
	struct timer_heap timers;
	struct mosaic_req *first, *last;           /* posted, in order */
	struct mosaic_req *first_work, *last_work; /* run on the next fake_host_run */
	uint64_t seed;
	struct buf log; /* "level event text\n" */
	uint64_t upto[MOSAIC_WATERMARKS];
	uint32_t promise[MOSAIC_WATERMARKS];
	struct mosaic_error failure; /* of the first fail() */
	bool failed;
	int64_t fail_alloc_in; /* the n-th alloc() from now fails; 0: none does */
	const void *(*extension)(const char *id); /* may be NULL */
};

#define FAKE_WALL_MS UINT64_C(1700000000000) /* wall_ms() when now_ns is 0 */

void fake_host_init(struct fake_host *h);
/* Forgets what is still posted or running. */
void fake_host_fini(struct fake_host *h);
/* Runs until nothing is due at this moment. */
void fake_host_run(struct fake_host *h);
void fake_host_advance_ms(struct fake_host *h, uint64_t ms);
/* How many timers are running. */
uint32_t fake_host_timers(const struct fake_host *h);
/* Whether a log line so far holds the text; fake_host_clear_log starts anew. */
bool fake_host_logged(struct fake_host *h, const char *text);
void fake_host_clear_log(struct fake_host *h);

#endif
