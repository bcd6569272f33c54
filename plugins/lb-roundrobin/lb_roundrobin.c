/*
 * lb-roundrobin: messages go to the queues in turn, keys are ignored; queues are shared among the
 * members of a group in equal ranges. What RocketMQ's clients do when nothing else is asked of
 * them.
 */
#include "../lb-common/balancer.h"

static uint32_t lb_pick(const struct mosaic_balance *b, struct mosaic_slice key, uint64_t sequence,
			uint32_t n_queues)
{
	(void)b;
	(void)key;
	return (uint32_t)(sequence % n_queues);
}

static const struct mosaic_balance_ops ops = {
	.struct_size = sizeof(ops),
	.create = balancer_create,
	.destroy = balancer_destroy,
	.pick = lb_pick,
	.allocate = balancer_allocate,
};

MOSAIC_PLUGIN(.name = "lb-roundrobin", .version = "0.1.0", .vendor = "Mosaic",
	      .license = "Apache-2.0",
	      .summary = "Messages to the queues in turn, queues to the members in equal ranges",
	      MOSAIC_KIND_BALANCE, .ops = &ops);
