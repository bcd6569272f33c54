/* struct mosaic_host on libuv: what plugins rely on, with real threads. */
#include "loop/host.h"

#include "base/err.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#undef fail /* cmocka.h's macro would hide the member */

struct fixture {
	struct logger logger;
	struct host_loop loop;
	struct host host;
	const struct mosaic_host *api;
	uint64_t upto[MOSAIC_WATERMARKS];
	uint32_t promise[MOSAIC_WATERMARKS];
	int n_watermarks, n_fails;
	struct mosaic_error error;
};

static void on_watermark(void *user, uint32_t which, uint64_t upto)
{
	struct fixture *f = user;
	assert_true(f->api->on_core(f->api));
	assert_true(upto > f->upto[which]);
	f->upto[which] = upto;
	f->n_watermarks++;
}

static void on_promise(void *user, uint32_t which, uint32_t state)
{
	((struct fixture *)user)->promise[which] = state;
}

static void on_fail(void *user, const struct mosaic_error *error)
{
	struct fixture *f = user;
	f->error = *error;
	f->n_fails++;
}

static const struct host_events events = { .watermark = on_watermark,
					   .promise = on_promise,
					   .fail = on_fail };

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct mosaic_error err = ERR_INIT;
	logger_init(&f->logger, open("/dev/null", O_WRONLY));
	assert_int_equal(host_loop_init(&f->loop, &f->logger, &err), 0);
	host_init(&f->host, &f->loop, "plugin-x", &events, f);
	f->api = &f->host.api;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	host_loop_fini(&f->loop);
	close(f->logger.fd);
	free(f);
	return 0;
}

/* ---- timers ---- */

struct stamp {
	struct mosaic_timer timer;
	struct fixture *f;
	int *order, *n, id;
	uint64_t due_ns;
};

static void stamped(struct mosaic_timer *timer)
{
	struct stamp *s = timer->data;
	assert_true(s->f->api->now_ns(s->f->api) >= s->due_ns);
	s->order[(*s->n)++] = s->id;
}

static void start(struct stamp *s, uint64_t delay_ns)
{
	s->timer.fire = stamped;
	s->timer.data = s;
	s->due_ns = s->f->api->now_ns(s->f->api) + delay_ns;
	s->f->api->timer_start(s->f->api, &s->timer, delay_ns);
}

static void timers_fire_in_order_of_due_time_and_never_early(void **state)
{
	struct fixture *f = *state;
	int order[4], n = 0;
	struct stamp s[4];
	memset(s, 0, sizeof(s));
	for (int i = 0; i < 4; i++)
		s[i] = (struct stamp){ .f = f, .order = order, .n = &n, .id = i };
	start(&s[0], 9 * MS_NS);
	start(&s[1], 3 * MS_NS + 1);
	start(&s[2], 6 * MS_NS);
	start(&s[3], 1 * MS_NS);
	f->api->timer_stop(f->api, &s[3].timer);
	start(&s[2], 12 * MS_NS); /* moved behind the others */
	while (n < 3)
		host_loop_turn(&f->loop);
	assert_int_equal(order[0], 1);
	assert_int_equal(order[1], 0);
	assert_int_equal(order[2], 2);
	assert_int_equal(s[2].timer.due_ns, 0);
}

static void restart(struct mosaic_timer *timer)
{
	struct stamp *s = timer->data;
	if (++*s->n < 5)
		s->f->api->timer_start(s->f->api, timer, 0);
}

static void a_timer_may_be_restarted_while_it_fires(void **state)
{
	struct fixture *f = *state;
	int n = 0;
	struct stamp s = { .f = f, .n = &n, .timer = { .fire = restart, .data = &s } };
	f->api->timer_start(f->api, &s.timer, 0);
	while (n < 5)
		host_loop_turn(&f->loop);
}

/* ---- post ---- */

#define THREADS 4
#define POSTS 2000

struct poster {
	struct fixture *f;
	struct mosaic_req reqs[POSTS];
	int n_done;
	pthread_t thread;
	int *total;
};

static void posted(struct mosaic_req *req)
{
	struct poster *p = req->data;
	assert_true(p->f->api->on_core(p->f->api));
	assert_ptr_equal(req, &p->reqs[p->n_done]); /* in the order of this thread */
	p->n_done++;
	++*p->total;
}

static void *post_all(void *arg)
{
	struct poster *p = arg;
	assert_false(p->f->api->on_core(p->f->api));
	for (int i = 0; i < POSTS; i++) {
		p->reqs[i] = (struct mosaic_req){ .done = posted, .data = p };
		p->f->api->post(p->f->api, &p->reqs[i]);
	}
	return NULL;
}

static void posts_of_each_thread_arrive_in_order_and_once(void **state)
{
	struct fixture *f = *state;
	struct poster *p = calloc(THREADS, sizeof(*p));
	int total = 0;
	for (int i = 0; i < THREADS; i++) {
		p[i].f = f;
		p[i].total = &total;
		pthread_create(&p[i].thread, NULL, post_all, &p[i]);
	}
	while (total < THREADS * POSTS)
		host_loop_turn(&f->loop);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(p[i].thread, NULL);
		assert_int_equal(p[i].n_done, POSTS);
	}
	free(p);
}

struct chain {
	struct mosaic_req req;
	struct fixture *f;
	int n;
	bool inside;
};

static void chained(struct mosaic_req *req)
{
	struct chain *c = CONTAINER_OF(req, struct chain, req);
	assert_false(c->inside);
	c->inside = true;
	if (++c->n < 3)
		c->f->api->post(c->f->api, req);
	c->inside = false;
}

static void post_on_the_core_thread_runs_later_without_another_wakeup(void **state)
{
	struct fixture *f = *state;
	struct chain c = { .req = { .done = chained }, .f = f };
	f->api->post(f->api, &c.req);
	assert_int_equal(c.n, 0);
	while (c.n < 3)
		host_loop_turn(&f->loop);
}

static void what_is_posted_before_the_end_still_runs(void **state)
{
	struct fixture *f = *state;
	struct chain c = { .req = { .done = chained }, .f = f };
	f->api->post(f->api, &c.req);
	host_loop_fini(&f->loop);
	assert_int_equal(c.n, 3);
	assert_int_equal(host_loop_init(&f->loop, &f->logger, NULL), 0); /* for teardown */
}

static void stop_it(struct mosaic_timer *timer)
{
	host_loop_stop(timer->data);
}

static void run_returns_after_stop(void **state)
{
	struct fixture *f = *state;
	struct mosaic_timer timer = { .fire = stop_it, .data = &f->loop };
	f->api->timer_start(f->api, &timer, MS_NS);
	host_loop_run(&f->loop);
	assert_int_equal(timer.due_ns, 0);
	host_loop_stop(&f->loop); /* before run: counts as well */
	host_loop_run(&f->loop);
}

/* ---- work ---- */

struct job {
	struct mosaic_work work;
	struct fixture *f;
	int *n_done;
};

static void run_job(struct mosaic_work *work)
{
	struct job *job = (struct job *)work;
	work->req.status = job->f->api->on_core(job->f->api) ? MOSAIC_E_INVAL : 7;
}

static void job_done(struct mosaic_req *req)
{
	struct job *job = (struct job *)req;
	assert_true(job->f->api->on_core(job->f->api));
	assert_int_equal(req->status, 7);
	++*job->n_done;
}

static void work_runs_on_a_worker_and_is_done_on_the_core(void **state)
{
	struct fixture *f = *state;
	struct job jobs[16];
	int n_done = 0;
	for (int round = 1; round <= 2; round++) {
		for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
			jobs[i] = (struct job){ { { .done = job_done }, run_job }, f, &n_done };
			assert_int_equal(f->api->work(f->api, &jobs[i].work), 0);
		}
		while (n_done < round * (int)ARRAY_LEN(jobs))
			host_loop_turn(&f->loop);
	}
}

static void the_end_waits_for_running_work(void **state)
{
	struct fixture *f = *state;
	int n_done = 0;
	struct job job = { { { .done = job_done }, run_job }, f, &n_done };
	assert_int_equal(f->api->work(f->api, &job.work), 0);
	host_loop_fini(&f->loop);
	assert_int_equal(n_done, 1);
	assert_int_equal(host_loop_init(&f->loop, &f->logger, NULL), 0);
}

/* ---- descriptors ---- */

struct pipe_watch {
	struct mosaic_watch watch;
	int n;
};

static void readable(struct mosaic_watch *watch, uint32_t ready)
{
	char byte;
	assert_int_equal(ready, MOSAIC_WATCH_READ);
	assert_int_equal(read(watch->fd, &byte, 1), 1);
	((struct pipe_watch *)watch)->n++;
}

static void a_watched_descriptor_reports_until_unwatched(void **state)
{
	struct fixture *f = *state;
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	struct pipe_watch w = { .watch = { .ready = readable,
					   .fd = fds[0],
					   .events = MOSAIC_WATCH_READ } };
	assert_int_equal(f->api->watch(f->api, &w.watch), 0);
	assert_int_equal(write(fds[1], "ab", 2), 2);
	while (w.n < 2)
		host_loop_turn(&f->loop);
	assert_int_equal(write(fds[1], "c", 1), 1);
	f->api->unwatch(f->api, &w.watch);
	f->api->unwatch(f->api, &w.watch);
	host_loop_turn(&f->loop);
	assert_int_equal(w.n, 2);
	close(fds[0]);
	close(fds[1]);
}

/* ---- watermarks and failure ---- */

static void *raise_watermark(void *arg)
{
	struct fixture *f = arg;
	for (uint64_t i = 1; i <= 10000; i++)
		f->api->watermark(f->api, MOSAIC_DURABLE, i);
	f->api->watermark(f->api, MOSAIC_DURABLE, 5); /* below the last one: ignored */
	f->api->promise(f->api, MOSAIC_DURABLE, MOSAIC_PROMISE_NOT_NOW);
	return NULL;
}

static void watermarks_of_several_threads_only_grow_and_none_is_lost(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, raise_watermark, f);
	while (f->upto[MOSAIC_DURABLE] < 10000 ||
	       f->promise[MOSAIC_DURABLE] != MOSAIC_PROMISE_NOT_NOW)
		host_loop_turn(&f->loop);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(f->upto[MOSAIC_VISIBLE], 0);
}

static void a_watermark_is_told_after_the_plugins_call(void **state)
{
	struct fixture *f = *state;
	f->api->watermark(f->api, MOSAIC_ACKABLE, 1);
	f->api->watermark(f->api, MOSAIC_ACKABLE, 9);
	assert_int_equal(f->n_watermarks, 0);
	while (f->n_watermarks == 0)
		host_loop_turn(&f->loop);
	assert_int_equal(f->n_watermarks, 1); /* one post carried both */
	assert_int_equal(f->upto[MOSAIC_ACKABLE], 9);
}

static void the_first_failure_wins(void **state)
{
	struct fixture *f = *state;
	struct mosaic_error first = ERR_INIT, second = ERR_INIT;
	err_set(&first, MOSAIC_E_IO, "the disk is gone");
	err_set(&second, MOSAIC_E_FATAL, "and more");
	f->api->fail(f->api, &first);
	f->api->fail(f->api, &second);
	while (f->n_fails == 0)
		host_loop_turn(&f->loop);
	assert_int_equal(f->error.code, MOSAIC_E_IO);
	assert_string_equal(f->error.text, "the disk is gone");
}

static void a_muted_host_tells_nothing(void **state)
{
	struct fixture *f = *state;
	f->api->watermark(f->api, MOSAIC_DURABLE, 1);
	host_mute(&f->host);
	host_loop_turn(&f->loop);
	assert_int_equal(f->n_watermarks, 0);
}

static void the_loop_is_an_extension_and_others_are_absent(void **state)
{
	struct fixture *f = *state;
	const struct mosaic_ext_libuv *ext = f->api->extension(f->api, MOSAIC_EXT_LIBUV);
	assert_ptr_equal(ext->loop, &f->loop.uv);
	assert_null(f->api->extension(f->api, "mosaic.nothing/1"));
	assert_true(f->api->random(f->api) != f->api->random(f->api));
}

static void turns_are_measured(void **state)
{
	struct fixture *f = *state;
	struct chain c = { .req = { .done = chained }, .f = f };
	f->api->post(f->api, &c.req);
	while (c.n < 3)
		host_loop_turn(&f->loop);
	assert_true(loop_watch_stats(&f->loop.watch).turns >= 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(timers_fire_in_order_of_due_time_and_never_early),
		TEST(a_timer_may_be_restarted_while_it_fires),
		TEST(posts_of_each_thread_arrive_in_order_and_once),
		TEST(post_on_the_core_thread_runs_later_without_another_wakeup),
		TEST(what_is_posted_before_the_end_still_runs),
		TEST(run_returns_after_stop),
		TEST(work_runs_on_a_worker_and_is_done_on_the_core),
		TEST(the_end_waits_for_running_work),
		TEST(a_watched_descriptor_reports_until_unwatched),
		TEST(watermarks_of_several_threads_only_grow_and_none_is_lost),
		TEST(a_watermark_is_told_after_the_plugins_call),
		TEST(the_first_failure_wins),
		TEST(a_muted_host_tells_nothing),
		TEST(the_loop_is_an_extension_and_others_are_absent),
		TEST(turns_are_measured),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
