/*
 * What clients ask: 105 GET_ROUTEINFO_BY_TOPIC, 106 GET_BROKER_CLUSTER_INFO.
 *
 * Ids in brokerAddrs are integers, which fastjson writes as bare keys. A client of version V4_9_4
 * and later, or one that says acceptStandardJsonOnly, gets them quoted in 105; 106 never quotes.
 */
#include "namesrv/namesrv_priv.h"

#define FAQ_SUFFIX "\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."
#define SYNC_MEMBER_PREFIX "rmq_sys_SYNC_BROKER_MEMBER_"

/* as_master: the smallest id is shown as 0. */
static void write_addrs(struct json_writer *w, const struct broker_group *g, bool as_master)
{
	jw_key(w, "brokerAddrs");
	jw_object(w);
	for (uint32_t i = 0; i < g->n; i++) {
		jw_key_int(w, as_master && i == 0 ? MASTER_ID : g->brokers[i]->id);
		jw_cstr(w, g->brokers[i]->addr);
	}
	jw_object_end(w);
}

static void write_group(struct json_writer *w, const struct broker_group *g, bool as_master)
{
	jw_object(w);
	write_addrs(w, g, as_master);
	jw_put_cstr(w, "brokerName", g->name);
	jw_put_cstr(w, "cluster", g->cluster->name);
	jw_put_bool(w, "enableActingMaster", g->enable_acting_master);
	if (g->zone)
		jw_put_cstr(w, "zoneName", g->zone);
	jw_object_end(w);
}

/* What one answer is made from. */
struct route_query {
	const struct namesrv *n;
	const struct topic *topic;
	struct mosaic_slice name;
	struct mosaic_slice zone; /* ptr NULL: no filter */
};

/* A slave stands in for a master that is gone. */
static bool acts_as_master(const struct route_query *q, const struct queue_data *queue)
{
	const struct broker_group *g = queue->group;

	return q->n->options.support_acting_master && g->enable_acting_master &&
	       group_master(g) == NULL && (queue->perm & PERM_WRITE) == 0 &&
	       !slice_has_prefix(q->name, SYNC_MEMBER_PREFIX);
}

/* Groups of another zone are left out, except those without a master. */
static bool in_zone(const struct route_query *q, const struct queue_data *queue)
{
	const struct broker_group *g = queue->group;

	if (q->zone.ptr == NULL || (g->zone && slice_is(q->zone, g->zone)))
		return true;
	return group_master(g) == NULL && !acts_as_master(q, queue);
}

static void write_filter_servers(struct json_writer *w, const struct route_query *q)
{
	jw_key(w, "filterServerTable");
	jw_object(w);
	for (uint32_t i = 0; i < q->topic->n; i++) {
		const struct broker_group *g = q->topic->queues[i].group;

		if (!in_zone(q, &q->topic->queues[i]))
			continue;
		for (uint32_t k = 0; k < g->n; k++) {
			if (g->brokers[k]->filter_servers == NULL)
				continue;
			jw_key(w, g->brokers[k]->addr);
			jw_raw(w, slice_str(g->brokers[k]->filter_servers));
		}
	}
	jw_object_end(w);
}

static void write_queues(struct json_writer *w, const struct route_query *q)
{
	jw_key(w, "queueDatas");
	jw_array(w);
	for (uint32_t i = 0; i < q->topic->n; i++) {
		const struct queue_data *queue = &q->topic->queues[i];

		if (!in_zone(q, queue))
			continue;
		jw_object(w);
		jw_put_cstr(w, "brokerName", queue->group->name);
		jw_put_i64(w, "perm", queue->perm);
		jw_put_i64(w, "readQueueNums", queue->read_queues);
		jw_put_i64(w, "topicSysFlag", queue->sys_flag);
		jw_put_i64(w, "writeQueueNums", queue->write_queues);
		jw_object_end(w);
	}
	jw_array_end(w);
}

static void write_route(struct json_writer *w, const struct route_query *q)
{
	struct mosaic_slice order = { NULL, 0 };

	jw_object(w);
	jw_key(w, "brokerDatas");
	jw_array(w);
	for (uint32_t i = 0; i < q->topic->n; i++) {
		const struct queue_data *queue = &q->topic->queues[i];

		if (in_zone(q, queue))
			write_group(w, queue->group, acts_as_master(q, queue));
	}
	jw_array_end(w);
	write_filter_servers(w, q);
	if (q->n->options.order_message_enable)
		order = kv_get(q->n->kv, slice_str(ORDER_TOPIC_NAMESPACE), q->name);
	if (order.ptr)
		jw_put_str(w, "orderTopicConf", order);
	write_queues(w, q);
	jw_object_end(w);
}

static bool is_ready(const struct namesrv *n)
{
	uint64_t up_ns = host_now_ns(n->host) - n->started_ns;

	return !n->options.need_wait_for_service ||
	       up_ns / SECOND_NS >= (uint64_t)n->options.wait_seconds;
}

void on_get_route(void *service, struct request *req)
{
	struct namesrv *n = service;
	const struct header *h = &req->header;
	struct route_query q = { .n = n, .name = header_str(h, "topic") };
	struct json_writer w;

	if (!is_ready(n)) {
		reply_remark(&req->ticket, RES_SYSTEM_ERROR, "name server not ready");
		return;
	}
	q.topic = q.name.ptr ? map_get(&n->routes.topics, q.name) : NULL;
	if (q.topic == NULL) {
		struct mosaic_slice name = or_null(q.name);

		reply_remark(&req->ticket, RES_TOPIC_NOT_EXIST,
			     "No topic route info in name server for the topic: %.*s%s",
			     SLICE_ARG(name), FAQ_SUFFIX);
		return;
	}
	if (header_bool(h, "__ZONE_MODE", false) && header_str(h, "__ZONE_NAME").len > 0)
		q.zone = header_str(h, "__ZONE_NAME");
	buf_clear(&n->out);
	jw_init(&w, &n->out);
	w.quote_int_keys =
		h->version >= VERSION_V4_9_4 || header_bool(h, "acceptStandardJsonOnly", false);
	write_route(&w, &q);
	namesrv_answer_out(n, req);
}

void on_get_cluster_info(void *service, struct request *req)
{
	struct namesrv *n = service;
	struct json_writer w;
	struct map_entry *e;

	buf_clear(&n->out);
	jw_init(&w, &n->out);
	jw_object(&w);
	jw_key(&w, "brokerAddrTable");
	jw_object(&w);
	for (uint32_t pos = 0; (e = map_next(&n->routes.groups, &pos)) != NULL;) {
		jw_key_slice(&w, e->key);
		write_group(&w, e->value, false);
	}
	jw_object_end(&w);
	jw_key(&w, "clusterAddrTable");
	jw_object(&w);
	for (uint32_t pos = 0; (e = map_next(&n->routes.clusters, &pos)) != NULL;) {
		const struct cluster *c = e->value;

		jw_key_slice(&w, e->key);
		jw_array(&w);
		LIST_FOR(it, &c->groups)
			jw_cstr(&w, LIST_ENTRY(it, struct broker_group, link)->name);
		jw_array_end(&w);
	}
	jw_object_end(&w);
	jw_object_end(&w);
	namesrv_answer_out(n, req);
}
