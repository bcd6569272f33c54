/*
 * What runs on a client's thread: routes, brokers, heartbeats, requests to brokers and those of
 * brokers to us, over one dialer. Knows no thread and no clock but its host's, so that it runs
 * under a test's. All [core], which is the client's thread.
 *
 * For other threads: client.h (client_post, client_task).
 */
#ifndef CLIENT_ENGINE_H
#define CLIENT_ENGINE_H

#include "base/buf.h"
#include "base/err.h"
#include "rpc/call.h"
#include "rpc/request.h"
#include <mosaic/client.h>
#include <stdatomic.h>

#define ENGINE_NAMESRV_MAX 16
#define ENGINE_TOPICS_MAX 4096
#define ENGINE_QUEUES_MAX 4096 /* of a topic, and of one kind */
#define ENGINE_BROKERS_MAX 1024
#define BROKER_ADDRESSES_MAX 16

struct json_writer;

/* Cuts what does not fit. For every message: a formatted print costs ten times as much. */
static inline void text_copy(char *out, size_t room, struct mosaic_slice text)
{
	size_t len = text.len < room ? text.len : room - 1;

	if (len > 0)
		memcpy(out, text.ptr, len);
	out[len] = '\0';
}

/* For mosaic_client_metrics. Relaxed counters: nothing is published through them. */
struct numbers {
	_Atomic uint64_t bytes_held, sent, send_errors, send_retries, pulled, consumed;
	_Atomic uint64_t consume_errors, sent_back, route_asks, heartbeats, requests;
	_Atomic uint64_t request_errors, acknowledged, traces_lost;
	_Atomic uint32_t connections;
};

static inline void number_add(_Atomic uint64_t *number, uint64_t n)
{
	atomic_fetch_add_explicit(number, n, memory_order_relaxed);
}

struct engine {
	const struct mosaic_host *host;
	struct dialer dialer;
	struct peer_handler handler;
	char client_id[160];
	char *namesrv[ENGINE_NAMESRV_MAX];
	uint32_t n_namesrv, namesrv_at; /* the one that answered last */
	uint64_t refresh_ns, heartbeat_ns;
	struct map routes;  /* topic -> struct route */
	struct map brokers; /* name -> struct broker */
	struct mosaic_timer refresh, beat;
	struct list asks;      /* struct ask.link */
	struct list watches;   /* struct route_watch.link */
	struct list producers; /* struct producer_group.link */
	struct list consumers; /* struct consumer_group.link */
	struct list checkers;  /* struct checker.link, for code 39 */
	struct map requests;   /* correlation id -> struct reply_wait, for code 326 */
	struct numbers numbers;
	bool is_closing;
};

/* namesrv: "a:1;b:2". 0 or E_INVAL. */
NODISCARD int engine_init(struct engine *e, const struct mosaic_host *host, const char *namesrv,
			  uint64_t refresh_ns, uint64_t heartbeat_ns, const char *client_id,
			  struct mosaic_error *err);
void engine_dial_with(struct engine *e, const struct mosaic_transport_ops *ops,
		      struct mosaic_transport *transport);
/* Ends all asks and route waits (E_CANCELED), closes connections; then the transport is closed. */
void engine_close(struct engine *e);
void engine_free(struct engine *e); /* also after an engine_init that failed */

/* ---- brokers and routes (route.c) ---- */

/* Known for as long as the engine lives; a pointer may be kept. */
struct broker {
	char name[128];
	struct {
		int64_t id; /* 0: the master */
		char text[64];
	} addresses[BROKER_ADDRESSES_MAX]; /* by id, as routes said last */
	uint32_t n_addresses;
	uint64_t seen_ns;  /* in a route */
	uint64_t avoid_ns; /* sends go elsewhere until then, where there is an elsewhere */
};

struct broker *broker_find(struct engine *e, const char *name); /* NULL: in no route so far */
/* "host:port", NULL when there is none. id 0: the master. */
const char *broker_address(const struct broker *b, int64_t id);
/* The master, else any slave. For reading. */
const char *broker_address_any(const struct broker *b);

struct route_queue {
	struct broker *broker;
	int32_t id;
};

/* A topic. Queues are sorted by broker name and id, as Java's clients sort them. */
struct route {
	struct engine *engine;
	char *topic;
	struct route_queue *writes; /* that may be written and whose broker has a master */
	struct route_queue *reads;  /* that may be read */
	uint32_t n_writes, n_reads;
	bool is_default; /* not made yet: writes are those of TBW102, reads are none */
	/* the rest is route.c's, next is send.c's */
	bool wants_default, asks_default, is_asking;
	uint32_t n_tried, at; /* NameServers in this round; the one that is asked */
	uint32_t n_lost_from; /* queues that there were before some were lost; 0: none were */
	uint32_t n_again;     /* times it was asked for since */
	struct mosaic_timer again;
	uint64_t asked_ns, body_hash, next;
	struct list waits;
	struct ask *ask;
};

/* status 0: the route has queues of the kind that is wanted; lent during done(), which runs once
 * and may run inside route_get. Else MOSAIC_E_NOTFOUND, MOSAIC_E_CLOSED (no NameServer answers),
 * MOSAIC_E_LIMIT, MOSAIC_E_CANCELED, and the route as it is or NULL. */
struct route_wait {
	struct list link;
	void (*done)(struct route_wait *wait, struct route *route, int status, const char *why);
	void *data;
	bool for_write; /* set before route_get: takes the queues of TBW102 for a new topic */
};
void route_get(struct engine *e, const char *topic, struct route_wait *wait);
void route_wait_cancel(struct route_wait *wait); /* ends without done(); no-op when not waiting */
/* What is known now, or NULL; asks nobody. */
struct route *route_peek(struct engine *e, const char *topic);
/* Asks again soon; no-op when it is being asked. After errors of brokers. */
void route_refresh(struct engine *e, const char *topic);

/* Hears of every route that has changed, after who waits for it. */
struct route_watch {
	struct list link;
	void (*changed)(struct route_watch *watch, struct route *route);
	void *data;
};
void route_watch_start(struct engine *e, struct route_watch *watch);
void route_watch_stop(struct route_watch *watch);

/* For engine.c */
void routes_refresh(struct mosaic_timer *timer);
void routes_cancel(struct engine *e);
void route_free(struct route *r);

/* ---- one request to a broker or NameServer (ask.c) ---- */

/*
 * Storage is the caller's until done(), which runs exactly once, last of all that is done with it,
 * and may free it. It runs inside engine_ask only when the engine is closing or the address is
 * nonsense.
 */
struct ask {
	/* the caller's: zero the struct, set these */
	int32_t code;
	bool is_oneway; /* done() when it is written, without a response */
	bool is_quiet;  /* to a NameServer: the connection needs no heartbeat first */
	size_t room;    /* for the fields: the sum of HEADER_FIELD_ROOM */
	struct mosaic_slice body; /* borrowed until done() */
	void (*fill)(struct ask *ask, struct header_writer *w); /* header_put...; may be NULL */
	void (*done)(struct ask *ask);
	void *data;

	/* in done() */
	int status; /* 0, E_CLOSED (not reached, or broke), E_TIMEOUT, E_AGAIN (the other side does
		     * not read), E_LIMIT (room was too small), E_CANCELED */
	const struct header *response; /* status 0 and not oneway; look at response->code */
	struct mosaic_slice answer;    /* body of the response */
	char why[256];                 /* when status is not 0 */

	/* the engine's */
	struct engine *engine;
	struct list link;
	struct dial_wait dial;
	struct call call;
	struct mosaic_timer timer;
	uint64_t due_ns;
	char address[64];
};
void engine_ask(struct engine *e, struct ask *ask, const char *address, uint64_t timeout_ns);
/* Ends now with E_CANCELED (done runs inside). No-op when it does not wait. */
void ask_cancel(struct ask *ask);
static inline bool ask_waits(const struct ask *ask) { return ask->link.next != NULL; }
/* Sends and forgets: text fields as name, value, ..., NULL. */
void engine_tell(struct engine *e, const char *address, int32_t code, struct mosaic_slice body, ...)
	__attribute__((sentinel));

/* ---- what brokers know of us (heartbeat.c) ---- */

struct producer_group {
	struct list link;
	const char *name;
};

struct consumer_group {
	struct list link;
	const char *name;
	const char *type;  /* CONSUME_PASSIVELY, CONSUME_ACTIVELY, CONSUME_POP */
	const char *model; /* CLUSTERING, BROADCASTING */
	const char *from;  /* CONSUME_FROM_LAST_OFFSET ... */
	/* Writes the objects of subscriptionDataSet (the array is open). */
	void (*subscriptions)(struct consumer_group *group, struct json_writer *w);
	void *data;
};

/* Joining tells all known brokers at once; every new connection to a broker begins with a
 * heartbeat. Leaving sends UNREGISTER_CLIENT to those that are connected. The struct is the
 * caller's. */
void producer_group_join(struct engine *e, struct producer_group *group);
void producer_group_leave(struct engine *e, struct producer_group *group);
void consumer_group_join(struct engine *e, struct consumer_group *group);
void consumer_group_leave(struct engine *e, struct consumer_group *group);
/* A heartbeat to all brokers now; after a change of subscriptions. */
void engine_beat(struct engine *e);
/* For engine.c and ask.c */
void heartbeat_tick(struct mosaic_timer *timer);
void heartbeat_greet(struct engine *e, struct peer *peer);
/* peer->service: NULL at first, &numbers once it was counted, the engine once it was greeted. */
void connection_seen(struct engine *e, struct peer *peer);

/* ---- requests of brokers to us (incoming.c has the table) ---- */

/* As peer_handler.request; ctx is the engine. */
void incoming(void *ctx, struct request *req);

#endif
