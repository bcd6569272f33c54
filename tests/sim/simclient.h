/*
 * A client of the simulated cluster, on core/rpc as the real ones: asks a random NameServer for
 * routes, sends numbered messages to random queues, follows every queue by long polls from the
 * committed offset, commits. Tells the model everything.
 */
#ifndef SIM_SIMCLIENT_H
#define SIM_SIMCLIENT_H

#include "plugin/loaded.h"
#include "rpc/call.h"
#include "sim/model.h"

#define CLIENT_TOPIC "SimTopic"
#define CLIENT_NAMESRVS 4

struct client;

/* One queue of one broker, followed by one consumer. */
struct puller {
	struct client *client;
	uint32_t broker, queue;
	int64_t offset;      /* next to be read */
	int64_t committed;   /* last commit that was answered; -1: none */
	bool is_busy, knows_offset, is_committing;
	bool was_auditing; /* when the request under way was sent */
	bool is_audited;
	struct mosaic_timer retry;
};

struct client_config {
	const struct loaded_plugin *transport;
	struct model *model;
	const char *namesrv[CLIENT_NAMESRVS];
	uint32_t n_namesrv, n_brokers;
	bool consumes;        /* one client of the cluster follows the queues */
	uint32_t long_one_in; /* a long body: answers then pass the window of the transport */
};

struct client {
	struct client_config config;
	struct sim_node *node;
	const struct mosaic_host *host;
	struct plugin_instance plugin;
	const struct mosaic_transport_ops *ops;
	struct mosaic_transport *transport;
	struct dialer dialer;
	char addresses[MODEL_BROKERS][32]; /* of brokers, "" when the route has none */
	uint32_t write_queues[MODEL_BROKERS];
	uint64_t send_period_ns; /* mean time between two sends; 0: none is sent */
	uint32_t max_sends, n_sends; /* under way */
	uint64_t last_ok_ns;
	uint32_t n_not_ok; /* answers that were not SEND_OK, and none */
	struct mosaic_timer route_timer, send_timer, commit_timer;
	struct puller pullers[MODEL_BROKERS][MODEL_QUEUES];
	/* client_probe: brokers that each NameServer names, a bit each; -1: no answer yet */
	int64_t probed[CLIENT_NAMESRVS];
	/* client_audit */
	bool is_auditing;
	uint32_t n_audits; /* queues not read yet */
};

void client_start(struct client *c, struct sim_node *node, const struct client_config *config);
void client_set_rate(struct client *c, uint64_t period_ns, uint32_t max_sends);
/* Asks one NameServer for the routes of the topic; see probed. */
void client_probe(struct client *c, uint32_t namesrv);
/* Reads every queue from 0 to its end; n_audits counts down. Consuming ends. */
void client_audit(struct client *c);
/* Every queue is read and committed up to its end: no message of the model is beyond. */
bool client_is_caught_up(const struct client *c);

#endif
