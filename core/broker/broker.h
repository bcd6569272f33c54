/*
 * The broker: state and rules of one RocketMQ broker (tier A of the protocol and the delay levels
 * that consumer retry needs). No sockets, no files, no clock: peers come from core/rpc, bytes go to
 * core/log, time comes from the host. All [core].
 *
 * A request enters through broker_rows and control_rows: core/node looks the code up and calls the
 * handler. Files:
 *   send.c      10 310 320         one send as a line; its steps are send_check, send_props,
 *                                  send_wait, send_store, send_batch, send_answer
 *   pull.c      11 361             checks, gather.c: queue -> units -> lent bytes, answer
 *   hold.c                         long polls: hold, wake, time out
 *   send_back.c 36                 retry topic, dead-letter topic
 *   schedule.c                     delay levels: SCHEDULE_TOPIC_XXXX -> real topic
 *   topics.c topic_requests.c      topic table; 17 18 21 215 305 351
 *   groups.c group_requests.c      subscription groups; 200 201 207 225 352 353
 *   clients.c client_requests.c    producers and consumers; 34 35 38 46 203 204 328 345, 40 to
 *                                  clients
 *   subscription.c                 tag expressions
 *   offsets.c offset_requests.c    consumer offsets; 14 15 29 30 31 32 43
 *   locks.c                        41 42
 *   query_requests.c               12 33
 *   progress_requests.c            202 208 222
 *   config_requests.c              25 26
 *   relay_requests.c               307 309
 *   admin_requests.c               28 300 306 315 321 329 343
 *   registrar.c                    103, 104 to every NameServer, each 30 s and on every change
 *   docs.c                         the JSON files of config: load at open, save when dirty
 */
#ifndef BROKER_BROKER_H
#define BROKER_BROKER_H

#include "base/buf.h"
#include "base/host.h"
#include "log/log.h"
#include "rpc/call.h"
#include "rpc/request.h"
#include "wire/props.h"

#define BROKER_MASTER_ID 0

/* Strings are borrowed and must outlive the broker. */
struct broker_config {
	const struct mosaic_host *host;
	struct log *log; /* created, not open; the broker opens and closes it */
	const struct mosaic_transport_ops *transport_ops;
	struct mosaic_transport *transport; /* for connections to NameServers */
	const struct peer_handler *peer_handler; /* requests that come back on these connections */

	const char *cluster, *name;
	int64_t broker_id; /* 0: master */
	const char *address;            /* what clients dial: "127.0.0.1:10911" */
	struct host_address store_host; /* the same, as stored in records and message ids */
	const char *const *namesrv;     /* "host:port"; they need not be up */
	uint32_t n_namesrv;

	uint32_t max_message_bytes;  /* 4 MiB: body */
	bool auto_create_topic;      /* autoCreateTopicEnable, true */
	bool auto_create_group;      /* autoCreateSubscriptionGroup, true */
	int32_t default_queues;      /* defaultTopicQueueNums, 8 */
	int32_t permission;          /* brokerPermission, 6 */
	uint64_t memory_bytes;       /* RAM of the machine, for the 40 % rule */
	uint32_t max_held_pulls;     /* bound of all long polls together, 100000 */
	uint32_t max_parked_sends;   /* requests that wait for room in the log, 10000 */
	uint64_t max_parked_bytes;   /* 64 MiB; the same again for answers that wait at the gate */
	uint32_t max_waiting_acks;   /* of these answers, 100000 */
	uint32_t max_topics, max_groups; /* 200000 each */
	/* Change of the log level by UPDATE_BROKER_CONFIG ("mosaicLogLevel"); may be NULL. */
	void (*set_log_level)(void *ctx, uint32_t level);
	void *set_log_level_ctx;
	/* Rows of "name" and value for GET_BROKER_RUNTIME_INFO that only the node knows (loop
	 * latency, memory). May be NULL. */
	void (*runtime_info)(void *ctx, void (*put)(void *to, const char *name, int64_t value),
			     void *to);
	void *runtime_info_ctx;
};

struct broker {
	struct broker_config config;
	const struct mosaic_host *host;
	struct log *log;
	struct topics *topics;
	struct groups *groups;
	struct clients *clients;
	struct offsets *offsets;
	struct locks *locks;
	struct registrar *registrar;
	struct docs *docs;
	struct sends *sends;       /* send.c: parked requests, pool of waiting answers */
	struct pulls *pulls;       /* pull.c: pool of answers that are being written */
	struct holds *holds;       /* hold.c */
	struct schedule *schedule; /* schedule.c */
	struct broker_stats *stats;
	struct config_notes *notes; /* config_requests.c: properties set at run time; may be NULL */
	bool is_open, is_closing;
	int64_t boot_ms;
};

/* Rows for core/node's table: sending and pulling; everything else is in control_rows.h. service is
 * the struct broker. */
extern const struct request_row broker_rows[];
extern const uint32_t broker_n_rows;

struct broker *broker_create(const struct broker_config *config);
/* Opens the log, loads the documents, creates the system topics, starts timers and registration. */
struct broker_open_req {
	struct mosaic_req req;
	struct mosaic_error err;
};
NODISCARD int broker_open(struct broker *b, struct broker_open_req *req);
/*
 * Stops taking requests (14 SERVICE_NOT_AVAILABLE), answers held pulls, unregisters at every
 * NameServer (at most 300 ms), saves offsets, closes the log. req->done when all of it is over.
 */
NODISCARD int broker_close(struct broker *b, struct mosaic_req *req);
void broker_destroy(struct broker *b); /* after close or a failed open */

/* From the node's peer handler. */
void broker_peer_closed(struct broker *b, struct peer *peer);
void broker_burst_end(struct broker *b);

/* Common checks and answers of handlers. */
#define FAQ_SUFFIX                                                                                \
	"\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."
#define PERM_PRIORITY 8
#define PERM_READ 4
#define PERM_WRITE 2
#define PERM_INHERIT 1
#define RETRY_PREFIX "%RETRY%"
#define DLQ_PREFIX "%DLQ%"
#define TOPIC_SCHEDULE "SCHEDULE_TOPIC_XXXX"
#define TOPIC_DEFAULT "TBW102"

/* DataVersion of RocketMQ: bumped at each change of a table. */
struct data_version {
	int64_t state_version, timestamp, counter;
};
void data_version_bump(struct data_version *v, const struct mosaic_host *host);

#endif
