/* What tests of the broker's control requests share beyond rig.h. */
#ifndef TEST_BROKER_CONTROL_RIG_H
#define TEST_BROKER_CONTROL_RIG_H

#include "rig.h"
#include "wire/json.h"

/* Until an answer has come: saving a document and telling NameServers take turns of the loop. */
static inline struct fake_frame rig_wait(struct rig *r, struct mosaic_conn *c)
{
	struct fake_frame f;

	for (int i = 0; i < 5000; i++) {
		fake_host_run(&r->host);
		if (fake_conn_next(c, &f))
			return f;
		fake_host_advance_ms(&r->host, 1);
	}
	fail_msg("no answer");
	return f;
}

/* The body of an answer; the caller gives it back with json_decref. */
static inline json_t *rig_json(const struct fake_frame *f)
{
	struct mosaic_error err = ERR_INIT;
	json_t *body = json_read(f->body, &err);

	if (!body)
		fail_msg("%s: %.*s", err.text, SLICE_ARG(f->body));
	return body;
}

static inline void assert_remark(const struct fake_frame *f, int32_t code, const char *remark)
{
	assert_int_equal(f->header.code, code);
	if (!slice_is(f->header.remark, remark))
		fail_msg("remark is %.*s", SLICE_ARG(f->header.remark));
}

static inline void assert_body(const struct fake_frame *f, const char *body)
{
	assert_int_equal(f->header.code, RES_SUCCESS);
	if (!slice_is(f->body, body))
		fail_msg("body is %.*s", SLICE_ARG(f->body));
}

/* UPDATE_AND_CREATE_TOPIC with n queues. */
static inline struct fake_frame rig_set_topic(struct rig *r, struct mosaic_conn *c,
		const char *name,
					      const char *n, const char *attributes)
{
	fake_conn_request(c, REQ_UPDATE_AND_CREATE_TOPIC, NO_BODY, "topic", name, "defaultTopic",
			  "TBW102", "readQueueNums", n, "writeQueueNums", n, "perm", "6",
			  "topicFilterType", "SINGLE_TAG", "topicSysFlag", "0", "order", "false",
			  "attributes", attributes, NULL);
	return rig_wait(r, c);
}

/* HEART_BEAT of one consumer group with one tag subscription and one producer group. */
static inline struct fake_frame rig_heartbeat(struct rig *r, struct mosaic_conn *c, const char *id,
					      const char *group, const char *topic,
					      const char *expression, int64_t version)
{
	char body[1024];

	snprintf(body, sizeof(body),
		 "{\"clientID\":\"%s\",\"consumerDataSet\":[{\"consumeFromWhere\":"
		 "\"CONSUME_FROM_FIRST_OFFSET\",\"consumeType\":\"CONSUME_PASSIVELY\","
		 "\"groupName\":\"%s\",\"messageModel\":\"CLUSTERING\",\"subscriptionDataSet\":"
		 "[{\"subString\":\"%s\",\"subVersion\":%lld,\"topic\":\"%s\"}],"
		 "\"unitMode\":false}],\"heartbeatFingerprint\":0,\"producerDataSet\":"
		 "[{\"groupName\":\"PG\"}],\"withoutSub\":false}",
		 id, group, expression, (long long)version, topic);
	fake_conn_request(c, REQ_HEART_BEAT, slice_str(body), NULL);
	fake_host_run(&r->host);
	struct fake_frame f;
	/* Notices of other members may come first. */
	do {
		assert_true(fake_conn_next(c, &f));
	} while (!header_is_response(&f.header));
	return f;
}

/* How many NOTIFY_CONSUMER_IDS_CHANGED are waiting on a connection; everything is read. */
static inline int rig_notices(struct rig *r, struct mosaic_conn *c, const char *group)
{
	struct fake_frame f;
	int n = 0;

	fake_host_run(&r->host);
	while (fake_conn_next(c, &f)) {
		assert_int_equal(f.header.code, REQ_NOTIFY_CONSUMER_IDS_CHANGED);
		assert_true(header_is_oneway(&f.header));
		assert_true(slice_is(header_str(&f.header, "consumerGroup"), group));
		n++;
	}
	return n;
}

#endif
