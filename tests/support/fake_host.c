#include "support/fake_host.h"
#include "base/err.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fake_host *self(const struct mosaic_host *host)
{
	return host->ctx;
}

static uint64_t fake_now(const struct mosaic_host *host)
{
	return self(host)->now_ns;
}

static uint64_t fake_wall(const struct mosaic_host *host)
{
	return FAKE_WALL_MS + self(host)->now_ns / MS_NS;
}

static uint64_t fake_random(const struct mosaic_host *host) /* splitmix64 */
{
	uint64_t z = (self(host)->seed += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

static void fake_timer_start(const struct mosaic_host *host, struct mosaic_timer *timer,
			     uint64_t delay_ns)
{
	timer_heap_add(&self(host)->timers, timer, self(host)->now_ns + delay_ns);
}

static void fake_timer_stop(const struct mosaic_host *host, struct mosaic_timer *timer)
{
	if (timer->due_ns != 0)
		timer_heap_remove(&self(host)->timers, timer);
}

static int32_t fake_watch(const struct mosaic_host *host, struct mosaic_watch *watch)
{
	(void)host;
	(void)watch;
	return MOSAIC_E_UNSUPPORTED;
}

static void fake_unwatch(const struct mosaic_host *host, struct mosaic_watch *watch)
{
	(void)host;
	(void)watch;
}

static void push(struct mosaic_req **first, struct mosaic_req **last, struct mosaic_req *req)
{
	req->next = NULL;
	if (*first)
		(*last)->next = req;
	else
		*first = req;
	*last = req;
}

static void fake_post(const struct mosaic_host *host, struct mosaic_req *req)
{
	push(&self(host)->first, &self(host)->last, req);
}

static int32_t fake_work(const struct mosaic_host *host, struct mosaic_work *work)
{
	push(&self(host)->first_work, &self(host)->last_work, &work->req);
	return 0;
}

static void *fake_alloc(const struct mosaic_host *host, size_t size)
{
	struct fake_host *h = self(host);

	if (h->fail_alloc_in > 0 && --h->fail_alloc_in == 0)
		return NULL;
	return malloc(size);
}

static void fake_free(const struct mosaic_host *host, void *ptr)
{
	(void)host;
	free(ptr);
}

static void fake_log(const struct mosaic_host *host, uint32_t level, const char *event,
		     const char *text)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };
	const char *name = level < ARRAY_LEN(names) ? names[level] : "?";

	buf_printf(&self(host)->log, "%s %s %s\n", name, event, text);
	if (getenv("FAKE_HOST_LOG"))
		fprintf(stderr, "%s %s %s\n", name, event, text);
}

static void fake_watermark(const struct mosaic_host *host, uint32_t which, uint64_t upto)
{
	ASSERT(which < MOSAIC_WATERMARKS);
	if (upto > self(host)->upto[which])
		self(host)->upto[which] = upto;
}

static void fake_promise(const struct mosaic_host *host, uint32_t which, uint32_t state)
{
	ASSERT(which < MOSAIC_WATERMARKS);
	self(host)->promise[which] = state;
}

static void fake_fail(const struct mosaic_host *host, const struct mosaic_error *error)
{
	struct fake_host *h = self(host);

	if (!h->failed)
		h->failure = *error;
	h->failed = true;
}

static int32_t fake_on_core(const struct mosaic_host *host)
{
	(void)host;
	return 1;
}

static const void *fake_extension(const struct mosaic_host *host, const char *id)
{
	return self(host)->extension ? self(host)->extension(id) : NULL;
}

void fake_host_init(struct fake_host *h)
{
	*h = (struct fake_host){
		.host = { .struct_size = sizeof(h->host),
			  .abi_major = MOSAIC_ABI_MAJOR,
			  .abi_minor = MOSAIC_ABI_MINOR,
			  .ctx = h,
			  .now_ns = fake_now,
			  .wall_ms = fake_wall,
			  .random = fake_random,
			  .timer_start = fake_timer_start,
			  .timer_stop = fake_timer_stop,
			  .watch = fake_watch,
			  .unwatch = fake_unwatch,
			  .post = fake_post,
			  .work = fake_work,
			  .alloc = fake_alloc,
			  .free = fake_free,
			  .log = fake_log,
			  .watermark = fake_watermark,
			  .promise = fake_promise,
			  .fail = fake_fail,
			  .on_core = fake_on_core,
			  .extension = fake_extension },
		.now_ns = SECOND_NS,
		.seed = 1,
	};
}

void fake_host_fini(struct fake_host *h)
{
	timer_heap_free(&h->timers);
	buf_free(&h->log);
}

static bool run_one(struct fake_host *h)
{
	struct mosaic_timer *timer;
	struct mosaic_req *req = h->first;

	if (req) {
		h->first = req->next;
		req->done(req);
		return true;
	}
	req = h->first_work;
	if (req) {
		struct mosaic_work *work = CONTAINER_OF(req, struct mosaic_work, req);

		h->first_work = req->next;
		work->run(work);
		req->done(req);
		return true;
	}
	timer = timer_heap_pop(&h->timers, h->now_ns);
	if (timer)
		timer->fire(timer);
	return timer != NULL;
}

void fake_host_run(struct fake_host *h)
{
	/* 10 million steps at one moment: something posts itself for ever. */
	for (uint32_t n = 0; run_one(h); n++)
		ASSERT(n < 10000000);
}

void fake_host_advance_ms(struct fake_host *h, uint64_t ms)
{
	uint64_t until = h->now_ns + ms * MS_NS;
	struct mosaic_timer *timer;

	fake_host_run(h);
	while ((timer = timer_heap_first(&h->timers)) != NULL && timer->due_ns <= until) {
		if (timer->due_ns > h->now_ns)
			h->now_ns = timer->due_ns;
		fake_host_run(h);
	}
	h->now_ns = until;
}

uint32_t fake_host_timers(const struct fake_host *h)
{
	return h->timers.count;
}

bool fake_host_logged(struct fake_host *h, const char *text)
{
	return h->log.len > 0 && strstr(buf_cstr(&h->log), text) != NULL;
}

void fake_host_clear_log(struct fake_host *h)
{
	buf_clear(&h->log);
}
