/*
 * Registration, in this order: bounds and refusals first, then the change, so that a refused
 * request leaves no trace.
 *
 * Failure modes of a registration:
 *   - an older stateVersion than the one that holds the id: the sender is forgotten, the holder
 *     stays;
 *   - a single topic from a broker that is unknown: refused, because a full registration must come
 *     first (topics that are missing in a registration are never deleted for that);
 *   - a bound is reached: refused with the reason.
 * A broker goes by unregistration, by the end of its connection, or by silence.
 */
#include "namesrv/routes.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include <stdlib.h>

void routes_init(struct routes *r, const struct mosaic_host *host, uint32_t max_topics,
		 uint32_t max_brokers)
{
	*r = (struct routes){ .host = host, .max_topics = max_topics, .max_brokers = max_brokers };
	list_init(&r->brokers);
}

/* ---- topics ---- */

struct queue_data *topic_queues_of(const struct topic *t, const struct broker_group *g)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (t->queues[i].group == g)
			return &t->queues[i];
	return NULL;
}

void routes_set_queues(struct routes *r, struct mosaic_slice name, const struct queue_data *q)
{
	struct topic *t = map_get(&r->topics, name);
	struct queue_data *known;

	if (t == NULL) {
		t = mem_alloc(sizeof(*t));
		map_put(&r->topics, name, t);
	}
	known = topic_queues_of(t, q->group);
	if (known) {
		*known = *q;
		return;
	}
	if (t->n == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 1;
		t->queues = mem_resize(t->queues, t->cap * sizeof(*t->queues));
	}
	t->queues[t->n++] = *q;
}

/* Removes the queues of a group, or of a cluster's groups; frees and forgets an empty topic. */
static void topic_drop(struct routes *r, struct mosaic_slice name, struct topic *t,
		       const struct broker_group *g, const struct cluster *c)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n; i++)
		if (t->queues[i].group != g && t->queues[i].group->cluster != c)
			t->queues[n++] = t->queues[i];
	t->n = n;
	if (n > 0)
		return;
	map_remove(&r->topics, name);
	free(t->queues);
	free(t);
}

void routes_delete_topic(struct routes *r, struct mosaic_slice name, const struct cluster *cluster)
{
	struct topic *t = map_get(&r->topics, name);

	if (t == NULL)
		return;
	if (cluster == NULL)
		t->n = 0;
	topic_drop(r, name, t, NULL, cluster);
}

uint32_t routes_change_perm(struct routes *r, const struct broker_group *g, int32_t keep,
			    int32_t set)
{
	struct map_entry *e;
	uint32_t n = 0;

	for (uint32_t pos = 0; (e = map_next(&r->topics, &pos)) != NULL;) {
		struct queue_data *q = topic_queues_of(e->value, g);

		if (q == NULL)
			continue;
		q->perm = (q->perm & keep) | set;
		n++;
	}
	return n;
}

/* ---- groups ---- */

static struct broker_group *group_create(struct routes *r, const struct registration *reg)
{
	struct broker_group *g = mem_alloc(sizeof(*g));
	struct cluster *c = map_get(&r->clusters, reg->cluster);

	if (c == NULL) {
		c = mem_alloc(sizeof(*c));
		c->name = slice_dup(reg->cluster);
		list_init(&c->groups);
		map_put(&r->clusters, reg->cluster, c);
	}
	g->name = slice_dup(reg->name);
	g->cluster = c;
	list_add_tail(&c->groups, &g->link);
	map_put(&r->groups, reg->name, g);
	return g;
}

static void group_destroy(struct routes *r, struct broker_group *g)
{
	struct cluster *c = g->cluster;
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(&r->topics, &pos)) != NULL;)
		topic_drop(r, e->key, e->value, g, NULL);
	list_remove(&g->link);
	if (list_empty(&c->groups)) {
		map_remove(&r->clusters, slice_str(c->name));
		free(c->name);
		free(c);
	}
	map_remove(&r->groups, slice_str(g->name));
	free(g->brokers);
	free(g->name);
	free(g->zone);
	free(g);
}

static struct broker *group_find(const struct broker_group *g, int64_t id)
{
	for (uint32_t i = 0; i < g->n; i++)
		if (g->brokers[i]->id == id)
			return g->brokers[i];
	return NULL;
}

struct broker *group_master(const struct broker_group *g)
{
	return group_find(g, MASTER_ID);
}

static void group_insert(struct broker_group *g, struct broker *b)
{
	uint32_t i;

	if (g->n == g->cap) {
		g->cap = g->cap ? g->cap * 2 : 2;
		g->brokers = mem_resize(g->brokers, g->cap * sizeof(*g->brokers));
	}
	for (i = g->n++; i > 0 && g->brokers[i - 1]->id > b->id; i--)
		g->brokers[i] = g->brokers[i - 1];
	g->brokers[i] = b;
	b->group = g;
}

static void group_take_out(struct broker *b)
{
	struct broker_group *g = b->group;
	uint32_t n = 0;

	for (uint32_t i = 0; i < g->n; i++)
		if (g->brokers[i] != b)
			g->brokers[n++] = g->brokers[i];
	ASSERT(n + 1 == g->n);
	g->n = n;
}

/* ---- brokers ---- */

static char *live_key(struct mosaic_slice cluster, struct mosaic_slice addr)
{
	struct buf b = BUF_INIT;

	buf_append_slice(&b, cluster);
	buf_append_byte(&b, '\n');
	buf_append_slice(&b, addr);
	buf_append_byte(&b, 0);
	return (char *)b.data;
}

struct broker *routes_live(const struct routes *r, struct mosaic_slice cluster,
			   struct mosaic_slice addr)
{
	char *key = live_key(cluster, addr);
	struct broker *b = map_get(&r->live, slice_str(key));

	free(key);
	return b;
}

static struct mosaic_slice peer_key(struct peer *const *peer)
{
	return slice(peer, sizeof(*peer));
}

static void broker_set_peer(struct routes *r, struct broker *b, struct peer *peer)
{
	struct list *list;

	if (b->peer == peer)
		return;
	if (b->peer) {
		list_remove(&b->peer_link);
		list = map_get(&r->by_peer, peer_key(&b->peer));
		if (list_empty(list)) {
			map_remove(&r->by_peer, peer_key(&b->peer));
			free(list);
		}
	}
	b->peer = peer;
	if (peer == NULL)
		return;
	list = map_get(&r->by_peer, peer_key(&peer));
	if (list == NULL) {
		list = mem_alloc(sizeof(*list));
		list_init(list);
		map_put(&r->by_peer, peer_key(&peer), list);
	}
	list_add_tail(list, &b->peer_link);
}

static struct broker *broker_create(struct routes *r, const struct registration *reg)
{
	struct broker *b = mem_alloc(sizeof(*b));

	b->id = reg->id;
	b->addr = slice_dup(reg->addr);
	b->live_key = live_key(reg->cluster, reg->addr);
	list_init(&b->peer_link);
	list_add_tail(&r->brokers, &b->link);
	map_put(&r->live, slice_str(b->live_key), b);
	return b;
}

/* Forgets the broker; its group may be empty afterwards. */
static void broker_destroy(struct routes *r, struct broker *b)
{
	group_take_out(b);
	broker_set_peer(r, b, NULL);
	list_remove(&b->link);
	map_remove(&r->live, slice_str(b->live_key));
	free(b->addr);
	free(b->ha_addr);
	free(b->live_key);
	free(b->filter_servers);
	free(b);
}

void routes_unregister(struct routes *r, struct broker *b)
{
	struct broker_group *g = b->group;
	bool was_min = g->brokers[0] == b;
	char *addr = mem_strdup(b->addr);

	LOG_INFO(r->host, "broker_gone", "broker=%s id=%lld address=%s", g->name, (long long)b->id,
		 b->addr);
	broker_destroy(r, b);
	if (g->n == 0) {
		group_destroy(r, g);
	} else if (g->enable_acting_master && was_min) {
		if (g->brokers[0]->id > MASTER_ID)
			routes_change_perm(r, g, ~PERM_WRITE, 0);
		if (r->min_id_changed)
			r->min_id_changed(r->ctx, g, addr);
	}
	free(addr);
}

void routes_peer_closed(struct routes *r, struct peer *peer)
{
	struct list *list;

	/* The last one that goes frees the list. */
	while ((list = map_get(&r->by_peer, peer_key(&peer))) != NULL)
		routes_unregister(r, LIST_ENTRY(list->next, struct broker, peer_link));
}

void routes_expire(struct routes *r)
{
	uint64_t now = host_now_ns(r->host);

	LIST_FOR_SAFE(it, &r->brokers) {
		struct broker *b = LIST_ENTRY(it, struct broker, link);

		if (now - b->heard_ns <= b->timeout_ns)
			continue;
		LOG_WARN(r->host, "broker_expired", "broker=%s id=%lld address=%s silent_ms=%llu",
			 b->group->name, (long long)b->id, b->addr,
			 (unsigned long long)((now - b->heard_ns) / MS_NS));
		peer_close(b->peer, false, "broker expired");
		routes_unregister(r, b);
	}
}

void routes_fini(struct routes *r)
{
	while (!list_empty(&r->brokers)) {
		struct broker *b = LIST_ENTRY(r->brokers.next, struct broker, link);
		struct broker_group *g = b->group;

		broker_destroy(r, b);
		if (g->n == 0)
			group_destroy(r, g);
	}
	ASSERT(map_count(&r->topics) == 0);
	ASSERT(map_count(&r->clusters) == 0);
	map_free(&r->topics);
	map_free(&r->groups);
	map_free(&r->clusters);
	map_free(&r->live);
	map_free(&r->by_peer);
}

/* ---- registration ---- */

static int check_bounds(struct routes *r, const struct registration *reg, bool is_new,
			const struct register_body *body, struct mosaic_error *err)
{
	uint32_t n_new = 0;

	if (is_new && map_count(&r->live) >= r->max_brokers)
		return err_set(err, MOSAIC_E_LIMIT, "%u brokers are registered, the limit",
			       r->max_brokers);
	/* When all fit even if all are new, there is nothing to look up. */
	if (body->n_topics <= r->max_topics - map_count(&r->topics))
		return 0;
	for (uint32_t i = 0; i < body->n_topics; i++)
		n_new += map_get(&r->topics, body->topics[i].name) == NULL;
	if (n_new > r->max_topics - map_count(&r->topics))
		return err_set(
			err, MOSAIC_E_LIMIT,
			"%u new topics of broker %.*s do not fit: %u of at most %u are known",
			n_new, SLICE_ARG(reg->name), map_count(&r->topics), r->max_topics);
	return 0;
}

/* Removes the topics of the group that the registration does not name. */
static void delete_missing(struct routes *r, struct broker_group *g,
			   const struct register_body *body)
{
	struct map named = MAP_INIT;
	struct map_entry *e;

	for (uint32_t i = 0; i < body->n_topics; i++)
		map_put(&named, body->topics[i].name, &body->topics[i]);
	for (uint32_t pos = 0; (e = map_next(&r->topics, &pos)) != NULL;)
		if (map_get(&named, e->key) == NULL)
			topic_drop(r, e->key, e->value, g, NULL);
	map_free(&named);
}

/* is_changed: what the broker says may differ from what it said last. */
static void update_topics(struct routes *r, struct broker_group *g, bool is_changed,
			  int32_t perm_mask, const struct register_body *body)
{
	if (r->delete_missing_topics)
		delete_missing(r, g, body);
	for (uint32_t i = 0; i < body->n_topics; i++) {
		const struct registered_topic *named = &body->topics[i];
		struct queue_data q = { .group = g,
					.read_queues = named->read_queues,
					.write_queues = named->write_queues,
					.perm = named->perm & perm_mask,
					.sys_flag = named->sys_flag };
		const struct topic *t = is_changed ? NULL : map_get(&r->topics, named->name);

		if (t == NULL || topic_queues_of(t, g) == NULL)
			routes_set_queues(r, named->name, &q);
	}
}

static void broker_heard(struct routes *r, struct broker *b, const struct registration *reg,
			 const struct register_body *body)
{
	b->heard_ns = host_now_ns(r->host);
	b->timeout_ns = reg->timeout_ns;
	b->version = body->version;
	if (b->ha_addr == NULL || !slice_is(reg->ha_addr, b->ha_addr)) {
		free(b->ha_addr);
		b->ha_addr = slice_dup(reg->ha_addr);
	}
	broker_set_peer(r, b, reg->peer);
	if (body->has_filter_servers) {
		free(b->filter_servers);
		b->filter_servers = body->filter_servers ? mem_strdup(body->filter_servers) : NULL;
	}
}

static void group_configure(struct broker_group *g, const struct registration *reg)
{
	g->enable_acting_master = reg->has_acting_master && reg->enable_acting_master;
	free(g->zone);
	g->zone = reg->zone.len > 0 ? slice_dup(reg->zone) : NULL;
}

int routes_register(struct routes *r, const struct registration *reg,
		    const struct register_body *body, struct broker **out, struct mosaic_error *err)
{
	struct broker_group *g = map_get(&r->groups, reg->name);
	struct broker *b = routes_live(r, reg->cluster, reg->addr);
	struct broker *holder = g ? group_find(g, reg->id) : NULL;
	int64_t min_id = g ? g->brokers[0]->id : 0;
	bool id_is_known = holder != NULL, is_changed, is_prime;
	int rc;

	*out = NULL;
	if (holder && holder != b && holder->version.state_version > body->version.state_version) {
		LOG_WARN(r->host, "registration_stale",
			 "broker=%.*s id=%lld address=%.*s held_by=%s", SLICE_ARG(reg->name),
			 (long long)reg->id, SLICE_ARG(reg->addr), holder->addr);
		if (b)
			routes_unregister(r, b);
		return 0;
	}
	if (!id_is_known && body->n_topics == 1)
		return err_set(err, MOSAIC_E_INVAL, "register broker failed");
	rc = check_bounds(r, reg, b == NULL, body, err);
	if (rc != 0)
		return rc;

	/* From here on nothing fails. */
	if (b && b->group != g) {
		routes_unregister(r, b); /* another broker name at the same address */
		b = NULL;
	}
	if (g == NULL)
		g = group_create(r, reg);
	group_configure(g, reg);
	is_changed = !id_is_known || b == NULL || !route_version_eq(&b->version, &body->version);
	if (b && b->id != reg->id) { /* role switch */
		group_take_out(b);
		b->id = reg->id;
		group_insert(g, b);
	} else if (b == NULL) {
		b = broker_create(r, reg);
		group_insert(g, b);
		LOG_INFO(r->host, "broker_registered", "broker=%s id=%lld address=%s topics=%u",
			 g->name, (long long)b->id, b->addr, body->n_topics);
	}
	if (holder && holder != b)
		broker_destroy(r, holder); /* its id has a new address */

	is_prime = reg->has_acting_master && reg->id != MASTER_ID && g->brokers[0] == b;
	if (reg->id == MASTER_ID || is_prime)
		update_topics(r, g, is_changed,
			      is_prime && g->enable_acting_master ? ~PERM_WRITE : ~0, body);
	broker_heard(r, b, reg, body);
	if (reg->id < min_id && g->enable_acting_master && r->min_id_changed)
		r->min_id_changed(r->ctx, g, NULL);
	*out = b;
	return 0;
}
