/*
 * Registration at every NameServer: 103 each 30 s and at once on every change, all in parallel, so
 * that one dead NameServer delays nothing; 104 at the end. Each NameServer has its own connection,
 * its own timer and its own idea of what it was told last. All [core].
 */
#ifndef BROKER_REGISTRAR_H
#define BROKER_REGISTRAR_H

#include "broker/broker.h"
#include "broker/topics.h"

#define REGISTER_PERIOD_MS 30000

struct registrar;

struct registrar *registrar_create(struct broker *b);
void registrar_start(struct registrar *r); /* registers at once */
/* The topic table changed: everybody is told now; changes within one burst go together. */
void registrar_changed(struct registrar *r);
/*
 * Waits until every NameServer that can be reached knows the topic table as it is now, at most
 * REGISTER_TOLD_MS: then a client that asks for the route finds what an operator has just made.
 */
#define REGISTER_TOLD_MS 1000
struct told_wait {
	struct mosaic_req req; /* done() and data set by the caller; status is always 0 */
	struct list link;
	uint64_t change;
	struct mosaic_timer timer;
};
void registrar_told(struct registrar *r, struct told_wait *wait);
/* 104 to everybody; done() when all have answered or 300 ms are over. */
void registrar_stop(struct registrar *r, struct mosaic_req *req);
void registrar_destroy(struct registrar *r);

#endif
