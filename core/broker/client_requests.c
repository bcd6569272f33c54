/* Requests of clients about themselves: 34 35 38 46, and of operators: 203 204 328 345. */
#include "base/err.h"
#include "base/mem.h"
#include "broker/clients.h"
#include "broker/groups.h"
#include "broker/topics.h"
#include "wire/codes.h"
#include <stdio.h>

#define TOPIC_SUBSCRIBED_MAX 255
#define EXPRESSION_MAX 65536
#define SQL_REFUSAL "The broker does not support consumer to filter message by "

/* ---- 34 HEART_BEAT ---------------------------------------------------------------------- */

static const char *const consume_types[] = { "CONSUME_ACTIVELY", "CONSUME_PASSIVELY",
					     "CONSUME_POP" };
static const char *const models[] = { "BROADCASTING", "CLUSTERING" };
static const char *const from_wheres[] = {
	"CONSUME_FROM_LAST_OFFSET", "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
	"CONSUME_FROM_MIN_OFFSET",  "CONSUME_FROM_MAX_OFFSET",
	"CONSUME_FROM_FIRST_OFFSET", "CONSUME_FROM_TIMESTAMP",
};

/* Java clients write the name of an enum, others its ordinal. */
static int32_t enum_of(const json_t *object, const char *member, const char *const *names,
		       int32_t n_names, int32_t fallback)
{
	const json_t *value = json_object_get(object, member);
	int64_t ordinal;

	if (json_is_string(value)) {
		for (int32_t i = 0; i < n_names; i++)
			if (strcmp(json_string_value(value), names[i]) == 0)
				return i;
	}
	ordinal = json_get_i64(object, member, -1);
	return ordinal >= 0 && ordinal < n_names ? (int32_t)ordinal : fallback;
}

/* The expression of a SubscriptionData without subString: its tags joined. */
static void join_tags(const json_t *tags, struct buf *out)
{
	size_t i;
	json_t *tag;

	json_array_foreach(tags, i, tag) {
		if (!json_is_string(tag))
			continue;
		if (out->len > 0)
			buf_append_str(out, "||");
		buf_append(out, json_string_value(tag), json_string_length(tag));
	}
}

/* NULL when it is no subscription. Codes come from the expression, whatever codeSet says: some
 * clients send none, others hash differently. */
static struct subscription *read_subscription(const json_t *data)
{
	struct mosaic_slice topic = json_get_str(data, "topic");
	struct mosaic_slice expression = json_get_str(data, "subString");
	struct mosaic_slice type = json_get_str(data, "expressionType");
	int64_t version = json_get_i64(data, "subVersion", 0);
	struct buf joined = BUF_INIT;
	struct subscription *sub;

	if (topic.len == 0 || topic.len > TOPIC_SUBSCRIBED_MAX || expression.len > EXPRESSION_MAX)
		return NULL;
	if (!expression.ptr) {
		join_tags(json_object_get(data, "tagsSet"), &joined);
		expression = buf_slice(&joined);
	}
	sub = mem_alloc(sizeof(*sub));
	if (subscription_init(sub, topic, expression, type, version) != 0)
		subscription_init_opaque(sub, topic, expression,
					 type.len > 0 ? type : slice_str("TAG"), version);
	buf_free(&joined);
	return sub;
}

/* Takes over the subscriptions of one heartbeat. True when the set of topics has changed. */
static bool update_subscriptions(struct consumer_group *g, const json_t *set)
{
	struct map keep = MAP_INIT;
	bool changed = false;
	size_t i;
	json_t *data;

	json_array_foreach(set, i, data) {
		struct subscription *sub = read_subscription(data);

		if (!sub)
			continue;
		map_put(&keep, slice_str(sub->topic), g);
		if (consumer_group_subscribe(g, sub))
			changed = true;
	}
	if (consumer_group_keep(g, &keep))
		changed = true;
	map_free(&keep);
	return changed;
}

static bool subscribes_ordered_topic(const struct broker *b, const json_t *set)
{
	size_t i;
	json_t *data;

	json_array_foreach(set, i, data) {
		struct mosaic_slice name = json_get_str(data, "topic");
		const struct topic *topic = name.len > 0 ? topics_find(b->topics, name) : NULL;

		if (topic && topic->order)
			return true;
	}
	return false;
}

/* What a heartbeat says of itself as a whole. */
struct heartbeat {
	struct broker *broker;
	struct client_info client;
	int32_t fingerprint;
	bool without_sub;
	bool is_sub_change; /* out: the client must send its subscriptions */
};

static void ensure_retry_topic(const struct heartbeat *h, const struct group *group,
			       const json_t *data)
{
	struct topics *topics = h->broker->topics;
	bool is_unit = json_get_bool(data, "unitMode", false);
	struct topic *retry =
		topics_add_of_group(topics, RETRY_PREFIX, slice(group->name, group->name_len),
				    group->retry_queues, is_unit ? TOPIC_SYS_UNIT_SUB : 0);

	/* Without subscriptions nothing is known. (Apache's flag goes off then, and on again.) */
	if (retry && !h->without_sub)
		topics_set_order(topics, retry,
				 subscribes_ordered_topic(h->broker,
							  json_object_get(data,
									  "subscriptionDataSet")));
}

static void take_consumer(struct heartbeat *h, const json_t *data)
{
	struct clients *c = h->broker->clients;
	struct mosaic_slice name = json_get_str(data, "groupName");
	const json_t *set = json_object_get(data, "subscriptionDataSet");
	const struct group *group = name.len > 0 ? groups_find_or_add(h->broker->groups, name) :
						   NULL;
	struct consumer_group *g;
	bool is_new, changed;

	if (!group)
		return;
	ensure_retry_topic(h, group, data);
	g = clients_add_consumer(c, &h->client, name, &is_new);
	if (!g) {
		peer_warn(h->client.peer, "client_refused", "group=%s peer=%s", group->name,
			  h->client.peer->address.text);
		return;
	}
	changed = is_new;
	g->consume_type = enum_of(data, "consumeType", consume_types, ARRAY_LEN(consume_types), 1);
	g->model = enum_of(data, "messageModel", models, ARRAY_LEN(models), MODEL_CLUSTERING);
	g->from_where = enum_of(data, "consumeFromWhere", from_wheres, ARRAY_LEN(from_wheres), 0);
	g->notify_enabled = group->notify_ids_changed;
	if (h->fingerprint != 0 && g->fingerprint != 0 && g->fingerprint != h->fingerprint)
		h->is_sub_change = true;
	g->fingerprint = h->fingerprint;
	if (!h->without_sub && update_subscriptions(g, set))
		changed = true;
	/* After a reconnect the group may be new here while the client thinks it is known. */
	if (h->without_sub && map_count(&g->subscriptions) == 0)
		h->is_sub_change = true;
	if (changed)
		clients_group_changed(c, g);
}

static void take_heartbeat(struct heartbeat *h, const json_t *body)
{
	size_t i;
	json_t *data;

	json_array_foreach(json_object_get(body, "consumerDataSet"), i, data)
		take_consumer(h, data);
	json_array_foreach(json_object_get(body, "producerDataSet"), i, data) {
		struct mosaic_slice name = json_get_str(data, "groupName");

		if (name.len > 0)
			clients_add_producer(h->broker->clients, &h->client, name);
	}
}

void client_on_heartbeat(void *broker, struct request *req)
{
	struct broker *b = broker;
	struct mosaic_error err = ERR_INIT;
	json_t *body = json_read(req->body, &err);
	struct heartbeat h = { .broker = b };
	struct reply r;

	if (!body) {
		reply_remark(&req->ticket, RES_SYSTEM_ERROR, "the heartbeat cannot be read: %s",
			     err.text);
		return;
	}
	h.client = (struct client_info){
		.peer = req->ticket.peer,
		.client_id = json_get_str(body, "clientID"),
		.version = req->header.version,
		.language = req->header.language,
	};
	if (h.client.client_id.len == 0) {
		reply_missing(&req->ticket, "clientID");
		json_decref(body);
		return;
	}
	h.fingerprint = (int32_t)json_get_i64(body, "heartbeatFingerprint", 0);
	h.without_sub = h.fingerprint != 0 && json_get_bool(body, "withoutSub", false);
	h.is_sub_change = h.fingerprint == 0;
	if (peer_is_open(req->ticket.peer))
		take_heartbeat(&h, body);
	json_decref(body);
	if (!reply_begin(&r, &req->ticket, RES_SUCCESS, REPLY_ROOM, 0))
		return;
	header_put_bool(&r.w, "IS_SUPPORT_HEART_BEAT_V2", true);
	header_put_bool(&r.w, "IS_SUB_CHANGE", h.is_sub_change);
	reply_end(&r);
}

/* ---- 35 UNREGISTER_CLIENT --------------------------------------------------------------- */

void client_on_unregister(void *broker, struct request *req)
{
	struct broker *b = broker;
	struct mosaic_slice producers = header_str(&req->header, "producerGroup");
	struct mosaic_slice consumers = header_str(&req->header, "consumerGroup");

	if (!header_find(&req->header, "clientID")) {
		reply_missing(&req->ticket, "clientID");
		return;
	}
	if (producers.len > 0)
		clients_remove_producer(b->clients, req->ticket.peer, producers);
	if (consumers.len > 0)
		clients_remove_consumer(b->clients, req->ticket.peer, consumers);
	reply_code(&req->ticket, RES_SUCCESS);
}

/* ---- 38 GET_CONSUMER_LIST_BY_GROUP ------------------------------------------------------ */

/* Each id once: a client that has reconnected may still have its old connection here. */
static void write_ids(const struct consumer_group *g, struct json_writer *w)
{
	struct map seen = MAP_INIT;

	LIST_FOR(it, &g->members)
	{
		const struct member *m = LIST_ENTRY(it, struct member, in_group);
		struct mosaic_slice id = slice_str(m->client_id);

		if (id.len == 0 || map_put(&seen, id, w))
			continue;
		jw_str(w, id);
	}
	map_free(&seen);
}

void client_on_consumer_list(void *broker, struct request *req)
{
	struct broker *b = broker;
	const struct mosaic_slice *group = header_find(&req->header, "consumerGroup");
	const struct consumer_group *g;
	struct buf body = BUF_INIT;
	struct json_writer w;

	if (!group) {
		reply_missing(&req->ticket, "consumerGroup");
		return;
	}
	g = clients_consumers(b->clients, *group);
	if (!g) {
		reply_remark(&req->ticket, RES_SYSTEM_ERROR, "no consumer for this group, %.*s",
			     SLICE_ARG(*group));
		return;
	}
	jw_init(&w, &body);
	jw_object(&w);
	jw_key(&w, "consumerIdList");
	jw_array(&w);
	write_ids(g, &w);
	jw_array_end(&w);
	jw_object_end(&w);
	reply_body(&req->ticket, RES_SUCCESS, buf_slice(&body));
	buf_free(&body);
}

/* ---- 46 CHECK_CLIENT_CONFIG ------------------------------------------------------------- */

void client_on_check_config(void *broker, struct request *req)
{
	struct mosaic_error err = ERR_INIT;
	json_t *body = req->body.len > 0 ? json_read(req->body, &err) : NULL;
	struct mosaic_slice type =
		json_get_str(json_object_get(body, "subscriptionData"), "expressionType");

	(void)broker;
	if (!body && req->body.len > 0)
		reply_remark(&req->ticket, RES_SYSTEM_ERROR, "the body cannot be read: %s",
			     err.text);
	else if (type.len == 0 || slice_is(type, "TAG"))
		reply_code(&req->ticket, RES_SUCCESS);
	else
		reply_remark(&req->ticket, RES_SYSTEM_ERROR, SQL_REFUSAL "%.*s", SLICE_ARG(type));
	json_decref(body);
}

/* ---- 203, 204, 328, 345 ----------------------------------------------------------------- */

static void write_connection(const struct member *m, struct json_writer *w)
{
	jw_object(w);
	jw_put_cstr(w, "clientAddr", m->peer->address.text);
	jw_put_cstr(w, "clientId", m->client_id);
	jw_put_cstr(w, "language", language_name(m->language));
	jw_put_i64(w, "version", m->version);
	jw_object_end(w);
}

static void write_connections(const struct list *members, struct json_writer *w)
{
	jw_key(w, "connectionSet");
	jw_array(w);
	LIST_FOR(it, members)
		write_connection(LIST_ENTRY(it, struct member, in_group), w);
	jw_array_end(w);
}

void subscription_write(const struct subscription *sub, struct json_writer *w)
{
	struct mosaic_slice tag, expression = slice_str(sub->expression);
	bool has_tags = sub->n_codes > 0;

	jw_object(w);
	jw_put_bool(w, "classFilterMode", false);
	jw_key(w, "codeSet");
	jw_array(w);
	for (uint32_t i = 0; i < sub->n_codes; i++)
		jw_i64(w, sub->codes[i]);
	jw_array_end(w);
	jw_put_cstr(w, "expressionType", sub->type);
	jw_put_str(w, "subString", expression);
	jw_put_i64(w, "subVersion", sub->version);
	jw_key(w, "tagsSet");
	jw_array(w);
	for (size_t at = 0; has_tags && subscription_next_tag(expression, &at, &tag);)
		jw_str(w, tag);
	jw_array_end(w);
	jw_put_cstr(w, "topic", sub->topic);
	jw_object_end(w);
}

void client_on_consumer_conns(void *broker, struct request *req)
{
	struct broker *b = broker;
	const struct mosaic_slice *group = header_find(&req->header, "consumerGroup");
	const struct consumer_group *g = group ? clients_consumers(b->clients, *group) : NULL;
	struct buf body = BUF_INIT;
	struct json_writer w;
	struct map_entry *e;

	if (!group) {
		reply_missing(&req->ticket, "consumerGroup");
		return;
	}
	if (!g) {
		reply_remark(&req->ticket, RES_CONSUMER_NOT_ONLINE,
			     "the consumer group[%.*s] not online", SLICE_ARG(*group));
		return;
	}
	jw_init(&w, &body);
	jw_object(&w);
	write_connections(&g->members, &w);
	jw_put_cstr(&w, "consumeFromWhere", from_wheres[g->from_where]);
	jw_put_cstr(&w, "consumeType", consume_types[g->consume_type]);
	jw_put_cstr(&w, "messageModel", models[g->model]);
	jw_key(&w, "subscriptionTable");
	jw_object(&w);
	for (uint32_t pos = 0; (e = map_next(&g->subscriptions, &pos)) != NULL;) {
		jw_key_slice(&w, e->key);
		subscription_write(e->value, &w);
	}
	jw_object_end(&w);
	jw_object_end(&w);
	reply_body(&req->ticket, RES_SUCCESS, buf_slice(&body));
	buf_free(&body);
}

void client_on_producer_conns(void *broker, struct request *req)
{
	struct broker *b = broker;
	const struct mosaic_slice *group = header_find(&req->header, "producerGroup");
	const struct producer_group *g = group ? clients_producers(b->clients, *group) : NULL;
	struct buf body = BUF_INIT;
	struct json_writer w;

	if (!group) {
		reply_missing(&req->ticket, "producerGroup");
		return;
	}
	if (!g) {
		reply_remark(&req->ticket, RES_SYSTEM_ERROR, "the producer group[%.*s] not exist",
			     SLICE_ARG(*group));
		return;
	}
	jw_init(&w, &body);
	jw_object(&w);
	write_connections(&g->members, &w);
	jw_object_end(&w);
	reply_body(&req->ticket, RES_SUCCESS, buf_slice(&body));
	buf_free(&body);
}

static void write_producer(const struct member *m, struct json_writer *w)
{
	char address[sizeof(m->peer->address.text) + 1];

	snprintf(address, sizeof(address), "/%s", m->peer->address.text);
	jw_object(w);
	jw_put_cstr(w, "clientId", m->client_id);
	jw_put_cstr(w, "language", language_name(m->language));
	jw_put_i64(w, "lastUpdateTimestamp", m->last_heartbeat_ms);
	jw_put_cstr(w, "remoteIP", address);
	jw_put_i64(w, "version", m->version);
	jw_object_end(w);
}

void client_on_all_producers(void *broker, struct request *req)
{
	struct broker *b = broker;
	struct buf body = BUF_INIT;
	struct json_writer w;
	struct map_entry *e;

	jw_init(&w, &body);
	jw_object(&w);
	jw_key(&w, "data");
	jw_object(&w);
	for (uint32_t pos = 0; (e = map_next(&b->clients->producers, &pos)) != NULL;) {
		const struct producer_group *g = e->value;

		jw_key_slice(&w, e->key);
		jw_array(&w);
		LIST_FOR(it, &g->members)
			write_producer(LIST_ENTRY(it, struct member, in_group), &w);
		jw_array_end(&w);
	}
	jw_object_end(&w);
	jw_object_end(&w);
	reply_body(&req->ticket, RES_SUCCESS, buf_slice(&body));
	buf_free(&body);
}

void client_on_subscription(void *broker, struct request *req)
{
	struct broker *b = broker;
	const struct mosaic_slice *group = header_find(&req->header, "group");
	const struct mosaic_slice *topic = header_find(&req->header, "topic");
	const struct consumer_group *g = group ? clients_consumers(b->clients, *group) : NULL;
	const struct subscription *sub = g && topic ? consumer_group_subscription(g, *topic) : NULL;
	struct buf body = BUF_INIT;
	struct json_writer w;

	if (!group || !topic) {
		reply_missing(&req->ticket, group ? "topic" : "group");
		return;
	}
	jw_init(&w, &body);
	jw_object(&w);
	jw_put_str(&w, "group", *group);
	if (sub) {
		jw_key(&w, "subscriptionData");
		subscription_write(sub, &w);
	}
	jw_put_str(&w, "topic", *topic);
	jw_object_end(&w);
	reply_body(&req->ticket, RES_SUCCESS, buf_slice(&body));
	buf_free(&body);
}
