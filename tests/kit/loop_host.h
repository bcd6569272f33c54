/*
 * A struct mosaic_host with real threads, time and descriptors, for contract tests of plugins that
 * own threads and files. The test's thread is the core thread; what is due runs inside
 * loop_host_turn and loop_host_until, never elsewhere. (The host with a clock that the test moves
 * is support/fake_host.h.)
 *
 *   struct loop_host h;
 *   loop_host_init(&h);
 *   ops->open(store, &req);
 *   assert_true(loop_host_until(&h, &is_done, 5000));
 *   loop_host_fini(&h);
 *
 * LOOP_HOST_LOG=1 in the environment prints the log lines to stderr.
 */
#ifndef KIT_LOOP_HOST_H
#define KIT_LOOP_HOST_H

#include <mosaic/host.h>
#include <pthread.h>
#include <stdbool.h>

#define LOOP_HOST_WORKERS 2
#define LOOP_HOST_WATCHES 16

struct loop_host {
	struct mosaic_host host; /* pass &h.host */
	pthread_t core, workers[LOOP_HOST_WORKERS];
	pthread_mutex_t mutex; /* guards what follows, up to the blank line */
	pthread_cond_t work_came;
	struct mosaic_req *posted, **posted_tail;
	struct mosaic_req *works, **works_tail;
	bool is_stopping;
	uint64_t upto[MOSAIC_WATERMARKS];
	uint32_t promise[MOSAIC_WATERMARKS];
	struct mosaic_error failure; /* of the first fail() */
	uint32_t n_failed;           /* calls of fail() */
	char log[4096];              /* the last lines: "event text\n" */
	size_t log_len;
	int64_t n_allocated; /* alloc() without free() */

	int wake_fd;
	struct mosaic_timer *timers; /* by due_ns; linked through reserved[0] */
	struct mosaic_watch *watches[LOOP_HOST_WATCHES];
	uint64_t seed;
	const void *(*extension)(void *ctx, const char *id); /* may be NULL */
	void *extension_ctx;
};

void loop_host_init(struct loop_host *h);
/* Lets workers finish; what is posted or running afterwards is forgotten. */
void loop_host_fini(struct loop_host *h);
/* Runs what is due; waits for it at most wait_ms. */
void loop_host_turn(struct loop_host *h, int wait_ms);
/* Turns until *flag is not 0; false after timeout_ms. */
bool loop_host_until(struct loop_host *h, const uint32_t *flag, int timeout_ms);
bool loop_host_logged(struct loop_host *h, const char *text);

#endif
