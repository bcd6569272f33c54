/*
 * The network of the simulated world: streams between nodes whose bytes take drawn times, arrive in
 * drawn pieces, stop at partitions and break by resets. In order or not at all, as TCP.
 */
#ifndef SIM_SIMNET_H
#define SIM_SIMNET_H

#include "sim/simhost.h"

struct sim_net *simnet_create(struct sim *s);
void simnet_destroy(struct sim_net *net);
/* What a node's transport gets. */
void simnet_extension(struct sim_net *net, struct sim_node *node, struct mosaic_ext_network *out);

/* Nothing from a reaches b any more; the other direction is not touched. */
void simnet_block(struct sim_net *net, const struct sim_node *a, const struct sim_node *b);
void simnet_heal(struct sim_net *net);
/* Resets a connection that is drawn, in the middle of what is under way. False: there is none. */
bool simnet_reset_one(struct sim_net *net);
/* The node's code is gone. With power its connections are reset; without, others hear nothing. */
void simnet_kill(struct sim_net *net, struct sim_node *node, uint32_t how);
void simnet_power_on(struct sim_net *net, struct sim_node *node);

#endif
