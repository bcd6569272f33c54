/* The handlers of incoming.c's table. service is the engine; who does not find what the request is
 * about still answers as Java's clients do. [core] */
#ifndef CLIENT_INCOMING_H
#define CLIENT_INCOMING_H

#include "engine.h"

void incoming_check(void *service, struct request *req); /* 39, transaction.c */
void incoming_reply(void *service, struct request *req); /* 326, reply.c */
/* consumer/from_brokers.c */
void incoming_ids_changed(void *service, struct request *req);      /* 40 */
void incoming_reset_offset(void *service, struct request *req);     /* 220 */
void incoming_status(void *service, struct request *req);           /* 221 */
void incoming_running_info(void *service, struct request *req);     /* 307 */
void incoming_consume_directly(void *service, struct request *req); /* 309 */

#endif
