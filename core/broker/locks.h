/* Queue locks of orderly consumers (RebalanceLockManager): (group, queue) -> client id, 60 s.
 * [core] */
#ifndef BROKER_LOCKS_H
#define BROKER_LOCKS_H

#include "broker/broker.h"

#define LOCK_EXPIRY_MS 60000

struct locks;

struct locks *locks_create(struct broker *b);
void locks_destroy(struct locks *l);
/* True when any queue of the group is locked and the lock has not expired. */
bool locks_group_has_any(const struct locks *l, struct mosaic_slice group);
void lock_on_lock(void *broker, struct request *req);   /* 41 */
void lock_on_unlock(void *broker, struct request *req); /* 42 */

#endif
