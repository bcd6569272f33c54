/* The NameServer as a whole: table of requests, life, the expiry scan. */
#include "namesrv/namesrv_priv.h"
#include "base/mem.h"
#include "wire/frame.h"
#include <stdlib.h>

#define ANSWER_MAX (FRAME_MAX - 4096) /* leaves room for the header */
#define OUT_KEPT_BYTES (256u * 1024)  /* a larger buffer is given back after the answer */

const struct request_row namesrv_rows[] = {
	{ REQ_PUT_KV_CONFIG, on_put_kv },
	{ REQ_GET_KV_CONFIG, on_get_kv },
	{ REQ_DELETE_KV_CONFIG, on_delete_kv },
	{ REQ_REGISTER_BROKER, on_register_broker },
	{ REQ_UNREGISTER_BROKER, on_unregister_broker },
	{ REQ_GET_ROUTEINFO_BY_TOPIC, on_get_route },
	{ REQ_GET_BROKER_CLUSTER_INFO, on_get_cluster_info },
	{ REQ_WIPE_WRITE_PERM_OF_BROKER, on_wipe_write_perm },
	{ REQ_GET_ALL_TOPIC_LIST_FROM_NAMESERVER, on_get_all_topics },
	{ REQ_DELETE_TOPIC_IN_NAMESRV, on_delete_topic },
	{ REQ_REGISTER_TOPIC_IN_NAMESRV, on_register_topic },
	{ REQ_GET_KVLIST_BY_NAMESPACE, on_get_kv_list },
	{ REQ_GET_TOPICS_BY_CLUSTER, on_get_topics_by_cluster },
	{ REQ_GET_SYSTEM_TOPIC_LIST_FROM_NS, on_get_system_topics },
	{ REQ_GET_UNIT_TOPIC_LIST, on_get_unit_topics },
	{ REQ_GET_HAS_UNIT_SUB_TOPIC_LIST, on_get_unit_topics },
	{ REQ_GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST, on_get_unit_topics },
	{ REQ_UPDATE_NAMESRV_CONFIG, on_update_config },
	{ REQ_GET_NAMESRV_CONFIG, on_get_config },
	{ REQ_QUERY_DATA_VERSION, on_query_data_version },
	{ REQ_ADD_WRITE_PERM_OF_BROKER, on_add_write_perm },
	{ REQ_GET_BROKER_MEMBER_GROUP, on_get_broker_member_group },
	{ REQ_BROKER_HEARTBEAT, on_broker_heartbeat },
};

const uint32_t namesrv_n_rows = ARRAY_LEN(namesrv_rows);

void namesrv_answer_out(struct namesrv *n, struct request *req)
{
	if (n->out.len > ANSWER_MAX) {
		LOG_ERROR(n->host, "answer_too_long", "code=%d bytes=%zu", req->header.code,
			  n->out.len);
		reply_remark(&req->ticket, RES_SYSTEM_ERROR,
			     "the answer of %zu bytes is larger than a frame", n->out.len);
	} else {
		reply_body(&req->ticket, RES_SUCCESS, buf_slice(&n->out));
	}
	if (n->out.cap > OUT_KEPT_BYTES)
		buf_free(&n->out);
}

bool namesrv_need(struct request *req, const char *field, struct mosaic_slice *out)
{
	*out = header_str(&req->header, field);
	if (out->ptr == NULL) {
		reply_missing(&req->ticket, field);
		return false;
	}
	return true;
}

struct mosaic_slice or_null(struct mosaic_slice s)
{
	return s.ptr ? s : slice_str("null");
}

static void on_scan(struct mosaic_timer *timer)
{
	struct namesrv *n = timer->data;

	routes_expire(&n->routes);
	n->host->timer_start(n->host, &n->scan, (uint64_t)n->options.scan_ms * MS_NS);
}

struct namesrv *namesrv_create(const struct namesrv_config *config, struct mosaic_error *err)
{
	struct namesrv *n = mem_alloc(sizeof(*n));

	n->host = config->host;
	n->broker_expiry_ms = config->broker_expiry_ms;
	namesrv_default_options(&n->options, config);
	n->kv = kv_create(config->host, &config->docs, err);
	if (n->kv == NULL) {
		free(n);
		return NULL;
	}
	routes_init(&n->routes, config->host, config->max_topics, config->max_brokers);
	n->routes.min_id_changed = namesrv_min_id_changed;
	n->routes.ctx = n;
	n->scan.fire = on_scan;
	n->scan.data = n;
	n->started_ns = host_now_ns(n->host);
	return n;
}

void namesrv_start(struct namesrv *n)
{
	ASSERT(!n->is_running);
	n->is_running = true;
	n->started_ns = host_now_ns(n->host);
	n->host->timer_start(n->host, &n->scan, (uint64_t)n->options.scan_ms * MS_NS);
}

void namesrv_stop(struct namesrv *n, struct mosaic_req *req)
{
	n->is_running = false;
	n->host->timer_stop(n->host, &n->scan);
	kv_stop(n->kv, req);
}

void namesrv_destroy(struct namesrv *n)
{
	if (n == NULL)
		return;
	ASSERT(!n->is_running);
	routes_fini(&n->routes);
	kv_destroy(n->kv);
	buf_free(&n->out);
	free(n);
}

void namesrv_peer_closed(struct namesrv *n, struct peer *peer)
{
	routes_peer_closed(&n->routes, peer);
}
