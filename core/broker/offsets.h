/* Consumer offsets (ConsumerOffsetManager): (topic, group, queue) -> next offset to consume. [core]
 * */
#ifndef BROKER_OFFSETS_H
#define BROKER_OFFSETS_H

#include "broker/broker.h"
#include "wire/json.h"

#define OFFSET_TABLES_MAX 2000000 /* topic@group pairs with offsets */
#define OFFSET_QUEUES_MAX 65536   /* queue ids of one pair are below */

struct offset_table { /* one topic@group */
	char *key;        /* "topic@group" */
	uint32_t n;       /* length of offsets */
	int64_t *offsets; /* by queue id; -1: none */
};

struct offsets {
	struct broker *broker;
	struct map table;       /* "topic@group" -> struct offset_table */
	struct map pull_table;  /* the same for the offsets that pulls have reached; not saved */
	struct map reset_table; /* the same for pending server-side resets (222); not saved */
	struct data_version version;
	uint32_t n_commits; /* the version is bumped each 500, consumerOffsetUpdateVersionStep */
};

struct offsets *offsets_create(struct broker *b);
void offsets_destroy(struct offsets *o);
/* -1 when there is none. */
int64_t offsets_get(const struct offsets *o, struct mosaic_slice topic, struct mosaic_slice group,
		    int32_t queue_id);
void offsets_commit(struct offsets *o, struct mosaic_slice topic, struct mosaic_slice group,
		    int32_t queue_id, int64_t offset);
void offsets_pulled(struct offsets *o, struct mosaic_slice topic, struct mosaic_slice group,
		    int32_t queue_id, int64_t next);
int64_t offsets_get_pulled(const struct offsets *o, struct mosaic_slice topic,
			   struct mosaic_slice group, int32_t queue_id);
/* A pending reset: taken (and erased) by the next pull; offsets_peek_reset only looks. -1: none. */
void offsets_reset(struct offsets *o, struct mosaic_slice topic, struct mosaic_slice group,
		   int32_t queue_id, int64_t offset);
int64_t offsets_take_reset(struct offsets *o, struct mosaic_slice topic, struct mosaic_slice group,
			   int32_t queue_id);
int64_t offsets_peek_reset(const struct offsets *o, struct mosaic_slice topic,
			   struct mosaic_slice group, int32_t queue_id);
void offsets_delete_topic(struct offsets *o, struct mosaic_slice topic);
void offsets_delete_group(struct offsets *o, struct mosaic_slice group);
/* All topics a group has offsets of: calls each() for every one. */
void offsets_each_topic(const struct offsets *o, struct mosaic_slice group,
			void (*each)(void *ctx, struct mosaic_slice topic), void *ctx);
/* All groups that have offsets of a topic. */
void offsets_each_group(const struct offsets *o, struct mosaic_slice topic,
			void (*each)(void *ctx, struct mosaic_slice group), void *ctx);
/* The document as one value: the answer to 43 and the file. */
void offsets_write(const struct offsets *o, struct json_writer *w);
void offsets_save(const struct offsets *o, struct buf *out); /* config/consumerOffset.json */
int offsets_load(struct offsets *o, struct mosaic_slice text, struct mosaic_error *err);

void offset_on_query(void *broker, struct request *req);    /* 14 */
void offset_on_update(void *broker, struct request *req);   /* 15 */
void offset_on_search(void *broker, struct request *req);   /* 29 */
void offset_on_max(void *broker, struct request *req);      /* 30 */
void offset_on_min(void *broker, struct request *req);      /* 31 */
void offset_on_earliest(void *broker, struct request *req); /* 32 */
void offset_on_get_all(void *broker, struct request *req);  /* 43 */

#endif
