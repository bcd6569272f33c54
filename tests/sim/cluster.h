/*
 * A simulated cluster: NameServers, brokers, clients, each a node of its own, put together from the
 * same parts as `mosaic run`. Members start, stop, die and come back.
 */
#ifndef SIM_CLUSTER_H
#define SIM_CLUSTER_H

#include "node/broker_node.h"
#include "node/namesrv_node.h"
#include "sim/simclient.h"
#include "sim/simnet.h"

#define CLUSTER_NAMESRVS 2
#define CLUSTER_CLIENTS 2

/* Adopted once per program. */
struct cluster_plugins {
	struct loaded_plugin transport, store, flush_sync, flush_async;
	struct loaded_plugin lying_store; /* reports syncs that it did not do */
};

enum member_state { MEMBER_DOWN, MEMBER_STARTING, MEMBER_UP, MEMBER_STOPPING };

struct cluster;

struct member {
	struct cluster *cluster;
	struct sim_node *node;
	uint32_t index; /* among its kind */
	enum member_state state;
	struct broker_node *broker; /* one of the two, while it is not down */
	struct namesrv_node *namesrv;
	bool is_broker;
	struct plugin_instance transport, store, flush;
	struct mosaic_req req;
	struct mosaic_error err;
	struct sim_event event; /* what comes next: start */
};

struct cluster_config {
	const struct cluster_plugins *plugins;
	uint32_t n_brokers;
	bool flush_sync;
	bool lies;           /* the store */
	uint64_t delay_ns;   /* of syncs and documents, at most */
	bool drifts;         /* clocks differ and run unevenly */
};

struct cluster {
	struct sim sim;
	struct model model;
	struct cluster_config config;
	struct member namesrvs[CLUSTER_NAMESRVS], brokers[MODEL_BROKERS];
	struct client clients[CLUSTER_CLIENTS];
	char namesrv_addresses[CLUSTER_NAMESRVS][32];
	const char *namesrv_list[CLUSTER_NAMESRVS];
};

void cluster_plugins_init(struct cluster_plugins *p);
void cluster_plugins_fini(struct cluster_plugins *p);

/* Everything starts within a second. */
void cluster_init(struct cluster *c, uint64_t seed, const struct cluster_config *config,
		  bool verbose);
void cluster_fini(struct cluster *c);

void member_start_in(struct member *m, uint64_t ns);
void member_kill(struct member *m, uint32_t how); /* enum mosaic_disk_crash */
void member_stop(struct member *m);               /* properly; checks that nothing leaks */
bool cluster_is_up(const struct cluster *c);
void cluster_run(struct cluster *c, uint64_t ns);

#endif
