/*
 * What a popped message is acknowledged by (ExtraInfoUtil of 5.3.3), fields parted by one blank:
 *
 *   start offset | pop time | invisible ms | revive queue | 0: topic, 1, 2: retry topic V1, V2 |
 *   broker | queue | offset
 */
#ifndef CONSUMER_RECEIPT_H
#define CONSUMER_RECEIPT_H

#include "base/compiler.h"
#include "base/slice.h"
#include "wire/header.h"
#include "wire/message.h"

#define RECEIPT_MAX 512 /* with its 0 */

struct receipt {
	int64_t start_offset, pop_ms, invisible_ms, offset;
	int32_t revive_queue, retry, queue_id;
	char broker[128];
};

NODISCARD int receipt_read(const char *text, struct receipt *out); /* 0 or E_INVAL */
void receipt_write(const struct receipt *r, char out[RECEIPT_MAX]);
/* "flag queue start;flag queue start": the start of a queue of the topic itself. */
int64_t receipt_start(struct mosaic_slice starts, int32_t queue_id, int64_t fallback);
/* What an answer to POP_MESSAGE says of all its messages. */
struct pop_answer {
	const char *broker;
	int64_t pop_ms, invisible_ms;
	int32_t revive_queue;
	struct mosaic_slice starts; /* for receipt_start; borrowed from the header */
};
void pop_answer_read(const struct header *h, const char *broker, struct pop_answer *out);
/* The receipt of one of them. */
void receipt_make(const struct pop_answer *a, const struct message *m, char out[RECEIPT_MAX]);
/* The topic whose queue holds the message: out has room for the names and 16 bytes. */
void receipt_topic(const struct receipt *r, const char *group, const char *topic, char *out,
		   size_t room);

#endif
