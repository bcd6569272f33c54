#include "loop_host.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static struct loop_host *self(const struct mosaic_host *host)
{
	return host->ctx;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t host_now_ns(const struct mosaic_host *host)
{
	(void)host;
	return clock_ns(CLOCK_MONOTONIC);
}

static uint64_t host_wall_ms(const struct mosaic_host *host)
{
	(void)host;
	return clock_ns(CLOCK_REALTIME) / 1000000;
}

static uint64_t host_random(const struct mosaic_host *host)
{
	uint64_t *s = &self(host)->seed; /* xorshift64* */
	*s ^= *s >> 12;
	*s ^= *s << 25;
	*s ^= *s >> 27;
	return *s * UINT64_C(2685821657736338717);
}

/* ---- timers and watches ---- */

static struct mosaic_timer *timer_next(const struct mosaic_timer *t)
{
	return (struct mosaic_timer *)(uintptr_t)t->reserved[0];
}

static void host_timer_stop(const struct mosaic_host *host, struct mosaic_timer *timer)
{
	struct loop_host *h = self(host);
	struct mosaic_timer *before = NULL;
	if (timer->due_ns == 0)
		return;
	for (struct mosaic_timer *t = h->timers; t && t != timer; t = timer_next(t))
		before = t;
	if (before)
		before->reserved[0] = timer->reserved[0];
	else
		h->timers = timer_next(timer);
	timer->due_ns = 0;
}

static void host_timer_start(const struct mosaic_host *host, struct mosaic_timer *timer,
			     uint64_t delay_ns)
{
	struct loop_host *h = self(host);
	struct mosaic_timer *before = NULL, *after;
	host_timer_stop(host, timer);
	timer->due_ns = host_now_ns(host) + delay_ns;
	for (after = h->timers; after && after->due_ns <= timer->due_ns; after = timer_next(after))
		before = after;
	timer->reserved[0] = (uintptr_t)after;
	if (before)
		before->reserved[0] = (uintptr_t)timer;
	else
		h->timers = timer;
}

static void host_unwatch(const struct mosaic_host *host, struct mosaic_watch *watch)
{
	for (int i = 0; i < LOOP_HOST_WATCHES; i++)
		if (self(host)->watches[i] == watch)
			self(host)->watches[i] = NULL;
}

static int32_t host_watch(const struct mosaic_host *host, struct mosaic_watch *watch)
{
	host_unwatch(host, watch);
	for (int i = 0; i < LOOP_HOST_WATCHES; i++)
		if (!self(host)->watches[i]) {
			self(host)->watches[i] = watch;
			return 0;
		}
	return MOSAIC_E_LIMIT;
}

/* ---- post and work ---- */

static void host_post(const struct mosaic_host *host, struct mosaic_req *req)
{
	struct loop_host *h = self(host);
	req->next = NULL;
	pthread_mutex_lock(&h->mutex);
	*h->posted_tail = req;
	h->posted_tail = &req->next;
	pthread_mutex_unlock(&h->mutex);
	uint64_t one = 1;
	if (write(h->wake_fd, &one, sizeof(one)) < 0)
		abort();
}

static int32_t host_work(const struct mosaic_host *host, struct mosaic_work *work)
{
	struct loop_host *h = self(host);
	work->req.next = NULL;
	pthread_mutex_lock(&h->mutex);
	*h->works_tail = &work->req;
	h->works_tail = &work->req.next;
	pthread_cond_signal(&h->work_came);
	pthread_mutex_unlock(&h->mutex);
	return MOSAIC_PENDING;
}

static void *worker_main(void *arg)
{
	struct loop_host *h = arg;
	for (;;) {
		pthread_mutex_lock(&h->mutex);
		while (!h->works && !h->is_stopping)
			pthread_cond_wait(&h->work_came, &h->mutex);
		struct mosaic_work *work = (struct mosaic_work *)h->works;
		if (work) {
			h->works = work->req.next;
			if (!h->works)
				h->works_tail = &h->works;
		}
		pthread_mutex_unlock(&h->mutex);
		if (!work)
			return NULL;
		work->run(work);
		host_post(&h->host, &work->req);
	}
}

/* ---- the rest of the table ---- */

static void *host_alloc(const struct mosaic_host *host, size_t size)
{
	__atomic_fetch_add(&self(host)->n_allocated, 1, __ATOMIC_RELAXED);
	return malloc(size);
}

static void host_free(const struct mosaic_host *host, void *ptr)
{
	if (ptr)
		__atomic_fetch_sub(&self(host)->n_allocated, 1, __ATOMIC_RELAXED);
	free(ptr);
}

static void host_log(const struct mosaic_host *host, uint32_t level, const char *event,
		     const char *text)
{
	struct loop_host *h = self(host);
	char line[1024];
	int len = snprintf(line, sizeof(line), "%s %s\n", event, text);
	size_t n = len < (int)sizeof(line) ? (size_t)len : sizeof(line) - 1;
	if (getenv("LOOP_HOST_LOG"))
		fprintf(stderr, "%u %s", level, line);
	pthread_mutex_lock(&h->mutex);
	if (h->log_len + n >= sizeof(h->log))
		h->log_len = 0;
	memcpy(h->log + h->log_len, line, n + 1);
	h->log_len += n;
	pthread_mutex_unlock(&h->mutex);
}

static void host_watermark(const struct mosaic_host *host, uint32_t which, uint64_t upto)
{
	struct loop_host *h = self(host);
	pthread_mutex_lock(&h->mutex);
	h->upto[which] = upto > h->upto[which] ? upto : h->upto[which];
	pthread_mutex_unlock(&h->mutex);
}

static void host_promise(const struct mosaic_host *host, uint32_t which, uint32_t state)
{
	struct loop_host *h = self(host);
	pthread_mutex_lock(&h->mutex);
	h->promise[which] = state;
	pthread_mutex_unlock(&h->mutex);
}

static void host_fail(const struct mosaic_host *host, const struct mosaic_error *error)
{
	struct loop_host *h = self(host);
	pthread_mutex_lock(&h->mutex);
	if (h->n_failed++ == 0)
		h->failure = *error;
	pthread_mutex_unlock(&h->mutex);
	host_log(host, MOSAIC_LOG_ERROR, "fail", error->text);
}

static int32_t host_on_core(const struct mosaic_host *host)
{
	return pthread_equal(pthread_self(), self(host)->core);
}

static const void *host_extension(const struct mosaic_host *host, const char *id)
{
	struct loop_host *h = self(host);
	return h->extension ? h->extension(h->extension_ctx, id) : NULL;
}

void loop_host_init(struct loop_host *h)
{
	memset(h, 0, sizeof(*h));
	h->host = (struct mosaic_host){
		.struct_size = sizeof(h->host),
		.abi_major = MOSAIC_ABI_MAJOR,
		.abi_minor = MOSAIC_ABI_MINOR,
		.ctx = h,
		.now_ns = host_now_ns,
		.wall_ms = host_wall_ms,
		.random = host_random,
		.timer_start = host_timer_start,
		.timer_stop = host_timer_stop,
		.watch = host_watch,
		.unwatch = host_unwatch,
		.post = host_post,
		.work = host_work,
		.alloc = host_alloc,
		.free = host_free,
		.log = host_log,
		.watermark = host_watermark,
		.promise = host_promise,
		.fail = host_fail,
		.on_core = host_on_core,
		.extension = host_extension,
	};
	h->core = pthread_self();
	h->seed = 88172645463325252u;
	h->posted_tail = &h->posted;
	h->works_tail = &h->works;
	h->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	pthread_mutex_init(&h->mutex, NULL);
	pthread_cond_init(&h->work_came, NULL);
	for (int i = 0; i < LOOP_HOST_WORKERS; i++)
		if (pthread_create(&h->workers[i], NULL, worker_main, h) != 0)
			abort();
}

void loop_host_fini(struct loop_host *h)
{
	pthread_mutex_lock(&h->mutex);
	h->is_stopping = true;
	pthread_cond_broadcast(&h->work_came);
	pthread_mutex_unlock(&h->mutex);
	for (int i = 0; i < LOOP_HOST_WORKERS; i++)
		pthread_join(h->workers[i], NULL);
	close(h->wake_fd);
	pthread_cond_destroy(&h->work_came);
	pthread_mutex_destroy(&h->mutex);
}

/* ---- the loop ---- */

static bool run_posted(struct loop_host *h)
{
	pthread_mutex_lock(&h->mutex);
	struct mosaic_req *req = h->posted;
	h->posted = NULL;
	h->posted_tail = &h->posted;
	pthread_mutex_unlock(&h->mutex);
	bool any = req != NULL;
	while (req) {
		struct mosaic_req *next = req->next;
		req->done(req);
		req = next;
	}
	return any;
}

static bool run_timers(struct loop_host *h)
{
	bool any = false;
	while (h->timers && h->timers->due_ns <= host_now_ns(&h->host)) {
		struct mosaic_timer *timer = h->timers;
		host_timer_stop(&h->host, timer);
		timer->fire(timer);
		any = true;
	}
	return any;
}

static int wait_for(const struct loop_host *h, int wait_ms)
{
	uint64_t now = host_now_ns(&h->host);
	if (!h->timers)
		return wait_ms;
	uint64_t due = h->timers->due_ns > now ? (h->timers->due_ns - now) / 1000000 + 1 : 0;
	return due < (uint64_t)wait_ms ? (int)due : wait_ms;
}

static void run_watches(struct loop_host *h, int wait_ms)
{
	struct pollfd fds[LOOP_HOST_WATCHES + 1] = { { .fd = h->wake_fd, .events = POLLIN } };
	for (int i = 0; i < LOOP_HOST_WATCHES; i++) {
		const struct mosaic_watch *w = h->watches[i];
		fds[i + 1].fd = w ? w->fd : -1;
		if (w)
			fds[i + 1].events = (short)((w->events & MOSAIC_WATCH_READ ? POLLIN : 0) |
						    (w->events & MOSAIC_WATCH_WRITE ? POLLOUT : 0));
	}
	if (poll(fds, LOOP_HOST_WATCHES + 1, wait_ms) <= 0)
		return;
	uint64_t count;
	if (fds[0].revents && read(h->wake_fd, &count, sizeof(count)) < 0)
		return;
	for (int i = 0; i < LOOP_HOST_WATCHES; i++) {
		struct mosaic_watch *w = h->watches[i];
		short got = fds[i + 1].revents;
		if (w && got)
			w->ready(w, (got & (POLLIN | POLLHUP | POLLERR) ? MOSAIC_WATCH_READ : 0u) |
					    (got & POLLOUT ? MOSAIC_WATCH_WRITE : 0u));
	}
}

void loop_host_turn(struct loop_host *h, int wait_ms)
{
	bool any = run_timers(h);
	any |= run_posted(h);
	run_watches(h, any ? 0 : wait_for(h, wait_ms));
	run_timers(h);
	run_posted(h);
}

bool loop_host_until(struct loop_host *h, const uint32_t *flag, int timeout_ms)
{
	uint64_t end = host_now_ns(&h->host) + (uint64_t)timeout_ms * 1000000;
	while (*flag == 0 && host_now_ns(&h->host) < end)
		loop_host_turn(h, 100);
	return *flag != 0;
}

bool loop_host_logged(struct loop_host *h, const char *text)
{
	pthread_mutex_lock(&h->mutex);
	bool found = h->log_len > 0 && strstr(h->log, text);
	pthread_mutex_unlock(&h->mutex);
	return found;
}
