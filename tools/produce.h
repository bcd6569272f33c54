/*
 * mosaic produce: its options, and what sends and shows (produce_send.c, produce_show.c). One
 * thread asks for messages and sends them; answers come on the client's thread into a ring, and are
 * shown by the first in the order of sending.
 */
#ifndef TOOLS_PRODUCE_H
#define TOOLS_PRODUCE_H

#include "base/err.h"
#include "interrupt.h"
#include "progress.h"
#include <mosaic/producer.h>
#include <pthread.h>
#include <stdbool.h>

#define PRODUCE_PROPERTIES_MAX 64
#define PRODUCE_IN_FLIGHT_MAX 4096

enum produce_format { PRODUCE_AUTO, PRODUCE_TEXT, PRODUCE_JSON };

/* A place in the ring. */
struct sending {
	struct produce *produce;
	bool is_done;
	char *body; /* to be shown, or NULL */
	size_t body_len;
	struct mosaic_send_result result;
};

struct produce {
	/* the command line */
	const char *namesrv, *topic, *group, *tag, *keys, *sharding_key, *file;
	struct mosaic_property properties[PRODUCE_PROPERTIES_MAX];
	uint32_t n_properties;
	int64_t count, size;  /* size 0: no messages are made */
	int64_t rate;         /* 0: as fast as answers come */
	int64_t in_flight, timeout_s, delay_level, delay_s, compress_above;
	uint32_t compression;
	enum produce_format format;
	bool is_quiet, is_oneway, goes_on;

	struct mosaic_client *client;
	struct mosaic_producer *producer;
	struct interrupt interrupt;
	struct progress progress;
	uint64_t begun; /* messages that were given to the client */
	uint64_t sent, failed;
	struct mosaic_error err; /* of the first that failed */

	pthread_mutex_t lock; /* guards is_done and result of the ring */
	pthread_cond_t answered;
	struct sending *ring;
	uint32_t first, n_waiting;
};

/* ---- produce_send.c ---- */

NODISCARD int produce_open(struct produce *p);
void produce_close(struct produce *p);
/* Sends when it is time for it. False: nothing more is to be sent, for a signal has come, or one
 * has failed and err says how. */
bool produce_one(struct produce *p, struct mosaic_slice body);
/* Shows what has been answered; also what is still to be answered when until_all. */
void produce_settle(struct produce *p, bool until_all);
/* What is told of an error that ends all. */
bool produce_ends(const struct produce *p);

/* ---- produce_show.c ---- */

void show_sent(struct produce *p, const struct sending *s);
void show_failed(struct produce *p, const struct sending *s);
void show_summary(struct produce *p, uint64_t took_ns);

#endif
