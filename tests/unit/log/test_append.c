#include "log_fixture.h"

static void message_is_read_back_from_its_queue(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f), 0);
	assert_int_equal(fixture_send(&f, "T", 3, "hello", "TagA"), 0);
	assert_int_equal(f.n_arrived, 1);
	assert_int_equal(f.arrived_offset, 1);
	assert_int_equal(f.arrived_tags, hash_java(slice_str("TagA")));
	assert_int_equal(fixture_send(&f, "T", 3, "again", NULL), 0);
	assert_int_equal(f.arrived_tags, 0);
	fixture_expect(&f, "T", 3, 0, "hello");
	fixture_expect(&f, "T", 3, 1, "again");
	assert_int_equal(fixture_queue(&f, "T", 3)->max_offset, 2);
	assert_int_equal(fixture_queue(&f, "T", 3)->max_phys, f.end);
	assert_null(fixture_queue(&f, "T", 0));
	assert_int_equal(f.log->end, f.end);
	assert_int_equal(f.flush.appended, f.end);
	assert_int_equal(f.log->stats.records, 2);
	fixture_fini(&f);
}

static void store_time_never_goes_back(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f), 0);
	f.log->last_store_ms = (int64_t)host_wall_ms(&f.h.host) + 1000;
	int64_t before = f.log->last_store_ms;
	assert_int_equal(fixture_send(&f, "T", 0, "a", NULL), 0);
	assert_int_equal(f.log->last_store_ms, before);
	fake_host_advance_ms(&f.h, 2000);
	assert_int_equal(fixture_send(&f, "T", 0, "b", NULL), 0);
	assert_int_equal(f.log->last_store_ms, (int64_t)host_wall_ms(&f.h.host));
	fixture_fini(&f);
}

/* For each length of the first record: the second ends up either behind it or in the next
 * segment. */
static void record_leaves_room_for_the_blank_record(void **state)
{
	(void)state;
	int n_blanks = 0;
	for (uint32_t pad = 0; pad < 24; pad++) {
		struct fixture f;
		char body[4096] = { 0 };
		fixture_init(&f);
		assert_int_equal(fixture_open(&f), 0);
		assert_int_equal(fixture_send(&f, "T", 0, "", NULL), 0);
		uint32_t least = (uint32_t)f.end;
		/* Two of these fill the segment but for 16 - pad bytes. */
		memset(body, 'x', 4096 - 3 * least - 16 + pad);
		assert_int_equal(fixture_send(&f, "T", 0, body, NULL), 0);
		uint64_t before = f.end;
		assert_int_equal(before, 4096 - least - 16 + pad);
		assert_int_equal(fixture_send(&f, "T", 0, "", NULL), 0);
		const uint8_t *bytes = fixture_disk_log(&f)->bytes;
		if (least + 8 <= 4096 - before) {
			assert_int_equal(f.end, before + least);
		} else {
			n_blanks++;
			assert_int_equal(f.end, 4096 + least);
			assert_int_equal(get_be32(bytes + before), 4096 - before);
			assert_int_equal(get_be32(bytes + before + 4), RECORD_MAGIC_BLANK);
		}
		fixture_expect(&f, "T", 0, 2, "");
		fixture_stop(&f, CRASH);
		f.disk.is_clean = false;
		assert_int_equal(fixture_open(&f), 0);
		assert_int_equal(f.log->end, f.end);
		fixture_expect(&f, "T", 0, 1, body);
		fixture_expect(&f, "T", 0, 2, "");
		fixture_fini(&f);
	}
	assert_int_equal(n_blanks, 15);
}

static void record_that_fits_into_no_segment_is_refused(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	char body[4200] = { 0 };
	assert_int_equal(fixture_open(&f), 0);
	memset(body, 'x', 4096);
	assert_int_equal(fixture_send(&f, "T", 0, body, NULL), MOSAIC_E_LIMIT);
	f.log->config.max_record_bytes = 200;
	body[150] = 0;
	assert_int_equal(fixture_send(&f, "T", 0, body, NULL), MOSAIC_E_LIMIT);
	assert_int_equal(f.log->end, 0);
	fixture_fini(&f);
}

static void prepared_and_rolled_back_transactions_have_no_unit(void **state)
{
	(void)state;
	static const struct {
		int32_t sys_flag;
		bool has_unit;
	} cases[] = { { 0, true },
		      { SYS_TRANSACTION_PREPARED, false },
		      { SYS_TRANSACTION_COMMIT, true },
		      { SYS_TRANSACTION_ROLLBACK, false } };
	struct fixture f;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f), 0);
	struct queue *q = log_queue(f.log, slice_str("T"), 0);
	int64_t next = 0;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct message m = fixture_message("T", "b", NULL, NULL);
		m.sys_flag = cases[i].sys_flag;
		assert_int_equal(log_append(f.log, q, &m, &f.end), 0);
		assert_int_equal(m.queue_offset, cases[i].has_unit ? next : 0);
		next += cases[i].has_unit;
		assert_int_equal(q->max_offset, next);
		assert_int_equal(f.n_arrived, next);
	}
	fixture_stop(&f, CRASH);
	assert_int_equal(fixture_open(&f), 0);
	assert_int_equal(fixture_queue(&f, "T", 0)->max_offset, 2);
	fixture_fini(&f);
}

static void delayed_message_carries_the_time_it_is_due(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f), 0);
	assert_int_equal(fixture_send(&f, DELAY_TOPIC, 2, "later", "TagA"), 0);
	assert_int_equal(f.arrived_tags, f.log->last_store_ms + 10000);
	assert_int_equal(fixture_send(&f, DELAY_TOPIC, 17, "later", "TagA"), 0);
	assert_int_equal(f.arrived_tags, f.log->last_store_ms + 7200000);
	assert_int_equal(delay_level_ms(0), 0);
	assert_int_equal(delay_level_ms(1), 1000);
	assert_int_equal(delay_level_ms(99), 7200000);
	fixture_fini(&f);
}

static void no_room_in_either_stream_changes_nothing(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f), 0);
	assert_int_equal(fixture_send(&f, "T", 0, "a", NULL), 0);
	uint64_t end = f.end;
	int *const fails[] = { &f.disk.fail_queue_reserve, &f.disk.fail_log_reserve };
	for (int i = 0; i < 2; i++) {
		*fails[i] = MOSAIC_E_AGAIN;
		assert_int_equal(fixture_send(&f, "T", 0, "b", NULL), MOSAIC_E_AGAIN);
		*fails[i] = MOSAIC_E_NOSPACE;
		assert_int_equal(fixture_send(&f, "T", 0, "b", NULL), MOSAIC_E_NOSPACE);
		*fails[i] = MOSAIC_E_IO;
		assert_int_equal(fixture_send(&f, "T", 0, "b", NULL), MOSAIC_E_FATAL);
		*fails[i] = 0;
		assert_int_equal(f.log->end, end);
		assert_int_equal(fixture_queue(&f, "T", 0)->max_offset, 1);
	}
	assert_int_equal(f.n_arrived, 1);
	assert_int_equal(fixture_send(&f, "T", 0, "b", NULL), 0);
	fixture_expect(&f, "T", 0, 1, "b");
	fixture_fini(&f);
}

static void told(struct mosaic_req *req)
{
	++*(int *)req->data;
}

static void waiters_for_room_are_told_once(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f), 0);
	int n = 0;
	struct mosaic_req a = { .done = told, .data = &n }, b = { .done = told, .data = &n };
	f.disk.fail_log_reserve = MOSAIC_E_AGAIN;
	assert_int_equal(fixture_send(&f, "T", 0, "a", NULL), MOSAIC_E_AGAIN);
	log_wait_room(f.log, &a);
	log_wait_room(f.log, &b);
	fake_host_run(&f.h);
	assert_int_equal(n, 0);
	struct mosaic_req *room = fixture_disk_log(&f)->room;
	assert_non_null(room);
	room->done(room);
	assert_int_equal(n, 0); /* later, never inside */
	fake_host_run(&f.h);
	assert_int_equal(n, 2);
	/* A failure tells them too: trying again answers what is wrong. */
	log_wait_room(f.log, &a);
	struct mosaic_error err = { .struct_size = sizeof(err), .code = MOSAIC_E_IO };
	strcpy(err.text, "gone");
	log_fail(f.log, &err);
	fake_host_run(&f.h);
	assert_int_equal(n, 3);
	assert_int_equal(fixture_send(&f, "T", 0, "a", NULL), MOSAIC_E_FATAL);
	assert_string_equal(f.log->why, "gone");
	fixture_fini(&f);
}

static void names_that_are_no_folder_have_no_queue(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f), 0);
	char name[300];
	memset(name, 'x', sizeof(name));
	assert_null(log_queue(f.log, slice("", 0), 0));
	assert_null(log_queue(f.log, slice_str(".."), 0));
	assert_null(log_queue(f.log, slice_str("."), 0));
	assert_null(log_queue(f.log, slice_str("a/b"), 0));
	assert_null(log_queue(f.log, slice("a\0b", 3), 0));
	assert_null(log_queue(f.log, slice(name, 256), 0));
	assert_null(log_queue(f.log, slice_str("T"), -1));
	struct queue *q = log_queue(f.log, slice(name, 255), 0);
	assert_non_null(q);
	/* A topic that long is stored in the second form of the record. */
	struct message m = fixture_message("", "b", NULL, NULL);
	m.topic = queue_topic(q);
	assert_int_equal(log_append(f.log, q, &m, &f.end), 0);
	assert_int_equal(get_be32(fixture_disk_log(&f)->bytes + 4), RECORD_MAGIC_V2);
	fixture_stop(&f, CRASH);
	assert_int_equal(fixture_open(&f), 0);
	assert_int_equal(log_queue(f.log, slice(name, 255), 0)->max_offset, 1);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message_is_read_back_from_its_queue),
		cmocka_unit_test(store_time_never_goes_back),
		cmocka_unit_test(record_leaves_room_for_the_blank_record),
		cmocka_unit_test(record_that_fits_into_no_segment_is_refused),
		cmocka_unit_test(prepared_and_rolled_back_transactions_have_no_unit),
		cmocka_unit_test(delayed_message_carries_the_time_it_is_due),
		cmocka_unit_test(no_room_in_either_stream_changes_nothing),
		cmocka_unit_test(waiters_for_room_are_told_once),
		cmocka_unit_test(names_that_are_no_folder_have_no_queue),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
