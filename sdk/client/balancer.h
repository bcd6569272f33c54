/* A balance plugin, ready for use. */
#ifndef CLIENT_BALANCER_H
#define CLIENT_BALANCER_H

#include "plugin/loaded.h"

struct balancer {
	const struct loaded_plugin *plugin;
	struct plugin_instance place;
	struct mosaic_balance *instance;
};

#define BALANCER_INIT { .plugin = NULL }

/* b->plugin is set; options are the defaults. */
NODISCARD int balancer_open(struct balancer *b, const struct mosaic_host *host,
			    struct mosaic_error *error);
void balancer_free(struct balancer *b); /* fine on BALANCER_INIT */

static inline uint32_t balancer_pick(const struct balancer *b, struct mosaic_slice key,
				     uint64_t sequence, uint32_t n_queues)
{
	uint32_t i = b->plugin->ops.balance.pick(b->instance, key, sequence, n_queues);

	return i < n_queues ? i : 0;
}

#endif
