/* Subscription groups: 200 201 207 225 352 353, subscriptionGroup.json. */
#include "broker/groups.h"
#include "broker/offsets.h"
#include "control_rig.h"

#define DEFAULTS(name)                                                                            \
	"{\"attributes\":{},\"brokerId\":0,\"consumeBroadcastEnable\":true,\"consumeEnable\":"    \
	"true,\"consumeFromMinEnable\":true,\"consumeMessageOrderly\":false,"                     \
	"\"consumeTimeoutMinute\":15,\"groupName\":\"" name "\",\"groupRetryPolicy\":"            \
	"{\"type\":\"CUSTOMIZED\"},\"groupSysFlag\":0,\"notifyConsumerIdsChangedEnable\":true,"   \
	"\"retryMaxTimes\":16,\"retryQueueNums\":1,\"whichBrokerWhenConsumeSlowly\":1}"

static struct group *find(struct rig *r, const char *name)
{
	return groups_find(r->broker->groups, slice_str(name));
}

static int32_t set(struct rig *r, struct mosaic_conn *c, const char *config)
{
	fake_conn_request(c, REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, slice_str(config), NULL);
	return rig_wait(r, c).header.code;
}

static void system_groups_are_there_at_boot(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	assert_int_equal(map_count(&r.broker->groups->table), 8);
	assert_non_null(find(&r, "CID_RMQ_SYS_TRANS"));
	assert_non_null(find(&r, "TOOLS_CONSUMER"));
	rig_close(&r);
}

static void asked_for_group_is_created_when_that_is_allowed(void **state)
{
	struct rig r;
	struct fake_frame f;
	char longest[257]; /* 255 is what Apache's clients allow */
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	fake_conn_request(c, REQ_GET_SUBSCRIPTIONGROUP_CONFIG, NO_BODY, "group", "New", NULL);
	f = rig_answer(&r, c);
	assert_body(&f, DEFAULTS("New"));
	memset(longest, 'g', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	assert_null(groups_find_or_add(r.broker->groups, slice_str(longest)));
	assert_non_null(groups_find_or_add(r.broker->groups, slice(longest, 255)));
	assert_null(groups_find_or_add(r.broker->groups, slice_str("no blanks")));
	r.broker->config.auto_create_group = false;
	assert_null(groups_find_or_add(r.broker->groups, slice_str("Other")));
	assert_non_null(groups_find_or_add(r.broker->groups, slice_str("CID_RMQ_SYS_X")));
	fake_conn_request(c, REQ_GET_SUBSCRIPTIONGROUP_CONFIG, NO_BODY, "group", "Other", NULL);
	f = rig_answer(&r, c);
	assert_remark(&f, RES_SUBSCRIPTION_GROUP_NOT_EXIST, "No group in this broker");
	rig_close(&r);
}

static void group_is_set_and_keeps_what_is_not_understood(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	assert_int_equal(set(&r, c,
			"{\"groupName\":\"S\",\"consumeEnable\":false,\"retryMaxTimes\":3,"
				    "\"retryQueueNums\":2,\"groupRetryPolicy\":{\"type\":"
				    "\"EXPONENTIAL\"},\"somethingNew\":[1,2]}"), 0);
	assert_false(find(&r, "S")->consume_enable);
	assert_int_equal(find(&r, "S")->retry_max_times, 3);
	fake_conn_request(c, REQ_GET_SUBSCRIPTIONGROUP_CONFIG, NO_BODY, "group", "S", NULL);
	f = rig_answer(&r, c);
	json_t *body = rig_json(&f);
	assert_int_equal(json_array_size(json_object_get(body, "somethingNew")), 2);
	assert_true(slice_is(json_get_str(json_object_get(body, "groupRetryPolicy"), "type"),
			     "EXPONENTIAL"));
	json_decref(body);
	assert_int_equal(set(&r, c, "{\"groupName\":\"bad name\"}"), 1);
	assert_int_equal(set(&r, c, "{}"), 1);
	assert_int_equal(set(&r, c, "x"), 1);
	assert_int_equal(set(&r, c, "{\"groupName\":\"A\",\"attributes\":{\"+x\":\"y\"}}"), 1);
	assert_null(find(&r, "A"));
	rig_close(&r);
}

static void list_delete_and_offsets(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	fake_conn_request(c, REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST,
			  slice_str("{\"groupConfigList\":[" DEFAULTS("L1") ","
				    DEFAULTS("L2") "]}"),
			  NULL);
	assert_int_equal(rig_wait(&r, c).header.code, 0);
	fake_conn_request(c, REQ_GET_ALL_SUBSCRIPTIONGROUP_CONFIG, NO_BODY, NULL);
	f = rig_answer(&r, c);
	json_t *body = rig_json(&f);
	assert_int_equal(json_object_size(json_object_get(body, "subscriptionGroupTable")), 10);
	json_decref(body);
	offsets_commit(r.broker->offsets, slice_str("T"), slice_str("L1"), 0, 5);
	fake_conn_request(c, REQ_DELETE_SUBSCRIPTIONGROUP, NO_BODY, "groupName", "L1",
			"cleanOffset",
			  "true", NULL);
	assert_int_equal(rig_wait(&r, c).header.code, 0);
	assert_null(find(&r, "L1"));
	assert_int_equal(offsets_get(r.broker->offsets, slice_str("T"), slice_str("L1"), 0), -1);
	fake_conn_request(c, REQ_DELETE_SUBSCRIPTIONGROUP, NO_BODY, NULL);
	assert_int_equal(rig_wait(&r, c).header.code, 1);
	rig_close(&r);
}

static void forbidden_topics_and_round_trip(void **state)
{
	struct rig r;
	struct fake_frame f;
	struct buf first = BUF_INIT, second = BUF_INIT;
	struct mosaic_error err = ERR_INIT;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	fake_conn_request(c, REQ_UPDATE_AND_GET_GROUP_FORBIDDEN, NO_BODY, "group", "G", "topic",
			"T",
			  "readable", "false", NULL);
	f = rig_answer(&r, c);
	assert_body(&f, "{\"group\":\"G\",\"readable\":false,\"topic\":\"T\"}");
	assert_true(groups_is_forbidden(r.broker->groups, slice_str("G"), slice_str("T")));
	assert_false(groups_is_forbidden(r.broker->groups, slice_str("G"), slice_str("T2")));
	set(&r, c, "{\"groupName\":\"S\",\"retryMaxTimes\":3,\"extra\":{\"a\":1}}");
	groups_set_forbidden(r.broker->groups, slice_str("G"), slice_str("U"), true);
	groups_set_forbidden(r.broker->groups, slice_str("H"), slice_str("T"), true);
	groups_save(r.broker->groups, &first);
	struct groups *again = groups_create(r.broker);
	assert_int_equal(groups_load(again, buf_slice(&first), &err), 0);
	assert_true(groups_is_forbidden(again, slice_str("H"), slice_str("T")));
	groups_save(again, &second);
	assert_string_equal(buf_cstr(&first), buf_cstr(&second));
	groups_destroy(again);
	fake_conn_request(c, REQ_UPDATE_AND_GET_GROUP_FORBIDDEN, NO_BODY, "group", "G", "topic",
			"T",
			  "readable", "true", NULL);
	rig_answer(&r, c);
	assert_false(groups_is_forbidden(r.broker->groups, slice_str("G"), slice_str("T")));
	buf_free(&first);
	buf_free(&second);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(system_groups_are_there_at_boot),
		cmocka_unit_test(asked_for_group_is_created_when_that_is_allowed),
		cmocka_unit_test(group_is_set_and_keeps_what_is_not_understood),
		cmocka_unit_test(list_delete_and_offsets),
		cmocka_unit_test(forbidden_topics_and_round_trip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
