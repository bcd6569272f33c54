/*
 * mosaic/host.h - struct mosaic_host, the only way from a plugin into the host.
 *
 * One table per plugin instance. Time, randomness, timers, descriptor watches and (unless the
 * plugin declares MOSAIC_CAP_THREADS) worker threads come only from here: that is what lets the
 * same shared object run under a simulator's virtual clock.
 */
#ifndef MOSAIC_HOST_H
#define MOSAIC_HOST_H

#include <mosaic/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mosaic_host;

/* One-shot timer. Storage is the caller's; zero it before first use. */
struct mosaic_timer {
	void (*fire)(struct mosaic_timer *timer); /* [core] */
	void *data;
	uint64_t due_ns;      /* host's: when it fires, 0 = not running */
	uint64_t reserved[4]; /* host's */
};

enum mosaic_watch_events {
	MOSAIC_WATCH_READ = 1u << 0,
	MOSAIC_WATCH_WRITE = 1u << 1
};

/* Readiness of a descriptor, level-triggered. Storage is the caller's until unwatch(). */
struct mosaic_watch {
	void (*ready)(struct mosaic_watch *watch, uint32_t events); /* [core] */
	void *data;
	int32_t fd;
	uint32_t events; /* wanted; call watch() again to change them */
	void *reserved;  /* host's */
};

/* A blocking piece of work: run() on a worker thread, then req.done() on the core thread. */
struct mosaic_work {
	struct mosaic_req req;
	void (*run)(struct mosaic_work *work); /* [worker] may block, sets req.status */
};

enum mosaic_log_level {
	MOSAIC_LOG_ERROR = 0, /* a promise is broken or somebody must act */
	MOSAIC_LOG_WARN = 1,  /* it goes on, but not as it should */
	MOSAIC_LOG_INFO = 2,  /* life of the process */
	MOSAIC_LOG_DEBUG = 3  /* life of a request */
};

/* Which promise about the log (a byte range that only grows) a watermark is about. */
enum mosaic_watermark {
	MOSAIC_DURABLE = 0, /* bytes below survive power loss of this machine */
	MOSAIC_ACKABLE = 1, /* bytes below may be acknowledged to producers */
	MOSAIC_VISIBLE = 2, /* bytes below may be read by consumers */
	MOSAIC_WATERMARKS = 3
};

/* Whether the plugin that publishes a watermark can keep its promise at this moment. */
enum mosaic_promise {
	MOSAIC_PROMISE_KEPT = 0,
	MOSAIC_PROMISE_NOT_NOW = 1, /* for instance: no slave is connected */
	MOSAIC_PROMISE_BROKEN = 2
};

struct mosaic_host {
	uint32_t struct_size;
	uint16_t abi_major, abi_minor;
	void *ctx; /* the host's own */

	/* [any] monotonic nanoseconds; only differences mean something */
	uint64_t (*now_ns)(const struct mosaic_host *host);
	/* [any] milliseconds since 1970 */
	uint64_t (*wall_ms)(const struct mosaic_host *host);
	/* [core] 64 random bits; repeatable from the seed in the simulator */
	uint64_t (*random)(const struct mosaic_host *host);

	/* [core] (re)start: fires once, delay_ns from now */
	void (*timer_start)(const struct mosaic_host *host, struct mosaic_timer *timer,
			    uint64_t delay_ns);
	/* [core] does nothing when the timer is not running */
	void (*timer_stop)(const struct mosaic_host *host, struct mosaic_timer *timer);

	/* [core] E_UNSUPPORTED in the simulator */
	int32_t (*watch)(const struct mosaic_host *host, struct mosaic_watch *watch);
	/* [core] after it returned ready() does not run any more */
	void (*unwatch)(const struct mosaic_host *host, struct mosaic_watch *watch);

	/* [any] run req->done on the core thread, in order of posting per thread */
	void (*post)(const struct mosaic_host *host, struct mosaic_req *req);
	/* [core] run work->run on a worker; works of one host may run at the same time */
	int32_t (*work)(const struct mosaic_host *host, struct mosaic_work *work);

	/* [any] NULL when memory is out; alignment is that of malloc */
	void *(*alloc)(const struct mosaic_host *host, size_t size);
	/* [any] ptr from alloc() or NULL */
	void (*free)(const struct mosaic_host *host, void *ptr);

	/* [any] event: a short word such as "segment_created"; text: logfmt pairs or a sentence */
	void (*log)(const struct mosaic_host *host, uint32_t level, const char *event,
		    const char *text);
	/* [any] publish; a value below the last one is ignored */
	void (*watermark)(const struct mosaic_host *host, uint32_t which, uint64_t upto);
	/* [any] state of the promise behind a watermark (enum mosaic_promise) */
	void (*promise)(const struct mosaic_host *host, uint32_t which, uint32_t state);
	/* [any] final: the broker turns read-only and says why; the first call wins */
	void (*fail)(const struct mosaic_host *host, const struct mosaic_error *error);

	/* [any] 1 on the core thread */
	int32_t (*on_core)(const struct mosaic_host *host);
	/* [main][core] optional service by name and revision ("mosaic.libuv/1"); NULL: not here */
	const void *(*extension)(const struct mosaic_host *host, const char *id);
};

#ifdef __cplusplus
}
#endif
#endif
