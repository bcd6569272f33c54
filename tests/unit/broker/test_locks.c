/* Queue locks of orderly consumers: 41, 42. */
#include "broker/locks.h"
#include "control_rig.h"

static struct fake_frame ask(struct rig *r, struct mosaic_conn *c, int32_t code, const char *client,
			     const char *queues)
{
	char body[512];

	snprintf(body, sizeof(body),
		 "{\"clientId\":\"%s\",\"consumerGroup\":\"G\",\"mqSet\":[%s],"
		 "\"onlyThisBroker\":false}", client, queues);
	fake_conn_request(c, code, slice_str(body), NULL);
	return rig_answer(r, c);
}

#define Q0 "{\"brokerName\":\"broker-a\",\"queueId\":0,\"topic\":\"T\"}"
#define Q1 "{\"brokerName\":\"broker-a\",\"queueId\":1,\"topic\":\"T\"}"
#define GOT(queues) "{\"lockOKMQSet\":[" queues "]}"

static void lock_belongs_to_one_client(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	assert_false(locks_group_has_any(r.broker->locks, slice_str("G")));
	f = ask(&r, c, REQ_LOCK_BATCH_MQ, "a", Q0);
	assert_body(&f, GOT(Q0));
	f = ask(&r, c, REQ_LOCK_BATCH_MQ, "b", Q0 "," Q1);
	assert_body(&f, GOT(Q1));
	f = ask(&r, c, REQ_LOCK_BATCH_MQ, "a", Q0 "," Q1);
	assert_body(&f, GOT(Q0));
	assert_true(locks_group_has_any(r.broker->locks, slice_str("G")));
	rig_close(&r);
}

static void only_the_owner_unlocks(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	ask(&r, c, REQ_LOCK_BATCH_MQ, "a", Q0);
	assert_int_equal(ask(&r, c, REQ_UNLOCK_BATCH_MQ, "b", Q0).header.code, 0);
	f = ask(&r, c, REQ_LOCK_BATCH_MQ, "b", Q0);
	assert_body(&f, GOT(""));
	ask(&r, c, REQ_UNLOCK_BATCH_MQ, "a", Q0);
	assert_false(locks_group_has_any(r.broker->locks, slice_str("G")));
	f = ask(&r, c, REQ_LOCK_BATCH_MQ, "b", Q0);
	assert_body(&f, GOT(Q0));
	rig_close(&r);
}

static void lock_expires_a_minute_after_it_was_last_asked_for(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	ask(&r, c, REQ_LOCK_BATCH_MQ, "a", Q0);
	fake_host_advance_ms(&r.host, 50000);
	ask(&r, c, REQ_LOCK_BATCH_MQ, "a", Q0);
	fake_host_advance_ms(&r.host, 60000);
	f = ask(&r, c, REQ_LOCK_BATCH_MQ, "b", Q0);
	assert_body(&f, GOT(""));
	fake_host_advance_ms(&r.host, 1);
	assert_false(locks_group_has_any(r.broker->locks, slice_str("G")));
	f = ask(&r, c, REQ_LOCK_BATCH_MQ, "b", Q0);
	assert_body(&f, GOT(Q0));
	rig_close(&r);
}

static void nonsense_is_answered(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	fake_conn_request(c, REQ_LOCK_BATCH_MQ, slice_str("{"), NULL);
	assert_int_equal(rig_answer(&r, c).header.code, 1);
	fake_conn_request(c, REQ_LOCK_BATCH_MQ, slice_str("{}"), NULL);
	assert_int_equal(rig_answer(&r, c).header.code, 1);
	f = ask(&r, c, REQ_LOCK_BATCH_MQ, "a", "7,{\"topic\":\"T\"},{\"queueId\":1}");
	assert_body(&f, GOT(""));
	assert_false(locks_group_has_any(r.broker->locks, slice_str("G")));
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lock_belongs_to_one_client),
		cmocka_unit_test(only_the_owner_unlocks),
		cmocka_unit_test(lock_expires_a_minute_after_it_was_last_asked_for),
		cmocka_unit_test(nonsense_is_answered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
