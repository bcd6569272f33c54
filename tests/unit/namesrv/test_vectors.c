/*
 * Requests captured from real clients, fed to our NameServer after the state that they met was
 * prepared: code, remark of errors, field names and shape of the body must be those of the captured
 * answer. The captures are shared/reference/vectors/wire; without them the test says so and ends.
 */
#include "namesrv_fixture.h"
#include "support/vectors.h"

#define VEC_A "vec-a", .cluster = "VecCluster"

/* ---- the state that a captured answer implies ---- */

static void register_like(struct fixture *f, const json_t *broker, const char *topics)
{
	const char *id, *cluster = json_string_value(json_object_get(broker, "cluster"));
	json_t *addr;

	json_object_foreach(json_object_get(broker, "brokerAddrs"), id, addr)
		assert_registered(REG(
			f, .name = json_string_value(json_object_get(broker, "brokerName")),
			.addr = json_string_value(addr), .id = atoi(id), .topics = topics,
			.cluster = cluster,
			.acting_master = json_is_true(json_object_get(broker, "enableActingMaster"))
						 ? "true"
						 : "false"));
}

static void put_kv(struct fixture *f, const char *ns, const char *key, const char *value)
{
	assert_int_equal(
		ASK(f, REQ_PUT_KV_CONFIG, NO_BODY, "namespace", ns, "key", key, "value", value)
			.header.code,
		0);
}

static const char *ext(const json_t *message, const char *key)
{
	return json_string_value(json_object_get(
		json_object_get(json_object_get(message, "header"), "extFields"), key));
}

static void prepare_kv(struct fixture *f, int code, const json_t *request, const json_t *response,
		       const json_t *body)
{
	const char *ns =
		code == REQ_REGISTER_BROKER ? "ORDER_TOPIC_CONFIG" : ext(request, "namespace");
	const char *key;
	json_t *value;

	if (ext(response, "value"))
		put_kv(f, ns, ext(request, "key"), ext(response, "value"));
	if (!json_object_get(body, "table"))
		return;
	put_kv(f, ns, "gone", "x"); /* makes the namespace */
	ASK(f, REQ_DELETE_KV_CONFIG, NO_BODY, "namespace", ns, "key", "gone");
	json_object_foreach(json_object_get(body, "table"), key, value)
		put_kv(f, ns, key, json_string_value(value));
}

static void prepare(struct fixture *f, int code, const json_t *request, const json_t *response,
		    const json_t *body)
{
	struct buf topics = BUF_INIT;
	const char *name;
	json_t *broker;
	size_t i;

	buf_printf(&topics, "%s Other", ext(request, "topic") ? ext(request, "topic") : "Another");
	json_array_foreach(json_object_get(body, "brokerDatas"), i, broker)
		register_like(f, broker, buf_cstr(&topics));
	json_object_foreach(json_object_get(body, "brokerAddrTable"), name, broker)
		register_like(f, broker, "T1 T2");
	register_like(f, json_object_get(body, "brokerMemberGroup"), "T1 T2");
	if (ext(response, "masterAddr"))
		assert_registered(REG(f, .name = ext(request, "brokerName"),
				      .addr = ext(response, "masterAddr"), .topics = "T1 T2",
				      .cluster = ext(request, "clusterName")));
	if (code == REQ_WIPE_WRITE_PERM_OF_BROKER || code == REQ_ADD_WRITE_PERM_OF_BROKER ||
	    code == REQ_QUERY_DATA_VERSION || code == REQ_GET_SYSTEM_TOPIC_LIST_FROM_NS ||
	    code == REQ_GET_TOPICS_BY_CLUSTER || code == REQ_GET_ALL_TOPIC_LIST_FROM_NAMESERVER)
		assert_registered(
			REG(f, .name = VEC_A, .addr = "127.0.0.1:30911", .topics = "T1 T2"));
	prepare_kv(f, code, request, response, body);
	buf_free(&topics);
}

/* ---- comparison ---- */

static void assert_shape(const char *where, const json_t *want, const json_t *got)
{
	const char *key;
	json_t *member;

	if (json_typeof(want) != json_typeof(got) &&
	    !(json_is_boolean(want) && json_is_boolean(got)))
		fail_msg("%s: another type", where);
	if (json_is_object(want)) {
		json_object_foreach((json_t *)(uintptr_t)want, key, member) {
			if (!json_object_get(got, key))
				fail_msg("%s: no member %s", where, key);
			assert_shape(key, member, json_object_get(got, key));
		}
		json_object_foreach((json_t *)(uintptr_t)got, key, member)
			if (!json_object_get(want, key))
				fail_msg("%s: unexpected member %s", where, key);
	} else if (json_is_array(want) && json_array_size(want) > 0 && json_array_size(got) > 0) {
		assert_shape(where, json_array_get(want, 0), json_array_get(got, 0));
	}
}

/* Every option that we show is one of RocketMQ's. */
static void assert_options(const char *want, struct mosaic_slice got)
{
	char *text = slice_dup(got), *at = text, *line;

	while ((line = strsep(&at, "\n")) != NULL) {
		char *end = strchr(line, '=');

		if (*line == 0)
			continue;
		assert_non_null(end);
		end[1] = 0;
		if (!strstr(want, line))
			fail_msg("RocketMQ has no option %s", line);
	}
	free(text);
}

static void assert_answer(int code, const json_t *response, const struct fake_frame *got)
{
	const json_t *header = json_object_get(response, "header");
	const json_t *fields = json_object_get(header, "extFields");
	const char *text = json_string_value(json_object_get(response, "body_utf8"));
	const char *remark = json_string_value(json_object_get(header, "remark"));
	const char *key;
	json_t *value;

	assert_int_equal(json_integer_value(json_object_get(header, "code")), got->header.code);
	assert_int_equal(json_integer_value(json_object_get(header, "version")),
			 got->header.version);
	if (got->header.code != 0) /* 901 says "not set any response code" with code 0 */
		assert_text(got->header.remark, remark);
	assert_int_equal(json_object_size(fields), got->header.n_fields);
	json_object_foreach((json_t *)(uintptr_t)fields, key, value)
		assert_non_null(header_find(&got->header, key));
	assert_int_equal(text != NULL, got->body.len > 0);
	if (text && code == REQ_GET_NAMESRV_CONFIG) {
		assert_options(text, got->body);
	} else if (text) {
		json_t *want = json_read(slice_str(text), NULL), *have = json_read(got->body, NULL);

		assert_non_null(want);
		assert_non_null(have);
		assert_shape("body", want, have);
		json_decref(want);
		json_decref(have);
	}
}

static void run_exchange(int code, const json_t *exchange)
{
	const json_t *request = json_object_get(exchange, "request");
	const json_t *response = json_object_get(exchange, "response");
	const char *hex = json_string_value(json_object_get(request, "hex"));
	const char *text = json_string_value(json_object_get(response, "body_utf8"));
	json_t *body = text ? json_read(slice_str(text), NULL) : NULL;
	size_t len;
	uint8_t *frame = hex_bytes(slice_str(hex), &len);
	struct fake_frame answer;
	struct fixture f;

	assert_non_null(frame);
	setup(&f);
	prepare(&f, code, request, response, body);
	fake_conn_raw(f.c, frame + FRAME_LENGTH_BYTES, (uint32_t)len - FRAME_LENGTH_BYTES);
	fake_host_run(&f.host);
	if (json_is_true(json_object_get(exchange, "oneway"))) {
		assert_false(fake_conn_next(f.c, &answer));
	} else {
		assert_true(fake_conn_next(f.c, &answer));
		assert_answer(code, response, &answer);
	}
	teardown(&f);
	free(frame);
	json_decref(body);
}

static const char *const files[] = {
	"100-put_kv_config",
	"101-get_kv_config",
	"102-delete_kv_config",
	"103-register_broker",
	"104-unregister_broker",
	"105-get_routeinfo_by_topic",
	"106-get_broker_cluster_info",
	"205-wipe_write_perm_of_broker",
	"206-get_all_topic_list_from_nameserver",
	"216-delete_topic_in_namesrv",
	"217-register_topic_in_namesrv",
	"219-get_kvlist_by_namespace",
	"224-get_topics_by_cluster",
	"304-get_system_topic_list_from_ns",
	"311-get_unit_topic_list",
	"312-get_has_unit_sub_topic_list",
	"313-get_has_unit_sub_ununit_topic_list",
	"318-update_namesrv_config",
	"319-get_namesrv_config",
	"322-query_data_version",
	"327-add_write_perm_of_broker",
	"901-get_broker_member_group",
	"904-broker_heartbeat",
};

static uint32_t run_file(const char *name)
{
	char path[256];
	uint32_t n = 0;
	json_t *root, *exchange;
	size_t i;

	snprintf(path, sizeof(path), "wire/%s.json", name);
	root = vectors_load(path);
	assert_non_null(root);
	json_array_foreach(json_object_get(root, "exchanges"), i, exchange) {
		const char *direction = json_string_value(json_object_get(exchange, "direction"));

		if (strcmp(direction, "client->nameserver") != 0)
			continue;
		if (!json_is_object(json_object_get(exchange, "response")) &&
		    !json_is_true(json_object_get(exchange, "oneway")))
			continue; /* captured while the NameServer was not up */
		print_message("%s, exchange %zu\n", name, i);
		run_exchange(atoi(name), exchange);
		n++;
	}
	json_decref(root);
	return n;
}

static void captured_requests_get_answers_of_the_captured_shape(void **state)
{
	uint32_t n = 0;

	(void)state;
	if (vectors_missing())
		skip();
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		n += run_file(files[i]);
	print_message("%u exchanges\n", n);
	assert_true(n > 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(captured_requests_get_answers_of_the_captured_shape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
