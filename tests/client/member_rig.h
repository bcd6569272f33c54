/*
 * A member of a group on the fake net, under virtual time: the test is the NameServer and two
 * brokers, which answer by themselves as the rig says; pulls wait until the test answers them.
 */
#ifndef CLIENT_MEMBER_RIG_H
#define CLIENT_MEMBER_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/num.h"
#include "consumer/member.h"
#include "support/fake_net.h"
#include "wire/codes.h"
#include "wire/message.h"
#include <mosaic/consumer.h>
#include <stdio.h>
#include <stdlib.h>

#define OWN_ID "192.0.2.1@b"
#define QUEUES 4 /* of broker a, topic T */

struct pull_seen {
	struct mosaic_conn *conn;
	int32_t opaque; /* 0: none waits */
	int64_t offset;
	int32_t flags;
};

struct rig {
	struct fake_host host;
	struct fake_net *net;
	struct mosaic_client *client;
	struct member member;
	struct mosaic_conn *ns, *conns[2]; /* of the master a:0 and the slave a:1 */
	/* what the brokers say */
	const char *members; /* JSON of 38 */
	const char *assignment; /* JSON of 400; NULL: it does not know the question */
	bool is_slave_known, is_deaf; /* deaf: nothing is answered */
	int32_t lock_code;
	bool locks[QUEUES];
	int64_t stored[QUEUES]; /* -1: none */
	int32_t commit_code;
	bool is_holding; /* commits wait until rig_release() */
	int32_t held[QUEUES]; /* opaques */
	uint32_t n_held;
	/* what was seen */
	struct pull_seen pulls[QUEUES];
	int64_t committed[QUEUES];
	uint32_t n_commits, n_lists, n_unlocks, n_unregisters, n_heartbeats;
	uint32_t n_ready, n_ends;
	uint32_t n_pops; /* queues of T to pop */
	int32_t pop_id;  /* of the first of them */
	bool is_drained;
};

static void *plain_alloc(const struct mosaic_host *host, size_t size)
{
	(void)host;
	return calloc(1, size);
}

static void plain_free(const struct mosaic_host *host, void *ptr)
{
	(void)host;
	free(ptr);
}

static inline struct rig *rig_of(struct member *m)
{
	return CONTAINER_OF(m, struct rig, member);
}

static void rig_ready(struct member *m, struct share *s)
{
	(void)s;
	rig_of(m)->n_ready++;
}

static void rig_ends(struct member *m, struct share *s)
{
	(void)s;
	rig_of(m)->n_ends++;
}

static void rig_drained(struct member *m)
{
	rig_of(m)->is_drained = true;
}

static void rig_pops(struct member *m, const char *topic, const struct route_queue *queues,
		     uint32_t n)
{
	if (strcmp(topic, "T") != 0)
		return;
	rig_of(m)->n_pops = n;
	rig_of(m)->pop_id = n > 0 ? queues[0].id : 0;
}

static const struct member_ops rig_ops = { .ready = rig_ready, .ends = rig_ends,
					   .pops = rig_pops };

static inline struct mosaic_slice text(const char *s)
{
	return (struct mosaic_slice){ (const uint8_t *)s, strlen(s) };
}

static inline int32_t queue_of(const struct fake_frame *f)
{
	int32_t id = -1;

	assert_int_equal(header_i32(&f->header, "queueId", &id), 0);
	assert_in_range(id, 0, QUEUES - 1);
	return id;
}

/* ---- NameServer and brokers ---- */

static inline void serve_route(struct rig *r, const struct fake_frame *f)
{
	char route[512];

	if (!slice_is(header_str(&f->header, "topic"), "T")) {
		fake_conn_respond(r->ns, f->header.opaque, RES_TOPIC_NOT_EXIST, NO_BODY, NULL);
		return;
	}
	snprintf(route, sizeof(route),
		 "{\"brokerDatas\":[{\"brokerName\":\"a\",\"brokerAddrs\":{\"0\":\"a:0\"%s}}],"
		 "\"queueDatas\":[{\"brokerName\":\"a\",\"perm\":6,\"readQueueNums\":%d,"
		 "\"writeQueueNums\":%d}]}",
		 r->is_slave_known ? ",\"1\":\"a:1\"" : "", QUEUES, QUEUES);
	fake_conn_respond(r->ns, f->header.opaque, 0, text(route), NULL);
}

static inline void serve_lock(struct rig *r, struct mosaic_conn *conn, const struct fake_frame *f)
{
	char body[512] = "{\"lockOKMQSet\":[";
	uint32_t n = 0;

	for (int i = 0; i < QUEUES; i++)
		if (r->locks[i])
			snprintf(body + strlen(body), sizeof(body) - strlen(body),
				 "%s{\"brokerName\":\"a\",\"queueId\":%d,\"topic\":\"T\"}",
				 n++ ? "," : "", i);
	strcat(body, "]}");
	fake_conn_respond(conn, f->header.opaque, r->lock_code, text(body), NULL);
}

static inline void see_pull(struct rig *r, struct mosaic_conn *conn, const struct fake_frame *f)
{
	struct pull_seen *p = &r->pulls[queue_of(f)];

	*p = (struct pull_seen){ .conn = conn, .opaque = f->header.opaque + 1 };
	(void)header_i64(&f->header, "queueOffset", &p->offset);
	(void)header_i32(&f->header, "sysFlag", &p->flags);
}

static inline void serve_offset(struct rig *r, struct mosaic_conn *conn,
				const struct fake_frame *f)
{
	int32_t id = queue_of(f);
	char number[24];

	if (f->header.code == REQ_QUERY_CONSUMER_OFFSET && r->stored[id] < 0) {
		fake_conn_respond(conn, f->header.opaque, RES_QUERY_NOT_FOUND, NO_BODY, NULL);
		return;
	}
	snprintf(number, sizeof(number), "%lld",
		 (long long)(f->header.code == REQ_QUERY_CONSUMER_OFFSET ? r->stored[id] : 77));
	fake_conn_respond(conn, f->header.opaque, 0, NO_BODY, "offset", number, NULL);
}

static inline void serve_broker(struct rig *r, struct mosaic_conn *conn,
				const struct fake_frame *f)
{
	int32_t opaque = f->header.opaque;

	switch (f->header.code) {
	case REQ_HEART_BEAT:
		r->n_heartbeats++;
		break;
	case REQ_UNREGISTER_CLIENT:
		r->n_unregisters++;
		break;
	case REQ_UNLOCK_BATCH_MQ:
		r->n_unlocks++;
		break;
	case REQ_GET_CONSUMER_LIST_BY_GROUP:
		r->n_lists++;
		fake_conn_respond(conn, opaque, 0, text(r->members), NULL);
		return;
	case REQ_QUERY_ASSIGNMENT:
		fake_conn_respond(conn, opaque,
				  r->assignment != NULL ? 0 : RES_REQUEST_CODE_NOT_SUPPORTED,
				  text(r->assignment != NULL ? r->assignment : ""), NULL);
		return;
	case REQ_LOCK_BATCH_MQ:
		serve_lock(r, conn, f);
		return;
	case REQ_PULL_MESSAGE:
		see_pull(r, conn, f);
		return;
	case REQ_UPDATE_CONSUMER_OFFSET:
		r->n_commits++;
		if (r->commit_code == 0)
			(void)header_i64(&f->header, "commitOffset", &r->committed[queue_of(f)]);
		if (r->is_holding)
			r->held[r->n_held++ % QUEUES] = opaque;
		else
			fake_conn_respond(conn, opaque, r->commit_code, NO_BODY, NULL);
		return;
	default:
		serve_offset(r, conn, f);
		return;
	}
	if (!header_is_oneway(&f->header))
		fake_conn_respond(conn, opaque, 0, NO_BODY, NULL);
}

static inline bool next_request(struct mosaic_conn *conn, struct fake_frame *f)
{
	return conn != NULL && !fake_conn_is_closed(conn) && fake_conn_next(conn, f);
}

/* Until nobody asks any more. */
static inline void rig_serve(struct rig *r)
{
	static const char *const addresses[] = { "a:0", "a:1" };
	struct fake_frame f;
	bool is_quiet = r->is_deaf;

	fake_host_run(&r->host);
	while (!is_quiet) {
		is_quiet = true;
		if (r->ns == NULL || fake_conn_is_closed(r->ns))
			r->ns = fake_net_accept(r->net, "ns:1");
		while (next_request(r->ns, &f)) {
			serve_route(r, &f);
			is_quiet = false;
		}
		for (int i = 0; i < 2; i++) {
			if (r->conns[i] == NULL || fake_conn_is_closed(r->conns[i]))
				r->conns[i] = fake_net_accept(r->net, addresses[i]);
			while (next_request(r->conns[i], &f)) {
				serve_broker(r, r->conns[i], &f);
				is_quiet = false;
			}
		}
		fake_host_run(&r->host);
	}
}

/* In steps, so that what is asked meanwhile is answered. */
static inline void rig_advance(struct rig *r, uint32_t ms)
{
	for (uint32_t passed = 0; passed < ms; passed += 100) {
		fake_host_advance_ms(&r->host, 100);
		rig_serve(r);
	}
}

/* Answers the commits that were held. */
static inline void rig_release(struct rig *r)
{
	r->is_holding = false;
	for (uint32_t i = 0; i < r->n_held; i++)
		fake_conn_respond(r->conns[0], r->held[i], r->commit_code, NO_BODY, NULL);
	r->n_held = 0;
	rig_serve(r);
}

/* Answers the pull of a queue with n messages of `size` bytes. */
static inline void rig_messages(struct rig *r, int32_t id, uint32_t n, uint32_t size)
{
	struct pull_seen *p = &r->pulls[id];
	struct buf body = BUF_INIT;
	uint8_t *filler = mem_alloc(size);
	char next[24];

	assert_int_not_equal(p->opaque, 0);
	for (uint32_t i = 0; i < n; i++) {
		struct message m = { .topic = text("T"), .body = slice(filler, size),
				     .queue_id = id, .queue_offset = p->offset + i,
				     .store_host = { .ip_len = 4 }, .born_host = { .ip_len = 4 } };
		uint32_t len = record_len(&m);
		record_encode(buf_room(&body, len), len, &m);
		body.len += len;
	}
	snprintf(next, sizeof(next), "%lld", (long long)(p->offset + n));
	int32_t opaque = p->opaque - 1;
	p->opaque = 0;
	fake_conn_respond(p->conn, opaque, 0, buf_slice(&body), "nextBeginOffset", next,
			  "suggestWhichBrokerId", "0", NULL);
	buf_free(&body);
	free(filler);
	rig_serve(r);
}

/* Answers it with a code and the offset to go on from. */
static inline void rig_answer(struct rig *r, int32_t id, int32_t code, const char *next)
{
	struct pull_seen *p = &r->pulls[id];
	int32_t opaque = p->opaque - 1;

	assert_int_not_equal(p->opaque, 0);
	p->opaque = 0;
	fake_conn_respond(p->conn, opaque, code, NO_BODY, "nextBeginOffset", next,
			  "suggestWhichBrokerId", "0", NULL);
	rig_serve(r);
}

static inline bool is_pulling(const struct rig *r, int32_t id)
{
	return r->pulls[id].opaque != 0 && !fake_conn_is_closed(r->pulls[id].conn);
}

/* Takes n messages of a queue and ends them. */
static inline void rig_consume(struct rig *r, int32_t id, uint32_t n)
{
	struct share *s = member_share(&r->member, "T", "a", id);
	struct item *item;

	assert_non_null(s);
	while (n-- > 0) {
		assert_int_equal(process_queue_take(&s->queue, &item, 1, 1), 1);
		process_queue_done(item);
	}
	share_settled(s);
	rig_serve(r);
}

/* One message of each of the first n queues. */
static inline void rig_consume_one_each(struct rig *r, int32_t n)
{
	for (int32_t i = 0; i < n; i++) {
		rig_messages(r, i, 1, 8);
		rig_consume(r, i, 1);
	}
}

/* ---- begin and end ---- */

static inline void rig_open(struct rig *r, const struct member_config *given)
{
	struct member_config config = *given;
	struct subscription *sub;

	*r = (struct rig){ .members = "{\"consumerIdList\":[\"" OWN_ID "\"]}" };
	for (int i = 0; i < QUEUES; i++) {
		r->locks[i] = true;
		r->stored[i] = 10 * i;
	}
	fake_host_init(&r->host);
	r->net = fake_net_create(&r->host);
	r->client = calloc(1, sizeof(*r->client));
	pthread_mutex_init(&r->client->lock, NULL);
	r->client->host.api.alloc = plain_alloc;
	r->client->host.api.free = plain_free;
	assert_int_equal(engine_init(&r->client->engine, &r->host.host, "ns:1", 30 * SECOND_NS,
				     30 * SECOND_NS, OWN_ID, NULL), 0);
	engine_dial_with(&r->client->engine, &fake_net_ops, fake_net_transport(r->net));
	config.group = "G";
	config.type = "CONSUME_PASSIVELY";
	config.pull_batch = config.pull_batch != 0 ? config.pull_batch : 32;
	config.max_cached = config.max_cached != 0 ? config.max_cached : 1000;
	config.max_cached_bytes = config.max_cached_bytes != 0 ? config.max_cached_bytes : 1 << 20;
	config.max_span = config.max_span != 0 ? config.max_span : 2000;
	config.commit_ns = 5 * SECOND_NS;
	assert_int_equal(member_init(&r->member, r->client, &config, &rig_ops, NULL), 0);
	assert_int_equal(subscription_make("T", MOSAIC_TAGS, NULL, &sub, NULL), 0);
	member_subscribe(&r->member, sub);
}

static inline void rig_start(struct rig *r)
{
	assert_int_equal(member_start(&r->member, NULL), 0);
	rig_serve(r);
}

static inline void rig_stop(struct rig *r)
{
	member_quiet(&r->member);
	member_stop(&r->member, rig_drained);
	rig_serve(r);
}

static inline void rig_close(struct rig *r)
{
	if (r->member.is_running) {
		r->is_deaf = false;
		rig_stop(r);
		rig_advance(r, 4000);
		assert_true(r->is_drained);
	}
	member_free(&r->member);
	engine_close(&r->client->engine);
	fake_net_destroy(r->net);
	engine_free(&r->client->engine);
	assert_int_equal(r->client->engine.numbers.bytes_held, 0);
	if (r->client->plugins != NULL)
		plugins_destroy(&r->client->plugins);
	pthread_mutex_destroy(&r->client->lock);
	free(r->client);
	fake_host_fini(&r->host);
}

#endif
