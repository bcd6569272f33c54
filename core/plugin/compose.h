/*
 * A set of plugins that shall work together: do needs meet offers, and what does an acknowledgement
 * of it survive. Judged by capabilities alone; no plugin is known by name.
 */
#ifndef PLUGIN_COMPOSE_H
#define PLUGIN_COMPOSE_H

#include "base/buf.h"
#include "plugin/loaded.h"
#include "plugin/problems.h"

/* One broker's set. flush and replication may be empty. */
struct composition {
	const struct plugin_instance *transport, *store, *flush, *replication, *balance;
	bool is_slave;
};

/* Adds one problem per unmet need. where: the JSON path of the broker. */
void compose_check(const struct composition *c, const char *where, struct problems *problems);
/* One sentence: "process crash (kill -9) and power loss of this machine; not the loss of ...". */
void compose_survives(const struct composition *c, struct buf *out);

#endif
