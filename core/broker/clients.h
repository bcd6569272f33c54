/*
 * Producers and consumers that are connected (ProducerManager, ConsumerManager): who is in which
 * group on which peer, what each group subscribes to. A client disappears when its peer closes,
 * when it says so (35), or 120 s after its last heartbeat. All [core].
 */
#ifndef BROKER_CLIENTS_H
#define BROKER_CLIENTS_H

#include "broker/broker.h"
#include "broker/subscription.h"
#include "wire/json.h"

#define CLIENT_EXPIRY_MS 120000
#define CLIENT_SCAN_MS 10000
#define CLIENT_GROUPS_MAX 2048         /* of one role on one connection */
#define CLIENT_SUBSCRIPTIONS_MAX 10000 /* topics of one group */
#define CLIENT_ID_MAX 1024
#define CLIENT_MEMBERS_MAX 1000000     /* of all groups together */

enum message_model { MODEL_BROADCASTING = 0, MODEL_CLUSTERING = 1 };

/* One client in one group. */
struct member {
	struct list in_group; /* consumer_group.members or producer_group.members */
	struct list on_peer;  /* the peer's list (peer->service points at struct client_peer) */
	struct peer *peer;    /* borrowed: the member dies with the peer */
	char *client_id;
	int32_t version;
	uint8_t language;
	int64_t last_heartbeat_ms; /* wall clock, for tools */
	uint64_t heard_ns;         /* the same, for the expiry */
	struct consumer_group *consumer; /* one of the two is NULL */
	struct producer_group *producer;
};

struct consumer_group {
	char *name;
	uint32_t name_len;
	struct list members;
	uint32_t n_members;
	struct map subscriptions; /* topic -> struct subscription */
	int32_t consume_type;     /* 0 CONSUME_ACTIVELY, 1 CONSUME_PASSIVELY, 2 CONSUME_POP */
	int32_t model;            /* enum message_model */
	int32_t from_where;       /* ordinal of ConsumeFromWhere */
	int32_t fingerprint;      /* of the last heartbeat (heartbeat V2), 0: none */
	bool notify_enabled;      /* notifyConsumerIdsChangedEnable of the group */
	struct list notify_link;  /* clients.notify_list: its members are told in this turn */
	int64_t changed_ms;
};

struct producer_group {
	char *name;
	uint32_t name_len;
	struct list members;
	uint32_t n_members;
};

struct clients {
	struct broker *broker;
	struct map consumers; /* group -> struct consumer_group */
	struct map producers; /* group -> struct producer_group */
	struct mosaic_timer scan;
	struct list notify_list;    /* consumer_group.notify_link */
	struct mosaic_timer notify; /* 0: the members are told when this turn of the loop is over */
	uint32_t n_members, max_members;
};

/* What a client says of itself in a heartbeat. Borrowed. */
struct client_info {
	struct peer *peer;
	struct mosaic_slice client_id;
	int32_t version;
	uint8_t language;
};

struct clients *clients_create(struct broker *b);
void clients_destroy(struct clients *c);
void clients_start(struct clients *c); /* the scan timer */
void clients_stop(struct clients *c);
struct consumer_group *clients_consumers(const struct clients *c, struct mosaic_slice group);
struct producer_group *clients_producers(const struct clients *c, struct mosaic_slice group);
/* NULL when the group does not subscribe to the topic. */
const struct subscription *consumer_group_subscription(const struct consumer_group *g,
						       struct mosaic_slice topic);
/*
 * The client is in this group of consumers now (its heartbeat). NULL: a bound is reached. The
 * caller sets type, model and subscriptions and calls clients_group_changed() when the set of
 * members (*is_new) or of topics has changed.
 */
struct consumer_group *clients_add_consumer(struct clients *c, const struct client_info *client,
					    struct mosaic_slice group, bool *is_new);
/* False: a bound is reached. */
bool clients_add_producer(struct clients *c, const struct client_info *client,
			  struct mosaic_slice group);
/* Members are told (40) to share the queues anew, unless the group is broadcasting or wants no
 * notice. */
void clients_group_changed(struct clients *c, struct consumer_group *g);
/* Replaces an older subscription to the topic. True when the topic is new to the group. */
bool consumer_group_subscribe(struct consumer_group *g, struct subscription *sub);
/* Removes subscriptions whose topic is not in `keep`. True when there were any. */
bool consumer_group_keep(struct consumer_group *g, const struct map *keep);
void clients_remove_consumer(struct clients *c, struct peer *peer, struct mosaic_slice group);
void clients_remove_producer(struct clients *c, struct peer *peer, struct mosaic_slice group);
void clients_peer_closed(struct clients *c, struct peer *peer);

void client_on_heartbeat(void *broker, struct request *req);        /* 34 */
void client_on_unregister(void *broker, struct request *req);       /* 35 */
void client_on_consumer_list(void *broker, struct request *req);    /* 38 */
void client_on_check_config(void *broker, struct request *req);     /* 46 */
void client_on_consumer_conns(void *broker, struct request *req);   /* 203 */
void client_on_producer_conns(void *broker, struct request *req);   /* 204 */
void client_on_all_producers(void *broker, struct request *req);    /* 328 */
void client_on_subscription(void *broker, struct request *req);     /* 345 */
/* A SubscriptionData as RocketMQ writes it. */
void subscription_write(const struct subscription *sub, struct json_writer *w);

#endif
