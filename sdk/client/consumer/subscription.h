/* What a member of a group wants of one topic (SubscriptionData and FilterAPI of 5.3.3). */
#ifndef CONSUMER_SUBSCRIPTION_H
#define CONSUMER_SUBSCRIPTION_H

#include "base/compiler.h"
#include "base/slice.h"

struct json_writer;
struct mosaic_client;

struct subscription {
	char *topic;
	char *expression; /* "*": all */
	uint32_t kind;    /* enum mosaic_expression */
	uint32_t n_tags;  /* 0: all */
	struct mosaic_slice *tags; /* in expression */
	int64_t version;           /* of two the broker keeps the greater one */
};

/* expression may be NULL: all. 0, or E_INVAL with the reason. [any] */
NODISCARD int subscription_make(const char *topic, uint32_t kind, const char *expression,
				struct subscription **out, struct mosaic_error *error);
/* Asks a broker of the topic whether it takes an SQL92 condition (CHECK_CLIENT_CONFIG). 0: yes, or
 * nobody could be asked; E_INVAL with the broker's reason, E_UNSUPPORTED. [blocks] */
NODISCARD int subscription_check(struct mosaic_client *client, const char *group,
				 const struct subscription *s, struct mosaic_error *error);
void subscription_free(struct subscription *s); /* NULL is fine */
/* Brokers compare hash codes only, which may be equal by chance. tag: ptr NULL without one. */
bool subscription_takes(const struct subscription *s, struct mosaic_slice tag);
const char *subscription_type(const struct subscription *s); /* "TAG", "SQL92" */
/* The object of a heartbeat. */
void subscription_write(const struct subscription *s, struct json_writer *w);

#endif
