#include "log_fixture.h"
#include "log/damage.h"

/* Store times of the queue's messages. */
static const int times[] = { 0, 1000, 1000, 1500, 2000, 2000, 3000 };
#define BASE ((int64_t)FAKE_WALL_MS + 10000)

static void send_at(struct fixture *f, int64_t wall_ms)
{
	fake_host_advance_ms(&f->h, (uint64_t)(wall_ms - (int64_t)host_wall_ms(&f->h.host)));
	assert_int_equal(fixture_send(f, "T", 0, "b", NULL), 0);
	assert_int_equal(fixture_send(f, "Other", 0, "c", NULL), 0);
}

static void setup(struct fixture *f)
{
	fixture_init(f);
	assert_int_equal(fixture_open(f), 0);
	for (size_t i = 0; i < ARRAY_LEN(times); i++)
		send_at(f, BASE + times[i]);
}

static void search_done(struct mosaic_req *req)
{
	*(bool *)req->data = true;
}

static int64_t search(struct fixture *f, int64_t timestamp_ms, bool upper)
{
	bool is_done = false;
	struct queue_search s = { .req = { .done = search_done, .data = &is_done },
				  .timestamp_ms = timestamp_ms,
				  .upper = upper };
	int rc = queue_search(fixture_queue(f, "T", 0), &s);
	if (rc == MOSAIC_PENDING) {
		assert_false(is_done);
		fake_host_run(&f->h);
		assert_true(is_done);
		rc = s.req.status;
	}
	assert_int_equal(rc, 0);
	return s.offset;
}

static const struct {
	int64_t at;
	int lower, upper;
} cases[] = {
	{ -5000, 0, 0 }, { 0, 0, 0 },	 { 1, 1, 0 },	 { 999, 1, 0 },	 { 1000, 1, 2 },
	{ 1001, 3, 2 },	 { 1500, 3, 3 }, { 1999, 4, 3 }, { 2000, 4, 5 }, { 2999, 6, 5 },
	{ 3000, 6, 6 },	 { 3001, 7, 6 },
};

static void search_cases(struct fixture *f)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(search(f, BASE + cases[i].at, false), cases[i].lower);
		assert_int_equal(search(f, BASE + cases[i].at, true), cases[i].upper);
	}
}

static void search_finds_offsets_by_store_time(void **state)
{
	(void)state;
	struct fixture f;
	setup(&f);
	search_cases(&f);
	f.disk.pends = true; /* cold reads: the same answers, later */
	search_cases(&f);
	f.disk.pends = false;
	fixture_fini(&f);
}

/* A record that the disk cannot read may lie on either side; all others lie where they did. */
static void search_goes_around_lost_records(void **state)
{
	(void)state;
	for (int lost = 0; lost < (int)ARRAY_LEN(times); lost++) {
		struct fixture f;
		setup(&f);
		struct mosaic_read read = { .offset = (uint64_t)lost * f.log->end / 7 + 5,
					    .len = 1 };
		log_lost(f.log, &read);
		for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
			int64_t lower = search(&f, BASE + cases[i].at, false);
			if (lower != cases[i].lower)
				assert_true(lower == lost && cases[i].lower == lost + 1);
			int64_t upper = search(&f, BASE + cases[i].at, true);
			if (upper != cases[i].upper)
				assert_true(upper == lost - 1 && cases[i].upper == lost);
		}
		fixture_fini(&f);
	}
}

static void search_counts_trimmed_records_as_older(void **state)
{
	(void)state;
	struct fixture f;
	setup(&f);
	/* Without its first records: those that are left begin at index 3. */
	uint64_t size = f.end / (2 * ARRAY_LEN(times));
	fixture_disk_log(&f)->begin = 6 * size;
	assert_int_equal(search(&f, BASE + 1000, false), 3);
	assert_int_equal(search(&f, BASE + 2000, true), 5);
	fixture_fini(&f);
}

static void search_in_an_empty_queue_answers_its_end(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f), 0);
	assert_non_null(log_queue(f.log, slice_str("T"), 0));
	assert_int_equal(search(&f, 5, false), 0);
	assert_int_equal(search(&f, 5, true), 0);
	fixture_fini(&f);
}

static void search_reports_what_the_store_reports(void **state)
{
	(void)state;
	struct fixture f;
	setup(&f);
	bool is_done = false;
	struct queue_search s = { .req = { .done = search_done, .data = &is_done } };
	f.disk.fail_read = MOSAIC_E_IO;
	f.disk.fail_read_after = 1;
	assert_int_equal(queue_search(fixture_queue(&f, "T", 0), &s), MOSAIC_E_IO);
	f.disk.pends = true;
	f.disk.fail_read_after = 1;
	assert_int_equal(queue_search(fixture_queue(&f, "T", 0), &s), MOSAIC_PENDING);
	fake_host_run(&f.h);
	assert_true(is_done);
	assert_int_equal(s.req.status, MOSAIC_E_IO);
	assert_int_equal(f.disk.n_pins, 0);
	f.disk.pends = false;
	f.disk.fail_read = 0;
	fixture_fini(&f);
}

static void read_gives_whole_units_inside_the_queue(void **state)
{
	(void)state;
	struct fixture f;
	setup(&f);
	struct queue *q = fixture_queue(&f, "T", 0);
	struct mosaic_read read = { .req.done = no_done };
	assert_int_equal(queue_read(q, 7, 1, &read), MOSAIC_E_NOTFOUND);
	assert_int_equal(queue_read(q, -1, 1, &read), MOSAIC_E_NOTFOUND);
	assert_int_equal(queue_read(q, 5, UINT32_MAX, &read), 0);
	assert_int_equal(read.len, 40);
	queue_unpin(q, &read);
	assert_int_equal(queue_read(q, 0, 3, &read), 0);
	assert_int_equal(read.len, 60);
	queue_unpin(q, &read);
	q->min_offset = 2;
	assert_int_equal(queue_read(q, 1, 1, &read), MOSAIC_E_NOTFOUND);
	fixture_fini(&f);
}

static void dropped_topic_begins_anew(void **state)
{
	(void)state;
	struct fixture f;
	setup(&f);
	struct queue *q = fixture_queue(&f, "T", 0);
	struct mosaic_read read = { .req.done = no_done };
	assert_int_equal(queue_read(q, 0, 1, &read), 0);
	log_drop_topic(f.log, slice_str("T"));
	queue_unpin(q, &read); /* what was read before stays readable */
	assert_null(fixture_queue(&f, "T", 0));
	assert_int_equal(fixture_queue(&f, "Other", 0)->max_offset, 7);
	assert_int_equal(queue_read(q, 0, 1, &read), MOSAIC_E_NOTFOUND);
	fake_host_run(&f.h);
	assert_int_equal(fixture_send(&f, "T", 0, "new", NULL), 0);
	fixture_expect(&f, "T", 0, 0, "new");
	fixture_fini(&f);
}

/* The unit in the middle says that its record was trimmed; its neighbours know better. */
static void a_damaged_unit_hides_no_other(void **state)
{
	struct fixture f;
	(void)state;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f), 0);
	for (int i = 0; i < 40; i++)
		assert_int_equal(fixture_send(&f, "T", 0, "b", NULL), 0);
	uint64_t record = f.log->end / 40;
	fixture_stop(&f, CLEAN);
	struct mosaic_stream *log = fixture_disk_log(&f);
	struct mosaic_stream *units = fixture_disk_queue(&f, "T", 0);
	log->begin = 8 * record;
	for (int i = 9; i < 40; i++) {
		uint8_t was[8];
		memcpy(was, units->bytes + i * QUEUE_UNIT_BYTES, 8);
		put_be64(units->bytes + i * QUEUE_UNIT_BYTES, record);
		assert_int_equal(fixture_open(&f), 0);
		assert_int_equal(fixture_queue(&f, "T", 0)->min_offset, 8);
		assert_int_equal(fixture_queue(&f, "T", 0)->max_offset, 40);
		fixture_stop(&f, CLEAN);
		memcpy(units->bytes + i * QUEUE_UNIT_BYTES, was, 8);
	}
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(search_finds_offsets_by_store_time),
		cmocka_unit_test(search_goes_around_lost_records),
		cmocka_unit_test(search_counts_trimmed_records_as_older),
		cmocka_unit_test(search_in_an_empty_queue_answers_its_end),
		cmocka_unit_test(search_reports_what_the_store_reports),
		cmocka_unit_test(read_gives_whole_units_inside_the_queue),
		cmocka_unit_test(dropped_topic_begins_anew),
		cmocka_unit_test(a_damaged_unit_hides_no_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
