/*
 * Who gives each plugin instance its host. The services of a node are put together without knowing
 * whether time and I/O are real (node.c: libuv) or simulated.
 */
#ifndef NODE_HOSTS_H
#define NODE_HOSTS_H

#include "loop/host_events.h"

struct node_hosts {
	void *ctx;
	const struct mosaic_host *core; /* for the core's own use */
	/* A host for one instance; name for its log lines. Lives until the node_hosts' owner
	 * ends. */
	const struct mosaic_host *(*make)(void *ctx, const char *name,
					  const struct host_events *events, void *user);
	/* The instance is destroyed: nothing reaches `user` any more. */
	void (*mute)(void *ctx, const struct mosaic_host *host);
};

#endif
