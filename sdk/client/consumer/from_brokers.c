/* What brokers ask of the consumers of a group, or tell them. */
#include "consumer/member.h"
#include "incoming.h"

static struct member *find(struct engine *e, struct mosaic_slice group)
{
	LIST_FOR(it, &e->consumers) {
		struct consumer_group *g = LIST_ENTRY(it, struct consumer_group, link);
		if (slice_is(group, g->name))
			return g->data;
	}
	return NULL;
}

void incoming_ids_changed(void *service, struct request *req)
{
	struct member *m = find(service, header_str(&req->header, "consumerGroup"));

	if (m != NULL && m->is_running)
		rebalance_all(m);
	reply_code(&req->ticket, 0);
}
