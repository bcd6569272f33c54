/*
 * Delay levels (ScheduleMessageService of 5.3.3): a delayed message is stored in
 * SCHEDULE_TOPIC_XXXX, queue level - 1, its unit carries the deliver time as tagsCode; each level
 * has a cursor that puts due messages into their real topic. Cursors are config/delayOffset.json.
 * All [core].
 */
#ifndef BROKER_SCHEDULE_H
#define BROKER_SCHEDULE_H

#include "broker/broker.h"

#define DELAY_LEVELS 18

struct schedule;

struct schedule *schedule_create(struct broker *b);
void schedule_start(struct schedule *s);
void schedule_stop(struct schedule *s);
void schedule_destroy(struct schedule *s);
/* A delayed message was stored in this queue of the schedule topic. */
void schedule_arrived(struct schedule *s, const struct queue *queue);
/* Milliseconds of a level (1..DELAY_LEVELS; above is cut to the last). */
int64_t schedule_delay_ms(int32_t level);
/* Everything of a level (1..DELAY_LEVELS) below is delivered, for good. */
int64_t schedule_safe(const struct schedule *s, int32_t level);
/* Only what the log's durable bytes cover; marks the document dirty again when there is more. */
void schedule_save(struct schedule *s, struct buf *out);
int schedule_load(struct schedule *s, struct mosaic_slice text, struct mosaic_error *err);

#endif
