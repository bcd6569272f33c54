#include "namesrv_fixture.h"

static struct fake_frame get(struct fixture *f, const char *ns, const char *key)
{
	return ASK(f, REQ_GET_KV_CONFIG, NO_BODY, "namespace", ns, "key", key);
}

static int32_t put(struct fixture *f, const char *ns, const char *key, const char *value)
{
	return ASK(f, REQ_PUT_KV_CONFIG, NO_BODY, "namespace", ns, "key", key, "value", value)
		.header.code;
}

static void what_is_put_is_saved_and_read_and_can_be_deleted(void **state)
{
	struct fixture f;
	struct fake_frame frame;

	(void)state;
	setup(&f);
	assert_int_equal(put(&f, "NS", "k", "va\"l"), 0);
	assert_text(buf_slice(&f.saved), "{\"configTable\":{\"NS\":{\"k\":\"va\\\"l\"}}}");
	frame = get(&f, "NS", "k");
	assert_int_equal(frame.header.code, 0);
	assert_text(header_str(&frame.header, "value"), "va\"l");
	assert_int_equal(put(&f, "NS", "k", "new"), 0);
	assert_text(ASK(&f, REQ_GET_KVLIST_BY_NAMESPACE, NO_BODY, "namespace", "NS").body,
		    "{\"table\":{\"k\":\"new\"}}");
	assert_int_equal(
		ASK(&f, REQ_DELETE_KV_CONFIG, NO_BODY, "namespace", "NS", "key", "k").header.code,
		0);
	frame = get(&f, "NS", "k");
	assert_int_equal(frame.header.code, RES_QUERY_NOT_FOUND);
	assert_text(frame.header.remark, "No config item, Namespace: NS Key: k");
	/* An emptied namespace stays, as in Java. */
	assert_text(ASK(&f, REQ_GET_KVLIST_BY_NAMESPACE, NO_BODY, "namespace", "NS").body,
		    "{\"table\":{}}");
	assert_text(buf_slice(&f.saved), "{\"configTable\":{\"NS\":{}}}");
	teardown(&f);
}

static void the_document_is_read_at_start(void **state)
{
	struct fixture f;
	struct fake_frame frame;

	(void)state;
	setup_with(&f, "{\"configTable\":{\"ORDER_TOPIC_CONFIG\":{\"T\":\"b1:4\"},\"E\":{}}}");
	frame = get(&f, "ORDER_TOPIC_CONFIG", "T");
	assert_text(header_str(&frame.header, "value"), "b1:4");
	assert_int_equal(put(&f, "NS", "k", "v"), 0);
	assert_text(buf_slice(&f.saved),
		    "{\"configTable\":{\"ORDER_TOPIC_CONFIG\":{\"T\":\"b1:4\"},"
		    "\"E\":{},\"NS\":{\"k\":\"v\"}}}");
	teardown(&f);
}

static void a_damaged_document_is_an_error_not_an_empty_config(void **state)
{
	struct mosaic_error err = { .struct_size = sizeof(err) };
	struct fixture f;

	(void)state;
	setup(&f);
	f.config.docs.kv_config = slice_str("{\"configTable\":{\"NS\":{\"k\":");
	assert_null(namesrv_create(&f.config, &err));
	assert_int_equal(err.code, MOSAIC_E_CORRUPT);
	assert_true(err.text[0] != 0);
	f.config.docs.kv_config = slice_str("[1]");
	assert_null(namesrv_create(&f.config, &err));
	teardown(&f);
}

static void a_change_is_answered_and_visible_only_after_its_save(void **state)
{
	struct fixture f;
	struct fake_frame frame;

	(void)state;
	setup(&f);
	f.hold_saves = true;
	fake_conn_request(f.c, REQ_PUT_KV_CONFIG, NO_BODY, "namespace", "NS", "key", "k", "value",
			  "v", NULL);
	fake_host_run(&f.host);
	assert_false(fake_conn_next(f.c, &frame));
	assert_int_equal(get(&f, "NS", "k").header.code, RES_QUERY_NOT_FOUND);
	fixture_saved(&f, 0);
	assert_true(fake_conn_next(f.c, &frame));
	assert_int_equal(frame.header.code, 0);
	assert_int_equal(get(&f, "NS", "k").header.code, 0);
	f.hold_saves = false;
	teardown(&f);
}

static void changes_during_a_save_go_into_one_next_save_in_order(void **state)
{
	struct fixture f;
	struct fake_frame frame;
	static const char *const values[] = { "1", "2", "3" };

	(void)state;
	setup(&f);
	f.hold_saves = true;
	for (int i = 0; i < 3; i++)
		fake_conn_request(f.c, REQ_PUT_KV_CONFIG, NO_BODY, "namespace", "NS", "key", "k",
				  "value", values[i], NULL);
	assert_int_equal(f.n_saves, 1);
	fixture_saved(&f, 0);
	assert_int_equal(f.n_saves, 2);
	assert_text(buf_slice(&f.saved), "{\"configTable\":{\"NS\":{\"k\":\"3\"}}}");
	assert_true(fake_conn_next(f.c, &frame));
	assert_false(fake_conn_next(f.c, &frame));
	fixture_saved(&f, 0);
	assert_true(fake_conn_next(f.c, &frame));
	assert_true(fake_conn_next(f.c, &frame));
	frame = get(&f, "NS", "k");
	assert_text(header_str(&frame.header, "value"), "3");
	f.hold_saves = false;
	teardown(&f);
}

static void a_failed_save_is_answered_with_the_reason_and_leaves_the_old_value(void **state)
{
	struct fixture f;
	struct fake_frame frame;

	(void)state;
	setup(&f);
	assert_int_equal(put(&f, "NS", "k", "old"), 0);
	f.save_status = MOSAIC_E_NOSPACE;
	frame = ASK(&f, REQ_PUT_KV_CONFIG, NO_BODY, "namespace", "NS", "key", "k", "value", "new");
	assert_int_equal(frame.header.code, RES_SYSTEM_ERROR);
	assert_text(frame.header.remark, "the KV config cannot be saved: no space is left");
	assert_int_equal(put(&f, "NEW", "k", "v"), RES_SYSTEM_ERROR);
	assert_int_equal(
		ASK(&f, REQ_DELETE_KV_CONFIG, NO_BODY, "namespace", "NS", "key", "k").header.code,
		1);
	frame = get(&f, "NS", "k");
	assert_text(header_str(&frame.header, "value"), "old");
	assert_int_equal(
		ASK(&f, REQ_GET_KVLIST_BY_NAMESPACE, NO_BODY, "namespace", "NEW").header.code,
		RES_QUERY_NOT_FOUND);
	f.save_status = 0;
	f.save_rc = MOSAIC_E_CLOSED; /* refused at once */
	assert_int_equal(put(&f, "NS", "k", "newer"), RES_SYSTEM_ERROR);
	f.save_rc = 0;
	assert_int_equal(put(&f, "NS", "k", "newest"), 0);
	assert_text(buf_slice(&f.saved), "{\"configTable\":{\"NS\":{\"k\":\"newest\"}}}");
	assert_true(fake_host_logged(&f.host, "error kv_save_failed"));
	teardown(&f);
}

static void missing_fields_get_javas_words(void **state)
{
	struct fixture f;
	struct fake_frame frame;

	(void)state;
	setup(&f);
	frame = ASK(&f, REQ_GET_KV_CONFIG, NO_BODY, "key", "k");
	assert_text(frame.header.remark, "No config item, Namespace: null Key: k");
	frame = ASK(&f, REQ_GET_KVLIST_BY_NAMESPACE, NO_BODY);
	assert_int_equal(frame.header.code, RES_QUERY_NOT_FOUND);
	assert_text(frame.header.remark, "No config item, Namespace: null");
	frame = ASK(&f, REQ_PUT_KV_CONFIG, NO_BODY, "namespace", "NS", "value", "v");
	assert_int_equal(frame.header.code, RES_SYSTEM_ERROR);
	assert_text(frame.header.remark, "namespace or key is null");
	frame = ASK(&f, REQ_PUT_KV_CONFIG, NO_BODY, "namespace", "NS", "key", "k");
	assert_int_equal(frame.header.code, RES_SYSTEM_ERROR);
	teardown(&f);
}

static void the_config_is_bounded(void **state)
{
	struct fixture f;
	char *value = malloc(5u << 20);

	(void)state;
	setup(&f);
	memset(value, 'v', (5u << 20) - 1);
	value[(5u << 20) - 1] = 0;
	assert_int_equal(put(&f, "NS", "a", value), 0);
	assert_int_equal(put(&f, "NS", "b", value), RES_SYSTEM_ERROR);
	assert_int_equal(
		ASK(&f, REQ_DELETE_KV_CONFIG, NO_BODY, "namespace", "NS", "key", "a").header.code,
		0);
	assert_int_equal(put(&f, "NS", "b", value), 0);
	f.hold_saves = true; /* the same bound while nothing is saved yet */
	fake_conn_request(f.c, REQ_DELETE_KV_CONFIG, NO_BODY, "namespace", "NS", "key", "b", NULL);
	for (int i = 0; i < 1002; i++)
		fake_conn_request(f.c, REQ_DELETE_KV_CONFIG, NO_BODY, "namespace", "NS", "key", "x",
				  NULL);
	assert_true(fake_host_logged(&f.host, "too many changes of the KV config wait"));
	fixture_saved(&f, 0);
	fixture_saved(&f, 0);
	free(value);
	teardown(&f);
}

static void stop_waits_for_the_save_and_its_answer(void **state)
{
	struct fixture f;
	struct fake_frame frame;
	uint32_t n_stopped = 0;
	struct mosaic_req req = { .done = fixture_stopped, .data = &n_stopped };

	(void)state;
	setup(&f);
	f.hold_saves = true;
	fake_conn_request(f.c, REQ_PUT_KV_CONFIG, NO_BODY, "namespace", "NS", "key", "k", "value",
			  "v", NULL);
	namesrv_stop(f.ns, &req);
	fake_host_run(&f.host);
	assert_int_equal(n_stopped, 0);
	fixture_saved(&f, 0);
	assert_int_equal(n_stopped, 1);
	assert_true(fake_conn_next(f.c, &frame));
	assert_int_equal(frame.header.code, 0);
	assert_int_equal(put(&f, "NS", "k", "late"), RES_SYSTEM_ERROR);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_put_is_saved_and_read_and_can_be_deleted),
		cmocka_unit_test(the_document_is_read_at_start),
		cmocka_unit_test(a_damaged_document_is_an_error_not_an_empty_config),
		cmocka_unit_test(a_change_is_answered_and_visible_only_after_its_save),
		cmocka_unit_test(changes_during_a_save_go_into_one_next_save_in_order),
		cmocka_unit_test(
			a_failed_save_is_answered_with_the_reason_and_leaves_the_old_value),
		cmocka_unit_test(missing_fields_get_javas_words),
		cmocka_unit_test(the_config_is_bounded),
		cmocka_unit_test(stop_waits_for_the_save_and_its_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
