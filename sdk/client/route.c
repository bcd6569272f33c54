/*
 * Happy path: route_get -> known: done() at once. Else: NameServer dialed -> asked -> read ->
 * done() for all who wait. Every refresh_ns, and after an error of a broker, it is asked for again.
 *
 * Failure modes: a NameServer that cannot be reached or answers nonsense: the next one, each once a
 * round; none is left: who waits is told why, a route that is known stays. No such topic: the route
 * is forgotten and that of TBW102 stands in, from which a broker makes topics.
 */
#include "engine.h"
#include "base/mem.h"
#include "wire/codes.h"
#include "wire/json.h"
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_TOPIC "TBW102"
#define DEFAULT_QUEUES 4
#define NAMESRV_TIMEOUT_NS (3 * SECOND_NS)

static void ask(struct route *r);

static void end(struct route *r, int status, const char *why)
{
	struct list now;

	r->is_asking = false;
	list_init(&now);
	while (!list_empty(&r->waits)) {
		struct list *node = r->waits.next;
		list_remove(node);
		list_add_tail(&now, node);
	}
	while (!list_empty(&now)) {
		struct route_wait *w = LIST_ENTRY(now.next, struct route_wait, link);
		list_remove(&w->link);
		w->done(w, r, r->n_queues > 0 ? 0 : status, why);
	}
}

static void next_namesrv(struct route *r, const char *why)
{
	struct engine *e = r->engine;

	e->namesrv_at = (e->namesrv_at + 1) % e->n_namesrv;
	if (++r->n_tried < e->n_namesrv && !e->is_closing)
		ask(r);
	else
		end(r, MOSAIC_E_CLOSED, why);
}

static int by_broker(const void *a, const void *b)
{
	const struct route_queue *x = a, *y = b;
	int order = strcmp(x->broker, y->broker);

	return order != 0 ? order : (x->id > y->id) - (x->id < y->id);
}

static struct mosaic_slice master_of(json_t *brokers, struct mosaic_slice name)
{
	size_t i;
	json_t *broker;

	json_array_foreach(brokers, i, broker)
		if (slice_eq(json_get_str(broker, "brokerName"), name))
			return json_get_str(json_object_get(broker, "brokerAddrs"), "0");
	return slice(NULL, 0);
}

static uint32_t add_queues(struct route_queue *out, uint32_t n, json_t *data, json_t *brokers,
			   bool is_default)
{
	struct mosaic_slice name = json_get_str(data, "brokerName");
	struct mosaic_slice master = master_of(brokers, name);
	int64_t count = json_get_i64(data, "writeQueueNums", 0);

	if (name.len == 0 || name.len >= sizeof(out->broker) || master.len == 0 ||
	    master.len >= sizeof(out->address) || (json_get_i64(data, "perm", 0) & 2) == 0)
		return n;
	if (is_default && count > DEFAULT_QUEUES)
		count = DEFAULT_QUEUES;
	for (int32_t id = 0; id < count && n < ENGINE_QUEUES_MAX; id++) {
		struct route_queue *q = &out[n++];
		snprintf(q->broker, sizeof(q->broker), "%.*s", SLICE_ARG(name));
		snprintf(q->address, sizeof(q->address), "%.*s", SLICE_ARG(master));
		q->id = id;
	}
	return n;
}

/* false: it cannot be read. */
static bool route_read(struct route *r, struct mosaic_slice body)
{
	json_t *data, *root = json_read(body, NULL);
	size_t i;
	uint32_t n = 0;

	if (root == NULL)
		return false;
	struct route_queue *queues = mem_alloc(ENGINE_QUEUES_MAX * sizeof(*queues));
	json_array_foreach(json_object_get(root, "queueDatas"), i, data)
		n = add_queues(queues, n, data, json_object_get(root, "brokerDatas"),
			       r->asks_default);
	json_decref(root);
	qsort(queues, n, sizeof(*queues), by_broker);
	free(r->queues);
	r->queues = mem_resize(queues, (n > 0 ? n : 1) * sizeof(*queues));
	r->n_queues = n;
	r->is_default = r->asks_default;
	return true;
}

static void answered(struct call *call)
{
	struct route *r = call->data;

	if (call->status != 0) {
		next_namesrv(r, status_text(call->status));
	} else if (call->response->code == RES_SUCCESS) {
		if (route_read(r, call->body))
			end(r, MOSAIC_E_NOTFOUND, "no broker of the topic can be written to");
		else
			next_namesrv(r, "the NameServer's answer cannot be read");
	} else if (call->response->code == RES_TOPIC_NOT_EXIST) {
		r->n_queues = 0;
		if (!r->asks_default) {
			r->asks_default = true;
			ask(r);
		} else {
			end(r, MOSAIC_E_NOTFOUND, "the topic has no route and brokers make none");
		}
	} else {
		next_namesrv(r, "the NameServer refused");
	}
}

static void dialed(struct dial_wait *wait, struct peer *peer, const char *why)
{
	struct route *r = wait->data;
	struct call_writer cw;
	const char *topic = r->asks_default ? DEFAULT_TOPIC : r->topic;
	uint32_t room = (uint32_t)(CALL_ROOM + HEADER_FIELD_ROOM(5, strlen(topic)));

	if (peer == NULL || !call_begin(&cw, peer, REQ_GET_ROUTEINFO_BY_TOPIC, false,
					room, 0)) {
		next_namesrv(r, why);
		return;
	}
	header_put_str(&cw.w, "topic", topic);
	r->call = (struct call){ .done = answered, .data = r };
	call_end(&cw, slice(NULL, 0), &r->call, NAMESRV_TIMEOUT_NS);
}

static void ask(struct route *r)
{
	r->dial = (struct dial_wait){ .done = dialed, .data = r };
	dialer_get(&r->engine->dialer, r->engine->namesrv[r->engine->namesrv_at],
		   NAMESRV_TIMEOUT_NS, &r->dial);
}

static void refresh(struct route *r)
{
	if (r->is_asking || r->engine->is_closing)
		return;
	r->is_asking = true;
	r->asks_default = false;
	r->n_tried = 0;
	r->asked_ns = host_now_ns(r->engine->host);
	ask(r);
}

void route_get(struct engine *e, const char *topic, struct route_wait *wait)
{
	struct route *r = map_get(&e->routes, slice_str(topic));

	list_init(&wait->link);
	if (r == NULL && map_count(&e->routes) >= ENGINE_TOPICS_MAX) {
		wait->done(wait, NULL, MOSAIC_E_LIMIT, "too many topics for one client");
		return;
	}
	if (r == NULL) {
		r = mem_alloc(sizeof(*r));
		r->engine = e;
		r->topic = mem_strdup(topic);
		list_init(&r->waits);
		map_put(&e->routes, slice_str(topic), r);
	}
	if (r->n_queues > 0) {
		/* By now a broker may have made the topic. */
		if (r->is_default && host_now_ns(e->host) - r->asked_ns > SECOND_NS)
			refresh(r);
		if (r->n_queues > 0) {
			wait->done(wait, r, 0, "");
			return;
		}
	}
	list_add_tail(&r->waits, &wait->link);
	refresh(r);
}

void route_refresh(struct engine *e, const char *topic)
{
	struct route *r = map_get(&e->routes, slice_str(topic));

	if (r != NULL && host_now_ns(e->host) - r->asked_ns > SECOND_NS / 10)
		refresh(r);
}

void routes_refresh(struct mosaic_timer *timer)
{
	struct engine *e = timer->data;
	struct map_entry *m;

	for (uint32_t pos = 0; (m = map_next(&e->routes, &pos)) != NULL;)
		refresh(m->value);
	e->host->timer_start(e->host, &e->refresh, e->refresh_ns);
}

void routes_cancel(struct engine *e)
{
	struct map_entry *m;

	for (uint32_t pos = 0; (m = map_next(&e->routes, &pos)) != NULL;) {
		struct route *r = m->value;
		dialer_cancel(&e->dialer, &r->dial);
		call_cancel(&r->call);
	}
}

void route_free(struct route *r)
{
	free(r->queues);
	free(r->topic);
	free(r);
}
