/*
 * Producers and consumers that are connected (ProducerManager, ConsumerManager): who is in which
 * group on which peer, what each group subscribes to. A client disappears when its peer closes, when it
 * says so (35), or 120 s after its last heartbeat. All [core].
 */
#ifndef BROKER_CLIENTS_H
#define BROKER_CLIENTS_H

#include "broker/broker.h"
#include "broker/subscription.h"

#define CLIENT_EXPIRY_MS 120000
#define CLIENT_SCAN_MS 10000

enum message_model { MODEL_BROADCASTING = 0, MODEL_CLUSTERING = 1 };

/* One client in one group. */
struct member {
	struct list in_group; /* consumer_group.members or producer_group.members */
	struct list on_peer;  /* the peer's list (peer->service points at struct client_peer) */
	struct peer *peer;    /* borrowed: the member dies with the peer */
	char *client_id;
	int32_t version;
	uint8_t language;
	int64_t last_heartbeat_ms;
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
	uint32_t n_members, max_members; /* 1,000,000 */
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
void clients_peer_closed(struct clients *c, struct peer *peer);

void client_on_heartbeat(void *broker, struct request *req);        /* 34 */
void client_on_unregister(void *broker, struct request *req);       /* 35 */
void client_on_consumer_list(void *broker, struct request *req);    /* 38 */
void client_on_check_config(void *broker, struct request *req);     /* 46 */
void client_on_consumer_conns(void *broker, struct request *req);   /* 203 */
void client_on_producer_conns(void *broker, struct request *req);   /* 204 */

#endif
