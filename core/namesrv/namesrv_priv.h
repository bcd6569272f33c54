/* What the files of this folder share: the NameServer itself and the handlers of its requests. */
#ifndef NAMESRV_NAMESRV_PRIV_H
#define NAMESRV_NAMESRV_PRIV_H

#include "base/buf.h"
#include "namesrv/kv.h"
#include "namesrv/namesrv.h"
#include "namesrv/routes.h"
#include "wire/codes.h"

#define ORDER_TOPIC_NAMESPACE "ORDER_TOPIC_CONFIG"
#define NAME_MAX_BYTES 255 /* cluster, broker name, address */

/* Options with RocketMQ's property names, changed by UPDATE_NAMESRV_CONFIG (config_requests.c). */
struct namesrv_options {
	bool enable_all_topic_list, enable_topic_list;
	bool need_wait_for_service;
	bool notify_min_broker_id_changed;
	bool order_message_enable;
	bool return_order_topic_config;
	bool support_acting_master;
	int64_t scan_ms;
	int64_t wait_seconds;
	int64_t listen_port;
};

struct namesrv {
	const struct mosaic_host *host;
	struct namesrv_options options;
	struct routes routes;
	struct kv *kv;
	struct buf out; /* the body being written; its memory is kept between requests */
	struct mosaic_timer scan;
	uint64_t broker_expiry_ms;
	uint64_t started_ns;
	bool is_running;
};

/* Answers with the JSON in n->out; code 1 when it is larger than a frame. */
void namesrv_answer_out(struct namesrv *n, struct request *req);
/* The value of a required field: true, or false after code 1 was answered. */
bool namesrv_need(struct request *req, const char *field, struct mosaic_slice *out);
/* "null" for an absent slice, as Java prints it. */
struct mosaic_slice or_null(struct mosaic_slice s);
void namesrv_default_options(struct namesrv_options *o, const struct namesrv_config *config);
/* Tells the brokers of a group (905), when configured. */
void namesrv_min_id_changed(void *ctx, struct broker_group *group, const char *offline_addr);

/* Handlers; `service` is the struct namesrv. */
void on_register_broker(void *service, struct request *req);
void on_unregister_broker(void *service, struct request *req);
void on_query_data_version(void *service, struct request *req);
void on_broker_heartbeat(void *service, struct request *req);
void on_get_broker_member_group(void *service, struct request *req);
void on_get_route(void *service, struct request *req);
void on_get_cluster_info(void *service, struct request *req);
void on_get_all_topics(void *service, struct request *req);
void on_delete_topic(void *service, struct request *req);
void on_register_topic(void *service, struct request *req);
void on_get_topics_by_cluster(void *service, struct request *req);
void on_get_system_topics(void *service, struct request *req);
void on_get_unit_topics(void *service, struct request *req);
void on_wipe_write_perm(void *service, struct request *req);
void on_add_write_perm(void *service, struct request *req);
void on_put_kv(void *service, struct request *req);
void on_get_kv(void *service, struct request *req);
void on_delete_kv(void *service, struct request *req);
void on_get_kv_list(void *service, struct request *req);
void on_update_config(void *service, struct request *req);
void on_get_config(void *service, struct request *req);

#endif
