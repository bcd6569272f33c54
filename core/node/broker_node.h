/*
 * One broker put together: its plugin instances, its log, its services, its listener. Knows plugins
 * by their kind only. Everything is [core] unless it says [main].
 */
#ifndef NODE_BROKER_NODE_H
#define NODE_BROKER_NODE_H

#include "broker/broker.h"
#include "node/dispatch.h"
#include "node/endpoint.h"

struct broker_node_config {
	struct endpoint_config endpoint;
	/* flush and replication may be empty */
	struct plugin_instance store, flush, replication;
	/* What clients dial, and what records and message ids carry; port 0: the port that was
	 * bound. */
	struct mosaic_address address;
	struct index_shape index; /* no slots: messages are not found by key */
	struct retention_config retention; /* look, ctx and hour are set here */
	/* cluster, name, broker_id, namesrv and limits; host, log, transport and addresses are set
	 * here. Strings must outlive the node. */
	struct broker_config settings;
};

struct broker_node {
	struct broker_node_config config;
	struct endpoint endpoint;
	const struct mosaic_host *store_host, *flush_host;
	struct mosaic_store *store;
	struct mosaic_flush *flush;
	struct log *log;
	struct broker *broker;
	struct dispatch dispatch;
	struct peer_handler handler;
	char address[64];
	bool is_open;
	struct broker_open_req opening;
	struct mosaic_req step;
	struct mosaic_req *waiter;
	int stop_status; /* 0, or how the close of a log that has failed ended */
	struct mosaic_error *err;
};

/* Creates instances and services; no I/O. 0, or what a plugin said. [main] */
NODISCARD int broker_node_create(struct broker_node *n, const struct broker_node_config *config,
				 struct mosaic_error *err);
/* Listens, opens the log, registers. req->done: status 0, or *err is filled and the node is to be
 * stopped and destroyed. */
NODISCARD int broker_node_start(struct broker_node *n, struct mosaic_req *req,
				struct mosaic_error *err);
/* The way back: also after a start that failed. req->done when everything is closed. */
void broker_node_stop(struct broker_node *n, struct mosaic_req *req);
void broker_node_destroy(struct broker_node *n); /* [main] */

#endif
