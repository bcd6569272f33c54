/* Subscription groups (SubscriptionGroupManager): settings per consumer group. All [core]. */
#ifndef BROKER_GROUPS_H
#define BROKER_GROUPS_H

#include "broker/broker.h"
#include "wire/json.h"

#define GROUP_NAME_MAX 255 /* auto-created groups, as Apache's clients allow */
#define GROUP_NAME_LOADED_MAX 255
#define GROUP_FORBID_READ 4 /* 1 << PermName.INDEX_PERM_READ */

struct group {
	char *name;
	uint32_t name_len;
	bool consume_enable, consume_from_min_enable, consume_broadcast_enable, consume_orderly;
	bool notify_ids_changed;
	int32_t retry_queues, retry_max_times;
	int64_t broker_id, which_broker_when_slow;
	int32_t sys_flag, consume_timeout_minutes;
	/* JSON object of members that are kept but not interpreted (attributes, groupRetryPolicy,
	 * ...); NULL: the defaults. */
	char *extra;
};

struct groups {
	struct broker *broker;
	struct map table;     /* name -> struct group */
	/* "group@topic" -> bits as (void *)(uintptr_t), never 0; GROUP_FORBID_READ is the one in
	 * use */
	struct map forbidden;
	struct data_version version;
};

struct groups *groups_create(struct broker *b);
void groups_destroy(struct groups *g);
struct group *groups_find(const struct groups *g, struct mosaic_slice name);
/* findSubscriptionGroupConfig: also creates, when autoCreateSubscriptionGroup says so and the name
 * is legal. */
struct group *groups_find_or_add(struct groups *g, struct mosaic_slice name);
void groups_add_system(struct groups *g);
bool groups_is_forbidden(const struct groups *g, struct mosaic_slice group,
			 struct mosaic_slice topic);
/* Forbids or allows reading of a topic by a group (353); saves. */
void groups_set_forbidden(struct groups *g, struct mosaic_slice group, struct mosaic_slice topic,
			  bool forbidden);
/*
 * Creates or replaces a group as a SubscriptionGroupConfig says (200). 0 and *out, or
 * MOSAIC_E_INVAL with err's text.
 */
NODISCARD int groups_set(struct groups *g, const json_t *config, struct group **out,
			 struct mosaic_error *err);
/* False when there was none. */
bool groups_delete(struct groups *g, struct mosaic_slice name);
void group_write(const struct group *group, struct json_writer *w);
/* The whole table as groups_save writes it, in one line: the answer to 201. */
void groups_write(const struct groups *g, struct json_writer *w);
void groups_save(const struct groups *g, struct buf *out); /* config/subscriptionGroup.json */
int groups_load(struct groups *g, struct mosaic_slice text, struct mosaic_error *err);

void group_on_update(void *broker, struct request *req);      /* 200 */
void group_on_update_list(void *broker, struct request *req); /* 225 */
void group_on_get_all(void *broker, struct request *req);     /* 201 */
void group_on_get(void *broker, struct request *req);         /* 352 */
void group_on_delete(void *broker, struct request *req);      /* 207 */
void group_on_forbidden(void *broker, struct request *req);   /* 353 */

#endif
