/*
 * What the programs of this folder share: the real program as a child in a fresh folder, and a
 * client that has nothing in common with it but the protocol: sockets, JSON frames, jansson.
 *
 * Every wait has a deadline of WAIT_MS and fails the test when it passes: a stall is a failure.
 */
#ifndef ROBUST_H
#define ROBUST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <cmocka.h>
#include <jansson.h>

#define WAIT_MS 10000 /* others use this machine too */
#define CHILD_BROKERS 4

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1 /* memory and time of such a build say nothing about the program's own */
#else
#define IS_SANITIZED 0
#endif

/* ---- child.c: the program ---- */

struct child {
	char dir[64];     /* its working folder, with conf.json, err.log, store */
	pid_t pid;        /* 0: none */
	int out;          /* its standard output */
	int notify;       /* its NOTIFY_SOCKET */
	char lines[2048]; /* what it printed when it was ready */
	char note[256];   /* the datagram that said so */
	uint16_t namesrv, broker[CHILD_BROKERS];
	uint32_t n_brokers;
	uint64_t started_ns, ready_ns;
	uid_t uid;         /* not 0: the child gives up its rights */
	uint64_t nofile;   /* not 0: its RLIMIT_NOFILE */
	uint64_t fsize;    /* not 0: its RLIMIT_FSIZE */
	const char *level; /* --log-level, or NULL */
};

/* A fresh folder and nothing in it. */
void child_init(struct child *c);
/* Writes conf.json: NameServer and broker on free ports. Each part is JSON members that begin with
 * a comma, or "": of the store, the flush plugin's name, of the transport, of the broker. */
/* The store under test: ROBUST_STORE of the environment, else store-mmap. */
const char *child_store(void);
/* With this flush plugin it keeps through kill -9 whatever it acknowledged. */
const char *child_keeping_flush(void);
/* Whether this machine can run it; prints why not. */
bool child_store_is_usable(void);
void child_config(struct child *c, const char *store, const char *flush, const char *transport,
		  const char *broker);
void child_config_text(struct child *c, const char *text);
/* Runs and waits until it is ready: the datagram, then its three lines. */
void child_start(struct child *c);
/* Runs what must not start: its exit status. */
int child_refused(struct child *c);
/* Runs `mosaic ARGS...` in the folder to its end; output of both kinds in text. */
int child_command(struct child *c, char *text, size_t size, const char *const *args);
/* SIGTERM; gone with status 0 and without waiting for a time-out, else the test fails. */
void child_stop(struct child *c);
/* The same, however long the disk takes for it; how many milliseconds it took. */
uint64_t child_stop_slowly(struct child *c);
/* SIGKILL to what may have ended already: without its disk a mapping is a signal. */
void child_kill_if_alive(struct child *c);
void child_kill(struct child *c); /* SIGKILL, and waits */
bool child_is_alive(const struct child *c);
/* Kills what still runs and removes the folder. */
void child_fini(struct child *c);
uint64_t child_rss(const struct child *c); /* VmRSS in bytes */

/* The log: its text (the caller frees); how many lines hold both texts; waits for such a line. */
char *child_log(const struct child *c);
uint32_t child_log_count(const struct child *c, const char *a, const char *b);
void child_log_wait(const struct child *c, const char *a, const char *b);
/* A path in the folder. */
const char *child_path(const struct child *c, const char *name, char *buf, size_t size);

/* ---- client.c ---- */

struct client {
	int fd;
	int32_t opaque;
	uint8_t *in; /* [at, len) is not used yet */
	size_t at, len, size;
};

struct answer {
	int32_t code, opaque;
	const char *remark; /* never NULL */
	json_t *header;
	const uint8_t *body; /* in the client's buffer: until the next answer */
	size_t body_len;
};

int dial(uint16_t port); /* a connected socket */
void client_open(struct client *c, uint16_t port);
void client_close(struct client *c);
void client_bytes(struct client *c, const void *bytes, size_t len);
/* A frame with this header text. */
void client_frame(struct client *c, const char *header, size_t header_len, const void *body,
		  size_t body_len);
/* Fields "key", "value", ..., NULL. Returns the opaque. */
int32_t client_request(struct client *c, int32_t code, const void *body, size_t body_len, ...)
	__attribute__((sentinel));
/* 1: the next frame; 0: the other side has closed; -1: nothing came in time. */
int client_next(struct client *c, struct answer *a, int timeout_ms);
void answer_free(struct answer *a);
const char *answer_field(const struct answer *a, const char *key); /* or NULL */

/* client_request and its answer, which must come. */
int32_t client_call(struct client *c, struct answer *a, int32_t code, const void *body,
		    size_t body_len, ...) __attribute__((sentinel));

/* SEND_MESSAGE_V2 to a topic that is made when it is not there (4 queues). */
int32_t client_send(struct client *c, const char *topic, int queue, const void *body, size_t len);
/* The same and its answer's code; *offset may be NULL. */
int32_t client_send_wait(struct client *c, const char *topic, int queue, const void *body,
			 size_t len, int64_t *offset);
/* Everything of a queue that is there: body of each, dense offsets checked. Returns its end.
 * The callback may be NULL. */
int64_t client_pull_all(struct client *c, const char *topic, int queue,
			void (*each)(void *ctx, int64_t offset, const uint8_t *body, uint32_t len),
			void *ctx);
/* A new client sends and pulls one message: the broker serves. */
void check_serves(uint16_t port);

uint64_t now_ns(void);
uint64_t get64(const uint8_t *p);
uint32_t get32(const uint8_t *p);
void put32(uint8_t *p, uint32_t v);
void put64(uint8_t *p, uint64_t v);
/* Raises RLIMIT_NOFILE of this program to n; false with a printed reason. */
bool raise_nofile(uint64_t n);

#endif
