/*
 * The loop of one core thread: libuv's loop, the timers, the door for other threads (post) and the
 * worker pool. Every struct host (host.h) of a node shares one.
 *
 *   1. Everything but host_loop_post and host_loop_stop is for the core thread, which is the thread
 *      that called init, or later the one that calls run.
 *   2. A turn: timers, posted requests, output of the transports (their prepare handles), poll.
 *      What I/O callbacks post runs before the output of the same turn leaves.
 *   3. Nothing is posted after fini begins: the threads that could have been joined by then.
 */
#ifndef LOOP_HOST_LOOP_H
#define LOOP_HOST_LOOP_H

#include "base/host.h"
#include "loop/logger.h"
#include "loop/loop_watch.h"
#include <mosaic/ext/libuv.h>
#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

struct host_work;

struct host_loop {
	uv_loop_t uv;
	struct logger *logger;
	struct mosaic_ext_libuv libuv; /* the extension */
	_Atomic(pthread_t) thread;     /* relaxed: a thread only asks whether it is itself */
	/* Posted requests, newest first. Pushed with release, taken whole with acquire. */
	_Atomic(struct mosaic_req *) posted;
	int wake_fd; /* an eventfd: somebody else posted */
	uv_poll_t wake;
	uv_idle_t again;       /* the core thread posted: poll does not wait */
	_Atomic bool stopping; /* relaxed: `wake` carries the order */
	struct timer_heap timers;
	uv_timer_t timer; /* runs at armed_ms while the heap is not empty */
	uint64_t armed_ms;
	uv_prepare_t prepare;
	struct loop_watch watch;
	struct host_work *free_work; /* kept for the next work() */
	uint32_t n_work;             /* running */
	uint64_t random[4];
};

/* libuv writes without MSG_NOSIGNAL: the process ignores SIGPIPE or the running thread blocks it.
 * [main] */
NODISCARD int host_loop_init(struct host_loop *loop, struct logger *logger,
			     struct mosaic_error *err);
/* Runs on the calling thread until host_loop_stop(). [main] */
void host_loop_run(struct host_loop *loop);
/* One turn, waiting for something to happen; for tests and for the end of a process. [main] */
void host_loop_turn(struct host_loop *loop);
/* [any], also in a signal handler */
void host_loop_stop(struct host_loop *loop);
/* Runs what is posted, waits for running work, closes. All plugins are destroyed by then. [main] */
void host_loop_fini(struct host_loop *loop);

bool host_loop_on_core(const struct host_loop *loop);                    /* [any] */
void host_loop_post(struct host_loop *loop, struct mosaic_req *req);     /* [any] */
NODISCARD int host_loop_work(struct host_loop *loop, struct mosaic_work *work);
void host_loop_timer_start(struct host_loop *loop, struct mosaic_timer *timer, uint64_t delay_ns);
void host_loop_timer_stop(struct host_loop *loop, struct mosaic_timer *timer);
NODISCARD int host_loop_watch(struct host_loop *loop, struct mosaic_watch *watch);
void host_loop_unwatch(struct host_loop *loop, struct mosaic_watch *watch);
uint64_t host_loop_random(struct host_loop *loop);
uint64_t host_loop_now_ns(void); /* [any] */
uint64_t host_loop_wall_ms(void); /* [any] */

#endif
