/*
 * A process: configuration -> units -> running -> signals -> stopped. The composition root. [main]
 *
 * SIGTERM, SIGINT: clean stop (a second one ends at once). SIGUSR1: log more. SIGUSR2: log less.
 */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "config/config.h"
#include "loop/logger.h"

struct node;

/* Where a running node listens, for those who asked for port 0. */
struct node_ports {
	uint32_t namesrv; /* 0: no NameServer */
	uint32_t n_brokers;
	const uint32_t *brokers;
};

struct node_hooks {
	void *ctx;
	/* Everything runs; once. May be NULL. */
	void (*ready)(void *ctx, const struct node_ports *ports);
};

/* Runs until a signal ends it. 0 after a clean stop; an error when it could not start or lost
 * something while it stopped (*err says what). */
NODISCARD int node_run(const struct config *config, struct logger *logger,
		       const struct node_hooks *hooks, struct mosaic_error *err);

#endif
