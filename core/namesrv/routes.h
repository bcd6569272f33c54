/*
 * The tables of the NameServer (RouteInfoManager of 5.3.3): which brokers there are and which
 * queues of which topic they serve. Everything is in memory and comes from registrations.
 *
 *   cluster -> groups (one per broker name) -> brokers (one per id and address)
 *   topic   -> queue data, one per group
 *
 * Java keeps addresses and "live" entries in two tables; here a broker is one thing, so an address
 * that lost its id to another one is gone at once.
 */
#ifndef NAMESRV_ROUTES_H
#define NAMESRV_ROUTES_H

#include "base/host.h"
#include "base/list.h"
#include "base/map.h"
#include "namesrv/register_body.h"
#include "rpc/peer.h"

#define PERM_READ 4
#define PERM_WRITE 2
#define MASTER_ID 0

struct cluster {
	char *name;
	struct list groups; /* struct broker_group.link; never empty */
};

struct broker_group {
	struct list link;
	struct cluster *cluster; /* of the first registration */
	char *name;
	char *zone; /* NULL: none */
	bool enable_acting_master;
	uint32_t n, cap;
	struct broker **brokers; /* by id, ascending; n is 0 only inside routes.c */
};

struct broker {
	struct broker_group *group;
	struct list link;      /* of all brokers */
	struct list peer_link; /* of those that registered over the same connection */
	int64_t id;
	char *addr, *ha_addr;
	char *live_key;       /* cluster, line feed, address */
	char *filter_servers; /* JSON array; NULL: none */
	struct peer *peer;    /* open: its closed() removes the broker */
	struct route_version version;
	uint64_t heard_ns, timeout_ns;
};

struct queue_data {
	struct broker_group *group;
	int32_t read_queues, write_queues, perm, sys_flag;
};

struct topic {
	uint32_t n, cap; /* n is at least 1 */
	struct queue_data *queues;
};

struct routes {
	const struct mosaic_host *host;
	struct map topics;   /* name -> struct topic */
	struct map groups;   /* broker name -> struct broker_group */
	struct map clusters; /* name -> struct cluster */
	struct map live;     /* live_key -> struct broker */
	struct map by_peer;  /* address of the peer -> struct list of brokers */
	struct list brokers;
	uint32_t max_topics, max_brokers;
	bool delete_missing_topics; /* deleteTopicWithBrokerRegistration */
	/* The smallest id of a group has changed; offline_addr: of the broker that went, or
	 * NULL. */
	void (*min_id_changed)(void *ctx, struct broker_group *group, const char *offline_addr);
	void *ctx;
};

/* Header of a registration. Slices are borrowed during routes_register. */
struct registration {
	struct mosaic_slice cluster, name, addr, ha_addr;
	struct mosaic_slice zone; /* empty: none */
	int64_t id;
	uint64_t timeout_ns;
	bool has_acting_master; /* absent: an old broker */
	bool enable_acting_master;
	struct peer *peer;
};

void routes_init(struct routes *r, const struct mosaic_host *host, uint32_t max_topics,
		 uint32_t max_brokers);
void routes_fini(struct routes *r);

/*
 * 0: *out is the broker, or NULL when a newer one holds its id (answered as success, without
 * content). MOSAIC_E_INVAL: a first registration with a single topic. MOSAIC_E_LIMIT: a bound is
 * reached. After an error nothing has changed.
 */
int routes_register(struct routes *r, const struct registration *reg,
		    const struct register_body *body, struct broker **out,
		    struct mosaic_error *err);
/* Removes the broker; with the last of its group go the group and its queues. */
void routes_unregister(struct routes *r, struct broker *b);
void routes_peer_closed(struct routes *r, struct peer *peer);
/* Removes brokers that were not heard of in their time and closes their connections. */
void routes_expire(struct routes *r);

/* The live broker of an address, or NULL. */
struct broker *routes_live(const struct routes *r, struct mosaic_slice cluster,
			   struct mosaic_slice addr);
struct broker *group_master(const struct broker_group *g); /* NULL: it has none */
struct queue_data *topic_queues_of(const struct topic *t, const struct broker_group *g);
/* Sets or adds queue data; makes the topic when it is new. Bounds are the caller's. */
void routes_set_queues(struct routes *r, struct mosaic_slice topic, const struct queue_data *q);
/* cluster NULL: the whole topic. */
void routes_delete_topic(struct routes *r, struct mosaic_slice topic,
			 const struct cluster *cluster);
/* Changes perm of all topics of a group to (perm & keep) | set; returns how many topics it has. */
uint32_t routes_change_perm(struct routes *r, const struct broker_group *g, int32_t keep,
			    int32_t set);

#endif
