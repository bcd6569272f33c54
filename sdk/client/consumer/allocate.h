/*
 * Who has which queue of a topic. The library's own ways, which are those of Java's clients
 * (5.3.3): equal ranges, in turn, and a ring of hashes that moves few queues when a member comes or
 * goes; else a balance plugin's. Same input, same answer, in every member. [core]
 */
#ifndef CONSUMER_ALLOCATE_H
#define CONSUMER_ALLOCATE_H

#include "balancer.h"
#include "engine.h"

enum allocate_way {
	ALLOCATE_PLUGIN,
	ALLOCATE_CIRCLE,
	ALLOCATE_RING
};

/* "circle", "consistent-hash"; all else is a plugin's name. */
enum allocate_way allocate_way(const char *name);
/* owners[i]: index of the member that has queue i of the topic. Queues and members are sorted;
 * there is at least one member. */
void allocate(enum allocate_way way, const struct balancer *plugin, const char *topic,
	      const struct route_queue *queues, uint32_t n_queues,
	      const struct mosaic_slice *members, uint32_t n_members, uint32_t *owners);

#endif
