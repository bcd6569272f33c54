#include "balancer.h"

int balancer_open(struct balancer *b, const struct mosaic_host *host, struct mosaic_error *error)
{
	plugin_instance_init(&b->place, b->plugin);
	int rc = b->plugin->ops.balance.create(host, b->place.options, &b->instance, error);

	if (rc != 0) {
		b->instance = NULL;
		balancer_free(b);
	}
	return rc;
}

void balancer_free(struct balancer *b)
{
	if (b->instance != NULL)
		b->plugin->ops.balance.destroy(b->instance);
	if (b->plugin != NULL)
		plugin_instance_free(&b->place);
	*b = (struct balancer)BALANCER_INIT;
}
