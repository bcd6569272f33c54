/*
 * The topic table of a broker (TopicConfigManager). Topics are found by name on every send and
 * pull; a topic keeps pointers to its queues so that the hot path looks nothing up twice. All
 * [core].
 */
#ifndef BROKER_TOPICS_H
#define BROKER_TOPICS_H

#include "broker/broker.h"
#include "wire/json.h"

#define TOPIC_NAME_MAX 127
#define TOPIC_QUEUES_MAX 65536

struct topic {
	char *name; /* NUL-terminated */
	uint32_t name_len;
	int32_t read_queues, write_queues, perm, sys_flag;
	bool order, multi_tags; /* multi_tags: topicFilterType MULTI_TAG */
	bool is_system;
	bool is_unsaved; /* what is sent to it waits until topics.json has it */
	char *attributes; /* JSON object text, "{}" */
	uint32_t n_queues; /* length of queues: max(read, write) at some time */
	struct queue **queues; /* filled on first use */
	uint64_t changed_at;   /* topics.n_changes at its last change: what NameServers need */
	struct stats_item *puts; /* owned by stats.c, NULL before the first send */
};

/* topicSysFlag: topics of a unit, and retry topics of groups in one */
enum topic_sys_flag { TOPIC_SYS_UNIT = 0x1, TOPIC_SYS_UNIT_SUB = 0x2 };

struct topics {
	struct broker *broker;
	struct map table; /* name -> struct topic */
	struct data_version version;
	uint64_t n_changes; /* since boot; never 0 after topics_add_system */
};

struct topics *topics_create(struct broker *b);
void topics_destroy(struct topics *t);
struct topic *topics_find(const struct topics *t, struct mosaic_slice name);
/* How many queues it has, for writing or reading; operators and producers may ask for none. */
static inline int32_t topic_queue_count(const struct topic *topic)
{
	return topic->read_queues > topic->write_queues ? topic->read_queues : topic->write_queues;
}
/* The queue of a topic, made on first use. NULL: the topic never had a queue of this id, or the
 * store has no memory. */
struct queue *topic_queue(struct broker *b, struct topic *topic, int32_t queue_id);

/* Makes a topic unless it is there, saves the table and registers the change. NULL: max_topics. */
struct topic *topics_add(struct topics *t, struct mosaic_slice name, int32_t queues, int32_t perm,
			 bool order);
/* The retry or dead-letter topic of a group, made unless it is there
 * (TopicConfigManager.createTopicInSendMessageBackMethod). NULL: max_topics. */
struct topic *topics_add_of_group(struct topics *t, const char *prefix, struct mosaic_slice group,
				  int32_t queues, int32_t sys_flag);
void topics_set_order(struct topics *t, struct topic *topic, bool order);
/* Rule of a send to an unknown topic (TopicConfigManager.createTopicInSendMessageMethod): needs
 * default_topic with the inherit bit. NULL: not created. */
struct topic *topics_add_on_send(struct topics *t, struct mosaic_slice name,
				 struct mosaic_slice default_topic, int32_t queues);
/* A change by an operator (17): sets all of the config. */
struct topic_settings {
	int32_t read_queues, write_queues, perm, sys_flag;
	bool order, multi_tags;
	const char *attributes; /* NULL: keep */
};
struct topic *topics_set(struct topics *t, struct mosaic_slice name,
			 const struct topic_settings *s);
/* All topics count as changed: brokerPermission is part of what NameServers are told. */
void topics_touch_all(struct topics *t);
/* Deletes config, queues with their files and offsets. */
void topics_delete(struct topics *t, struct mosaic_slice name);
/* The system topics of a booting broker (semantics of 5.3.3). */
void topics_add_system(struct topics *t);
bool topic_name_is_system(const struct broker *b, struct mosaic_slice name);
/* The names of all system topics, also of those that are made on demand. */
void topics_each_system_name(const struct broker *b,
			     void (*each)(void *ctx, struct mosaic_slice name), void *ctx);
/* Legal characters of topics and groups: ^[%|a-zA-Z0-9_-]+$ */
bool name_is_legal(struct mosaic_slice name);
/* Producers may not send to these (SCHEDULE_TOPIC_XXXX ...). */
bool topic_name_is_forbidden(struct mosaic_slice name);
/* NULL when the name is well-formed, else RocketMQ's remark (code 29). */
const char *topic_name_check(struct mosaic_slice name);

/* A topic as RocketMQ's TopicConfig, its permission cut to `perm_mask`. */
void topic_write(const struct topic *topic, int32_t perm_mask, struct json_writer *w);
void data_version_write(const struct data_version *v, struct json_writer *w);
void data_version_read(struct data_version *v, const json_t *object);

/* config/topics.json; topics_load returns 0 or E_CORRUPT with *err. */
void topics_save(const struct topics *t, struct buf *out);
int topics_load(struct topics *t, struct mosaic_slice text, struct mosaic_error *err);

/* Handlers. */
void topic_on_update(void *broker, struct request *req);      /* 17 */
void topic_on_update_list(void *broker, struct request *req); /* 18 */
void topic_on_get_all(void *broker, struct request *req);     /* 21 */
void topic_on_delete(void *broker, struct request *req);      /* 215 */
void topic_on_get(void *broker, struct request *req);         /* 351 */
void topic_on_system_list(void *broker, struct request *req); /* 305 */

#endif
