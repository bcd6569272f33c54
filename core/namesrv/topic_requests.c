/*
 * Lists and changes of topics: 206 and 224 (all, by cluster), 304 (system topics: names of clusters
 * and brokers), 311 to 313 (by unit flags), 216, 217 (delete, register), 205, 327 (write
 * permission).
 */
#include "base/err.h"
#include "namesrv/namesrv_priv.h"

#define SYS_FLAG_UNIT 1
#define SYS_FLAG_UNIT_SUB 2
#define QUEUE_DATAS_MAX 10000 /* entries of one 217 body */

static void list_begin(struct namesrv *n, struct json_writer *w)
{
	buf_clear(&n->out);
	jw_init(w, &n->out);
	jw_object(w);
}

static void list_end(struct namesrv *n, struct json_writer *w, struct request *req)
{
	jw_array_end(w);
	jw_object_end(w);
	namesrv_answer_out(n, req);
}

static bool is_enabled(bool option, struct request *req)
{
	if (!option)
		reply_remark(&req->ticket, RES_SYSTEM_ERROR, "disable");
	return option;
}

void on_get_all_topics(void *service, struct request *req)
{
	struct namesrv *n = service;
	struct json_writer w;
	struct map_entry *e;

	if (!is_enabled(n->options.enable_all_topic_list, req))
		return;
	list_begin(n, &w);
	jw_key(&w, "topicList");
	jw_array(&w);
	for (uint32_t pos = 0; (e = map_next(&n->routes.topics, &pos)) != NULL;)
		jw_str(&w, e->key);
	list_end(n, &w, req);
}

static bool topic_in_cluster(const struct topic *t, const struct cluster *c)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (t->queues[i].group->cluster == c)
			return true;
	return false;
}

void on_get_topics_by_cluster(void *service, struct request *req)
{
	struct namesrv *n = service;
	const struct cluster *c;
	struct mosaic_slice name;
	struct json_writer w;
	struct map_entry *e;

	if (!is_enabled(n->options.enable_topic_list, req) || !namesrv_need(req, "cluster", &name))
		return;
	c = map_get(&n->routes.clusters, name);
	list_begin(n, &w);
	jw_key(&w, "topicList");
	jw_array(&w);
	for (uint32_t pos = 0; c && (e = map_next(&n->routes.topics, &pos)) != NULL;)
		if (topic_in_cluster(e->value, c))
			jw_str(&w, e->key);
	list_end(n, &w, req);
}

void on_get_system_topics(void *service, struct request *req)
{
	struct namesrv *n = service;
	struct json_writer w;
	struct map_entry *e;

	list_begin(n, &w);
	if (!list_empty(&n->routes.brokers))
		jw_put_cstr(&w, "brokerAddr",
			    LIST_ENTRY(n->routes.brokers.next, struct broker, link)->addr);
	jw_key(&w, "topicList");
	jw_array(&w);
	for (uint32_t pos = 0; (e = map_next(&n->routes.clusters, &pos)) != NULL;) {
		const struct cluster *c = e->value;

		jw_str(&w, e->key);
		LIST_FOR(it, &c->groups)
			jw_cstr(&w, LIST_ENTRY(it, struct broker_group, link)->name);
	}
	list_end(n, &w, req);
}

void on_get_unit_topics(void *service, struct request *req)
{
	struct namesrv *n = service;
	struct json_writer w;
	struct map_entry *e;
	int32_t mask = SYS_FLAG_UNIT, want = SYS_FLAG_UNIT;

	if (req->header.code != REQ_GET_UNIT_TOPIC_LIST)
		mask = want = SYS_FLAG_UNIT_SUB;
	if (req->header.code == REQ_GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST)
		mask |= SYS_FLAG_UNIT; /* and not that one */

	if (!is_enabled(n->options.enable_topic_list, req))
		return;
	list_begin(n, &w);
	jw_key(&w, "topicList");
	jw_array(&w);
	for (uint32_t pos = 0; (e = map_next(&n->routes.topics, &pos)) != NULL;)
		if ((((const struct topic *)e->value)->queues[0].sys_flag & mask) == want)
			jw_str(&w, e->key);
	list_end(n, &w, req);
}

void on_delete_topic(void *service, struct request *req)
{
	struct namesrv *n = service;
	struct mosaic_slice topic, cluster_name = header_str(&req->header, "clusterName");
	const struct cluster *cluster = NULL;

	if (!namesrv_need(req, "topic", &topic))
		return;
	if (cluster_name.len > 0)
		cluster = map_get(&n->routes.clusters, cluster_name);
	if (cluster_name.len == 0 || cluster)
		routes_delete_topic(&n->routes, topic, cluster);
	reply_code(&req->ticket, RES_SUCCESS);
}

/* The queue data of one element of queueDatas; false when its broker is not known. */
static bool read_queue_data(const struct namesrv *n, const json_t *object, struct queue_data *out)
{
	struct mosaic_slice name = json_get_str(object, "brokerName");

	*out = (struct queue_data){
		.group = name.ptr ? map_get(&n->routes.groups, name) : NULL,
		.read_queues = (int32_t)json_get_i64(object, "readQueueNums", 0),
		.write_queues = (int32_t)json_get_i64(object, "writeQueueNums", 0),
		.perm = (int32_t)json_get_i64(object, "perm", 0),
		.sys_flag = (int32_t)json_get_i64(object, "topicSysFlag", 0),
	};
	return out->group != NULL;
}

/* As Java: an unknown broker makes the whole request void, which is answered as success. */
static void register_topic(struct namesrv *n, struct mosaic_slice topic, const json_t *queues)
{
	struct queue_data q;
	const json_t *object;
	size_t i;

	json_array_foreach(queues, i, object)
		if (!read_queue_data(n, object, &q))
			return;
	json_array_foreach(queues, i, object) {
		if (read_queue_data(n, object, &q))
			routes_set_queues(&n->routes, topic, &q);
	}
}

void on_register_topic(void *service, struct request *req)
{
	struct namesrv *n = service;
	struct mosaic_error err = ERR_INIT;
	struct mosaic_slice topic;
	json_t *json, *queues;

	if (!namesrv_need(req, "topic", &topic))
		return;
	if (topic.len == 0 || topic.len > TOPIC_NAME_MAX) {
		reply_missing(&req->ticket, "topic");
		return;
	}
	if (req->body.len == 0) {
		reply_code(&req->ticket, RES_SUCCESS);
		return;
	}
	json = json_read(req->body, &err);
	queues = json_object_get(json, "queueDatas");
	if (json == NULL) {
		reply_remark(&req->ticket, RES_SYSTEM_ERROR, "%s", err.text);
	} else if (json_array_size(queues) > QUEUE_DATAS_MAX ||
		   (map_get(&n->routes.topics, topic) == NULL &&
		    map_count(&n->routes.topics) >= n->routes.max_topics)) {
		peer_warn(req->ticket.peer, "topic_refused", "topics=%u limit=%u",
			  map_count(&n->routes.topics), n->routes.max_topics);
		reply_remark(&req->ticket, RES_SYSTEM_ERROR,
			     "%u topics are known of at most %u; a body has at most %d queue datas",
			     map_count(&n->routes.topics), n->routes.max_topics, QUEUE_DATAS_MAX);
	} else {
		register_topic(n, topic, queues);
		reply_code(&req->ticket, RES_SUCCESS);
	}
	json_decref(json);
}

static void change_perm(struct namesrv *n, struct request *req, int32_t keep, int32_t set,
			const char *answer)
{
	const struct broker_group *g;
	struct mosaic_slice name;
	struct reply r;
	uint32_t count;

	if (!namesrv_need(req, "brokerName", &name))
		return;
	g = map_get(&n->routes.groups, name);
	count = g ? routes_change_perm(&n->routes, g, keep, set) : 0;
	LOG_INFO(n->host, "write_permission", "peer=%s topics=%u what=%s",
		 req->ticket.peer->address.text, count, answer);
	if (!reply_begin(&r, &req->ticket, RES_SUCCESS, REPLY_ROOM, 0))
		return;
	header_put_i64(&r.w, answer, count);
	reply_end(&r);
}

void on_wipe_write_perm(void *service, struct request *req)
{
	change_perm(service, req, ~PERM_WRITE, 0, "wipeTopicCount");
}

/* Java sets exactly read and write, whatever was there. */
void on_add_write_perm(void *service, struct request *req)
{
	change_perm(service, req, 0, PERM_READ | PERM_WRITE, "addTopicCount");
}
