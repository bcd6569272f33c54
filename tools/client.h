/*
 * What `produce` and `consume` need of a client: a loop of their own, a transport plugin, routes,
 * calls that are waited for. One thread; every function runs the loop until its answer is there.
 */
#ifndef TOOLS_CLIENT_H
#define TOOLS_CLIENT_H

#include "base/buf.h"
#include "loop/host.h"
#include "plugin/plugins.h"
#include "rpc/call.h"

#define CLIENT_QUEUES_MAX 4096
#define CLIENT_TIMEOUT_NS (5 * SECOND_NS)

struct client_queue {
	char address[64]; /* of the master */
	char broker[128];
	int32_t id;
};

struct client {
	struct logger logger;
	struct host_loop loop;
	struct host host;
	struct plugins *plugins;
	struct plugin_instance transport_plugin;
	const struct mosaic_transport_ops *ops;
	struct mosaic_transport *transport;
	struct peer_handler handler;
	struct dialer dialer;
	const char *namesrv;
	bool has_loop, has_transport;
};

NODISCARD int client_open(struct client *c, const char *namesrv, struct mosaic_error *err);
void client_close(struct client *c);
/* Queues of a topic that may be written (or read). 0 and *n = 0 when the topic has no route. */
NODISCARD int client_route(struct client *c, const char *topic, bool for_write,
			   struct client_queue *queues, uint32_t *n, struct mosaic_error *err);
/* The open peer of an address, dialed when needed. */
NODISCARD int client_peer(struct client *c, const char *address, struct peer **peer,
			  struct mosaic_error *err);
/* Runs the loop until *done. */
void client_wait(struct client *c, const bool *done);

#endif
