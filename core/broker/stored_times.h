/*
 * Store times of messages named by topic, queue and index, read one after the other. Used by
 * answers to operators (32, 202, 208, ...); the records may be cold, so it ends later. All [core].
 */
#ifndef BROKER_STORED_TIMES_H
#define BROKER_STORED_TIMES_H

#include "broker/broker.h"
#include "log/record_read.h"

struct stored_time {
	char *topic; /* NUL-terminated; shared with the item before when it is the same */
	int32_t queue_id;
	int64_t index;
	int64_t ms;     /* out: -1 when there is no such message */
	uint32_t bytes; /* out: of its record */
};

struct stored_times {
	void (*done)(struct stored_times *t); /* may run inside stored_times_read */
	void *data;
	struct stored_time *items;
	uint32_t n, cap;

	struct broker *broker; /* private from here */
	uint32_t at;
	struct queue *queue;
	struct mosaic_read unit;
	struct record_read record;
};

void stored_times_add(struct stored_times *t, struct mosaic_slice topic, int32_t queue_id,
		      int64_t index);
/* t stays where it is until done(). */
void stored_times_read(struct stored_times *t, struct broker *b);
void stored_times_free(struct stored_times *t); /* the items, not t itself */

#endif
