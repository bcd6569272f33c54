/*
 * Happy path: route_get -> known: done() at once. Else: NameServer asked -> read -> done() for all
 * who wait. Every refresh_ns, and after an error of a broker, it is asked for again.
 *
 * Failure modes: a NameServer that cannot be reached or answers nonsense: the next one, each once a
 * round; none is left: who waits is told why, a route that is known stays. A route that has lost
 * queues: a broker is restarting, or the NameServer has just begun and waits for brokers to
 * register: asked for again after 1, 2, 4 ... s, of each NameServer in turn. No such topic: what is
 * known stays until that has been said all this time, then the route is emptied; for those who want
 * to write, the queues of TBW102 stand in, from which a broker makes topics.
 */
#include "engine.h"
#include "base/mem.h"
#include "memory.h"
#include "wire/codes.h"
#include "wire/json.h"
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_TOPIC "TBW102"
#define NAMESRV_TIMEOUT_NS (3 * SECOND_NS)
#define AGAIN_NS (SECOND_NS / 10) /* errors come in crowds: one question for all of them */
#define AGAIN_MAX 5 /* after a loss: 31 s, in which Apache's brokers register once */

enum perm {
	PERM_WRITE = 2,
	PERM_READ = 4
};

static void ask(struct route *r);

/* ---- brokers ---- */

struct broker *broker_find(struct engine *e, const char *name)
{
	return map_get(&e->brokers, slice_str(name));
}

const char *broker_address(const struct broker *b, int64_t id)
{
	for (uint32_t i = 0; i < b->n_addresses; i++)
		if (b->addresses[i].id == id)
			return b->addresses[i].text;
	return NULL;
}

const char *broker_address_any(const struct broker *b)
{
	return b->n_addresses > 0 ? b->addresses[0].text : NULL;
}

static void add_address(struct broker *b, int64_t id, struct mosaic_slice text)
{
	uint32_t at = b->n_addresses;

	if (at == BROKER_ADDRESSES_MAX || text.len == 0 || text.len >= sizeof(b->addresses[0].text))
		return;
	for (; at > 0 && b->addresses[at - 1].id > id; at--)
		b->addresses[at] = b->addresses[at - 1];
	b->addresses[at].id = id;
	snprintf(b->addresses[at].text, sizeof(b->addresses[at].text), "%.*s", SLICE_ARG(text));
	b->n_addresses++;
}

static struct broker *broker_get(struct engine *e, struct mosaic_slice name)
{
	struct broker *b = map_get(&e->brokers, name);

	if (b != NULL || name.len == 0 || name.len >= sizeof(b->name) ||
	    map_count(&e->brokers) >= ENGINE_BROKERS_MAX)
		return b;
	b = mem_alloc(sizeof(*b));
	snprintf(b->name, sizeof(b->name), "%.*s", SLICE_ARG(name));
	map_put(&e->brokers, name, b);
	return b;
}

/* true: a broker or an address that was not known. */
static bool read_broker(struct engine *e, json_t *data)
{
	struct broker *b = broker_get(e, json_get_str(data, "brokerName"));
	json_t *address, *addresses = json_object_get(data, "brokerAddrs");
	const char *key;

	if (b == NULL)
		return false;
	struct broker old = *b;
	b->n_addresses = 0;
	b->seen_ns = host_now_ns(e->host);
	json_object_foreach(addresses, key, address)
		if (json_is_string(address))
			add_address(b, strtoll(key, NULL, 10),
				    slice_str(json_string_value(address)));
	for (uint32_t i = 0; i < b->n_addresses; i++) {
		const char *was = broker_address(&old, b->addresses[i].id);
		if (was == NULL || strcmp(was, b->addresses[i].text) != 0)
			return true;
	}
	return false;
}

/* ---- queues ---- */

static int by_broker(const void *a, const void *b)
{
	const struct route_queue *x = a, *y = b;
	int order = strcmp(x->broker->name, y->broker->name);

	return order != 0 ? order : (x->id > y->id) - (x->id < y->id);
}

static void add_queues(struct route_queue *out, uint32_t *n, struct broker *b, int64_t count)
{
	for (int32_t id = 0; id < count && *n < ENGINE_QUEUES_MAX; id++)
		out[(*n)++] = (struct route_queue){ .broker = b, .id = id };
}

static struct route_queue *fit(struct route_queue *queues, uint32_t n)
{
	qsort(queues, n, sizeof(*queues), by_broker);
	return mem_resize(queues, (n > 0 ? n : 1) * sizeof(*queues));
}

/* Those of the topic itself. */
static uint32_t queues_of(const struct route *r)
{
	return r->is_default ? 0 : r->n_writes + r->n_reads;
}

/* Looks for what was lost, from the beginning with every change on the way, or ends. */
static void compare(struct route *r, uint32_t had)
{
	const struct mosaic_host *host = r->engine->host;
	uint32_t now = queues_of(r);
	bool is_moving = now < had || (now > had && now < r->n_lost_from);

	if (now < had && r->n_lost_from < had)
		r->n_lost_from = had;
	if (is_moving) {
		r->n_again = 1;
		host->timer_stop(host, &r->again);
	} else if (now >= r->n_lost_from || r->n_again > AGAIN_MAX) {
		r->n_lost_from = r->n_again = 0;
	}
}

static void read_queues(struct route *r, json_t *root)
{
	struct route_queue *writes = mem_alloc(ENGINE_QUEUES_MAX * sizeof(*writes));
	struct route_queue *reads = mem_alloc(ENGINE_QUEUES_MAX * sizeof(*reads));
	json_t *data;
	size_t i;

	uint32_t had = queues_of(r);

	r->n_writes = r->n_reads = 0;
	json_array_foreach(json_object_get(root, "queueDatas"), i, data) {
		struct mosaic_slice name = json_get_str(data, "brokerName");
		struct broker *b = map_get(&r->engine->brokers, name);
		int64_t perm = json_get_i64(data, "perm", 0);

		if (b == NULL || b->n_addresses == 0)
			continue;
		if ((perm & PERM_WRITE) != 0 && broker_address(b, 0) != NULL)
			add_queues(writes, &r->n_writes, b,
				   json_get_i64(data, "writeQueueNums", 0));
		if ((perm & PERM_READ) != 0 && !r->asks_default)
			add_queues(reads, &r->n_reads, b, json_get_i64(data, "readQueueNums", 0));
	}
	free(r->writes);
	free(r->reads);
	r->writes = fit(writes, r->n_writes);
	r->reads = fit(reads, r->n_reads);
	r->is_default = r->asks_default;
	compare(r, had);
}

static void tell_watches(struct route *r)
{
	LIST_FOR_SAFE(it, &r->engine->watches) {
		struct route_watch *w = LIST_ENTRY(it, struct route_watch, link);
		w->changed(w, r);
	}
}

/* false: it cannot be read. */
static bool route_read(struct route *r, struct mosaic_slice body, bool *is_changed)
{
	json_t *data, *root = memory_json(body);
	uint64_t hash = hash_bytes(body.ptr, body.len);
	bool is_new = false;
	size_t i;

	if (root == NULL)
		return false;
	json_array_foreach(json_object_get(root, "brokerDatas"), i, data)
		is_new |= read_broker(r->engine, data);
	*is_changed = hash != r->body_hash || r->is_default != r->asks_default;
	r->body_hash = hash;
	read_queues(r, root);
	json_decref(root);
	if (is_new)
		engine_beat(r->engine);
	return true;
}

/* ---- asking ---- */

static bool has_what(const struct route *r, const struct route_wait *w)
{
	return w->for_write ? r->n_writes > 0 : r->n_reads > 0;
}

/* After a loss. */
static void ask_later(struct route *r)
{
	const struct mosaic_host *host = r->engine->host;

	if (r->n_lost_from > 0 && r->again.due_ns == 0 && !r->engine->is_closing)
		host->timer_start(host, &r->again, SECOND_NS << (r->n_again - 1));
}

static void end(struct route *r, int status, const char *why, bool is_changed)
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
		w->done(w, r, has_what(r, w) ? 0 : status, why);
	}
	if (is_changed)
		tell_watches(r);
	ask_later(r);
}

/* false: each has been asked. */
static bool ask_next(struct route *r)
{
	struct engine *e = r->engine;

	r->at = (r->at + 1) % e->n_namesrv;
	if (++r->n_tried >= e->n_namesrv || e->is_closing)
		return false;
	ask(r);
	return true;
}

static void next_namesrv(struct route *r, const char *why)
{
	if (!ask_next(r))
		end(r, r->engine->is_closing ? MOSAIC_E_CANCELED : MOSAIC_E_CLOSED, why, false);
}

/* true: what is known stays. */
static bool is_doubted(struct route *r)
{
	if (queues_of(r) == 0)
		return false;
	if (r->n_lost_from == 0) {
		r->n_lost_from = queues_of(r);
		r->n_again = 1;
	}
	return r->n_again <= AGAIN_MAX;
}

static void no_such_topic(struct route *r)
{
	bool had = queues_of(r) > 0;

	if (!r->asks_default) {
		if (had && ask_next(r))
			return;
		if (is_doubted(r)) {
			end(r, MOSAIC_E_NOTFOUND, "the topic has no such queues", false);
			return;
		}
		r->n_lost_from = r->n_again = 0;
		r->asks_default = r->wants_default;
		if (r->asks_default) {
			ask(r);
			return;
		}
	}
	r->n_writes = r->n_reads = 0;
	r->body_hash = 0;
	end(r, MOSAIC_E_NOTFOUND, "the topic has no route and brokers make none", had);
}

static void answered(struct ask *a)
{
	struct route *r = a->data;
	bool is_changed = false;

	r->ask = NULL;
	if (a->status == 0)
		r->engine->namesrv_at = r->at;
	if (a->status != 0) {
		next_namesrv(r, a->why);
	} else if (a->response->code == RES_SUCCESS) {
		if (route_read(r, a->answer, &is_changed))
			end(r, MOSAIC_E_NOTFOUND, "no broker of the topic serves it now",
			    is_changed);
		else
			next_namesrv(r, "the NameServer's answer cannot be read");
	} else if (a->response->code == RES_TOPIC_NOT_EXIST) {
		no_such_topic(r);
	} else {
		next_namesrv(r, "the NameServer refused");
	}
	free(a);
}

static void fill(struct ask *a, struct header_writer *w)
{
	const struct route *r = a->data;

	header_put_str(w, "topic", r->asks_default ? DEFAULT_TOPIC : r->topic);
}

static void ask(struct route *r)
{
	struct engine *e = r->engine;
	struct ask *a = mem_alloc(sizeof(*a));

	*a = (struct ask){ .code = REQ_GET_ROUTEINFO_BY_TOPIC, .is_quiet = true,
			   .room = HEADER_FIELD_ROOM(5, strlen(r->topic) + sizeof(DEFAULT_TOPIC)),
			   .fill = fill, .done = answered, .data = r };
	r->ask = a;
	number_add(&e->numbers.route_asks, 1);
	engine_ask(e, a, e->namesrv[r->at], NAMESRV_TIMEOUT_NS);
}

static void refresh(struct route *r)
{
	if (r->is_asking || r->engine->is_closing)
		return;
	r->is_asking = true;
	r->asks_default = false;
	r->n_tried = 0;
	r->at = (r->engine->namesrv_at + (r->n_again > 0)) % r->engine->n_namesrv;
	r->asked_ns = host_now_ns(r->engine->host);
	ask(r);
}

static void again(struct mosaic_timer *timer)
{
	struct route *r = timer->data;

	r->n_again += r->n_lost_from > 0 && r->n_again <= AGAIN_MAX;
	refresh(r);
}

struct route *route_peek(struct engine *e, const char *topic)
{
	return map_get(&e->routes, slice_str(topic));
}

static struct route *route_make(struct engine *e, const char *topic)
{
	struct route *r = mem_alloc(sizeof(*r));

	r->engine = e;
	r->topic = mem_strdup(topic);
	list_init(&r->waits);
	r->again = (struct mosaic_timer){ .fire = again, .data = r };
	map_put(&e->routes, slice_str(topic), r);
	return r;
}

void route_get(struct engine *e, const char *topic, struct route_wait *wait)
{
	struct route *r = route_peek(e, topic);

	list_init(&wait->link);
	if (e->is_closing) {
		wait->done(wait, r, MOSAIC_E_CANCELED, "the client stops");
		return;
	}
	if (r == NULL && map_count(&e->routes) >= ENGINE_TOPICS_MAX) {
		wait->done(wait, NULL, MOSAIC_E_LIMIT, "too many topics for one client");
		return;
	}
	if (r == NULL)
		r = route_make(e, topic);
	r->wants_default |= wait->for_write;
	if (has_what(r, wait)) {
		/* By now a broker may have made the topic. */
		if (r->is_default && host_now_ns(e->host) - r->asked_ns > SECOND_NS)
			refresh(r);
		wait->done(wait, r, 0, "");
		return;
	}
	list_add_tail(&r->waits, &wait->link);
	refresh(r);
}

void route_wait_cancel(struct route_wait *wait)
{
	if (wait->link.next != NULL)
		list_remove(&wait->link);
}

void route_refresh(struct engine *e, const char *topic)
{
	struct route *r = route_peek(e, topic);

	if (r != NULL && host_now_ns(e->host) - r->asked_ns > AGAIN_NS)
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
		e->host->timer_stop(e->host, &r->again);
		end(r, MOSAIC_E_CANCELED, "the client stops", false);
	}
}

void route_watch_start(struct engine *e, struct route_watch *watch)
{
	list_add_tail(&e->watches, &watch->link);
}

void route_watch_stop(struct route_watch *watch)
{
	if (watch->link.next != NULL)
		list_remove(&watch->link);
}

void route_free(struct route *r)
{
	free(r->writes);
	free(r->reads);
	free(r->topic);
	free(r);
}
