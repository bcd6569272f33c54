#include "loop/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct host *of(const struct mosaic_host *api)
{
	return api->ctx;
}

static uint64_t now_ns(const struct mosaic_host *api)
{
	(void)api;
	return host_loop_now_ns();
}

static uint64_t wall_ms(const struct mosaic_host *api)
{
	(void)api;
	return host_loop_wall_ms();
}

static uint64_t next_random(const struct mosaic_host *api)
{
	return host_loop_random(of(api)->loop);
}

static void timer_start(const struct mosaic_host *api, struct mosaic_timer *timer,
			uint64_t delay_ns)
{
	host_loop_timer_start(of(api)->loop, timer, delay_ns);
}

static void timer_stop(const struct mosaic_host *api, struct mosaic_timer *timer)
{
	host_loop_timer_stop(of(api)->loop, timer);
}

static int32_t watch(const struct mosaic_host *api, struct mosaic_watch *w)
{
	return host_loop_watch(of(api)->loop, w);
}

static void unwatch(const struct mosaic_host *api, struct mosaic_watch *w)
{
	host_loop_unwatch(of(api)->loop, w);
}

static void post(const struct mosaic_host *api, struct mosaic_req *req)
{
	host_loop_post(of(api)->loop, req);
}

static int32_t work(const struct mosaic_host *api, struct mosaic_work *w)
{
	return host_loop_work(of(api)->loop, w);
}

static void *alloc(const struct mosaic_host *api, size_t size)
{
	(void)api;
	return malloc(size);
}

static void release(const struct mosaic_host *api, void *ptr)
{
	(void)api;
	free(ptr);
}

static void write_log(const struct mosaic_host *api, uint32_t level, const char *event,
		      const char *text)
{
	struct host *host = of(api);
	if (logger_wants(host->loop->logger, level))
		logger_write(host->loop->logger, host_loop_wall_ms(), level,
			     host->name[0] != '\0' ? host->name : NULL, event, text);
}

static int32_t on_core(const struct mosaic_host *api)
{
	return host_loop_on_core(of(api)->loop);
}

static const void *extension(const struct mosaic_host *api, const char *id)
{
	struct host *host = of(api);
	if (strcmp(id, MOSAIC_EXT_LIBUV) == 0)
		return &host->loop->libuv;
	if (host->events != NULL && host->events->extension != NULL)
		return host->events->extension(host->user, id);
	return NULL;
}

/* ---- watermarks, promises, failure ---- */

static void signal_core(struct host *host)
{
	if (!atomic_exchange_explicit(&host->signalled, true, memory_order_acq_rel))
		host_loop_post(host->loop, &host->signal);
}

static void watermark(const struct mosaic_host *api, uint32_t which, uint64_t upto)
{
	struct host *host = of(api);
	if (which >= MOSAIC_WATERMARKS)
		return;
	uint64_t old = atomic_load_explicit(&host->upto[which], memory_order_relaxed);
	while (old < upto) {
		if (atomic_compare_exchange_weak_explicit(&host->upto[which], &old, upto,
							  memory_order_release,
							  memory_order_relaxed)) {
			signal_core(host);
			return;
		}
	}
}

static void promise(const struct mosaic_host *api, uint32_t which, uint32_t state)
{
	struct host *host = of(api);
	if (which >= MOSAIC_WATERMARKS)
		return;
	atomic_store_explicit(&host->promise[which], state, memory_order_release);
	signal_core(host);
}

/* Watermarks first: what was reached is acknowledged before an ended promise refuses the rest. */
static void signalled(struct mosaic_req *req)
{
	struct host *host = CONTAINER_OF(req, struct host, signal);

	atomic_exchange_explicit(&host->signalled, false, memory_order_acq_rel);
	for (uint32_t i = 0; i < MOSAIC_WATERMARKS; i++) {
		uint64_t upto = atomic_load_explicit(&host->upto[i], memory_order_acquire);
		if (upto == host->told_upto[i])
			continue;
		host->told_upto[i] = upto;
		if (host->events != NULL && host->events->watermark != NULL)
			host->events->watermark(host->user, i, upto);
	}
	for (uint32_t i = 0; i < MOSAIC_WATERMARKS; i++) {
		uint32_t state = atomic_load_explicit(&host->promise[i], memory_order_acquire);
		if (state == host->told_promise[i])
			continue;
		host->told_promise[i] = state;
		if (host->events != NULL && host->events->promise != NULL)
			host->events->promise(host->user, i, state);
	}
}

static void fail(const struct mosaic_host *api, const struct mosaic_error *error)
{
	struct host *host = of(api);
	if (atomic_exchange_explicit(&host->failed, true, memory_order_acq_rel))
		return;
	size_t size = error->struct_size < sizeof(host->failure) ? error->struct_size
								 : sizeof(host->failure);
	memcpy(&host->failure, error, size);
	host->failure.struct_size = sizeof(host->failure);
	host->failure.text[sizeof(host->failure.text) - 1] = '\0';
	host_loop_post(host->loop, &host->fail);
}

static void failed(struct mosaic_req *req)
{
	struct host *host = CONTAINER_OF(req, struct host, fail);
	if (host->events != NULL && host->events->fail != NULL)
		host->events->fail(host->user, &host->failure);
}

void host_init(struct host *host, struct host_loop *loop, const char *name,
	       const struct host_events *events, void *user)
{
	memset(host, 0, sizeof(*host));
	host->loop = loop;
	host->events = events;
	host->user = user;
	snprintf(host->name, sizeof(host->name), "%s", name);
	host->signal.done = signalled;
	host->fail.done = failed;
	host->api = (struct mosaic_host){
		.struct_size = sizeof(host->api),
		.abi_major = MOSAIC_ABI_MAJOR,
		.abi_minor = MOSAIC_ABI_MINOR,
		.ctx = host,
		.now_ns = now_ns,
		.wall_ms = wall_ms,
		.random = next_random,
		.timer_start = timer_start,
		.timer_stop = timer_stop,
		.watch = watch,
		.unwatch = unwatch,
		.post = post,
		.work = work,
		.alloc = alloc,
		.free = release,
		.log = write_log,
		.watermark = watermark,
		.promise = promise,
		.fail = fail,
		.on_core = on_core,
		.extension = extension,
	};
}

void host_mute(struct host *host)
{
	host->events = NULL;
}
