/* A NameServer on the fake host and net, with a KV document whose saves the test completes. */
#ifndef NAMESRV_FIXTURE_H
#define NAMESRV_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "namesrv/namesrv.h"
#include "support/fake_net.h"
#include "wire/codes.h"
#include "wire/frame.h"
#include "wire/json.h"
#include <stdio.h>
#include <stdlib.h>

struct fixture {
	struct fake_host host;
	struct fake_net *net;
	struct peer_listener pl;
	struct peer_handler handler;
	struct namesrv_config config;
	struct namesrv *ns;
	struct mosaic_conn *c; /* a connection for everything that is not special */
	/* the KV document */
	struct buf saved;
	struct mosaic_req *saving; /* waits for fixture_saved when hold_saves */
	uint32_t n_saves;
	bool hold_saves;
	int save_rc;     /* what save() returns when it refuses */
	int save_status; /* how it ends when it does not */
};

static inline void fixture_request(void *ctx, struct request *req)
{
	struct fixture *f = ctx;

	for (uint32_t i = 0; i < namesrv_n_rows; i++)
		if (namesrv_rows[i].code == req->header.code) {
			namesrv_rows[i].handle(f->ns, req);
			return;
		}
	reply_unsupported(req);
}

static inline void fixture_closed(void *ctx, struct peer *peer)
{
	namesrv_peer_closed(((struct fixture *)ctx)->ns, peer);
}

static inline void fixture_saved(struct fixture *f, int status)
{
	assert_non_null(f->saving);
	f->saving->status = status;
	f->host.host.post(&f->host.host, f->saving);
	f->saving = NULL;
	fake_host_run(&f->host);
}

static inline int fixture_save(void *ctx, struct mosaic_slice content, struct mosaic_req *req)
{
	struct fixture *f = ctx;

	f->n_saves++;
	if (f->save_rc != 0)
		return f->save_rc;
	assert_null(f->saving); /* one at a time */
	if (f->save_status == 0) {
		buf_clear(&f->saved);
		buf_append_slice(&f->saved, content);
	}
	f->saving = req;
	if (!f->hold_saves) {
		req->status = f->save_status;
		f->host.host.post(&f->host.host, req);
		f->saving = NULL;
	}
	return 0;
}

static inline void setup_with(struct fixture *f, const char *kv_document)
{
	struct mosaic_error err = { .struct_size = sizeof(err) };

	*f = (struct fixture){ .save_rc = 0 };
	fake_host_init(&f->host);
	f->net = fake_net_create(&f->host);
	f->handler = (struct peer_handler){ .ctx = f,
					    .request = fixture_request,
					    .closed = fixture_closed };
	f->pl = (struct peer_listener){ .listener = { .address = "ns:9876",
						      .max_frame = FRAME_MAX },
					.host = &f->host.host,
					.ops = &fake_net_ops,
					.handler = &f->handler,
					.max_peers = 1000 };
	assert_int_equal(peer_listen(&f->pl, fake_net_transport(f->net), NULL), 0);
	f->config = (struct namesrv_config){
		.host = &f->host.host,
		.docs = { .ctx = f, .kv_config = slice_str(kv_document), .save = fixture_save },
		.broker_expiry_ms = 120000,
		.scan_ms = 5000,
		.max_topics = 20000,
		.max_brokers = 10,
		.listen_port = 9876
	};
	f->ns = namesrv_create(&f->config, &err);
	assert_non_null(f->ns);
	namesrv_start(f->ns);
	f->c = fake_net_dial(f->net, "ns:9876");
	assert_non_null(f->c);
}

static inline void setup(struct fixture *f)
{
	setup_with(f, "");
}

static inline void fixture_stopped(struct mosaic_req *req)
{
	(*(uint32_t *)req->data)++;
}

static inline void teardown(struct fixture *f)
{
	uint32_t n_stopped = 0;
	struct mosaic_req req = { .done = fixture_stopped, .data = &n_stopped };

	namesrv_stop(f->ns, &req);
	fake_host_run(&f->host);
	assert_int_equal(n_stopped, 1);
	fake_net_destroy(f->net);
	namesrv_destroy(f->ns);
	assert_int_equal(fake_host_timers(&f->host), 0);
	fake_host_fini(&f->host);
	buf_free(&f->saved);
}

/* The answer to the request that was just sent on c; exactly one must be there. */
static inline struct fake_frame answer_on(struct fixture *f, struct mosaic_conn *c)
{
	struct fake_frame frame;

	fake_host_run(&f->host);
	assert_true(fake_conn_next(c, &frame));
	assert_int_equal(frame.header.flag, HEADER_RESPONSE);
	return frame;
}

/* Sends on f->c and gives the answer. */
#define ASK(f, code, body, ...)                                                                    \
	(fake_conn_request((f)->c, code, body, ##__VA_ARGS__, NULL), answer_on(f, (f)->c))

#define assert_text(slice, text)                                                                   \
	do {                                                                                       \
		char *text_ = slice_dup(slice);                                                    \
		assert_string_equal(text_, text);                                                  \
		free(text_);                                                                       \
	} while (0)

/* A JSON body of REGISTER_BROKER with the topics of a blank-separated list, 4 queues each. Memory
 * is the caller's (free). */
static inline char *register_json(const char *topics, int64_t state, int64_t counter)
{
	char *list = mem_strdup(topics), *at = list, *name;
	struct buf b = BUF_INIT;

	buf_printf(
		&b,
		"{\"filterServerList\":[],\"topicConfigSerializeWrapper\":{\"dataVersion\":"
		"{\"counter\":%lld,\"stateVersion\":%lld,\"timestamp\":7},\"topicConfigTable\":{",
		(long long)counter, (long long)state);
	for (uint32_t i = 0; (name = strsep(&at, " ")) != NULL; i++) {
		if (*name == 0)
			continue;
		buf_printf(&b,
			   "%s\"%s\":{\"attributes\":{},\"order\":false,\"perm\":6,"
			   "\"readQueueNums\":4,\"topicFilterType\":\"SINGLE_TAG\",\"topicName\":"
			   "\"%s\",\"topicSysFlag\":0,\"writeQueueNums\":4}",
			   i ? "," : "", name, name);
	}
	buf_append_str(&b, "}}}");
	buf_append_byte(&b, 0);
	free(list);
	return (char *)b.data;
}

struct reg {
	const char *name, *addr, *topics;
	int id;
	const char *cluster;       /* NULL: C1 */
	const char *acting_master; /* NULL: the field is absent */
	const char *timeout_ms, *zone;
	int state, counter;
	struct mosaic_conn *conn; /* NULL: the fixture's */
};

static inline struct fake_frame reg(struct fixture *f, struct reg r)
{
	struct mosaic_conn *c = r.conn ? r.conn : f->c;
	char *json = register_json(r.topics, r.state, r.counter);
	char id[16], ha[64];

	snprintf(id, sizeof(id), "%d", r.id);
	snprintf(ha, sizeof(ha), "%s9", r.addr);
	/* An empty key stands for an absent field: a header without it is what unknown fields
	 * are. */
	fake_conn_request(
		c, REQ_REGISTER_BROKER, slice_str(json), "brokerName", r.name, "brokerAddr", r.addr,
		"clusterName", r.cluster ? r.cluster : "C1", "haServerAddr", ha, "brokerId", id,
		"compressed", "false", r.acting_master ? "enableActingMaster" : "x1",
		r.acting_master ? r.acting_master : "",
		r.timeout_ms ? "heartbeatTimeoutMillis" : "x2", r.timeout_ms ? r.timeout_ms : "",
		r.zone ? "__ZONE_NAME" : "x3", r.zone ? r.zone : "", NULL);
	free(json);
	return answer_on(f, c);
}

#define REG(f, ...) reg(f, (struct reg){ __VA_ARGS__ })

static inline void assert_registered(struct fake_frame frame)
{
	assert_int_equal(frame.header.code, RES_SUCCESS);
}

/* Body of an answer to 106, for looking at the whole state. */
static inline void assert_clusters(struct fixture *f, const char *json)
{
	struct fake_frame frame = ASK(f, REQ_GET_BROKER_CLUSTER_INFO, NO_BODY);

	assert_int_equal(frame.header.code, RES_SUCCESS);
	assert_text(frame.body, json);
}

/* Code of the answer to 105. */
static inline int32_t route_code(struct fixture *f, const char *topic)
{
	return ASK(f, REQ_GET_ROUTEINFO_BY_TOPIC, NO_BODY, "topic", topic).header.code;
}

#endif
