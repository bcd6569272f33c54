/*
 * mosaic/producer.h - libmosaic: sending. Read mosaic/client.h first.
 *
 * A producer belongs to a started client. Bounds: at most max_in_flight messages and
 * max_in_flight_bytes of bodies and properties are held at a time; what comes beyond is refused at
 * once with MOSAIC_E_AGAIN, never queued.
 */
#ifndef MOSAIC_PRODUCER_H
#define MOSAIC_PRODUCER_H

#include <mosaic/client.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mosaic_producer;
struct mosaic_future;

/* The state of a transaction, as the producer knows it. */
enum mosaic_transaction {
	MOSAIC_TRANSACTION_UNKNOWN = 0, /* the broker asks later */
	MOSAIC_TRANSACTION_COMMIT = 1,
	MOSAIC_TRANSACTION_ROLLBACK = 2
};

enum mosaic_stored {
	MOSAIC_STORED = 0,                /* as the broker is configured to promise */
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
	int64_t queue_offset; /* of the first message, for a batch */
	char broker[128];
	char message_id[40]; /* made by the client, property UNIQ_KEY; the first, for a batch */
	char offset_id[64];  /* made by the broker: where the message is stored */
	char transaction_id[40]; /* of a transaction, else empty */
	char recall_handle[256]; /* of a timer message, for mosaic_producer_recall; else empty */
	char text[256];          /* why it failed */
};

/* Runs once, on the client's thread; must not block. */
typedef void (*mosaic_send_fn)(void *data, const struct mosaic_send_result *result);

/* Runs before (result NULL) each attempt and after each send, on the client's thread. message: as
 * it is sent, with the library's properties among its own and its body compressed. */
typedef void (*mosaic_send_hook)(void *data, const struct mosaic_message *message,
				 const struct mosaic_send_result *result);

/* Commit, roll back or say UNKNOWN. Runs on the producer's own check thread; may block. */
typedef int32_t (*mosaic_transaction_check)(void *data, const struct mosaic_received *half);
/* The local transaction; runs on the thread that called mosaic_producer_send_transaction. */
typedef int32_t (*mosaic_transaction_run)(void *data, const struct mosaic_message *message,
					  const struct mosaic_send_result *half);

struct mosaic_producer_options {
	uint32_t struct_size;
	uint32_t timeout_ms; /* of all attempts together: 3000 */
	const char *group;   /* "DEFAULT_PRODUCER" */
	uint32_t attempts;   /* 3; each on another broker where there is one */
	uint32_t max_in_flight;       /* 1024 messages */
	uint64_t max_in_flight_bytes; /* 64 MiB */
	uint32_t compress_above; /* bytes of a body: 4096, if that helps; UINT32_MAX: never */
	uint32_t compression;    /* enum mosaic_compression: zlib */
	/* Automatic batching: messages of one topic wait for each other for batch_linger_us (timers
	 * tick in milliseconds) and are sent together, up to batch_bytes. 0: off. Those that are
	 * delayed, compressed, half, oneway, a request or a reply, or have a queue or sharding key
	 * of their own, go alone. */
	uint32_t batch_linger_us;
	uint32_t batch_bytes; /* 32 KiB */
	/* The plugin that picks queues: "lb-roundrobin". Brokers that failed or were slow are
	 * passed over for a while, where there are others. */
	const char *balance;
	uint32_t default_queues; /* of topics that brokers make on the first send: 4 */
	uint32_t trace;          /* 1: message trace to RMQ_SYS_TRACE_TOPIC */
	mosaic_transaction_check check; /* needed for transactions */
	void *check_data;
	mosaic_send_hook hook;
	void *hook_data;
};

enum mosaic_compression {
	MOSAIC_COMPRESSION_ZLIB = 0,
	MOSAIC_COMPRESSION_LZ4 = 1,
	MOSAIC_COMPRESSION_ZSTD = 2
};

/* [blocks] for a moment. options may be NULL; *out: to be destroyed, before the client or by its
 * destroy. MOSAIC_E_NOTFOUND: no such balance plugin. */
MOSAIC_EXPORT int32_t mosaic_producer_create(struct mosaic_client *client,
					     const struct mosaic_producer_options *options,
					     struct mosaic_producer **out,
					     struct mosaic_error *error);
/* [blocks] until what is in flight is answered or timeout_ms is over: the rest ends with
 * MOSAIC_E_CANCELED. Sends are refused with MOSAIC_E_CLOSED from the call on. Unregisters. */
MOSAIC_EXPORT void mosaic_producer_stop(struct mosaic_producer *producer, uint32_t timeout_ms);
/* [blocks] mosaic_producer_stop(0) where that was not done, then frees. NULL is fine. Futures are
 * freed by themselves, before or after. */
MOSAIC_EXPORT void mosaic_producer_destroy(struct mosaic_producer **producer);

/*
 * Send: blocking, with a callback, with a future, or without an answer. At once: MOSAIC_E_AGAIN
 * a bound on what is in flight is reached, try again after an answer; MOSAIC_E_INVAL,
 * MOSAIC_E_LIMIT the message; MOSAIC_E_CLOSED the producer is stopped; MOSAIC_E_NOMEM. Later, in
 * result->status: MOSAIC_E_TIMEOUT, MOSAIC_E_NOTFOUND (no route), MOSAIC_E_CLOSED (nobody could be
 * reached), MOSAIC_E_IO (refused, see broker_code), MOSAIC_E_CANCELED. After a timeout or a broken
 * connection the message may have been stored.
 */
/* [blocks] result may be NULL; the status is also what the function answers. */
MOSAIC_EXPORT int32_t mosaic_producer_send(struct mosaic_producer *producer,
					   const struct mosaic_message *message,
					   struct mosaic_send_result *result);
/* 0: accepted, done runs exactly once. Negative: done never runs. */
MOSAIC_EXPORT int32_t mosaic_producer_send_async(struct mosaic_producer *producer,
						 const struct mosaic_message *message,
						 mosaic_send_fn done, void *data);
/* 0: accepted; nobody tells whether it arrives. */
MOSAIC_EXPORT int32_t mosaic_producer_send_oneway(struct mosaic_producer *producer,
						  const struct mosaic_message *message);
/* Messages of one topic, without queue, sharding key, delay or time of their own, as one request,
 * split into parts where they are more than max_message; parts go one after the other and end with
 * the first that fails. result: of that part, else of the first. [blocks] */
MOSAIC_EXPORT int32_t mosaic_producer_send_batch(struct mosaic_producer *producer,
						 const struct mosaic_message *messages,
						 uint32_t count, struct mosaic_send_result *result);
/* 0: accepted, *out is to be freed. */
MOSAIC_EXPORT int32_t mosaic_producer_send_future(struct mosaic_producer *producer,
						  const struct mosaic_message *message,
						  struct mosaic_future **out);
/* [blocks] MOSAIC_E_TIMEOUT: not yet; else result is filled and its status answered. */
MOSAIC_EXPORT int32_t mosaic_future_wait(struct mosaic_future *future, uint32_t timeout_ms,
					 struct mosaic_send_result *result);
MOSAIC_EXPORT void mosaic_future_free(struct mosaic_future **future);

/* [blocks] Half message, run(), then commit or rollback is told to the broker; when that is lost,
 * or run() says UNKNOWN, the broker asks options.check later. result: of the half message. */
MOSAIC_EXPORT int32_t mosaic_producer_send_transaction(struct mosaic_producer *producer,
						       const struct mosaic_message *message,
						       mosaic_transaction_run run, void *data,
						       struct mosaic_send_result *result);
/* [blocks] Takes back a timer message that was not delivered yet. MOSAIC_E_INVAL: this is no
 * handle; MOSAIC_E_IO: it was delivered, or the broker says no. */
MOSAIC_EXPORT int32_t mosaic_producer_recall(struct mosaic_producer *producer, const char *topic,
					     const char *recall_handle, struct mosaic_error *error);

/* Runs once on the client's thread. reply: NULL when status is not 0; lives during the call. */
typedef void (*mosaic_reply_fn)(void *data, int32_t status, const struct mosaic_received *reply);
/* Sends; done runs with the answer that a consumer of the message gives by mosaic_producer_reply,
 * or without one after timeout_ms. 0: accepted, done runs exactly once; negative, as of a send:
 * never. */
MOSAIC_EXPORT int32_t mosaic_producer_request(struct mosaic_producer *producer,
					      const struct mosaic_message *message,
					      uint32_t timeout_ms, mosaic_reply_fn done,
					      void *data);
/* [blocks] Answers a message that was sent by a request. */
MOSAIC_EXPORT int32_t mosaic_producer_reply(struct mosaic_producer *producer,
					    const struct mosaic_received *request,
					    struct mosaic_slice body,
					    struct mosaic_send_result *result);

#ifdef __cplusplus
}
#endif
#endif
