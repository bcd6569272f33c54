/* What both balance plugins do alike: they keep nothing, and share queues by the same rule. */
#ifndef LB_COMMON_BALANCER_H
#define LB_COMMON_BALANCER_H

#include "average.h"
#include <mosaic/balance.h>

struct mosaic_balance {
	const struct mosaic_host *host;
};

static inline int32_t balancer_create(const struct mosaic_host *host, const void *options,
				      struct mosaic_balance **out, struct mosaic_error *error)
{
	struct mosaic_balance *b = host->alloc(host, sizeof(*b));

	(void)options;
	if (!b) {
		error->code = MOSAIC_E_NOMEM;
		return MOSAIC_E_NOMEM;
	}
	b->host = host;
	*out = b;
	return 0;
}

static inline void balancer_destroy(struct mosaic_balance *b)
{
	b->host->free(b->host, b);
}

static inline void balancer_allocate(const struct mosaic_balance *b, uint32_t n_queues,
				     const struct mosaic_slice *members, uint32_t n_members,
				     uint32_t *owners)
{
	(void)b;
	(void)members;
	average_allocate(n_queues, n_members, owners);
}

#endif
