/*
 * mosaic admin: what its commands share. A client of libmosaic, requests one after the other,
 * answers as tables.
 */
#ifndef TOOLS_ADMIN_H
#define TOOLS_ADMIN_H

#include "base/err.h"
#include "connect.h"
#include "table.h"
#include "wire/codes.h"
#include "wire/json.h"

#define ADMIN_BROKERS_MAX 1024

struct admin_broker {
	char cluster[128], name[128], address[64];
	int64_t id; /* 0: master */
};

struct admin {
	struct mosaic_client *client;
	const char *namesrv;
	bool as_json, all;
	int64_t queues;             /* --queues, 0: not given */
	const char *perm, *to, *key; /* --perm, --to, --key */
	const char *broker;         /* --broker NAME or ADDRESS, NULL: all */
	struct admin_broker *brokers; /* of the NameServer, filled by admin_brokers() */
	uint32_t n_brokers;
	int code;                   /* of the last answer that was not success */
	struct mosaic_error err;    /* of the last function that failed */
};

/* An answer: its body, and a header field that the request asked for. */
struct admin_answer {
	struct buf body;
	const char *field; /* in: NULL, or the name of one */
	char value[256];   /* out */
};

/*
 * Sends a request and waits. fields: names and values in turn, NULL ends them. 0; else err says
 * why, with the address and the answer's remark, and code is the answer's (0: there was none).
 */
NODISCARD int admin_ask(struct admin *a, const char *address, int32_t code,
			const char *const *fields, struct mosaic_slice body,
			struct admin_answer *answer);
/* The same for an answer in JSON; NULL when it failed. The caller's. */
json_t *admin_ask_json(struct admin *a, const char *address, int32_t code,
		       const char *const *fields);

/* Brokers that the NameServer knows, those of --broker only where it was given. 0, or err says
 * that there are none. */
NODISCARD int admin_brokers(struct admin *a);
#define ADMIN_EACH_MASTER(a, b)                                                                   \
	for (struct admin_broker *b = (a)->brokers; b < (a)->brokers + (a)->n_brokers; b++)       \
		if (b->id == 0)

/* Prints and frees. */
void admin_show(struct admin *a, struct table *t);
/* One line for people; {"done": text} for programs. */
void admin_say(struct admin *a, const char *format, ...) PRINTF_LIKE(2, 3);

/* Commands. args: after the command's name, NULL ends them. 0 or a negative error with err set. */
int admin_cluster(struct admin *a, char **args);
int admin_broker(struct admin *a, char **args);
int admin_set(struct admin *a, char **args);
int admin_topics(struct admin *a, char **args);
int admin_topic(struct admin *a, char **args);
int admin_create_topic(struct admin *a, char **args);
int admin_delete_topic(struct admin *a, char **args);
int admin_groups(struct admin *a, char **args);
int admin_group(struct admin *a, char **args);
int admin_delete_group(struct admin *a, char **args);
int admin_reset_offsets(struct admin *a, char **args);
int admin_message(struct admin *a, char **args);
int admin_find(struct admin *a, char **args);

#endif
