/*
 * struct mosaic_host on libuv: one per plugin instance, and one for the core itself, over a shared
 * host_loop. watermark(), promise() and fail() may come from any thread; the owner hears of them on
 * the core thread, never inside the plugin's call.
 */
#ifndef LOOP_HOST_H
#define LOOP_HOST_H

#include "base/host.h"
#include "loop/host_loop.h"
#include "loop/host_events.h"

struct host {
	struct mosaic_host api; /* what the plugin gets */
	struct host_loop *loop;
	const struct host_events *events; /* may be NULL */
	void *user;
	char name[48]; /* `plugin=` of log lines; "" for the core */

	/*
	 * Written by any thread, read by the core. A writer raises the value (release), then sets
	 * `signalled` (acq_rel) and posts when it was clear; the core clears it first (acq_rel) and
	 * then reads the values (acquire), so no value is left unseen.
	 */
	_Atomic uint64_t upto[MOSAIC_WATERMARKS];
	_Atomic uint32_t promise[MOSAIC_WATERMARKS];
	_Atomic bool signalled;
	struct mosaic_req signal;
	uint64_t told_upto[MOSAIC_WATERMARKS]; /* core thread's */
	uint32_t told_promise[MOSAIC_WATERMARKS];

	_Atomic bool failed; /* acq_rel: who sets it owns `failure` until the post */
	struct mosaic_error failure;
	struct mosaic_req fail;
};

/* Storage is the caller's and stays until host_loop_fini() returned: a signal may be on its way.
 * After the plugin is destroyed, host_mute() keeps such a late signal from `user`. [main] */
void host_init(struct host *host, struct host_loop *loop, const char *name,
	       const struct host_events *events, void *user);
void host_mute(struct host *host); /* [core] */

#endif
