/*
 * Who gives each plugin instance its host. The services of a node are put together without knowing
 * whether time and I/O are real (node.c: libuv) or simulated.
 */
#ifndef NODE_HOSTS_H
#define NODE_HOSTS_H

#include <mosaic/host.h>

/* What the owner of an instance hears of it. All [core]; members may be NULL. */
struct host_events {
	void (*watermark)(void *user, uint32_t which, uint64_t upto); /* only grows */
	void (*promise)(void *user, uint32_t which, uint32_t state);  /* the latest state */
	void (*fail)(void *user, const struct mosaic_error *error);   /* once */
	/* Extensions beside those of the host itself; NULL: not here. [main][core] */
	const void *(*extension)(void *user, const char *id);
};

struct node_hosts {
	void *ctx;
	const struct mosaic_host *core; /* for the core's own use */
	/* A host for one instance; name for its log lines. Lives until the node_hosts' owner ends. */
	const struct mosaic_host *(*make)(void *ctx, const char *name,
					  const struct host_events *events, void *user);
	/* The instance is destroyed: nothing reaches `user` any more. */
	void (*mute)(void *ctx, const struct mosaic_host *host);
};

#endif
