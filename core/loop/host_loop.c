#include "loop/host_loop.h"

#include "base/err.h"
#include "base/mem.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct host_work {
	uv_work_t uv;
	struct host_loop *loop;
	struct mosaic_work *work;
	struct host_work *next;
};

/* A watched descriptor. Lives until libuv let go of it, which may be after unwatch(). */
struct host_poll {
	uv_poll_t uv;
	struct mosaic_watch *watch; /* NULL once unwatched */
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

uint64_t host_loop_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t host_loop_wall_ms(void)
{
	return clock_ns(CLOCK_REALTIME) / MS_NS;
}

bool host_loop_on_core(const struct host_loop *loop)
{
	return pthread_equal(atomic_load_explicit(&loop->thread, memory_order_relaxed),
			     pthread_self());
}

/* ---- post ---- */

static void on_again(uv_idle_t *idle);

/*
 * Not by a uv_async_t: its sender holds a flag while it wakes the loop, and the loop spins until it
 * is free. Woken on the processor of the sender, as happens where there are few, that is 50 us of
 * waiting for a thread that cannot run.
 */
static void wake(const struct host_loop *loop)
{
	const uint64_t once = 1;
	int saved = errno; /* it may be a signal that stops the loop */
	/* Fails only when the counter is full: the loop is woken already. */
	if (write(loop->wake_fd, &once, sizeof(once)) < 0)
		errno = saved;
}

/*
 * A stack that is only ever taken whole, so there is no ABA problem. Release: what the poster wrote
 * before is seen by done(); partner is the acquire in run_posted(). Who finds the stack empty wakes
 * the loop, the others ride along.
 */
void host_loop_post(struct host_loop *loop, struct mosaic_req *req)
{
	struct mosaic_req *head = atomic_load_explicit(&loop->posted, memory_order_relaxed);
	do
		req->next = head;
	while (!atomic_compare_exchange_weak_explicit(&loop->posted, &head, req,
						      memory_order_release, memory_order_relaxed));
	if (head != NULL)
		return;
	if (host_loop_on_core(loop))
		uv_idle_start(&loop->again, on_again);
	else
		wake(loop);
}

static struct mosaic_req *reversed(struct mosaic_req *newest_first)
{
	struct mosaic_req *list = NULL;
	while (newest_first != NULL) {
		struct mosaic_req *next = newest_first->next;
		newest_first->next = list;
		list = newest_first;
		newest_first = next;
	}
	return list;
}

/* What is posted meanwhile runs in the next turn: a chain of posts does not starve the sockets. */
static void run_posted(struct host_loop *loop)
{
	struct mosaic_req *req =
		atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire);
	for (req = reversed(req); req != NULL;) {
		struct mosaic_req *next = req->next; /* done() may free the request */
		req->next = NULL;
		req->done(req);
		req = next;
	}
}

static void on_again(uv_idle_t *idle)
{
	uv_idle_stop(idle); /* before: done() may post again */
	run_posted(CONTAINER_OF(idle, struct host_loop, again));
}

static void on_wake(uv_poll_t *poll, int status, int events)
{
	struct host_loop *loop = CONTAINER_OF(poll, struct host_loop, wake);
	uint64_t n_wakes;
	(void)status;
	(void)events;
	/* Before the posts are taken: who posts after that wakes once more. */
	if (read(loop->wake_fd, &n_wakes, sizeof(n_wakes)) > 0)
		run_posted(loop);
	if (atomic_load_explicit(&loop->stopping, memory_order_relaxed))
		uv_stop(&loop->uv);
}

/* ---- timers ---- */

static void on_timer(uv_timer_t *timer);

/*
 * libuv's clock counts milliseconds of CLOCK_MONOTONIC, rounded down. Rounding the due time up
 * makes a timer up to 1 ms late and never early.
 */
static void arm(struct host_loop *loop)
{
	struct mosaic_timer *first = timer_heap_first(&loop->timers);
	if (first == NULL) {
		uv_timer_stop(&loop->timer);
		loop->armed_ms = 0;
		return;
	}
	uint64_t due_ms = (first->due_ns + MS_NS - 1) / MS_NS;
	if (due_ms == loop->armed_ms)
		return;
	uint64_t now_ms = uv_now(&loop->uv);
	uv_timer_start(&loop->timer, on_timer, due_ms > now_ms ? due_ms - now_ms : 0, 0);
	loop->armed_ms = due_ms;
}

static void on_timer(uv_timer_t *uv)
{
	struct host_loop *loop = CONTAINER_OF(uv, struct host_loop, timer);
	uint64_t now_ns = host_loop_now_ns(); /* once: a timer of no delay runs in the next turn */
	struct mosaic_timer *timer;

	loop->armed_ms = 0;
	while ((timer = timer_heap_pop(&loop->timers, now_ns)) != NULL)
		timer->fire(timer);
	arm(loop);
}

void host_loop_timer_start(struct host_loop *loop, struct mosaic_timer *timer, uint64_t delay_ns)
{
	uint64_t now_ns = host_loop_now_ns();
	uint64_t due_ns = delay_ns < UINT64_MAX / 2 - now_ns ? now_ns + delay_ns : UINT64_MAX / 2;
	timer_heap_add(&loop->timers, timer, due_ns);
	if (timer_heap_first(&loop->timers) == timer)
		arm(loop);
}

/* A stopped timer may leave libuv's timer armed: it fires, finds nothing due and arms the next. */
void host_loop_timer_stop(struct host_loop *loop, struct mosaic_timer *timer)
{
	if (timer->due_ns != 0)
		timer_heap_remove(&loop->timers, timer);
}

/* ---- descriptors ---- */

static void on_poll(uv_poll_t *uv, int status, int events)
{
	struct host_poll *poll = CONTAINER_OF(uv, struct host_poll, uv);
	uint32_t ready = 0;

	if ((events & UV_READABLE) != 0)
		ready |= MOSAIC_WATCH_READ;
	if ((events & UV_WRITABLE) != 0)
		ready |= MOSAIC_WATCH_WRITE;
	if (status < 0) /* a broken descriptor is ready: the next read or write tells why */
		ready = poll->watch->events;
	poll->watch->ready(poll->watch, ready);
}

static void on_poll_closed(uv_handle_t *handle)
{
	free(CONTAINER_OF(handle, struct host_poll, uv));
}

int host_loop_watch(struct host_loop *loop, struct mosaic_watch *watch)
{
	struct host_poll *poll = watch->reserved;
	int events = ((watch->events & MOSAIC_WATCH_READ) != 0 ? UV_READABLE : 0) |
		     ((watch->events & MOSAIC_WATCH_WRITE) != 0 ? UV_WRITABLE : 0);

	if (poll == NULL) {
		poll = mem_alloc(sizeof(*poll));
		if (uv_poll_init(&loop->uv, &poll->uv, watch->fd) != 0) {
			free(poll);
			return MOSAIC_E_INVAL;
		}
		poll->watch = watch;
		watch->reserved = poll;
	}
	int rc = events != 0 ? uv_poll_start(&poll->uv, events, on_poll) : uv_poll_stop(&poll->uv);
	return rc == 0 ? 0 : MOSAIC_E_INVAL;
}

void host_loop_unwatch(struct host_loop *loop, struct mosaic_watch *watch)
{
	struct host_poll *poll = watch->reserved;
	(void)loop;
	if (poll == NULL)
		return;
	watch->reserved = NULL;
	poll->watch = NULL;
	uv_close((uv_handle_t *)&poll->uv, on_poll_closed); /* no callback from here on */
}

/* ---- work ---- */

static void on_work(uv_work_t *uv)
{
	struct mosaic_work *work = CONTAINER_OF(uv, struct host_work, uv)->work;
	work->run(work);
}

static void on_worked(uv_work_t *uv, int status)
{
	struct host_work *hw = CONTAINER_OF(uv, struct host_work, uv);
	struct mosaic_work *work = hw->work;

	ASSERT(status == 0); /* nobody cancels */
	hw->next = hw->loop->free_work;
	hw->loop->free_work = hw;
	hw->loop->n_work--;
	work->req.done(&work->req);
}

int host_loop_work(struct host_loop *loop, struct mosaic_work *work)
{
	struct host_work *hw = loop->free_work;
	if (hw != NULL)
		loop->free_work = hw->next;
	else
		hw = mem_alloc(sizeof(*hw));
	hw->loop = loop;
	hw->work = work;
	int rc = uv_queue_work(&loop->uv, &hw->uv, on_work, on_worked);
	ASSERT(rc == 0); /* it fails for a missing callback only */
	loop->n_work++;
	return 0;
}

/* ---- random: xoshiro256** ---- */

static uint64_t rotl(uint64_t x, unsigned n)
{
	return (x << n) | (x >> (64 - n));
}

uint64_t host_loop_random(struct host_loop *loop)
{
	uint64_t *s = loop->random;
	uint64_t result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return result;
}

static int seed(struct host_loop *loop)
{
	ssize_t n;
	do
		n = getrandom(loop->random, sizeof(loop->random), 0);
	while (n < 0 && errno == EINTR);
	loop->random[0] |= 1; /* all zero would stay zero */
	return n == (ssize_t)sizeof(loop->random) ? 0 : MOSAIC_E_IO;
}

/* ---- life ---- */

/* 0.6 us. The processor time of getrusage would be as coarse as the kernel's tick. */
static struct loop_time read_clocks(struct host_loop *loop)
{
	struct rusage use;

	getrusage(RUSAGE_THREAD, &use);
	return (struct loop_time){
		.now_ns = host_loop_now_ns(),
		.idle_ns = uv_metrics_idle_time(&loop->uv),
		.cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID),
		.sleeps = (uint64_t)use.ru_nvcsw,
	};
}

static void on_prepare(uv_prepare_t *prepare)
{
	struct host_loop *loop = CONTAINER_OF(prepare, struct host_loop, prepare);
	struct loop_time now = read_clocks(loop);
	loop_watch_turn(&loop->watch, &now);
}

static void take_thread(struct host_loop *loop)
{
	if (host_loop_on_core(loop))
		return;
	atomic_store_explicit(&loop->thread, pthread_self(), memory_order_relaxed);
	loop->watch.last = read_clocks(loop); /* they are this thread's now */
}

/* 0 or an errno. */
static int wake_init(struct host_loop *loop)
{
	loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (loop->wake_fd < 0)
		return errno;
	int rc = uv_poll_init(&loop->uv, &loop->wake, loop->wake_fd);
	if (rc != 0) {
		close(loop->wake_fd);
		return -rc;
	}
	uv_poll_start(&loop->wake, UV_READABLE, on_wake);
	return 0;
}

int host_loop_init(struct host_loop *loop, struct logger *logger, struct mosaic_error *err)
{
	memset(loop, 0, sizeof(*loop));
	loop->logger = logger;
	if (seed(loop) != 0)
		return err_set_os(err, MOSAIC_E_IO, errno, "no random seed");
	int rc = uv_loop_init(&loop->uv);
	if (rc != 0)
		return err_set_os(err, MOSAIC_E_IO, -rc, "cannot make an event loop");
	rc = wake_init(loop);
	if (rc != 0) {
		uv_loop_close(&loop->uv);
		return err_set_os(err, MOSAIC_E_IO, rc, "cannot make an event descriptor");
	}
	uv_idle_init(&loop->uv, &loop->again);
	uv_timer_init(&loop->uv, &loop->timer);
	uv_prepare_init(&loop->uv, &loop->prepare);
	/* Lets prepare tell work from waiting, which libuv does not offer otherwise. */
	uv_loop_configure(&loop->uv, UV_METRICS_IDLE_TIME);
	struct loop_time now = read_clocks(loop);
	loop_watch_init(&loop->watch, &now);
	uv_prepare_start(&loop->prepare, on_prepare);
	uv_unref((uv_handle_t *)&loop->prepare);
	loop->libuv = (struct mosaic_ext_libuv){ .struct_size = sizeof(loop->libuv),
						 .uv_version = uv_version(),
						 .loop = &loop->uv };
	take_thread(loop);
	return 0;
}

void host_loop_run(struct host_loop *loop)
{
	take_thread(loop);
	while (!atomic_load_explicit(&loop->stopping, memory_order_relaxed))
		uv_run(&loop->uv, UV_RUN_DEFAULT);
	atomic_store_explicit(&loop->stopping, false, memory_order_relaxed);
}

void host_loop_turn(struct host_loop *loop)
{
	take_thread(loop);
	uv_run(&loop->uv, UV_RUN_ONCE);
}

void host_loop_stop(struct host_loop *loop)
{
	atomic_store_explicit(&loop->stopping, true, memory_order_relaxed);
	wake(loop);
}

void host_loop_fini(struct host_loop *loop)
{
	take_thread(loop);
	while (loop->n_work > 0 ||
	       atomic_load_explicit(&loop->posted, memory_order_relaxed) != NULL)
		uv_run(&loop->uv, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&loop->wake, NULL);
	uv_close((uv_handle_t *)&loop->again, NULL);
	uv_close((uv_handle_t *)&loop->timer, NULL);
	uv_close((uv_handle_t *)&loop->prepare, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	int rc = uv_loop_close(&loop->uv);
	ASSERT(rc == 0); /* a plugin left a handle open */
	close(loop->wake_fd);
	timer_heap_free(&loop->timers);
	while (loop->free_work != NULL) {
		struct host_work *next = loop->free_work->next;
		free(loop->free_work);
		loop->free_work = next;
	}
}
