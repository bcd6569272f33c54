/*
 * What brokers ask: 103 REGISTER_BROKER, 104 UNREGISTER_BROKER, 322 QUERY_DATA_VERSION,
 * 904 BROKER_HEARTBEAT, 901 GET_BROKER_MEMBER_GROUP; and what they are told: 905.
 */
#include "base/err.h"
#include "base/hash.h"
#include "namesrv/namesrv_priv.h"
#include "rpc/call.h"

/* A name or an address: 1 to NAME_MAX_BYTES bytes without blanks, quotes and control characters.
 * They go into log lines and keys as they are. */
static bool is_name(struct mosaic_slice s)
{
	if (s.len == 0 || s.len > NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= ' ' || s.ptr[i] == '"' || s.ptr[i] == 0x7F)
			return false;
	return true;
}

static bool need_name(struct request *req, const char *field, struct mosaic_slice *out)
{
	*out = header_str(&req->header, field);
	if (is_name(*out))
		return true;
	reply_missing(&req->ticket, field);
	return false;
}

/* ---- 103 ---- */

static bool registration_read(struct namesrv *n, struct request *req, struct registration *reg)
{
	const struct header *h = &req->header;
	int64_t timeout_ms;

	*reg = (struct registration){ .peer = req->ticket.peer };
	if (!need_name(req, "clusterName", &reg->cluster) ||
	    !need_name(req, "brokerName", &reg->name) || !need_name(req, "brokerAddr", &reg->addr))
		return false;
	if (header_i64(h, "brokerId", &reg->id) != 0 || reg->id < 0) {
		reply_missing(&req->ticket, "brokerId");
		return false;
	}
	reg->ha_addr = header_str(h, "haServerAddr");
	reg->zone = header_str(h, "__ZONE_NAME");
	if (reg->ha_addr.len > NAME_MAX_BYTES || reg->zone.len > NAME_MAX_BYTES) {
		reply_missing(&req->ticket,
			      reg->zone.len > NAME_MAX_BYTES ? "__ZONE_NAME" : "haServerAddr");
		return false;
	}
	if (header_i64(h, "heartbeatTimeoutMillis", &timeout_ms) != 0 || timeout_ms <= 0 ||
	    timeout_ms > INT32_MAX)
		timeout_ms = (int64_t)n->broker_expiry_ms;
	reg->timeout_ns = (uint64_t)timeout_ms * MS_NS;
	reg->has_acting_master = header_find(h, "enableActingMaster") != NULL;
	reg->enable_acting_master = header_bool(h, "enableActingMaster", false);
	return true;
}

static bool crc_matches(const struct request *req)
{
	int32_t crc = 0;

	if (header_i32(&req->header, "bodyCrc32", &crc) != 0 || crc == 0)
		return true; /* not checked */
	return crc == (int32_t)(hash_crc32(req->body.ptr, req->body.len) & 0x7FFFFFFF);
}

/* A slave learns its master; everybody gets the order topics. */
static void answer_registered(struct namesrv *n, struct request *req, const struct broker *b)
{
	const struct map *table = kv_namespace(n->kv, slice_str(ORDER_TOPIC_NAMESPACE));
	const struct broker *master;
	struct reply r;

	buf_clear(&n->out);
	if (table && n->options.return_order_topic_config)
		kv_write_namespace(table, &n->out);
	if (!reply_begin(&r, &req->ticket, RES_SUCCESS,
			 HEADER_ROOM + 2 * HEADER_FIELD_ROOM(12, NAME_MAX_BYTES),
			 (uint32_t)n->out.len))
		return;
	master = b && b->id != MASTER_ID ? group_master(b->group) : NULL;
	if (master) {
		header_put_str(&r.w, "haServerAddr", master->ha_addr);
		header_put_str(&r.w, "masterAddr", master->addr);
	}
	reply_end_copy(&r, buf_slice(&n->out));
}

void on_register_broker(void *service, struct request *req)
{
	struct namesrv *n = service;
	struct mosaic_error err = ERR_INIT;
	struct register_body body;
	struct registration reg;
	struct broker *b;
	int rc;

	if (!crc_matches(req)) {
		reply_remark(&req->ticket, RES_SYSTEM_ERROR, "crc32 not match");
		return;
	}
	if (!registration_read(n, req, &reg))
		return;
	rc = register_body_decode(&body, req->body, header_bool(&req->header, "compressed", false),
				  req->header.version, &err);
	if (rc == 0) {
		rc = routes_register(&n->routes, &reg, &body, &b, &err);
		register_body_free(&body);
	}
	if (rc != 0) {
		char why[256];

		peer_warn(req->ticket.peer, "registration_refused",
			  "broker=%.*s address=%.*s why=%s", SLICE_ARG(reg.name),
			  SLICE_ARG(reg.addr), host_log_quote(why, sizeof(why), err.text));
		reply_remark(&req->ticket, RES_SYSTEM_ERROR, "%s", err.text);
		return;
	}
	answer_registered(n, req, b);
}

/* ---- 104, 322, 904 ---- */

/* The live broker that the request names. false: answered already. */
static bool find_live(struct namesrv *n, struct request *req, struct broker **out)
{
	struct mosaic_slice cluster, addr;

	if (!namesrv_need(req, "clusterName", &cluster) || !namesrv_need(req, "brokerAddr", &addr))
		return false;
	*out = routes_live(&n->routes, cluster, addr);
	return true;
}

void on_unregister_broker(void *service, struct request *req)
{
	struct namesrv *n = service;
	struct broker *b;

	if (!find_live(n, req, &b))
		return;
	if (b && slice_is(header_str(&req->header, "brokerName"), b->group->name))
		routes_unregister(&n->routes, b);
	reply_code(&req->ticket, RES_SUCCESS);
}

void on_broker_heartbeat(void *service, struct request *req)
{
	struct namesrv *n = service;
	struct broker *b;

	if (!find_live(n, req, &b))
		return;
	if (b)
		b->heard_ns = host_now_ns(n->host);
	reply_code(&req->ticket, RES_SUCCESS);
}

void on_query_data_version(void *service, struct request *req)
{
	struct namesrv *n = service;
	struct route_version version = { .state_version = 0 };
	struct json_writer w;
	struct broker *b;
	struct reply r;

	if (!find_live(n, req, &b))
		return;
	if (req->body.len > 0) {
		struct mosaic_error err = ERR_INIT;
		json_t *json = json_read(req->body, &err);

		if (json == NULL) {
			reply_remark(&req->ticket, RES_SYSTEM_ERROR, "%s", err.text);
			return;
		}
		route_version_read(&version, json);
		json_decref(json);
	}
	buf_clear(&n->out);
	if (b) {
		b->heard_ns = host_now_ns(n->host);
		jw_init(&w, &n->out);
		jw_object(&w);
		jw_put_i64(&w, "counter", b->version.counter);
		jw_put_i64(&w, "stateVersion", b->version.state_version);
		jw_put_i64(&w, "timestamp", b->version.timestamp);
		jw_object_end(&w);
	}
	if (!reply_begin(&r, &req->ticket, RES_SUCCESS, REPLY_ROOM, (uint32_t)n->out.len))
		return;
	header_put_bool(&r.w, "changed", !b || !route_version_eq(&version, &b->version));
	reply_end_copy(&r, buf_slice(&n->out));
}

/* ---- 901 ---- */

void on_get_broker_member_group(void *service, struct request *req)
{
	struct namesrv *n = service;
	struct mosaic_slice cluster, name;
	const struct broker_group *g;
	struct json_writer w;

	if (!namesrv_need(req, "clusterName", &cluster) || !namesrv_need(req, "brokerName", &name))
		return;
	g = map_get(&n->routes.groups, name);
	buf_clear(&n->out);
	jw_init(&w, &n->out);
	jw_object(&w);
	jw_key(&w, "brokerMemberGroup");
	jw_object(&w);
	jw_key(&w, "brokerAddrs");
	jw_object(&w);
	for (uint32_t i = 0; g && i < g->n; i++) {
		jw_key_int(&w, g->brokers[i]->id);
		jw_cstr(&w, g->brokers[i]->addr);
	}
	jw_object_end(&w);
	jw_put_str(&w, "brokerName", name);
	jw_put_str(&w, "cluster", cluster);
	jw_object_end(&w);
	jw_object_end(&w);
	namesrv_answer_out(n, req);
}

/* ---- 905 ---- */

void namesrv_min_id_changed(void *ctx, struct broker_group *group, const char *offline_addr)
{
	struct namesrv *n = ctx;
	const struct broker *min = group->brokers[0];
	/* When one has come, it knows; when one has gone, all others are told. */
	uint32_t first = offline_addr || group->n == 1 ? 0 : 1;

	if (!n->options.notify_min_broker_id_changed)
		return;
	for (uint32_t i = first; i < group->n; i++) {
		struct call_writer cw;

		if (!call_begin(&cw, group->brokers[i]->peer, REQ_NOTIFY_MIN_BROKER_ID_CHANGE, true,
				HEADER_ROOM + 4 * HEADER_FIELD_ROOM(20, NAME_MAX_BYTES), 0))
			continue;
		header_put_i64(&cw.w, "minBrokerId", min->id);
		header_put_str(&cw.w, "minBrokerAddr", min->addr);
		if (offline_addr)
			header_put_str(&cw.w, "offlineBrokerAddr", offline_addr);
		if (min->ha_addr && min->id == MASTER_ID)
			header_put_str(&cw.w, "haBrokerAddr", min->ha_addr);
		call_end_oneway(&cw, slice(NULL, 0));
	}
}
