/*
 * Registration, the same way for every NameServer and independently of the others:
 *
 *   register_now   a connection (dialer), unless there is one
 *   send_part      103 with the topics that this NameServer does not know as they are now: all of
 *                  them on a new connection and each 30 s, the changed ones in between
 *   answered       the next part, or the end: next time in 30 s or when something changes
 *
 * Failure modes:
 *   - it cannot be reached, breaks, does not answer: one line in the log, tries after 1, 2, 4 .. 30
 *     s; a connection that broke is made again at once, and everything is told anew, because a
 *     NameServer forgets a broker whose connection is gone;
 *   - it refuses (a code that is not 0): its remark is logged once, tries go on.
 *
 * Parts: a NameServer updates topics it knows only when the version differs from the one it has, so
 * each part but the last carries a version of its own (RouteInfoManager.registerBroker of 5.3.3).
 */
#include "broker/registrar.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"
#include "wire/codes.h"
#include <stdio.h>
#include <stdlib.h>

#define PART_TOPICS 2000 /* about 400 KB */
#define CALL_TIMEOUT_NS (5 * SECOND_NS)
#define DIAL_WAIT_NS (5 * SECOND_NS)
#define RETRY_MAX_MS 30000
#define STOP_NS (300 * MS_NS)

enum ns_state { NS_IDLE, NS_DIALING, NS_CALLING };

struct nameserver {
	struct registrar *registrar;
	const char *address;
	enum ns_state state;
	struct peer *peer; /* borrowed, NULL when its closed() ran */
	struct dial_wait wait;
	struct call call;
	struct mosaic_timer timer; /* the next registration */
	uint64_t told;             /* topics.n_changes it knows; 0: nothing */
	uint64_t telling;          /* what it knows when all parts are answered */
	uint64_t since;            /* topics changed later than this are in the parts */
	struct data_version version; /* of the last part */
	uint32_t part, n_parts;
	uint32_t retry_ms;
	bool is_up, has_failed; /* for the log: one line for a change of state */
};

struct registrar {
	struct broker *broker;
	struct dialer dialer;
	struct peer_handler handler;
	struct nameserver *servers;
	uint32_t n_servers;
	struct mosaic_timer changed;
	char *ha_address;
	struct list told_waits; /* struct told_wait, oldest first */
	bool is_started, is_stopping;
	struct mosaic_req *stop;
	uint32_t stop_left;
	struct mosaic_timer stop_timer;
};

static void register_now(struct nameserver *ns);
static void check_told(struct registrar *r);

/* ---- life ------------------------------------------------------------------------------- */

/* Requests of a NameServer on our connection go where requests of clients go. */
static void on_request(void *ctx, struct request *req)
{
	const struct registrar *r = ctx;
	const struct peer_handler *h = r->broker->config.peer_handler;

	if (h)
		h->request(h->ctx, req);
	else
		reply_unsupported(req);
}

static void on_closed(void *ctx, struct peer *peer)
{
	struct registrar *r = ctx;

	for (uint32_t i = 0; i < r->n_servers; i++) {
		struct nameserver *ns = &r->servers[i];

		if (ns->peer != peer)
			continue;
		ns->peer = NULL;
		ns->told = 0;
		if (ns->state != NS_IDLE || r->is_stopping)
			continue;
		if (ns->is_up)
			LOG_WARN(r->broker->host, "nameserver_lost", "address=%s", ns->address);
		ns->is_up = false;
		ns->has_failed = true;
		r->broker->host->timer_start(r->broker->host, &ns->timer, 0);
		check_told(r);
	}
}

/* The HA service listens one port above, RocketMQ's haListenPort. */
static char *ha_address_of(const char *address)
{
	const char *colon = strrchr(address, ':');
	struct buf out = BUF_INIT;
	int32_t port = 0;

	if (!colon || num_parse_i32(slice_str(colon + 1), &port) != 0)
		return mem_strdup(address);
	buf_append(&out, address, (size_t)(colon - address) + 1);
	buf_append_i64(&out, port + 1);
	char *text = mem_strdup(buf_cstr(&out));
	buf_free(&out);
	return text;
}

static void timer_fired(struct mosaic_timer *timer)
{
	struct nameserver *ns = timer->data;

	ns->told = 0; /* everything is said again, in case the NameServer has lost something */
	register_now(ns);
}

static void changed_fired(struct mosaic_timer *timer)
{
	struct registrar *r = timer->data;

	for (uint32_t i = 0; i < r->n_servers; i++)
		if (r->servers[i].is_up && r->servers[i].state == NS_IDLE)
			register_now(&r->servers[i]);
}

struct registrar *registrar_create(struct broker *b)
{
	struct registrar *r = mem_alloc(sizeof(*r));

	r->broker = b;
	r->handler = (struct peer_handler){ .ctx = r, .request = on_request, .closed = on_closed };
	r->changed.fire = changed_fired;
	r->changed.data = r;
	r->ha_address = ha_address_of(b->config.address);
	list_init(&r->told_waits);
	r->n_servers = b->config.n_namesrv;
	r->servers = mem_alloc((r->n_servers + 1) * sizeof(r->servers[0]));
	for (uint32_t i = 0; i < r->n_servers; i++) {
		struct nameserver *ns = &r->servers[i];

		ns->registrar = r;
		ns->timer.fire = timer_fired;
		ns->timer.data = ns;
	}
	dialer_init(&r->dialer, b->host, b->config.transport_ops, b->config.transport, &r->handler);
	return r;
}

void registrar_destroy(struct registrar *r)
{
	dialer_free(&r->dialer);
	free(r->servers);
	free(r->ha_address);
	free(r);
}

void registrar_start(struct registrar *r)
{
	r->is_started = true;
	for (uint32_t i = 0; i < r->n_servers; i++) {
		/* Not before: the own NameServer's port 0 has its number since it listens. */
		r->servers[i].address = r->broker->config.namesrv[i];
		register_now(&r->servers[i]);
	}
}

void registrar_changed(struct registrar *r)
{
	if (r->is_started && !r->is_stopping)
		r->broker->host->timer_start(r->broker->host, &r->changed, 0);
}

/* ---- one registration ------------------------------------------------------------------- */

static void failed(struct nameserver *ns, const char *why)
{
	struct registrar *r = ns->registrar;
	char text[256];

	ns->state = NS_IDLE;
	ns->told = 0;
	if (r->is_stopping)
		return;
	if (ns->is_up || !ns->has_failed)
		LOG_WARN(r->broker->host, "nameserver_not_registered", "address=%s why=%s",
			 ns->address, host_log_quote(text, sizeof(text), why));
	ns->is_up = false;
	ns->has_failed = true;
	ns->retry_ms = ns->retry_ms == 0 ? 1000 : ns->retry_ms * 2;
	if (ns->retry_ms > RETRY_MAX_MS)
		ns->retry_ms = RETRY_MAX_MS;
	r->broker->host->timer_start(r->broker->host, &ns->timer, ns->retry_ms * MS_NS);
	check_told(r);
}

static void succeeded(struct nameserver *ns)
{
	struct registrar *r = ns->registrar;

	ns->state = NS_IDLE;
	ns->told = ns->telling;
	ns->retry_ms = 0;
	if (!ns->is_up)
		LOG_INFO(r->broker->host, "nameserver_registered", "address=%s topics=%u",
			 ns->address, map_count(&r->broker->topics->table));
	ns->is_up = true;
	ns->has_failed = false;
	if (r->is_stopping)
		return;
	r->broker->host->timer_start(r->broker->host, &ns->timer, REGISTER_PERIOD_MS * MS_NS);
	check_told(r);
	if (ns->told != r->broker->topics->n_changes)
		registrar_changed(r);
}

/* Topics of part ns->part: the hash decides, so that a change of the table between two parts moves
 * no topic from one to another. */
static void write_topics(const struct nameserver *ns, struct json_writer *w)
{
	const struct broker *b = ns->registrar->broker;
	struct map_entry *e;

	jw_object(w);
	for (uint32_t pos = 0; (e = map_next(&b->topics->table, &pos)) != NULL;) {
		const struct topic *topic = e->value;

		if (topic->changed_at <= ns->since ||
		    hash_bytes(e->key.ptr, e->key.len) % ns->n_parts != ns->part)
			continue;
		jw_key_slice(w, e->key);
		topic_write(topic, b->config.permission | ~(PERM_READ | PERM_WRITE), w);
	}
	jw_object_end(w);
}

static void write_body(const struct nameserver *ns, struct buf *out)
{
	struct data_version mapping = { .timestamp = ns->registrar->broker->boot_ms };
	struct data_version version = ns->version;
	struct json_writer w;

	version.timestamp -= ns->n_parts - 1 - ns->part;
	jw_init(&w, out);
	jw_object(&w);
	jw_key(&w, "filterServerList");
	jw_raw(&w, slice_str("[]"));
	jw_key(&w, "topicConfigSerializeWrapper");
	jw_object(&w);
	jw_key(&w, "dataVersion");
	data_version_write(&version, &w);
	jw_key(&w, "mappingDataVersion");
	data_version_write(&mapping, &w);
	jw_key(&w, "topicConfigTable");
	write_topics(ns, &w);
	jw_key(&w, "topicQueueMappingDetailMap");
	jw_raw(&w, slice_str("{}"));
	jw_key(&w, "topicQueueMappingInfoMap");
	jw_raw(&w, slice_str("{}"));
	jw_object_end(&w);
	jw_object_end(&w);
}

static void put_identity(struct call_writer *cw, const struct broker *b)
{
	header_put_str(&cw->w, "brokerName", b->config.name);
	header_put_str(&cw->w, "brokerAddr", b->config.address);
	header_put_str(&cw->w, "clusterName", b->config.cluster);
	header_put_i64(&cw->w, "brokerId", b->config.broker_id);
}

static uint32_t room_for(const struct broker *b)
{
	return HEADER_ROOM + 512 +
	       6 * (uint32_t)(strlen(b->config.name) + 2 * strlen(b->config.address) +
			      strlen(b->config.cluster));
}

static void answered(struct call *call);

static void send_part(struct nameserver *ns)
{
	struct registrar *r = ns->registrar;
	struct buf body = BUF_INIT;
	struct call_writer cw;

	write_body(ns, &body);
	ns->state = NS_CALLING;
	if (!call_begin(&cw, ns->peer, REQ_REGISTER_BROKER, false, room_for(r->broker),
			(uint32_t)body.len)) {
		buf_free(&body);
		failed(ns, "it does not read");
		return;
	}
	put_identity(&cw, r->broker);
	header_put_str(&cw.w, "haServerAddr", r->ha_address);
	header_put_bool(&cw.w, "enableActingMaster", false);
	header_put_bool(&cw.w, "compressed", false);
	header_put_i64(&cw.w, "bodyCrc32", hash_crc32(body.data, body.len) & 0x7fffffff);
	ns->call.done = answered;
	ns->call.data = ns;
	call_end(&cw, buf_slice(&body), &ns->call, CALL_TIMEOUT_NS);
	buf_free(&body);
}

static void answered(struct call *call)
{
	struct nameserver *ns = call->data;

	if (call->status == MOSAIC_E_TIMEOUT && ns->peer)
		peer_close(ns->peer, false, "it does not answer");
	if (call->status != 0) {
		failed(ns, status_text(call->status));
		return;
	}
	if (call->response->code != RES_SUCCESS) {
		char why[200];

		snprintf(why, sizeof(why), "it answers code %d: %.*s", call->response->code,
			 SLICE_ARG(call->response->remark));
		failed(ns, why);
		return;
	}
	if (++ns->part < ns->n_parts)
		send_part(ns);
	else
		succeeded(ns);
}

/* The whole table on a new connection, else what has changed. */
static void begin_parts(struct nameserver *ns)
{
	const struct topics *topics = ns->registrar->broker->topics;
	struct map_entry *e;
	uint32_t n = 0;

	ns->since = ns->told;
	ns->telling = topics->n_changes;
	ns->version = topics->version;
	for (uint32_t pos = 0; (e = map_next(&topics->table, &pos)) != NULL;)
		if (((const struct topic *)e->value)->changed_at > ns->since)
			n++;
	ns->n_parts = 1 + n / PART_TOPICS;
	ns->part = 0;
	send_part(ns);
}

static void dialed(struct dial_wait *wait, struct peer *peer, const char *why)
{
	struct nameserver *ns = wait->data;

	if (!peer) {
		failed(ns, why);
		return;
	}
	if (ns->peer != peer)
		ns->told = 0;
	ns->peer = peer;
	begin_parts(ns);
}

static void register_now(struct nameserver *ns)
{
	struct registrar *r = ns->registrar;

	if (ns->state != NS_IDLE || r->is_stopping)
		return;
	r->broker->host->timer_stop(r->broker->host, &ns->timer);
	ns->state = NS_DIALING;
	ns->wait.done = dialed;
	ns->wait.data = ns;
	dialer_get(&r->dialer, ns->address, DIAL_WAIT_NS, &ns->wait);
}

/* ---- who waits for a change to be known ------------------------------------------------- */

static bool is_told(const struct registrar *r, uint64_t change)
{
	for (uint32_t i = 0; i < r->n_servers; i++)
		if (r->servers[i].is_up && r->servers[i].told < change)
			return false;
	return true;
}

static void told(struct registrar *r, struct told_wait *wait)
{
	list_remove(&wait->link);
	r->broker->host->timer_stop(r->broker->host, &wait->timer);
	wait->req.status = 0;
	r->broker->host->post(r->broker->host, &wait->req);
}

static void check_told(struct registrar *r)
{
	LIST_FOR_SAFE(it, &r->told_waits)
	{
		struct told_wait *wait = LIST_ENTRY(it, struct told_wait, link);

		if (is_told(r, wait->change) || r->is_stopping)
			told(r, wait);
	}
}

static void told_timed_out(struct mosaic_timer *timer)
{
	struct told_wait *wait = CONTAINER_OF(timer, struct told_wait, timer);

	told(timer->data, wait);
}

void registrar_told(struct registrar *r, struct told_wait *wait)
{
	wait->change = r->broker->topics->n_changes;
	wait->timer.fire = told_timed_out;
	wait->timer.data = r;
	list_add_tail(&r->told_waits, &wait->link);
	r->broker->host->timer_start(r->broker->host, &wait->timer, REGISTER_TOLD_MS * MS_NS);
	check_told(r);
}

/* ---- the end ---------------------------------------------------------------------------- */

static void stopped(struct registrar *r)
{
	struct mosaic_req *req = r->stop;

	r->stop = NULL;
	r->broker->host->timer_stop(r->broker->host, &r->stop_timer);
	for (uint32_t i = 0; i < r->n_servers; i++)
		call_cancel(&r->servers[i].call);
	dialer_close(&r->dialer);
	req->status = 0;
	r->broker->host->post(r->broker->host, req);
}

static void unregistered(struct call *call)
{
	struct registrar *r = ((struct nameserver *)call->data)->registrar;

	if (--r->stop_left == 0 && r->stop)
		stopped(r);
}

static void stop_timed_out(struct mosaic_timer *timer)
{
	struct registrar *r = timer->data;

	LOG_WARN(r->broker->host, "unregister_unanswered", "nameservers=%u", r->stop_left);
	stopped(r);
}

static void unregister_at(struct nameserver *ns)
{
	struct registrar *r = ns->registrar;
	struct call_writer cw;

	if (!ns->peer || !call_begin(&cw, ns->peer, REQ_UNREGISTER_BROKER, false,
				     room_for(r->broker), 0))
		return;
	put_identity(&cw, r->broker);
	ns->call.done = unregistered;
	ns->call.data = ns;
	r->stop_left++;
	call_end(&cw, slice(NULL, 0), &ns->call, STOP_NS);
}

void registrar_stop(struct registrar *r, struct mosaic_req *req)
{
	const struct mosaic_host *host = r->broker->host;

	r->is_stopping = true;
	r->stop = req;
	host->timer_stop(host, &r->changed);
	check_told(r);
	for (uint32_t i = 0; i < r->n_servers; i++) {
		struct nameserver *ns = &r->servers[i];

		host->timer_stop(host, &ns->timer);
		dialer_cancel(&r->dialer, &ns->wait);
		call_cancel(&ns->call);
		ns->state = NS_IDLE;
	}
	/* Counted once more than there are calls, so that none of them ends it too early. */
	r->stop_left = 1;
	for (uint32_t i = 0; i < r->n_servers; i++)
		unregister_at(&r->servers[i]);
	r->stop_timer.fire = stop_timed_out;
	r->stop_timer.data = r;
	host->timer_start(host, &r->stop_timer, STOP_NS);
	if (--r->stop_left == 0)
		stopped(r);
}
