/*
 * Pulling: PULL_MESSAGE 11 and LITE_PULL_MESSAGE 361 (PullMessageProcessor of 5.3.3), and the long
 * polls that wait for a message (PullRequestHoldService). All [core].
 */
#ifndef BROKER_PULLS_H
#define BROKER_PULLS_H

#include "broker/broker.h"
#include "broker/subscription.h"

struct pulls;

struct pulls *pulls_create(struct broker *b);
void pulls_destroy(struct pulls *p); /* after the transport has released every answer */

void pull_on_message(void *broker, struct request *req); /* 11, 361 */
/* Runs a pull again that was held: it is answered now, whatever there is. */
void pull_run_again(struct broker *b, const struct request *req);

struct holds;

struct holds *holds_create(struct broker *b);
/* Answers every held pull (19) and holds nothing any more. */
void holds_stop(struct holds *h);
void holds_destroy(struct holds *h);
uint32_t holds_count(const struct holds *h);
/* Holds a pull until a message that matches `sub` arrives at or after `offset`, or timeout_ms are
 * over. False: the bound is reached or memory is out, the caller answers now. */
bool holds_add(struct holds *h, const struct request *req, struct queue *queue, int64_t offset,
	       const struct subscription *sub, int64_t timeout_ms);
/* A record became visible: remembers whom to wake; they run at the end of the burst. */
void holds_arrived(struct holds *h, struct queue *queue, int64_t next_offset, int64_t tags_code);
void holds_burst_end(struct holds *h);
/* The queue is going away (topic deleted): its pulls run now. */
void holds_queue_gone(struct holds *h, struct queue *queue);
void holds_peer_closed(struct holds *h, struct peer *peer);

#endif
