/* What runs on a client's thread: routes and sends over one dialer. Knows no thread and no clock
 * but its host, so that it runs under a test's. All [core]. */
#ifndef CLIENT_ENGINE_H
#define CLIENT_ENGINE_H

#include "base/buf.h"
#include "base/err.h"
#include "rpc/call.h"
#include <mosaic/client.h>

#define ENGINE_NAMESRV_MAX 16
#define ENGINE_TOPICS_MAX 4096
#define ENGINE_QUEUES_MAX 4096

struct engine {
	const struct mosaic_host *host;
	struct dialer dialer;
	char *namesrv[ENGINE_NAMESRV_MAX];
	uint32_t n_namesrv, namesrv_at; /* the one that answered last */
	uint64_t refresh_ns;
	struct map routes;  /* topic -> struct route */
	struct map avoided; /* broker name -> struct avoided */
	struct mosaic_timer refresh;
	struct list sends; /* struct send.link */
	uint8_t id_prefix[10];
	uint16_t id_count;
	bool is_closing;
};

struct avoided {
	uint64_t until_ns;
};

struct route_queue {
	char broker[128], address[64];
	int32_t id;
};

struct route {
	struct engine *engine;
	char *topic;
	struct route_queue *queues; /* that may be written, by broker name and id */
	uint32_t n_queues, next;
	struct list waits;
	struct call call;
	struct dial_wait dial;
	uint64_t asked_ns;
	uint32_t n_tried; /* NameServers in this round */
	bool is_asking, is_default; /* is_default: not made yet, queues of the topic TBW102 */
	bool asks_default;
};

/* status 0: route has queues; it is valid during done(). */
struct route_wait {
	struct list link;
	void (*done)(struct route_wait *wait, struct route *route, int status, const char *why);
	void *data;
};

struct send {
	struct mosaic_req post;
	struct list link;
	struct engine *engine;
	struct route_wait wait;
	struct dial_wait dial;
	struct call call;
	struct mosaic_timer deadline;
	char *topic, *group, *key;
	uint8_t *body;
	uint32_t body_len, attempts_left;
	struct buf props;
	uint64_t timeout_ns, due_ns, sent_ns;
	struct route_queue queue;
	bool is_oneway, is_ended;
	struct mosaic_send_result result;
	void (*done)(struct send *send); /* owns the send again */
	void *data;
};

/* namesrv: "a:1;b:2". 0 or E_INVAL. */
NODISCARD int engine_init(struct engine *e, const struct mosaic_host *host, const char *namesrv,
			  uint64_t refresh_ns, struct mosaic_error *err);
void engine_dial_with(struct engine *e, const struct mosaic_transport_ops *ops,
		      struct mosaic_transport *transport);
void engine_close(struct engine *e); /* ends all sends; then the transport is closed */
void engine_free(struct engine *e);  /* also after an engine_init that failed */

/* done() may run inside the call. */
void route_get(struct engine *e, const char *topic, struct route_wait *wait);
void route_refresh(struct engine *e, const char *topic); /* soon; no-op when it is being asked */
void route_free(struct route *r);
void routes_refresh(struct mosaic_timer *timer);
void routes_cancel(struct engine *e);

void send_start(struct send *s);
void send_end(struct send *s, int status, const char *text);
void send_free(struct send *s);

#endif
