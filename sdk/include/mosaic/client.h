/*
 * mosaic/client.h - libmosaic: a client of Mosaic and Apache RocketMQ.
 *
 * A client owns one thread, on which all its callbacks run. Every function is thread-safe but
 * create, start, stop and destroy, which belong to one thread; nothing is shared between clients.
 * Signals are blocked on the client's thread. Results: 0 or a negative MOSAIC_E_...
 * (mosaic/base.h). Structs begin with their size: set struct_size, zero the rest, 0 and NULL mean
 * the default.
 */
#ifndef MOSAIC_CLIENT_H
#define MOSAIC_CLIENT_H

#include <mosaic/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mosaic_client;

struct mosaic_client_options {
	uint32_t struct_size;
	uint32_t route_refresh_ms; /* 30000 */
	const char *namesrv;       /* "host:port;host:port", required; copied */
	uint32_t max_in_flight;    /* sends that are not answered yet: 1024 */
	uint32_t max_message;      /* bytes of a body: 4 MiB */
	uint64_t max_in_flight_bytes; /* bodies and properties of those: 64 MiB */
};

struct mosaic_property {
	const char *name, *value; /* neither empty nor with bytes 1 and 2 */
};

/* A message to send. Everything is copied inside the call. */
struct mosaic_message {
	uint32_t struct_size;
	uint32_t n_properties;
	const char *topic;
	const char *tag;  /* may be NULL */
	const char *keys; /* separated by blanks; may be NULL */
	/* Messages of one key go to one queue of the topic, and are sent once: a retry elsewhere
	 * would break their order. NULL: any queue. */
	const char *sharding_key;
	const struct mosaic_property *properties;
	struct mosaic_slice body; /* not empty */
};

enum mosaic_stored {
	MOSAIC_STORED = 0,              /* as the broker is configured to promise */
	MOSAIC_STORED_FLUSH_TIMEOUT = 10, /* stored, but not yet known to be on disk */
	MOSAIC_STORED_NO_SLAVE = 11,      /* stored, but there is no slave */
	MOSAIC_STORED_SLAVE_TIMEOUT = 12  /* stored, but no slave has confirmed it */
};

struct mosaic_send_result {
	uint32_t struct_size;
	int32_t status;      /* 0 or MOSAIC_E_... */
	int32_t stored;      /* enum mosaic_stored, when status is 0 */
	int32_t broker_code; /* the broker's last answer, -1: none */
	int32_t queue_id;
	uint32_t attempts;
	int64_t queue_offset;
	char broker[128];
	char message_id[40]; /* made by the client, property UNIQ_KEY */
	char offset_id[64];  /* made by the broker: where the message is stored */
	char text[256];      /* why it failed */
};

struct mosaic_send_options {
	uint32_t struct_size;
	uint32_t timeout_ms; /* of all attempts together: 3000 */
	uint32_t attempts;   /* 3; each on another broker where there is one */
	uint32_t reserved0;
	const char *group;   /* producer group, "DEFAULT_PRODUCER" */
};

/* Runs once, on the client's thread; must not block or call a blocking function of this library. */
typedef void (*mosaic_send_fn)(void *data, const struct mosaic_send_result *result);

MOSAIC_EXPORT int32_t mosaic_client_create(const struct mosaic_client_options *options,
					   struct mosaic_client **out, struct mosaic_error *error);
/* Starts the thread. Needs no server: routes are asked for when they are needed. */
MOSAIC_EXPORT int32_t mosaic_client_start(struct mosaic_client *client, struct mosaic_error *error);
/* Ends what is under way with MOSAIC_E_CANCELED, closes connections, joins the thread. */
MOSAIC_EXPORT void mosaic_client_stop(struct mosaic_client *client);
/* Stops when that is still to do. No other thread may be in a call. */
MOSAIC_EXPORT void mosaic_client_destroy(struct mosaic_client **client);

/*
 * Send: blocking, with a callback, or without an answer. options may be NULL. At once:
 * MOSAIC_E_AGAIN a bound on what is in flight is reached, try again after an answer;
 * MOSAIC_E_INVAL, MOSAIC_E_LIMIT the message; MOSAIC_E_CLOSED the client does not run. Later, in
 * result->status: MOSAIC_E_TIMEOUT, MOSAIC_E_NOTFOUND (no route), MOSAIC_E_CLOSED (nobody could be
 * reached), MOSAIC_E_IO (refused, see broker_code), MOSAIC_E_CANCELED. After a timeout or a broken
 * connection the message may have been stored.
 */
MOSAIC_EXPORT int32_t mosaic_producer_send(struct mosaic_client *client,
					   const struct mosaic_message *message,
					   const struct mosaic_send_options *options,
					   struct mosaic_send_result *result);
/* 0: accepted, done runs exactly once. Negative: done never runs. */
MOSAIC_EXPORT int32_t mosaic_producer_send_async(struct mosaic_client *client,
						 const struct mosaic_message *message,
						 const struct mosaic_send_options *options,
						 mosaic_send_fn done, void *data);
/* 0: accepted; nobody tells whether it arrives. */
MOSAIC_EXPORT int32_t mosaic_producer_send_oneway(struct mosaic_client *client,
						  const struct mosaic_message *message,
						  const struct mosaic_send_options *options);
/* A sentence for a status. */
MOSAIC_EXPORT const char *mosaic_status_text(int32_t status);

#ifdef __cplusplus
}
#endif
#endif
