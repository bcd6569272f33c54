/*
 * mosaic/client.h - libmosaic: a client of Mosaic and Apache RocketMQ. This header: the client, its
 * connections and its messages. mosaic/producer.h sends, mosaic/consumer.h receives.
 *
 * A client owns connections, routes, heartbeats and one thread, the client's thread. Producers and
 * consumers are made on a client and share these. Nothing is shared between clients and nothing is
 * global: as many clients as wanted live in one process. Signals are blocked on every thread of the
 * library. After fork() only the parent may use a client; the child may only exec or _exit.
 *
 * Threads: every function may be called from any thread, except that the create, start, stop and
 * destroy of one object must not overlap, and that nothing may be called on an object while or
 * after it is destroyed. A function marked [blocks] must not be called on the client's thread (in a
 * callback that is documented to run there): it then answers MOSAIC_E_INVAL at once.
 *
 * Results: 0 or a negative MOSAIC_E_... (mosaic/base.h), in words by mosaic_status_text(); error,
 * where it is a parameter, may be NULL and says what failed. Of every function that makes or asks
 * something: MOSAIC_E_INVAL for what was given, or the client's thread; MOSAIC_E_CLOSED when the
 * client or the object does not run; MOSAIC_E_NOMEM. Of those that ask servers too:
 * MOSAIC_E_NOTFOUND (no such topic or queue in a route), MOSAIC_E_TIMEOUT, MOSAIC_E_IO (the server
 * says no), MOSAIC_E_CANCELED (the client was stopped meanwhile). Others are named where they are.
 * Structs begin with their size: set struct_size, zero the rest; 0 and NULL mean the default.
 * What is given is copied inside the call, what is got is the caller's, unless said otherwise.
 * Names end in their unit: _ms, _us, _bytes; times of the wall are ms since 1970.
 *
 * Memory: the library never ends the process for want of it. What depends on the size of messages
 * is bounded and may be refused with MOSAIC_E_NOMEM; so is whatever a function of this API makes. A
 * message that could not be shown for want of memory is shown again later. When the client's thread
 * finds no memory for the small things in between (a route, a connection), it waits for some, and
 * with it those who wait for the thread. Times for messages and locks run on meanwhile.
 */
#ifndef MOSAIC_CLIENT_H
#define MOSAIC_CLIENT_H

#include <mosaic/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mosaic_client;

enum mosaic_client_log {
	MOSAIC_CLIENT_LOG_DEBUG = 0,
	MOSAIC_CLIENT_LOG_INFO = 1,
	MOSAIC_CLIENT_LOG_WARN = 2,
	MOSAIC_CLIENT_LOG_ERROR = 3
};

struct mosaic_client_options {
	uint32_t struct_size;
	uint32_t route_refresh_ms; /* 30000 */
	const char *namesrv;       /* "host:port;host:port", required; asked in random order */
	uint32_t heartbeat_ms;     /* to every broker in use: 30000 */
	uint32_t max_message;      /* bytes of a body, before compression: 4 MiB */
	const char *instance;      /* part of the client id "IP@INSTANCE"; made unique by default */
	/* Lines of the library, logfmt. Runs on any thread of the library; must not call it.
	 * NULL: silence. Never stdout, never stderr. */
	void (*log)(void *data, int32_t level, const char *line);
	void *log_data;
	int32_t log_level; /* least that is told: enum mosaic_client_log */
	uint32_t reserved0;
	/* Where balance plugins named by producers and consumers are looked for, separated by ':'.
	 * lb-roundrobin and lb-hash are built in. With it, two clients must not make their
	 * producers and consumers at the same moment: the loader belongs to the process. */
	const char *plugin_path;
};

/* *out: to be destroyed. MOSAIC_E_INVAL: options. */
MOSAIC_EXPORT int32_t mosaic_client_create(const struct mosaic_client_options *options,
					   struct mosaic_client **out, struct mosaic_error *error);
/* Starts the thread, once. Needs no server: routes are asked for when they are needed. After an
 * error only destroy is left. */
MOSAIC_EXPORT int32_t mosaic_client_start(struct mosaic_client *client, struct mosaic_error *error);
/* [blocks] Stops its producers and consumers (see there), closes connections, joins the thread.
 * They remain to be destroyed; what is called on them says MOSAIC_E_CLOSED. */
MOSAIC_EXPORT void mosaic_client_stop(struct mosaic_client *client);
/* [blocks] Stops and destroys what is left of its producers and consumers, then itself; *client is
 * NULL then. NULL is fine. On the client's thread it does nothing. */
MOSAIC_EXPORT void mosaic_client_destroy(struct mosaic_client **client);
/* "192.0.2.7@4711#1": as brokers know it. Lives as long as the client. */
MOSAIC_EXPORT const char *mosaic_client_id(const struct mosaic_client *client);

/* Counted since start, but for connections and bytes_held, which are what there is now; all
 * producers and consumers of the client together. */
struct mosaic_client_metrics {
	uint32_t struct_size;
	uint32_t connections;    /* open, to NameServers and brokers */
	uint64_t bytes_held;     /* memory for messages in flight and in consumers' caches */
	uint64_t sent;           /* sends that were stored; of automatic batches each message */
	uint64_t send_errors;    /* that ended otherwise */
	uint64_t send_retries;   /* attempts beyond the first of a send */
	uint64_t pulled;         /* messages that came, pulled or popped, and are wanted */
	uint64_t consumed;       /* of these; popped by a popper: that were acknowledged */
	uint64_t consume_errors; /* messages that a listener did not consume, each time */
	uint64_t sent_back;      /* to the retry topic or the DLQ */
	uint64_t route_asks;     /* questions for routes */
	uint64_t heartbeats;     /* one for each broker each time */
	uint64_t requests;       /* to NameServers and brokers that are answered, sends too */
	uint64_t request_errors; /* of these: not sent, or not answered in time */
	uint64_t acknowledged;   /* popped messages */
	uint64_t traces_lost;    /* messages of trace records that could not be sent */
};
/* out->struct_size is set: so much is filled. Any thread, the listener's and the client's too. */
MOSAIC_EXPORT void mosaic_client_metrics(struct mosaic_client *client,
					 struct mosaic_client_metrics *out);

/* A sentence for a status; never NULL, lives for ever. */
MOSAIC_EXPORT const char *mosaic_status_text(int32_t status);

/* ---- messages ---- */

struct mosaic_property {
	const char *name, *value; /* neither empty nor with bytes 1 and 2 */
};

/* One queue of a topic. */
struct mosaic_queue {
	char topic[256];
	char broker[128];
	int32_t id;
	uint32_t reserved0;
};

/* A message to send. Everything is copied inside the call. */
struct mosaic_message {
	uint32_t struct_size;
	uint32_t n_properties;
	const char *topic;
	const char *tag;  /* may be NULL */
	const char *keys; /* separated by blanks; may be NULL */
	/* Messages of one key go to one queue of the topic (the rule of lb-hash, which is Java's
	 * SelectMessageQueueByHash), and are sent once: a retry elsewhere would break their order.
	 * NULL: any queue. */
	const char *sharding_key;
	/* None of those that the members above and below stand for, such as TAGS and DELAY. */
	const struct mosaic_property *properties;
	struct mosaic_slice body;     /* not empty */
	const struct mosaic_queue *queue; /* exactly this one; NULL: the producer chooses */
	uint32_t delay_level; /* 1..18 of the broker's table (1s 5s 10s 30s 1m ...), 0: none */
	uint32_t reserved0;
	int64_t deliver_ms;   /* timer message: wall time in ms since 1970, 0: none */
};

/* A message that was received. Lives as the function that lends it says; ends: 0-terminated. */
struct mosaic_received {
	uint32_t struct_size;
	uint32_t n_properties; /* all of them, system properties included */
	const char *topic;     /* the subscribed one, also for a retry */
	const char *broker;
	const char *tag;  /* NULL: none */
	const char *keys; /* NULL: none */
	const char *message_id; /* made by the producer; the offset id when it made none */
	const char *offset_id;  /* made by the broker */
	const struct mosaic_property *properties;
	struct mosaic_slice body; /* decompressed */
	int32_t queue_id;
	int32_t reconsume_times;
	int64_t queue_offset;
	int64_t born_ms, store_ms; /* wall time */
	const char *receipt; /* pop: for ack and change; else NULL */
};

/* The value of a property of a received message, or NULL. */
MOSAIC_EXPORT const char *mosaic_received_property(const struct mosaic_received *message,
						   const char *name);

/* The queues of a topic as routes show them now. [blocks] *count in: room, out: how many there are
 * (may be more than the room). for_write: those that may be written, else those that can be
 * read. */
MOSAIC_EXPORT int32_t mosaic_client_queues(struct mosaic_client *client, const char *topic,
					   int32_t for_write, struct mosaic_queue *queues,
					   uint32_t *count, struct mosaic_error *error);

#ifdef __cplusplus
}
#endif
#endif
