/*
 * Queues that a push consumer pops: the broker hides what it hands out for a while, and whoever has
 * consumed a message acknowledges it. No offsets, no locks; several members may have one queue.
 * As ConsumeMessagePopConcurrentlyService of 5.3.3. [core]
 */
#ifndef CONSUMER_PUSH_POP_H
#define CONSUMER_PUSH_POP_H

#include "consumer/receipt.h"
#include "engine.h"

struct json_writer;
struct member;
struct mosaic_consumer;

/* member_ops: these queues of the topic are popped from now on, and no others of it. Id -1: all of
 * a broker. */
void push_pop_apply(struct member *m, const char *topic, const struct route_queue *queues,
		    uint32_t n);
/* member_ops: the objects of mqPopTable. */
void push_pop_write(const struct member *m, struct json_writer *w);
/* Gives one call to the listeners, if there is anything to give. */
void push_pop_give(struct mosaic_consumer *c);
/* Nothing is popped any more; what nobody was given comes again when its time is over. */
void push_pop_end(struct mosaic_consumer *c);

/* ---- pop_tell.c ---- */

/* invisible_ms 0: the message is acknowledged; else it comes again then. */
void push_pop_tell(struct mosaic_consumer *c, const struct pop_answer *answer, const char *topic,
		   const struct message *m, uint64_t invisible_ms);
/* When a message that was not consumed is to come again; 0: it was tried often and long enough. */
uint64_t push_pop_again_ms(const struct mosaic_consumer *c, const struct message *m);

#endif
