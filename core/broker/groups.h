/* Subscription groups (SubscriptionGroupManager): settings per consumer group. All [core]. */
#ifndef BROKER_GROUPS_H
#define BROKER_GROUPS_H

#include "broker/broker.h"

#define GROUP_NAME_MAX 120 /* auto-created groups; 255 in general */

struct group {
	char *name;
	uint32_t name_len;
	bool consume_enable, consume_from_min_enable, consume_broadcast_enable, consume_orderly;
	bool notify_ids_changed;
	int32_t retry_queues, retry_max_times;
	int64_t broker_id, which_broker_when_slow;
	int32_t sys_flag, consume_timeout_minutes;
	char *extra; /* JSON of members we do not interpret (groupRetryPolicy, attributes, ...) */
};

struct groups {
	struct broker *broker;
	struct map table;     /* name -> struct group */
	struct map forbidden; /* "group@topic" -> non-NULL: reading is forbidden (353) */
	struct data_version version;
};

struct groups *groups_create(struct broker *b);
void groups_destroy(struct groups *g);
struct group *groups_find(const struct groups *g, struct mosaic_slice name);
/* findSubscriptionGroupConfig: also creates when autoCreateSubscriptionGroup and the name is legal. */
struct group *groups_find_or_add(struct groups *g, struct mosaic_slice name);
void groups_add_system(struct groups *g);
bool groups_is_forbidden(const struct groups *g, struct mosaic_slice group,
			 struct mosaic_slice topic);
void groups_save(const struct groups *g, struct buf *out); /* config/subscriptionGroup.json */
int groups_load(struct groups *g, struct mosaic_slice text, struct mosaic_error *err);

void group_on_update(void *broker, struct request *req);      /* 200 */
void group_on_update_list(void *broker, struct request *req); /* 225 */
void group_on_get_all(void *broker, struct request *req);     /* 201 */
void group_on_get(void *broker, struct request *req);         /* 352 */
void group_on_delete(void *broker, struct request *req);      /* 207 */

#endif
