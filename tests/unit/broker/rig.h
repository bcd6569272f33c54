/*
 * A broker on store-memory, the fake network and the virtual clock, for tests of its requests.
 *
 *   struct rig r;
 *   rig_open(&r, NULL);
 *   struct mosaic_conn *c = rig_dial(&r);
 *   struct fake_frame f = rig_send(&r, c, "T", 0, "TAGS\1A\2", "hello");
 *   rig_close(&r);
 */
#ifndef TEST_BROKER_RIG_H
#define TEST_BROKER_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/err.h"
#include "broker/broker.h"
#include "broker/control_rows.h"
#include "broker/topics.h"
#include "support/fake_host.h"
#include "support/fake_net.h"
#include "wire/codes.h"
#include "wire/frame.h"

extern const struct mosaic_plugin mosaic_plugin_store_memory;

struct rig {
	struct fake_host host;
	struct fake_net *net;
	const struct mosaic_store_ops *store_ops;
	struct mosaic_store *store;
	struct log *log;
	struct broker *broker;
	struct peer_handler handler;
	struct peer_listener listener;
	bool done;
	int status;
	/* a flush policy under the test's control */
	bool gates;
	uint64_t appended;
	struct mosaic_flush_ops flush_ops;
};

struct rig_options {
	uint64_t store_limit; /* 0: plenty */
	bool gates;           /* answers wait for rig_durable() */
	uint32_t max_parked, max_waiting;
	uint32_t max_parked_bytes;
	int32_t default_queues; /* 0: 8 */
	const char *const *namesrv;
	uint32_t n_namesrv;
};

static inline void rig_request(void *ctx, struct request *req)
{
	struct rig *r = ctx;
	for (uint32_t i = 0; i < broker_n_rows; i++)
		if (broker_rows[i].code == req->header.code) {
			broker_rows[i].handle(r->broker, req);
			return;
		}
	for (uint32_t i = 0; i < control_n_rows; i++)
		if (control_rows[i].code == req->header.code) {
			control_rows[i].handle(r->broker, req);
			return;
		}
	reply_unsupported(req);
}

static inline void rig_burst_end(void *ctx, struct peer *peer)
{
	(void)peer;
	broker_burst_end(((struct rig *)ctx)->broker);
}

static inline void rig_peer_closed(void *ctx, struct peer *peer)
{
	broker_peer_closed(((struct rig *)ctx)->broker, peer);
}

static inline void rig_done(struct mosaic_req *req)
{
	struct rig *r = req->data;
	r->done = true;
	r->status = req->status;
}

/* The flush policy: remembers the end, syncs nothing; rig_durable() plays the disk. */
static inline int32_t rig_flush_open(struct mosaic_flush *flush,
				     const struct mosaic_flush_port *port,
				     struct mosaic_error *error)
{
	(void)flush, (void)port, (void)error;
	return 0;
}

static inline void rig_flush_appended(struct mosaic_flush *flush, uint64_t end)
{
	((struct rig *)(void *)flush)->appended = end;
}

static inline int32_t rig_flush_close(struct mosaic_flush *flush, struct mosaic_req *req)
{
	struct rig *r = (void *)flush;
	log_watermark(r->log, MOSAIC_DURABLE, r->appended);
	req->status = 0;
	r->host.host.post(&r->host.host, req);
	return 0;
}

static inline void rig_durable(struct rig *r, uint64_t upto)
{
	log_watermark(r->log, MOSAIC_DURABLE, upto);
	fake_host_run(&r->host);
}

static inline void rig_open(struct rig *r, const struct rig_options *o)
{
	static const struct rig_options plain = { 0 };
	uint64_t options[8] = { 0 };
	struct mosaic_error err = ERR_INIT;
	struct broker_open_req open = { .req = { .done = rig_done, .data = r } };
	o = o ? o : &plain;
	memset(r, 0, sizeof(*r));
	fake_host_init(&r->host);
	r->net = fake_net_create(&r->host);
	assert_true(mosaic_plugin_store_memory.options_size <= sizeof(options));
	for (uint32_t i = 0; i < mosaic_plugin_store_memory.n_options; i++) {
		const struct mosaic_option *option = &mosaic_plugin_store_memory.options[i];
		uint64_t value = strcmp(option->name, "limit") == 0 ?
					 (o->store_limit ? o->store_limit : UINT64_C(1) << 30) :
				 strcmp(option->name, "segment") == 0	   ? UINT64_C(16) << 20 :
				 strcmp(option->name, "queueSegment") == 0 ? 20000 :
									     0;
		options[option->offset / 8] = value;
	}
	r->store_ops = mosaic_plugin_store_memory.ops;
	assert_int_equal(r->store_ops->create(&r->host.host, options, &r->store, &err), 0);
	r->flush_ops = (struct mosaic_flush_ops){ .struct_size = sizeof(r->flush_ops),
						  .open = rig_flush_open,
						  .appended = rig_flush_appended,
						  .close = rig_flush_close };
	r->log = log_create(&(struct log_config){ .host = &r->host.host,
						  .store_ops = r->store_ops,
						  .store = r->store,
						  .flush_ops = o->gates ? &r->flush_ops : NULL,
						  .flush = (void *)r,
						  .flush_gates = o->gates,
						  .index = { 50, 200 },
						  .max_record_bytes = 5 * 1024 * 1024 });
	r->handler = (struct peer_handler){ r, rig_request, rig_burst_end, rig_peer_closed };
	r->broker = broker_create(&(struct broker_config){
		.host = &r->host.host,
		.log = r->log,
		.transport_ops = &fake_net_ops,
		.transport = fake_net_transport(r->net),
		.peer_handler = &r->handler,
		.cluster = "DefaultCluster",
		.name = "broker-a",
		.address = "127.0.0.1:10911",
		.store_host = { .ip = { 127, 0, 0, 1 }, .ip_len = 4, .port = 10911 },
		.max_message_bytes = 4 * 1024 * 1024,
		.auto_create_topic = true,
		.auto_create_group = true,
		.default_queues = o->default_queues ? o->default_queues : 8,
		.permission = 6,
		.memory_bytes = UINT64_C(1) << 33,
		.namesrv = o->namesrv,
		.n_namesrv = o->n_namesrv,
		.max_held_pulls = 1000,
		.max_parked_sends = o->max_parked ? o->max_parked : 100,
		.max_parked_bytes = o->max_parked_bytes ? o->max_parked_bytes : 1 << 20,
		.max_waiting_acks = o->max_waiting ? o->max_waiting : 1000,
		.max_topics = 1000,
		.max_groups = 1000 });
	assert_true(broker_open(r->broker, &open) >= 0);
	for (int i = 0; i < 100 && !r->done; i++)
		fake_host_advance_ms(&r->host, 1);
	assert_true(r->done);
	assert_int_equal(r->status, 0);
	r->listener.listener.address = "broker:10911";
	r->listener.listener.max_frame = FRAME_MAX;
	r->listener.host = &r->host.host;
	r->listener.ops = &fake_net_ops;
	r->listener.handler = &r->handler;
	r->listener.max_peers = 100;
	assert_int_equal(peer_listen(&r->listener, fake_net_transport(r->net), &err), 0);
}

static inline void rig_close(struct rig *r)
{
	struct mosaic_req req = { .done = rig_done, .data = r };
	r->done = false;
	assert_true(broker_close(r->broker, &req) >= 0);
	for (int i = 0; i < 2000 && !r->done; i++) {
		if (r->log->config.flush_gates) /* the disk does its work */
			log_watermark(r->log, MOSAIC_DURABLE, r->appended);
		fake_host_advance_ms(&r->host, 1);
	}
	assert_true(r->done);
	fake_net_destroy(r->net);
	broker_destroy(r->broker);
	log_destroy(r->log);
	r->store_ops->destroy(r->store);
	fake_host_fini(&r->host);
}

static inline struct mosaic_conn *rig_dial(struct rig *r)
{
	struct mosaic_conn *c = fake_net_dial(r->net, "broker:10911");
	assert_non_null(c);
	return c;
}

static inline struct fake_frame rig_answer(struct rig *r, struct mosaic_conn *c)
{
	struct fake_frame f;
	fake_host_run(&r->host);
	assert_true(fake_conn_next(c, &f));
	return f;
}

static inline void rig_no_answer(struct rig *r, struct mosaic_conn *c)
{
	struct fake_frame f;
	fake_host_run(&r->host);
	assert_false(fake_conn_next(c, &f));
}

/* SEND_MESSAGE_V2 without looking at the answer. */
static inline int32_t rig_post(struct mosaic_conn *c, const char *topic, int queue,
			       const char *props, const char *body)
{
	char queue_text[16];
	snprintf(queue_text, sizeof(queue_text), "%d", queue);
	return fake_conn_request(c, REQ_SEND_MESSAGE_V2, slice_str(body), "a", "PG", "b", topic,
				 "c", "TBW102", "d", "4", "e", queue_text, "f", "0", "g",
				 "1700000000001", "h", "7", "i", props, "j", "0", NULL);
}

static inline struct fake_frame rig_send(struct rig *r, struct mosaic_conn *c, const char *topic,
					 int queue, const char *props, const char *body)
{
	rig_post(c, topic, queue, props, body);
	return rig_answer(r, c);
}

/* PULL_MESSAGE with the subscription in the header. hold_ms 0: no long poll. */
static inline int32_t rig_post_pull(struct mosaic_conn *c, const char *topic, int queue,
				    int64_t offset, const char *tags, int hold_ms)
{
	char q[16], o[24], h[16];
	snprintf(q, sizeof(q), "%d", queue);
	snprintf(o, sizeof(o), "%lld", (long long)offset);
	snprintf(h, sizeof(h), "%d", hold_ms);
	return fake_conn_request(c, REQ_PULL_MESSAGE, NO_BODY, "consumerGroup", "G", "topic", topic,
				 "queueId", q, "queueOffset", o, "maxMsgNums", "32", "sysFlag",
				 hold_ms ? "6" : "4", "commitOffset", "0", "suspendTimeoutMillis",
				 h, "subscription", tags, "subVersion", "0", "expressionType",
				 "TAG", NULL);
}

static inline struct fake_frame rig_pull(struct rig *r, struct mosaic_conn *c, const char *topic,
					 int queue, int64_t offset, const char *tags)
{
	rig_post_pull(c, topic, queue, offset, tags, 0);
	return rig_answer(r, c);
}

/* Bodies of the records of an answer, joined by blanks. */
static inline const char *rig_bodies(const struct fake_frame *f, char *out, size_t cap)
{
	struct mosaic_slice rest = f->body;
	struct message m;
	uint32_t len;
	size_t n = 0;
	out[0] = 0;
	while (rest.len > 0) {
		assert_int_equal(record_decode(rest.ptr, rest.len, true, &m, &len), RECORD_MESSAGE);
		n += (size_t)snprintf(out + n, cap - n, "%s%.*s", n ? " " : "", SLICE_ARG(m.body));
		rest.ptr += len;
		rest.len -= len;
	}
	return out;
}

static inline int64_t rig_i64(const struct fake_frame *f, const char *key)
{
	int64_t v = INT64_MIN;
	assert_int_equal(header_i64(&f->header, key, &v), 0);
	return v;
}

#endif
