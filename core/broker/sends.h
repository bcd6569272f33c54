/*
 * Sending: SEND_MESSAGE 10, SEND_MESSAGE_V2 310, SEND_BATCH_MESSAGE 320 (SendMessageProcessor of
 * 5.3.3), and what other files of the broker need to store a message of their own. All [core].
 */
#ifndef BROKER_SENDS_H
#define BROKER_SENDS_H

#include "broker/broker.h"

struct sends;
struct topic;

struct sends *sends_create(struct broker *b);
/* Answers everything that is parked with 14 SERVICE_NOT_AVAILABLE. */
void sends_stop(struct sends *s);
void sends_destroy(struct sends *s);
/* Requests that wait for room in the log, for the runtime info. */
uint32_t sends_parked(const struct sends *s);

void send_on_message(void *broker, struct request *req); /* 10, 310, 320 */

/*
 * Stores one message in topic and queue (the topic is not checked): delay level in `props` sends it
 * through SCHEDULE_TOPIC_XXXX. m: topic, queue_id, body, flags, born and hosts set; props is
 * written from the edit. 0 and *end, or the error of log_append; E_NOTFOUND when the topic is
 * unknown.
 */
NODISCARD int sends_store(struct broker *b, struct message *m, struct props_edit *props,
			  uint64_t *end);
/* Appends a message whose properties are final. Errors as above. */
NODISCARD int sends_append(struct broker *b, struct message *m, uint64_t *end);
/* RocketMQ's response code and remark for an error of log_append / sends_store. */
int32_t sends_refusal(const struct broker *b, int error, char *remark, size_t cap);
/*
 * What is stored in a topic waits until topics.json has it: else a crash leaves messages without a
 * topic. True: not yet; the request was kept for again(), or refused, and this is the end of it for
 * now.
 */
bool sends_await_topic(struct sends *s, struct topic *topic, const struct request *req,
		       void (*again)(void *broker, struct request *req));

#endif
