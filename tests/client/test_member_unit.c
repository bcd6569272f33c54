/* Sharing, pulling, bounds, offsets and locks of a member, under virtual time. */
#include "member_rig.h"

#define MEMBERS(...) "{\"consumerIdList\":[" __VA_ARGS__ "]}"

static const struct member_config plain = { .from = MOSAIC_FROM_FIRST };
static const struct member_config orderly = { .from = MOSAIC_FROM_FIRST, .is_orderly = true };

static uint32_t n_pulling(const struct rig *r)
{
	uint32_t n = 0;

	for (int i = 0; i < QUEUES; i++)
		n += is_pulling(r, i);
	return n;
}

/* ---- sharing ---- */

static void a_lone_member_has_all_queues_from_where_the_group_stopped(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, &plain);
	r.stored[3] = -1; /* nobody was there before: from the first */
	rig_start(&r);
	assert_int_equal(n_pulling(&r), 4);
	assert_int_equal(r.pulls[1].offset, 10);
	assert_int_equal(r.pulls[2].offset, 20);
	assert_int_equal(r.pulls[3].offset, 0);
	rig_close(&r);
	assert_true(r.n_unregisters > 0);
}

static void a_new_group_begins_at_the_end_when_it_wants_the_last(void **state)
{
	struct rig r;
	const struct member_config last = { .from = MOSAIC_FROM_LAST };
	(void)state;
	rig_open(&r, &last);
	r.stored[0] = -1;
	rig_start(&r);
	assert_int_equal(r.pulls[0].offset, 77);
	rig_close(&r);
}

#define ASSIGNED(id, mode)                                                                        \
	"{\"messageQueue\":{\"brokerName\":\"a\",\"queueId\":" id ",\"topic\":\"T\"},"             \
	"\"mode\":\"" mode "\"}"
#define ASSIGNMENTS(...) "{\"messageQueueAssignments\":[" __VA_ARGS__ "]}"

static void a_broker_says_what_is_pulled_and_what_is_popped(void **state)
{
	const struct member_config brokered = { .from = MOSAIC_FROM_FIRST, .is_brokered = true };
	struct rig r;
	(void)state;
	rig_open(&r, &brokered);
	r.assignment = ASSIGNMENTS(ASSIGNED("-1", "POP"));
	rig_start(&r);
	assert_int_equal(n_pulling(&r), 0);
	assert_int_equal(r.n_pops, 1);
	assert_int_equal(r.pop_id, -1);
	/* An admin has changed the mode. A queue -1 cannot be pulled. */
	r.assignment = ASSIGNMENTS(ASSIGNED("1", "PULL") "," ASSIGNED("2", "PULL") ","
				   ASSIGNED("-1", "PULL") "," ASSIGNED("-2", "POP"));
	rig_advance(&r, 21000);
	assert_int_equal(n_pulling(&r), 2);
	assert_true(is_pulling(&r, 1));
	assert_int_equal(r.n_pops, 0);
	assert_non_null(map_get(&r.member.topics, text("%RETRY%G_T")));
	/* It does not know: nothing changes. */
	r.assignment = "{\"messageQueueAssignments\":null}";
	rig_advance(&r, 21000);
	assert_int_equal(n_pulling(&r), 2);
	r.assignment = ASSIGNMENTS(ASSIGNED("3", "POP"));
	rig_advance(&r, 21000);
	assert_null(member_share(&r.member, "T", "a", 1));
	assert_int_equal(r.pop_id, 3);
	assert_null(map_get(&r.member.topics, text("%RETRY%G_T")));
	/* A broker that cannot share out. */
	r.assignment = NULL;
	rig_advance(&r, 21000);
	assert_int_equal(n_pulling(&r), QUEUES);
	assert_int_equal(r.n_pops, 0);
	rig_close(&r);
}

static void members_are_sorted_and_have_ranges_as_in_java(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, &plain);
	/* Of three for four queues the first has two: a 0 1, b (us) 2, c 3. */
	r.members = MEMBERS("\"192.0.2.1@c\",\"192.0.2.1@a\",\"" OWN_ID "\"");
	rig_start(&r);
	assert_int_equal(n_pulling(&r), 1);
	assert_true(is_pulling(&r, 2));
	rig_close(&r);
}

static void a_change_in_the_group_moves_queues_at_once(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, &plain);
	rig_start(&r);
	rig_messages(&r, 3, 2, 8);
	rig_consume(&r, 3, 1);
	r.members = MEMBERS("\"192.0.2.1@c\",\"" OWN_ID "\"");
	fake_conn_oneway(r.conns[0], REQ_NOTIFY_CONSUMER_IDS_CHANGED, NO_BODY, "consumerGroup",
			 "G", NULL);
	rig_serve(&r);
	assert_int_equal(map_count(&r.member.shares), 2);
	assert_int_equal(r.n_ends, 2);
	assert_int_equal(r.committed[3], 31); /* the next owner begins there */
	rig_close(&r);
}

static void who_is_not_in_the_list_asks_again_and_then_has_nothing(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, &plain);
	rig_start(&r);
	r.members = MEMBERS("\"192.0.2.1@c\"");
	rig_advance(&r, 20000); /* the next round */
	assert_int_equal(map_count(&r.member.shares), 4);
	rig_advance(&r, 10000);
	assert_int_equal(map_count(&r.member.shares), 0);
	r.members = MEMBERS("\"" OWN_ID "\"");
	rig_advance(&r, 25000);
	assert_int_equal(map_count(&r.member.shares), 4);
	rig_close(&r);
}

static void a_topic_that_is_not_there_yet_is_asked_for_again(void **state)
{
	struct rig r;
	struct subscription *sub;
	(void)state;
	rig_open(&r, &plain);
	assert_int_equal(subscription_make("None", MOSAIC_TAGS, NULL, &sub, NULL), 0);
	member_subscribe(&r.member, sub);
	rig_start(&r);
	uint64_t before = r.client->engine.numbers.route_asks;
	rig_advance(&r, 4000); /* after 1, 2 s ... */
	assert_true(r.client->engine.numbers.route_asks >= before + 2);
	assert_int_equal(n_pulling(&r), 4);
	member_unsubscribe(&r.member, "None");
	member_unsubscribe(&r.member, "T");
	assert_int_equal(map_count(&r.member.shares), 0);
	rig_close(&r);
}

/* ---- bounds ---- */

static void a_queue_with_enough_messages_is_not_pulled(void **state)
{
	struct rig r;
	const struct member_config few = { .from = MOSAIC_FROM_FIRST, .max_cached = 5 };
	(void)state;
	rig_open(&r, &few);
	rig_start(&r);
	rig_messages(&r, 0, 4, 8);
	assert_true(is_pulling(&r, 0));
	rig_messages(&r, 0, 3, 8);
	assert_false(is_pulling(&r, 0));
	rig_advance(&r, 30000);
	assert_false(is_pulling(&r, 0));
	rig_consume(&r, 0, 2);
	assert_false(is_pulling(&r, 0));
	rig_consume(&r, 0, 1);
	assert_true(is_pulling(&r, 0));
	assert_int_equal(r.pulls[0].offset, 7);
	rig_close(&r);
}

static void a_queue_with_enough_bytes_is_not_pulled(void **state)
{
	struct rig r;
	const struct member_config few = { .from = MOSAIC_FROM_FIRST, .max_cached_bytes = 3000 };
	(void)state;
	rig_open(&r, &few);
	rig_start(&r);
	rig_messages(&r, 0, 3, 1000);
	assert_false(is_pulling(&r, 0));
	assert_true(r.client->engine.numbers.bytes_held > 3000);
	rig_consume(&r, 0, 1);
	assert_true(is_pulling(&r, 0));
	rig_close(&r);
}

static void one_slow_message_stops_a_queue_when_the_others_are_far_ahead(void **state)
{
	struct rig r;
	const struct member_config narrow = { .from = MOSAIC_FROM_FIRST, .max_span = 3 };
	struct item *slow;
	(void)state;
	rig_open(&r, &narrow);
	rig_start(&r);
	rig_messages(&r, 0, 5, 8);
	struct share *s = member_share(&r.member, "T", "a", 0);
	assert_int_equal(process_queue_take(&s->queue, &slow, 1, 1), 1);
	rig_consume(&r, 0, 3);
	assert_false(is_pulling(&r, 0));
	process_queue_done(slow);
	share_settled(s);
	rig_serve(&r);
	assert_true(is_pulling(&r, 0));
	rig_close(&r);
}

/* ---- pulling ---- */

static void an_offset_outside_of_the_queue_is_replaced_and_committed(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, &plain);
	rig_start(&r);
	rig_messages(&r, 1, 3, 8);
	rig_answer(&r, 1, RES_PULL_OFFSET_MOVED, "500");
	assert_int_equal(r.pulls[1].offset, 500);
	assert_int_equal(r.committed[1], 500);
	assert_int_equal(member_share(&r.member, "T", "a", 1)->queue.n_items, 0);
	rig_close(&r);
}

static void nothing_matching_moves_the_offset_on(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, &plain);
	rig_start(&r);
	rig_answer(&r, 1, RES_PULL_RETRY_IMMEDIATELY, "40");
	rig_advance(&r, 100);
	assert_int_equal(r.pulls[1].offset, 40);
	rig_close(&r);
	assert_int_equal(r.committed[1], 40);
}

static void a_slave_is_read_while_the_master_is_gone(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, &plain);
	r.is_slave_known = true;
	rig_start(&r);
	assert_true(r.pulls[0].conn == r.conns[0]);
	for (int i = 0; i < QUEUES; i++)
		r.pulls[i].opaque = 0;
	fake_conn_close(r.conns[0]);
	rig_advance(&r, 1500);
	assert_int_equal(n_pulling(&r), 4);
	assert_true(r.pulls[0].conn == r.conns[1]);
	assert_int_equal(r.pulls[1].flags & 1, 0); /* slaves take no offsets */
	rig_answer(&r, 1, RES_PULL_RETRY_IMMEDIATELY, "10"); /* "ask 0", the master is back */
	assert_true(r.pulls[1].conn == r.conns[1]); /* not trusted so soon */
	r.pulls[1].opaque = 0;
	fake_conn_close(r.conns[1]);
	rig_advance(&r, 1500);
	assert_true(r.pulls[1].conn == r.conns[0]);
	rig_close(&r);
}

static void a_refused_pull_is_tried_again_later(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, &plain);
	rig_start(&r);
	rig_answer(&r, 0, RES_NO_PERMISSION, "0");
	assert_false(is_pulling(&r, 0));
	rig_advance(&r, 1000);
	assert_true(is_pulling(&r, 0));
	rig_answer(&r, 0, RES_NO_PERMISSION, "0");
	rig_advance(&r, 2900);
	assert_false(is_pulling(&r, 0));
	rig_advance(&r, 200);
	assert_true(is_pulling(&r, 0));
	rig_close(&r);
}

/* ---- offsets ---- */

static void offsets_are_committed_in_order_and_only_when_new(void **state)
{
	struct rig r;
	struct item *items[3];
	(void)state;
	rig_open(&r, &plain);
	rig_start(&r);
	rig_messages(&r, 0, 3, 8);
	struct share *s = member_share(&r.member, "T", "a", 0);
	assert_int_equal(process_queue_take(&s->queue, items, 3, 1), 3);
	process_queue_done(items[2]);
	process_queue_done(items[1]);
	rig_advance(&r, 5100);
	assert_int_equal(r.n_commits, 0); /* the first is still out */
	process_queue_done(items[0]);
	r.commit_code = RES_SYSTEM_ERROR;
	rig_advance(&r, 5100);
	assert_int_equal(r.n_commits, 1);
	r.commit_code = 0;
	rig_advance(&r, 5100); /* what failed is tried again */
	assert_int_equal(r.committed[0], 3);
	assert_int_equal(r.n_commits, 2);
	rig_advance(&r, 10000);
	assert_int_equal(r.n_commits, 2);
	rig_messages(&r, 0, 2, 8);
	rig_consume(&r, 0, 1);
	rig_close(&r); /* the end commits */
	assert_int_equal(r.committed[0], 4);
}

/* Apache's broker keeps one of several first commits of a group and topic that meet, and may read
 * an offset that a pull carries behind a newer one. */
static void the_first_commit_goes_alone(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, &plain);
	rig_start(&r);
	rig_consume_one_each(&r, 3);
	for (int i = 0; i < QUEUES; i++)
		assert_int_equal(r.pulls[i].flags & 1, 0);
	r.is_holding = true;
	rig_stop(&r);
	assert_int_equal(r.n_commits, 1);
	assert_false(r.is_drained);
	rig_release(&r);
	assert_int_equal(r.n_commits, 4);
	assert_int_equal(r.committed[0], 1);
	assert_int_equal(r.committed[1], 11);
	assert_int_equal(r.committed[2], 21);
	assert_true(r.is_drained);
	rig_close(&r);
}

static void a_first_commit_that_failed_lets_the_others_go(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, &plain);
	rig_start(&r);
	r.commit_code = RES_SYSTEM_ERROR;
	r.is_holding = true;
	rig_consume_one_each(&r, 2);
	rig_advance(&r, 5100);
	assert_int_equal(r.n_commits, 1);
	rig_release(&r);
	assert_int_equal(r.n_commits, 2);
	r.is_holding = true; /* nothing is there yet: one is the first again */
	rig_advance(&r, 5100);
	assert_int_equal(r.n_commits, 3);
	r.commit_code = 0;
	rig_release(&r);
	assert_int_equal(r.n_commits, 4);
	rig_close(&r);
}

static void what_others_may_have_wiped_out_is_told_again(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, &plain);
	rig_start(&r);
	rig_consume_one_each(&r, 1);
	rig_advance(&r, 25000);
	assert_int_equal(r.n_commits, 1);
	memset(r.committed, 0, sizeof(r.committed));
	rig_advance(&r, 10000);
	assert_int_equal(r.n_commits, 1 + QUEUES);
	assert_int_equal(r.committed[0], 1);
	memset(r.committed, 0, sizeof(r.committed));
	rig_close(&r); /* and at the end */
	assert_int_equal(r.committed[0], 1);
}

static void an_admin_moves_a_queue(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, &plain);
	rig_start(&r);
	rig_messages(&r, 2, 3, 8);
	fake_conn_oneway(r.conns[0], REQ_RESET_CONSUMER_CLIENT_OFFSET,
			 text("{\"offsetTable\":{{\"brokerName\":\"a\",\"queueId\":2,\"topic\":"
			      "\"T\"}:5,{\"brokerName\":\"x\",\"queueId\":9,\"topic\":\"T\"}:1}}"),
			 "group", "G", "topic", "T", "timestamp", "0", NULL);
	rig_serve(&r);
	assert_int_equal(r.pulls[2].offset, 5);
	assert_int_equal(r.committed[2], 5);
	assert_int_equal(member_share(&r.member, "T", "a", 2)->queue.n_items, 0);
	rig_close(&r);
}

static void an_admin_sees_the_state_of_a_consumer(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	rig_open(&r, &plain);
	rig_start(&r);
	rig_messages(&r, 0, 3, 8);
	rig_advance(&r, 10000); /* looked at when it begins and now: three in 20 s */
	fake_conn_request(r.conns[0], REQ_GET_CONSUMER_RUNNING_INFO, NO_BODY, "consumerGroup", "G",
			  "clientId", OWN_ID, NULL);
	fake_host_run(&r.host);
	assert_true(fake_conn_next(r.conns[0], &f));
	assert_int_equal(f.header.code, 0);
	char *body = slice_dup(f.body);
	assert_non_null(strstr(body, "{\"brokerName\":\"a\",\"queueId\":2,\"topic\":\"T\"}:{"));
	assert_non_null(strstr(body, "\"PROP_CONSUME_TYPE\":\"CONSUME_PASSIVELY\""));
	assert_non_null(strstr(body, "\"statusTable\":{\"T\":{\"consumeFailedMsgs\":0,"));
	assert_non_null(strstr(body, "\"pullTPS\":0.150}"));
	free(body);
	fake_conn_request(r.conns[0], REQ_GET_CONSUMER_STATUS_FROM_CLIENT, NO_BODY, "group", "X",
			  "topic", "T", NULL);
	fake_host_run(&r.host);
	assert_true(fake_conn_next(r.conns[0], &f));
	assert_int_equal(f.header.code, RES_SYSTEM_ERROR); /* no such group here */
	rig_close(&r);
}

/* ---- order ---- */

static void an_orderly_queue_begins_when_it_is_locked(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, &orderly);
	r.locks[2] = false;
	rig_start(&r);
	assert_int_equal(n_pulling(&r), 3);
	assert_false(is_pulling(&r, 2));
	r.stored[2] = 25; /* the former owner went on */
	r.locks[2] = true;
	rig_advance(&r, 1000);
	assert_true(is_pulling(&r, 2));
	assert_int_equal(r.pulls[2].offset, 25);
	rig_close(&r);
	assert_int_equal(r.n_unlocks, 4);
}

/* The broker may say yes when nobody here wants the lock any more. */
static void a_queue_that_is_left_before_its_lock_came_is_unlocked(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, &orderly);
	r.locks[0] = false;
	rig_start(&r);
	r.members = MEMBERS("\"192.0.2.1@a\",\"" OWN_ID "\"");
	rebalance_all(&r.member);
	rig_serve(&r);
	assert_int_equal(map_count(&r.member.shares), 2);
	assert_int_equal(r.n_unlocks, 2);
	rig_close(&r);
}

/* The commit of its first life, and the unlock behind it, are still under way. */
static void a_queue_that_comes_back_is_locked_behind_its_unlock(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, &orderly);
	rig_start(&r);
	rig_messages(&r, 3, 1, 8);
	rig_consume(&r, 3, 1);
	r.is_holding = true;
	r.members = MEMBERS("\"192.0.2.1@c\",\"" OWN_ID "\"");
	rebalance_all(&r.member);
	rig_serve(&r);
	assert_null(member_share(&r.member, "T", "a", 3));
	r.members = "{\"consumerIdList\":[\"" OWN_ID "\"]}";
	r.pulls[3].opaque = 0;
	rebalance_all(&r.member);
	rig_advance(&r, 1500);
	assert_int_equal(r.n_unlocks, 0);
	assert_int_equal(member_share(&r.member, "T", "a", 3)->state, SHARE_LOCKING);
	rig_release(&r);
	rig_advance(&r, 1000);
	assert_int_equal(r.n_unlocks, 2);
	assert_true(is_pulling(&r, 3));
	rig_close(&r);
}

static void a_lock_that_is_not_renewed_ends_after_30_s(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, &orderly);
	rig_start(&r);
	struct share *s = member_share(&r.member, "T", "a", 0);
	rig_advance(&r, 25000);
	assert_true(share_is_usable(s)); /* renewed after 20 s */
	r.lock_code = RES_SYSTEM_ERROR;
	rig_advance(&r, 24000);
	assert_true(share_is_usable(s));
	rig_advance(&r, 3000);
	assert_false(share_is_usable(s));
	r.lock_code = 0;
	rig_advance(&r, 1000);
	assert_true(share_is_usable(s));
	rig_close(&r);
}

static void a_lost_lock_drops_what_is_cached(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, &orderly);
	rig_start(&r);
	rig_messages(&r, 0, 3, 8);
	r.locks[0] = false;
	rig_advance(&r, 20000);
	struct share *s = member_share(&r.member, "T", "a", 0);
	assert_int_equal(s->queue.n_items, 0);
	assert_false(share_is_usable(s));
	r.stored[0] = 2;
	r.locks[0] = true;
	rig_advance(&r, 1000);
	assert_true(share_is_usable(s));
	assert_int_equal(s->next, 2);
	rig_close(&r);
}

static void an_orderly_queue_is_given_away_when_its_last_message_has_ended(void **state)
{
	struct rig r;
	struct item *item;
	(void)state;
	rig_open(&r, &orderly);
	rig_start(&r);
	rig_messages(&r, 3, 2, 8);
	struct share *s = member_share(&r.member, "T", "a", 3);
	assert_int_equal(process_queue_take(&s->queue, &item, 1, 1), 1);
	r.members = MEMBERS("\"192.0.2.1@c\",\"" OWN_ID "\"");
	rebalance_all(&r.member);
	rig_serve(&r);
	assert_int_equal(map_count(&r.member.shares), 3); /* 0, 1, and 3 that leaves */
	assert_false(share_is_usable(s));
	assert_int_equal(r.n_unlocks, 1);
	process_queue_done(item);
	share_settled(s);
	rig_serve(&r);
	assert_int_equal(map_count(&r.member.shares), 2);
	assert_int_equal(r.committed[3], 31);
	assert_int_equal(r.n_unlocks, 2);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lone_member_has_all_queues_from_where_the_group_stopped),
		cmocka_unit_test(a_new_group_begins_at_the_end_when_it_wants_the_last),
		cmocka_unit_test(a_broker_says_what_is_pulled_and_what_is_popped),
		cmocka_unit_test(members_are_sorted_and_have_ranges_as_in_java),
		cmocka_unit_test(a_change_in_the_group_moves_queues_at_once),
		cmocka_unit_test(who_is_not_in_the_list_asks_again_and_then_has_nothing),
		cmocka_unit_test(a_topic_that_is_not_there_yet_is_asked_for_again),
		cmocka_unit_test(a_queue_with_enough_messages_is_not_pulled),
		cmocka_unit_test(a_queue_with_enough_bytes_is_not_pulled),
		cmocka_unit_test(one_slow_message_stops_a_queue_when_the_others_are_far_ahead),
		cmocka_unit_test(an_offset_outside_of_the_queue_is_replaced_and_committed),
		cmocka_unit_test(nothing_matching_moves_the_offset_on),
		cmocka_unit_test(a_slave_is_read_while_the_master_is_gone),
		cmocka_unit_test(a_refused_pull_is_tried_again_later),
		cmocka_unit_test(offsets_are_committed_in_order_and_only_when_new),
		cmocka_unit_test(the_first_commit_goes_alone),
		cmocka_unit_test(a_first_commit_that_failed_lets_the_others_go),
		cmocka_unit_test(what_others_may_have_wiped_out_is_told_again),
		cmocka_unit_test(an_admin_moves_a_queue),
		cmocka_unit_test(an_admin_sees_the_state_of_a_consumer),
		cmocka_unit_test(an_orderly_queue_begins_when_it_is_locked),
		cmocka_unit_test(a_queue_that_is_left_before_its_lock_came_is_unlocked),
		cmocka_unit_test(a_queue_that_comes_back_is_locked_behind_its_unlock),
		cmocka_unit_test(a_lock_that_is_not_renewed_ends_after_30_s),
		cmocka_unit_test(a_lost_lock_drops_what_is_cached),
		cmocka_unit_test(an_orderly_queue_is_given_away_when_its_last_message_has_ended),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
