/*
 * Registration at every NameServer: 103 each 30 s and at once on every change, all in parallel, so that
 * one dead NameServer delays nothing; 104 at the end. Each NameServer has its own connection, its own
 * timer and its own idea of what it was told last. All [core].
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
/* 104 to everybody; done() when all have answered or 300 ms are over. */
void registrar_stop(struct registrar *r, struct mosaic_req *req);
void registrar_destroy(struct registrar *r);

#endif
