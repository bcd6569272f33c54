/*
 * libmosaic for a long time: every kind of producer and consumer in one process, while real brokers
 * and NameServers are stopped, killed and paused under them. What each file does, and what must
 * hold: README.md.
 */
#ifndef SOAK_H
#define SOAK_H

#include <mosaic/consumer.h>
#include <mosaic/producer.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define NAMESRVS 2
#define BROKERS 3
#define QUEUES 4 /* of a topic, per broker */
#define BODY_MAX 16384
#define PATIENCE_MS 180000 /* for what must come: the machine may be slow */

/* libuv closes files by the system call itself: of the next file with the number the sanitizer of
 * threads thinks that two threads opened it. */
#define NOT_RACES                                                                                 \
	"race_top:socket\nrace_top:pipe2\nrace_top:epoll_create1\nrace_top:eventfd\n"             \
	"race_top:open\nrace_top:open64\nrace_top:openat\nrace_top:openat64\nrace_top:fopen\n"   \
	"race_top:accept4\nrace_top:close\n"

enum stream { /* of messages; each is numbered */
	STREAM_SYNC,
	STREAM_ASYNC,
	STREAM_BATCH,
	STREAM_LINGER,
	STREAM_SHORT, /* by clients that live for a moment */
	STREAM_ORDERED,
	STREAMS
};

enum group {
	GROUP_PUSH,
	GROUP_PULL,
	GROUP_CAST,
	GROUP_ORDERED,
	GROUPS
};

struct soak {
	uint64_t seed, began_ns;
	uint32_t seconds, rate; /* rate: of messages per second, all streams together */
	char dir[64];           /* a fresh folder */
	char namesrv[128];      /* as clients want it */
	int32_t log_level;      /* of the clients */
	_Atomic uint32_t n_failures;
};

/* ---- soak.c ---- */

uint64_t now_ns(void);
void pause_ms(uint32_t ms);
/* Pseudo-random, [0, below). */
uint32_t draw(uint64_t *state, uint32_t below);
/* A line with the time. */
void say(const struct soak *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same, and the program will say that it failed. */
void failure(struct soak *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct mosaic_client *client_make(struct soak *s);

/* ---- ledger.c: what was sent, promised and seen. Any thread. ---- */

struct ledger;

struct ledger *ledger_create(struct soak *s, uint32_t messages); /* at most so many per stream */
void ledger_destroy(struct ledger **l);
/* The number of the next message of a stream and its body; false: there are enough. */
bool ledger_begin(struct ledger *l, enum stream stream, uint32_t *number, uint8_t *body,
		  uint32_t *len);
/* It was not accepted: it has no end and will be asked for again. One thread per stream. */
void ledger_refused(struct ledger *l, enum stream stream);
/* It was accepted; each has one end. */
void ledger_accepted(struct ledger *l, enum stream stream, uint32_t number);
void ledger_ended(struct ledger *l, enum stream stream, uint32_t number, int32_t status);
/* A group has got it. Checks that it is what was sent, and what is at its place already. */
void ledger_seen(struct ledger *l, enum group group, const struct mosaic_received *m);
/* Orderly: nothing of the queue was left out before it. Behind the call: _passed. */
void ledger_in_order(struct ledger *l, const struct mosaic_received *m);
void ledger_passed(struct ledger *l, const struct mosaic_received *m);

struct totals {
	uint64_t accepted, acked, failed;
	uint64_t missing[GROUPS];               /* acknowledged, and not seen */
	uint64_t seen[GROUPS];                  /* deliveries, repeated ones too */
};
uint64_t ledger_open(struct ledger *l); /* accepted, and without an end */
void ledger_totals(struct ledger *l, struct totals *t);
/* One of those that a group misses, for a message. */
void ledger_tell_missing(struct ledger *l, enum group group);

/* ---- servers.c: the servers. One thread. ---- */

struct server {
	struct soak *soak;
	char name[16];
	uint16_t port;
	pid_t pid; /* 0: down */
	bool is_paused;
	uint64_t back_ns; /* when it is started or continued; 0: it is up */
	uint32_t n_starts;
};

void servers_init(struct server *servers, struct soak *s); /* NAMESRVS + BROKERS; starts them */
void server_start(struct server *s);
void server_stop(struct server *s); /* SIGTERM: ends with 0 */
void server_kill(struct server *s);
void server_pause(struct server *s);
void server_continue(struct server *s);
/* Notes a failure when it has ended by itself. */
void server_look(struct server *s);
/* Runs `mosaic ARGS`; true: it ended with 0. */
bool command_run(struct soak *s, const char *const *args);

/* ---- producers.c ---- */

struct producers;

struct producers *producers_create(struct soak *s, struct ledger *l);
/* Until nothing is in flight; all threads wait for producers_resume. */
void producers_pause(struct producers *p);
void producers_resume(struct producers *p);
void producers_destroy(struct producers **p);

/* ---- consumers.c ---- */

#define MEMBERS 6

struct consumers;

struct consumers *consumers_create(struct soak *s, struct ledger *l);
/* Member i goes, with its client, and comes again. */
void consumers_renew(struct consumers *c, uint32_t i);
/* Bytes of messages that are held. */
uint64_t consumers_bytes(struct consumers *c);
void consumers_destroy(struct consumers **c);

#endif
