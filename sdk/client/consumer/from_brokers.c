/*
 * What brokers ask of the consumers of a group, or tell them: of themselves (40), or for an admin
 * (220, 221, 307, 309). A group that is not here is answered as Java's client does.
 */
#include "consumer/member.h"
#include "consumer/running_info.h"
#include "incoming.h"
#include "memory.h"
#include "wire/codes.h"
#include "wire/json.h"

static struct member *find(struct engine *e, struct mosaic_slice group)
{
	LIST_FOR(it, &e->consumers) {
		struct consumer_group *g = LIST_ENTRY(it, struct consumer_group, link);
		struct member *m = g->data;
		if (slice_is(group, g->name) && m->is_running)
			return m;
	}
	return NULL;
}

/* By the field that names the group; NULL: it has been answered. */
static struct member *find_or_refuse(struct engine *e, struct request *req, const char *field)
{
	struct mosaic_slice group = header_str(&req->header, field);
	struct member *m = find(e, group);

	if (m == NULL)
		reply_remark(&req->ticket, RES_SYSTEM_ERROR,
			     "The Consumer Group <%.*s> not exist in this consumer",
			     SLICE_ARG(group));
	return m;
}

void incoming_ids_changed(void *service, struct request *req)
{
	struct engine *e = service;
	struct mosaic_slice group = header_str(&req->header, "consumerGroup");

	LIST_FOR(it, &e->consumers) { /* a group may have two members here */
		struct consumer_group *g = LIST_ENTRY(it, struct consumer_group, link);
		struct member *m = g->data;
		if (slice_is(group, g->name) && m->is_running)
			rebalance_all(m);
	}
	reply_code(&req->ticket, RES_SUCCESS);
}

/* ---- 220 ---- */

static void reset(struct member *m, const json_t *queue, int64_t offset)
{
	struct mosaic_slice topic = json_get_str(queue, "topic");
	struct mosaic_slice broker = json_get_str(queue, "brokerName");
	struct map_entry *e;

	for (uint32_t pos = 0; offset >= 0 && (e = map_next(&m->shares, &pos)) != NULL;) {
		struct share *s = e->value;
		if (json_get_i64(queue, "queueId", -1) != s->id ||
		    !slice_is(topic, s->sub->topic) || !slice_is(broker, s->broker->name))
			continue;
		LOG_INFO(m->engine->host, "offset_reset", "group=%s queue=%s offset=%lld",
			 m->config.group, s->key, (long long)offset);
		share_restart(s, offset);
		offsets_commit(s);
		return;
	}
}

/* {{queue}:offset, ...}, to some languages [{queue and offset}, ...]. */
static void reset_all(struct member *m, json_t *table)
{
	const char *key;
	json_t *value;
	size_t i;

	json_object_foreach(table, key, value) {
		json_t *queue = memory_json(slice_str(key));
		if (queue != NULL && json_is_integer(value))
			reset(m, queue, json_integer_value(value));
		json_decref(queue);
	}
	json_array_foreach(table, i, value)
		reset(m, value, json_get_i64(value, "offset", -1));
}

void incoming_reset_offset(void *service, struct request *req)
{
	struct member *m = find_or_refuse(service, req, "group");
	json_t *root;

	if (m == NULL)
		return;
	root = memory_json(req->body);
	if (root == NULL) {
		reply_remark(&req->ticket, RES_SYSTEM_ERROR, "the body is no JSON");
		return;
	}
	reset_all(m, json_object_get(root, "offsetTable"));
	json_decref(root);
	reply_code(&req->ticket, RES_SUCCESS);
}

/* ---- 221, 307, 309 ---- */

void incoming_status(void *service, struct request *req)
{
	struct member *m = find_or_refuse(service, req, "group");
	struct buf body = BUF_INIT;

	if (m == NULL)
		return;
	running_info_offsets(m, header_str(&req->header, "topic"), &body);
	reply_body(&req->ticket, RES_SUCCESS, buf_slice(&body));
	buf_free(&body);
}

void incoming_running_info(void *service, struct request *req)
{
	struct member *m = find_or_refuse(service, req, "consumerGroup");
	struct buf body = BUF_INIT;

	if (m == NULL)
		return;
	running_info_write(m, &body);
	reply_body(&req->ticket, RES_SUCCESS, buf_slice(&body));
	buf_free(&body);
}

void incoming_consume_directly(void *service, struct request *req)
{
	struct member *m = find_or_refuse(service, req, "consumerGroup");

	if (m == NULL)
		return;
	if (m->ops->consume_directly != NULL)
		m->ops->consume_directly(m, req);
	else
		reply_remark(&req->ticket, RES_SYSTEM_ERROR, "this consumer has no listener");
}
