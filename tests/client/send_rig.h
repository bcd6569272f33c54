/* An engine and a sender on the fake net: the test is every NameServer and broker. */
#ifndef CLIENT_SEND_RIG_H
#define CLIENT_SEND_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "balancer.h"
#include "engine.h"
#include "send.h"
#include "support/fake_net.h"
#include "wire/codes.h"
#include <stdio.h>
#include <stdlib.h>

#define NS_A "ns:1"
#define NS_B "ns:2"
#define BROKER_A "a:1"
#define BROKER_B "b:1"
#define MESSAGE_ID "C0A80001123456789ABCDEF001020304"

extern const struct mosaic_plugin mosaic_plugin_lb_roundrobin, mosaic_plugin_lb_hash;

struct rig {
	struct fake_host host;
	struct fake_net *net;
	struct engine engine;
	struct loaded_plugin turn, hash;
	struct balancer balance, by_key;
	struct sender sender;
	struct mosaic_conn *ns;
};

/* One send and how it ended. */
struct outcome {
	uint32_t n;
	struct mosaic_send_result result;
};

static inline void rig_balancer(struct rig *r, const struct mosaic_plugin *plugin,
				struct loaded_plugin *loaded, struct balancer *b)
{
	assert_int_equal(plugin_adopt(plugin, "(built in)", NULL, loaded, NULL), 0);
	*b = (struct balancer){ .plugin = loaded };
	assert_int_equal(balancer_open(b, &r->host.host, NULL), 0);
}

static inline void rig_open(struct rig *r, const char *namesrv)
{
	*r = (struct rig){ .ns = NULL };
	fake_host_init(&r->host);
	r->net = fake_net_create(&r->host);
	assert_int_equal(engine_init(&r->engine, &r->host.host, namesrv, 30 * SECOND_NS,
				     30 * SECOND_NS, "192.0.2.1@test", NULL), 0);
	engine_dial_with(&r->engine, &fake_net_ops, fake_net_transport(r->net));
	rig_balancer(r, &mosaic_plugin_lb_roundrobin, &r->turn, &r->balance);
	rig_balancer(r, &mosaic_plugin_lb_hash, &r->hash, &r->by_key);
	r->sender = (struct sender){ .engine = &r->engine, .group = "G", .balance = &r->balance,
				     .by_key = &r->by_key, .attempts = 3, .default_queues = 4,
				     .timeout_ns = 3 * SECOND_NS, .max_message = 4u << 20,
				     .compress_above = UINT32_MAX };
	list_init(&r->sender.sends);
}

static inline void rig_close(struct rig *r)
{
	engine_close(&r->engine);
	while (!list_empty(&r->sender.sends))
		send_end(LIST_ENTRY(r->sender.sends.next, struct send, link), MOSAIC_E_CANCELED,
			 "");
	fake_net_destroy(r->net);
	engine_free(&r->engine);
	balancer_free(&r->balance);
	balancer_free(&r->by_key);
	free(r->turn.file);
	free(r->hash.file);
	assert_int_equal(fake_host_timers(&r->host), 0);
	fake_host_fini(&r->host);
}

static inline void rig_ended(struct send *s)
{
	struct outcome *o = s->data;

	o->n++;
	o->result = s->result;
	send_free(s);
}

/* Starts a send of m; *o tells of its end. */
static inline void rig_send_message(struct rig *r, const struct mosaic_message *m,
				    const struct send_shape *shape, struct outcome *o)
{
	const struct send_shape plain = { .code = 0 };
	struct send *s;

	*o = (struct outcome){ .n = 0 };
	assert_int_equal(send_make(&r->sender, m, MESSAGE_ID, shape ? shape : &plain, &s), 0);
	s->done = rig_ended;
	s->data = o;
	send_start(s);
	fake_host_run(&r->host);
}

static inline struct mosaic_message rig_message(const char *topic, const char *body)
{
	return (struct mosaic_message){ .struct_size = sizeof(struct mosaic_message),
					.topic = topic,
					.body = { (const uint8_t *)body, strlen(body) } };
}

static inline void rig_send(struct rig *r, const char *topic, struct outcome *o)
{
	struct mosaic_message m = rig_message(topic, "hello");

	rig_send_message(r, &m, NULL, o);
}

/* The connection that waits to be accepted at address, accepted. */
static inline struct mosaic_conn *rig_accept(struct rig *r, const char *address)
{
	struct mosaic_conn *c = fake_net_accept(r->net, address);

	assert_non_null(c);
	return c;
}

static inline struct fake_frame rig_next(struct mosaic_conn *c, int32_t code)
{
	struct fake_frame f;

	assert_true(fake_conn_next(c, &f));
	assert_int_equal(f.header.code, code);
	return f;
}

#define TWO_BROKERS                                                                               \
	"{\"brokerDatas\":[{\"brokerAddrs\":{0:\"a:1\",1:\"a:2\"},\"brokerName\":\"A\"},"         \
	"{\"brokerAddrs\":{\"0\":\"b:1\"},\"brokerName\":\"B\"}],\"queueDatas\":["                \
	"{\"brokerName\":\"B\",\"perm\":6,\"readQueueNums\":2,\"writeQueueNums\":2},"             \
	"{\"brokerName\":\"A\",\"perm\":6,\"readQueueNums\":2,\"writeQueueNums\":2}]}"
#define ONE_BROKER                                                                                \
	"{\"brokerDatas\":[{\"brokerAddrs\":{0:\"a:1\"},\"brokerName\":\"A\"}],\"queueDatas\":["  \
	"{\"brokerName\":\"A\",\"perm\":6,\"readQueueNums\":8,\"writeQueueNums\":8}]}"

/* Answers the next question for a route with code and body. Returns the topic that was asked. */
static inline struct mosaic_slice rig_route(struct rig *r, int32_t code, const char *body)
{
	struct fake_frame f = rig_next(r->ns, REQ_GET_ROUTEINFO_BY_TOPIC);

	fake_conn_respond(r->ns, f.header.opaque, code,
			  (struct mosaic_slice){ (const uint8_t *)body, strlen(body) }, NULL);
	fake_host_run(&r->host);
	return header_str(&f.header, "topic");
}

/* Answers a send as stored. */
static inline void rig_stored(struct rig *r, struct mosaic_conn *c, const struct fake_frame *f,
			      int32_t code)
{
	fake_conn_respond(c, f->header.opaque, code, NO_BODY, "msgId",
			  "C0A8000100002A9F0000000000000123", "queueId", "1", "queueOffset", "7",
			  "transactionId", MESSAGE_ID, NULL);
	fake_host_run(&r->host);
}

#endif
