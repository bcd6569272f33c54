/* Requests about topics: 17 18 21 215 305 351. */
#include "base/err.h"
#include "base/mem.h"
#include "broker/attributes.h"
#include "broker/saved_answer.h"
#include "broker/topics.h"
#include "wire/codes.h"
#include <stdlib.h>

#define SLAVE_REFUSAL                                                                             \
	"Can't modify topic or subscription group from slave broker, please execute it from "    \
	"master broker."
#define LIST_MAX 10000 /* topics in one request */

/* Why a topic may not be changed: a code and a remark, or 0. */
static int32_t refusal(const struct broker *b, struct mosaic_slice name, struct buf *remark)
{
	const char *malformed;

	if (b->config.broker_id != BROKER_MASTER_ID) {
		buf_append_str(remark, SLAVE_REFUSAL);
		return RES_SYSTEM_ERROR;
	}
	malformed = topic_name_check(name);
	if (malformed) {
		buf_append_str(remark, malformed);
		return RES_INVALID_PARAMETER;
	}
	if (topic_name_is_system(b, name)) {
		buf_printf(remark, "The topic[%.*s] is conflict with system topic.",
			   SLICE_ARG(name));
		return RES_INVALID_PARAMETER;
	}
	return 0;
}

/* The attributes of `topic` (NULL: a new one) after `changes`; NULL and *err. */
static char *altered_attributes(const struct topic *topic, const json_t *changes,
				struct mosaic_error *err)
{
	json_t *now = topic ? json_loads(topic->attributes, 0, NULL) : NULL;
	char *text = NULL;

	if (!json_is_object(now)) {
		json_decref(now);
		now = json_object();
	}
	if (attributes_alter(topic_attributes, topic == NULL, now, changes, err) == 0)
		text = json_dumps(now, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(now);
	return text;
}

static int32_t check_settings(const struct topic_settings *s, struct buf *remark)
{
	if (s->read_queues >= 0 && s->read_queues <= TOPIC_QUEUES_MAX && s->write_queues >= 0 &&
	    s->write_queues <= TOPIC_QUEUES_MAX)
		return 0;
	buf_printf(remark, "numbers of queues must be 0 to %d", TOPIC_QUEUES_MAX);
	return RES_INVALID_PARAMETER;
}

/* Checks and applies one config. 0, or a code and a remark. */
static int32_t apply(struct broker *b, struct mosaic_slice name, struct topic_settings *s,
		     const json_t *changes, struct buf *remark)
{
	const struct topic *topic = topics_find(b->topics, name);
	struct mosaic_error err = ERR_INIT;
	int32_t code = check_settings(s, remark);
	char *attributes;

	if (code != 0)
		return code;
	if (slice_is(json_get_str(changes, "+message.type"), "MIXED")) {
		buf_append_str(remark, "MIXED message type is not supported.");
		return RES_INVALID_PARAMETER;
	}
	attributes = altered_attributes(topic, changes, &err);
	if (!attributes) {
		buf_append_str(remark, err.text);
		return RES_SYSTEM_ERROR;
	}
	s->attributes = attributes;
	if (!topics_set(b->topics, name, s)) {
		buf_printf(remark, "more topics than maxTopics (%u)", b->config.max_topics);
		code = RES_SYSTEM_ERROR;
	}
	free(attributes);
	return code;
}

/* ---- 17 --------------------------------------------------------------------------------- */

static bool read_settings(const struct request *req, struct topic_settings *s)
{
	static const char *const needed[] = { "topic", "topicFilterType" };
	const struct header *h = &req->header;
	const char *missing = NULL;

	for (size_t i = 0; i < ARRAY_LEN(needed) && !missing; i++)
		if (!header_find(h, needed[i]))
			missing = needed[i];
	if (!missing && header_i32(h, "readQueueNums", &s->read_queues) != 0)
		missing = "readQueueNums";
	if (!missing && header_i32(h, "writeQueueNums", &s->write_queues) != 0)
		missing = "writeQueueNums";
	if (!missing && header_i32(h, "perm", &s->perm) != 0)
		missing = "perm";
	if (!missing && !slice_is(header_str(h, "topicFilterType"), "SINGLE_TAG") &&
	    !slice_is(header_str(h, "topicFilterType"), "MULTI_TAG"))
		missing = "topicFilterType";
	if (missing) {
		reply_missing(&req->ticket, missing);
		return false;
	}
	if (header_i32(h, "topicSysFlag", &s->sys_flag) != 0)
		s->sys_flag = 0;
	s->order = header_bool(h, "order", false);
	s->multi_tags = slice_is(header_str(h, "topicFilterType"), "MULTI_TAG");
	return true;
}

void topic_on_update(void *broker, struct request *req)
{
	struct broker *b = broker;
	struct mosaic_slice name = header_str(&req->header, "topic");
	struct topic_settings s = { 0 };
	struct mosaic_error err = ERR_INIT;
	struct buf remark = BUF_INIT;
	json_t *changes = NULL;
	int32_t code;

	if (!read_settings(req, &s))
		return;
	code = refusal(b, name, &remark);
	if (code == 0) {
		changes = attributes_parse(header_str(&req->header, "attributes"), &err);
		if (changes) {
			code = apply(b, name, &s, changes, &remark);
		} else {
			code = RES_SYSTEM_ERROR;
			buf_append_str(&remark, err.text);
		}
	}
	if (code == 0)
		answer_when_saved(b, req, DOC_TOPICS);
	else
		reply_remark(&req->ticket, code, "%s", buf_cstr(&remark));
	json_decref(changes);
	buf_free(&remark);
}

/* ---- 18 --------------------------------------------------------------------------------- */

static int32_t apply_json(struct broker *b, const json_t *config, struct buf *remark)
{
	struct mosaic_slice name = json_get_str(config, "topicName");
	const json_t *changes = json_object_get(config, "attributes");
	struct topic_settings s = {
		.read_queues = (int32_t)json_get_i64(config, "readQueueNums", 16),
		.write_queues = (int32_t)json_get_i64(config, "writeQueueNums", 16),
		.perm = (int32_t)json_get_i64(config, "perm", PERM_READ | PERM_WRITE),
		.sys_flag = (int32_t)json_get_i64(config, "topicSysFlag", 0),
		.order = json_get_bool(config, "order", false),
		.multi_tags = slice_is(json_get_str(config, "topicFilterType"), "MULTI_TAG"),
	};

	return apply(b, name, &s, changes, remark);
}

void topic_on_update_list(void *broker, struct request *req)
{
	struct broker *b = broker;
	struct mosaic_error err = ERR_INIT;
	json_t *body = json_read(req->body, &err);
	json_t *list = json_object_get(body, "topicConfigList"), *config;
	struct buf remark = BUF_INIT;
	int32_t code = 0;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > LIST_MAX) {
		code = RES_SYSTEM_ERROR;
		buf_printf(&remark, "the body needs a topicConfigList of at most %d topics. %s",
			   LIST_MAX, err.text);
	}
	/* All names are checked before the first topic is made. */
	json_array_foreach(list, i, config) {
		if (code != 0)
			break;
		code = refusal(b, json_get_str(config, "topicName"), &remark);
	}
	json_array_foreach(list, i, config) {
		if (code != 0)
			break;
		code = apply_json(b, config, &remark);
	}
	if (code == 0)
		answer_when_saved(b, req, DOC_TOPICS);
	else
		reply_remark(&req->ticket, code, "%s", buf_cstr(&remark));
	json_decref(body);
	buf_free(&remark);
}

/* ---- 21, 305, 351 ----------------------------------------------------------------------- */

void topic_on_get_all(void *broker, struct request *req)
{
	struct broker *b = broker;
	struct data_version mapping = { .timestamp = b->boot_ms };
	struct buf body = BUF_INIT;
	struct json_writer w;
	struct map_entry *e;

	jw_init(&w, &body);
	jw_object(&w);
	jw_key(&w, "dataVersion");
	data_version_write(&b->topics->version, &w);
	jw_key(&w, "mappingDataVersion");
	data_version_write(&mapping, &w);
	jw_key(&w, "topicConfigTable");
	jw_object(&w);
	for (uint32_t pos = 0; (e = map_next(&b->topics->table, &pos)) != NULL;) {
		jw_key_slice(&w, e->key);
		topic_write(e->value, -1, &w);
	}
	jw_object_end(&w);
	jw_key(&w, "topicQueueMappingDetailMap");
	jw_raw(&w, slice_str("{}"));
	jw_key(&w, "topicQueueMappingInfoMap");
	jw_raw(&w, slice_str("{}"));
	jw_object_end(&w);
	reply_body(&req->ticket, RES_SUCCESS, buf_slice(&body));
	buf_free(&body);
}

static void write_name(void *ctx, struct mosaic_slice name)
{
	jw_str(ctx, name);
}

void topic_on_system_list(void *broker, struct request *req)
{
	struct buf body = BUF_INIT;
	struct json_writer w;

	jw_init(&w, &body);
	jw_object(&w);
	jw_key(&w, "topicList");
	jw_array(&w);
	topics_each_system_name(broker, write_name, &w);
	jw_array_end(&w);
	jw_object_end(&w);
	reply_body(&req->ticket, RES_SUCCESS, buf_slice(&body));
	buf_free(&body);
}

void topic_on_get(void *broker, struct request *req)
{
	struct broker *b = broker;
	const struct mosaic_slice *name = header_find(&req->header, "topic");
	const struct topic *topic = name ? topics_find(b->topics, *name) : NULL;
	struct buf body = BUF_INIT;
	struct json_writer w;

	if (!name) {
		reply_missing(&req->ticket, "topic");
		return;
	}
	if (!topic) {
		reply_remark(&req->ticket, RES_TOPIC_NOT_EXIST,
			     "No topic in this broker. topic: %.*s", SLICE_ARG(*name));
		return;
	}
	jw_init(&w, &body);
	topic_write(topic, -1, &w);
	reply_body(&req->ticket, RES_SUCCESS, buf_slice(&body));
	buf_free(&body);
}

/* ---- 215 -------------------------------------------------------------------------------- */

void topic_on_delete(void *broker, struct request *req)
{
	struct broker *b = broker;
	const struct mosaic_slice *name = header_find(&req->header, "topic");
	struct buf remark = BUF_INIT;
	int32_t code;

	code = !name || name->len == 0 ? RES_INVALID_PARAMETER : 0;
	if (code != 0)
		buf_append_str(&remark, "The specified topic is blank.");
	else if (topic_name_is_system(b, *name) || b->config.broker_id != BROKER_MASTER_ID)
		code = refusal(b, *name, &remark);
	if (code == 0) {
		topics_delete(b->topics, *name);
		answer_when_saved(b, req, DOC_TOPICS);
	} else {
		reply_remark(&req->ticket, code, "%s", buf_cstr(&remark));
	}
	buf_free(&remark);
}
