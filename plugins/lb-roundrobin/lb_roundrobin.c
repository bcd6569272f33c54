/*
 * lb-roundrobin: messages go to the queues in turn, keys are ignored; queues are shared among the
 * members of a group in equal ranges. What RocketMQ's clients do when nothing else is asked of
 * them.
 */
#include "../lb-common/average.h"
#include <mosaic/balance.h>

struct mosaic_balance {
	const struct mosaic_host *host;
};

static int32_t lb_create(const struct mosaic_host *host, const void *options,
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

static void lb_destroy(struct mosaic_balance *b)
{
	b->host->free(b->host, b);
}

static uint32_t lb_pick(const struct mosaic_balance *b, struct mosaic_slice key, uint64_t sequence,
			uint32_t n_queues)
{
	(void)b;
	(void)key;
	return (uint32_t)(sequence % n_queues);
}

static void lb_allocate(const struct mosaic_balance *b, uint32_t n_queues,
			const struct mosaic_slice *members, uint32_t n_members, uint32_t *owners)
{
	(void)b;
	(void)members;
	average_allocate(n_queues, n_members, owners);
}

static const struct mosaic_balance_ops ops = {
	.struct_size = sizeof(ops),
	.create = lb_create,
	.destroy = lb_destroy,
	.pick = lb_pick,
	.allocate = lb_allocate,
};

MOSAIC_PLUGIN(.name = "lb-roundrobin", .version = "0.1.0", .vendor = "Mosaic",
	      .license = "Apache-2.0",
	      .summary = "Messages to the queues in turn, queues to the members in equal ranges",
	      MOSAIC_KIND_BALANCE, .ops = &ops);
