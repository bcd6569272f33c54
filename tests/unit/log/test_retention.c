#include "log_fixture.h"

#define HOUR_MS UINT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)

/* As RocketMQ's defaults, at any hour, without a disk. */
static void setup(struct fixture *f)
{
	fixture_init(f);
	f->retention = (struct retention_config){ .interval_ns = 10 * SECOND_NS,
						  .pause_ns = 100 * MS_NS,
						  .time_ms = 72 * HOUR_MS,
						  .hours = (1u << 24) - 1,
						  .clean_percent = 75,
						  .force_percent = 85,
						  .stop_percent = 90 };
}

static void start(struct fixture *f)
{
	assert_int_equal(fixture_open(f), 0);
}

/* About 21 messages to a segment of 4 KiB. */
static void send_to(struct fixture *f, const char *topic, int n)
{
	static const char body[] = "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmn"
				   "opqrstuvwxyz0123456789abcdefghi";
	for (int i = 0; i < n; i++)
		assert_int_equal(fixture_send(f, topic, 0, body, NULL), 0);
}

static uint64_t segments(const struct fixture *f)
{
	return (f->log->end - 1) / f->log->segment_bytes -
	       f->log->begin / f->log->segment_bytes + 1;
}

/* All that is said about a queue fits together: every unit's record is there, the first too. */
static void expect_queue(struct fixture *f, const char *topic)
{
	struct queue *q = fixture_queue(f, topic, 0);
	bool pends = f->disk.pends;
	f->disk.pends = false;
	for (int64_t i = q->min_offset; i < q->max_offset; i++) {
		struct mosaic_read units = { .req.done = no_done };
		struct queue_unit unit;
		assert_int_equal(queue_read(q, i, 1, &units), 0);
		queue_unit_decode(units.ptr, &unit);
		queue_unpin(q, &units);
		assert_true(unit.phys_offset >= f->log->begin);
	}
	const struct mosaic_stream *st = fixture_disk_queue(f, topic, 0);
	if (q->min_offset > (int64_t)(st->begin / 20)) {
		struct queue_unit before;
		queue_unit_decode(st->bytes + (q->min_offset - 1) * 20, &before);
		assert_true(before.phys_offset < f->log->begin);
	}
	f->disk.pends = pends;
}

static void what_is_old_goes_at_its_hour(void **state)
{
	(void)state;
	struct fixture f;
	setup(&f);
	f.retention.hours = 1u << 4;
	start(&f);
	send_to(&f, "T", 100);
	uint64_t n = segments(&f);
	assert_true(n > 3);
	uint64_t now_ms = host_wall_ms(&f.h.host);
	uint64_t to_four = (4 * HOUR_MS + DAY_MS - now_ms % DAY_MS) % DAY_MS;
	fake_host_advance_ms(&f.h, to_four + 2 * DAY_MS + HOUR_MS); /* an hour at four, too young */
	assert_int_equal(segments(&f), n);
	fake_host_advance_ms(&f.h, DAY_MS - HOUR_MS - 60000);
	assert_int_equal(segments(&f), n);
	fake_host_advance_ms(&f.h, 2 * 60000);
	assert_int_equal(segments(&f), 1);
	assert_int_equal(f.log->retention.stats.segments, n - 1);
	assert_true(fake_host_logged(&f.h, "segment_deleted start=0 bytes=4096 reason=time"));
	struct queue *q = fixture_queue(&f, "T", 0);
	assert_true(q->min_offset > 0 && q->min_offset < 100);
	assert_int_equal(q->max_offset, 100);
	expect_queue(&f, "T");
	fixture_fini(&f);
}

static void an_operator_need_not_wait_for_the_hour(void **state)
{
	(void)state;
	struct fixture f;
	setup(&f);
	f.retention.hours = 0;
	start(&f);
	send_to(&f, "T", 100);
	fake_host_advance_ms(&f.h, 4 * DAY_MS);
	assert_true(segments(&f) > 1);
	retention_now(&f.log->retention);
	fake_host_advance_ms(&f.h, 1000);
	assert_int_equal(segments(&f), 1);
	fixture_fini(&f);
}

static void segments_go_one_by_one_with_a_pause(void **state)
{
	(void)state;
	struct fixture f;
	setup(&f);
	start(&f);
	send_to(&f, "T", 200);
	uint64_t n = segments(&f);
	f.log->retention.config.time_ms = 1;
	fake_host_advance_ms(&f.h, 1);
	retention_now(&f.log->retention);
	fake_host_run(&f.h);
	for (uint64_t left = n - 1; left > 0; left--) {
		assert_int_equal(segments(&f), left);
		fake_host_advance_ms(&f.h, 99);
		assert_int_equal(segments(&f), left);
		fake_host_advance_ms(&f.h, 1);
	}
	assert_int_equal(segments(&f), 1);
	fixture_fini(&f);
}

static void a_full_disk_takes_what_is_old_at_any_hour(void **state)
{
	(void)state;
	struct fixture f;
	setup(&f);
	f.retention.hours = 0;
	f.disk.total = 1000;
	f.disk.used = 750;
	start(&f);
	send_to(&f, "T", 100);
	fake_host_advance_ms(&f.h, 4 * DAY_MS);
	assert_true(segments(&f) > 1);
	f.disk.used = 751; /* 76 %, as Java rounds */
	fake_host_advance_ms(&f.h, 20000);
	assert_int_equal(segments(&f), 1);
	assert_true(fake_host_logged(&f.h, "reason=time disk=76%"));
	fixture_fini(&f);
}

static void a_fuller_disk_takes_what_is_young_until_there_is_room(void **state)
{
	(void)state;
	struct fixture f;
	setup(&f);
	f.disk.total = 1000;
	f.disk.used = 851;
	start(&f);
	send_to(&f, "T", 100);
	uint64_t n = segments(&f);
	fake_host_advance_ms(&f.h, 60000 - 1);
	assert_int_equal(segments(&f), n);
	fake_host_advance_ms(&f.h, 101);
	assert_int_equal(segments(&f), n - 2);
	assert_true(fake_host_logged(&f.h, "reason=disk disk=86%"));
	f.disk.used = 850;
	fake_host_advance_ms(&f.h, 60000);
	assert_int_equal(segments(&f), n - 2);
	send_to(&f, "T", 1);
	expect_queue(&f, "T");
	fixture_fini(&f);
}

static void above_the_last_limit_appends_are_refused(void **state)
{
	(void)state;
	struct fixture f;
	setup(&f);
	f.disk.total = 1000;
	f.disk.used = 901;
	start(&f);
	send_to(&f, "T", 30);
	fake_host_advance_ms(&f.h, 60000);
	assert_true(f.log->retention.is_full);
	assert_int_equal(f.log->retention.used_percent, 91);
	assert_int_equal(fixture_send(&f, "T", 0, "b", NULL), MOSAIC_E_NOSPACE);
	assert_true(fake_host_logged(&f.h, "disk_full used=91% limit=90%"));
	fake_host_advance_ms(&f.h, 60000);
	f.disk.used = 900;
	fake_host_advance_ms(&f.h, 10000);
	assert_int_equal(fixture_send(&f, "T", 0, "b", NULL), 0);
	assert_true(fake_host_logged(&f.h, "disk_ok"));
	fixture_fini(&f);
}

static void a_log_stays_below_its_size(void **state)
{
	(void)state;
	struct fixture f;
	setup(&f);
	f.retention.size_bytes = 3 * 4096;
	start(&f);
	for (int i = 0; i < 20; i++) {
		send_to(&f, "T", 30);
		fake_host_advance_ms(&f.h, 60000);
		assert_true(f.log->end - f.log->begin <= 3 * 4096);
	}
	assert_true(f.log->end - f.log->begin > 4096);
	assert_true(fake_host_logged(&f.h, "reason=size"));
	expect_queue(&f, "T");
	fixture_fini(&f);
}

static void a_store_that_knows_nothing_is_asked_for_the_size_only(void **state)
{
	(void)state;
	struct fixture f;
	struct mosaic_store_ops old = disk_ops;
	setup(&f);
	f.retention.size_bytes = 4096;
	start(&f);
	old.space = NULL;
	f.log->config.store_ops = &old;
	send_to(&f, "T", 100);
	fake_host_advance_ms(&f.h, 4 * DAY_MS);
	assert_true(f.log->end - f.log->begin <= 4096);
	assert_int_equal(f.log->retention.used_percent, 0);
	fixture_fini(&f);
}

/* The queue whose messages are all gone goes on where it was, after a restart too. */
static void an_emptied_queue_keeps_its_offsets(void **state)
{
	static const enum stop ways[] = { CLEAN, CRASH };
	(void)state;
	for (int pends = 0; pends < 2; pends++) {
		for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
			struct fixture f;
			setup(&f);
			f.retention.size_bytes = 2 * 4096;
			f.disk.pends = pends;
			start(&f);
			send_to(&f, "Old", 300); /* three files of the queue, the last one full */
			send_to(&f, "New", 150);
			fake_host_advance_ms(&f.h, 120000);
			struct queue *q = fixture_queue(&f, "Old", 0);
			assert_int_equal(q->min_offset, 300);
			assert_int_equal(q->max_offset, 300);
			assert_int_equal(fixture_disk_queue(&f, "Old", 0)->begin, 200 * 20);
			expect_queue(&f, "New");
			fixture_stop(&f, ways[i]);
			start(&f);
			q = fixture_queue(&f, "Old", 0);
			assert_int_equal(q->min_offset, 300);
			assert_int_equal(q->max_offset, 300);
			assert_int_equal(fixture_send(&f, "Old", 0, "next", NULL), 0);
			fixture_expect(&f, "Old", 0, 300, "next");
			expect_queue(&f, "New");
			fixture_fini(&f);
		}
	}
}

/* ---- who wants it still ---- */

struct wish {
	struct fixture *f;
	const char *topic;
	struct queue_wish wish;
};

static void look(void *ctx)
{
	const struct wish *w = ctx;
	fixture_queue(w->f, w->topic, 0)->wish = w->wish;
}

static void what_a_group_has_not_consumed_stays(void **state)
{
	(void)state;
	for (int pends = 0; pends < 2; pends++) {
		struct fixture f;
		setup(&f);
		struct wish w = { &f, "T", { 0, 50 } };
		f.retention.look = look;
		f.retention.ctx = &w;
		f.retention.keep_unconsumed = true;
		f.retention.size_bytes = 1;
		f.disk.pends = pends;
		start(&f);
		send_to(&f, "T", 100);
		send_to(&f, "Free", 100);
		fake_host_advance_ms(&f.h, 120000);
		struct queue *q = fixture_queue(&f, "T", 0);
		assert_true(q->min_offset > 0 && q->min_offset <= 50);
		assert_true(fake_host_logged(&f.h, "a group has not consumed it"));
		w.wish.consumed = 100;
		fake_host_advance_ms(&f.h, 20000);
		assert_int_equal(q->min_offset, 100);
		assert_int_equal(segments(&f), 1);
		fixture_fini(&f);
	}
}

static void a_topic_with_a_longer_time_keeps_its_segments(void **state)
{
	(void)state;
	struct fixture f;
	setup(&f);
	struct wish w = { &f, "Long", { 10 * (int64_t)DAY_MS, INT64_MAX } };
	f.retention.look = look;
	f.retention.ctx = &w;
	start(&f);
	send_to(&f, "T", 50);
	send_to(&f, "Long", 1);
	send_to(&f, "T", 100);
	fake_host_advance_ms(&f.h, 5 * DAY_MS);
	expect_queue(&f, "T");
	assert_true(f.log->begin > 0);
	assert_int_equal(fixture_queue(&f, "Long", 0)->min_offset, 0);
	fake_host_advance_ms(&f.h, 6 * DAY_MS);
	assert_int_equal(fixture_queue(&f, "Long", 0)->min_offset, 1);
	assert_int_equal(segments(&f), 1);
	fixture_fini(&f);
}

static void a_topic_with_a_shorter_time_begins_later(void **state)
{
	(void)state;
	for (int pends = 0; pends < 2; pends++) {
		struct fixture f;
		setup(&f);
		struct wish w = { &f, "Short", { (int64_t)HOUR_MS, INT64_MAX } };
		f.retention.look = look;
		f.retention.ctx = &w;
		f.disk.pends = pends;
		start(&f);
		send_to(&f, "Short", 250);
		send_to(&f, "T", 10);
		fake_host_advance_ms(&f.h, HOUR_MS / 2);
		send_to(&f, "Short", 20);
		struct queue *q = fixture_queue(&f, "Short", 0);
		fake_host_advance_ms(&f.h, HOUR_MS / 2 - 60000);
		assert_int_equal(q->min_offset, 0);
		fake_host_advance_ms(&f.h, 120000);
		assert_int_equal(q->min_offset, 250);
		assert_int_equal(fixture_disk_queue(&f, "Short", 0)->begin, 200 * 20);
		fake_host_advance_ms(&f.h, HOUR_MS);
		assert_int_equal(q->min_offset, 270);
		assert_int_equal(fixture_queue(&f, "T", 0)->min_offset, 0);
		assert_int_equal(f.log->begin, 0);
		fixture_fini(&f);
	}
}

/* ---- in the middle ---- */

static void a_topic_may_go_and_come_in_the_middle(void **state)
{
	(void)state;
	struct fixture f;
	setup(&f);
	f.retention.size_bytes = 1;
	f.disk.pends = true;
	start(&f);
	send_to(&f, "A", 30);
	send_to(&f, "B", 30);
	send_to(&f, "C", 30);
	retention_now(&f.log->retention);
	fake_host_advance_ms(&f.h, 0);
	log_drop_topic(f.log, slice_str("B"));
	send_to(&f, "B", 3);
	log_drop_topic(f.log, slice_str("A"));
	fake_host_advance_ms(&f.h, 20000);
	assert_int_equal(segments(&f), 1);
	assert_int_equal(fixture_queue(&f, "B", 0)->max_offset, 3);
	expect_queue(&f, "B");
	expect_queue(&f, "C");
	fixture_fini(&f);
}

static void run_posts(struct fixture *f, int n)
{
	for (int i = 0; i < n && f->h.first; i++) {
		struct mosaic_req *req = f->h.first;
		f->h.first = req->next;
		if (!f->h.first)
			f->h.last = NULL;
		req->next = NULL;
		req->done(req);
	}
}

/* However far a round has come when the log closes or the process is killed. */
static void it_can_be_stopped_at_any_step(void **state)
{
	(void)state;
	for (int steps = 0; steps < 60; steps++) {
		struct fixture f;
		setup(&f);
		f.retention.size_bytes = 1;
		f.disk.pends = true;
		start(&f);
		send_to(&f, "A", 130);
		send_to(&f, "B", 30);
		retention_now(&f.log->retention);
		struct mosaic_timer *t = timer_heap_first(&f.h.timers);
		assert_ptr_equal(t, &f.log->retention.timer);
		timer_heap_remove(&f.h.timers, t);
		t->fire(t);
		run_posts(&f, steps);
		fixture_stop(&f, CLEAN);
		start(&f);
		send_to(&f, "A", 1);
		assert_int_equal(fixture_queue(&f, "A", 0)->max_offset, 131);
		expect_queue(&f, "A");
		expect_queue(&f, "B");
		fixture_fini(&f);
	}
}

static void offsets_stay_dense_over_crashes(void **state)
{
	(void)state;
	struct fixture f;
	int64_t sent = 0;
	setup(&f);
	f.retention.size_bytes = 2 * 4096;
	for (int round = 0; round < 12; round++) {
		start(&f);
		assert_int_equal(log_queue(f.log, slice_str("T"), 0)->max_offset, sent);
		send_to(&f, "T", 40);
		sent += 40;
		fake_host_advance_ms(&f.h, 61000);
		assert_true(f.log->end - f.log->begin <= 2 * 4096);
		expect_queue(&f, "T");
		fixture_stop(&f, round % 3 == 0 ? CLEAN : CRASH);
	}
	start(&f);
	assert_int_equal(fixture_queue(&f, "T", 0)->max_offset, sent);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_old_goes_at_its_hour),
		cmocka_unit_test(an_operator_need_not_wait_for_the_hour),
		cmocka_unit_test(segments_go_one_by_one_with_a_pause),
		cmocka_unit_test(a_full_disk_takes_what_is_old_at_any_hour),
		cmocka_unit_test(a_fuller_disk_takes_what_is_young_until_there_is_room),
		cmocka_unit_test(above_the_last_limit_appends_are_refused),
		cmocka_unit_test(a_log_stays_below_its_size),
		cmocka_unit_test(a_store_that_knows_nothing_is_asked_for_the_size_only),
		cmocka_unit_test(an_emptied_queue_keeps_its_offsets),
		cmocka_unit_test(what_a_group_has_not_consumed_stays),
		cmocka_unit_test(a_topic_with_a_longer_time_keeps_its_segments),
		cmocka_unit_test(a_topic_with_a_shorter_time_begins_later),
		cmocka_unit_test(a_topic_may_go_and_come_in_the_middle),
		cmocka_unit_test(it_can_be_stopped_at_any_step),
		cmocka_unit_test(offsets_stay_dense_over_crashes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
