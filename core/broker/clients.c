/*
 * Who is connected, and in which groups.
 *
 *   heartbeat       -> clients_add_consumer / _producer: a member, on the group's and the peer's
 *   list member new, gone, other topics
 *                   -> clients_group_changed: the group is on the notify list
 *   end of the turn -> notify_members: 40 to every member, once however many changes there were
 *   peer closed, 35, 120 s of silence -> member_remove
 *
 * Invariants: a member is on exactly one group's list and one peer's list; a group without members
 * does not exist.
 */
#include "broker/clients.h"
#include "base/mem.h"
#include "broker/groups.h"
#include "wire/codes.h"
#include <stdlib.h>

#define GROUP_NAME_CONNECTED_MAX 255

/* peer->service: what a connection is a member of. */
struct client_peer {
	struct list members;
	uint32_t n_members;
};

static void scan(struct mosaic_timer *timer);
static void notify_members(struct mosaic_timer *timer);

struct clients *clients_create(struct broker *b)
{
	struct clients *c = mem_alloc(sizeof(*c));

	c->broker = b;
	c->max_members = CLIENT_MEMBERS_MAX;
	c->scan.fire = scan;
	c->scan.data = c;
	c->notify.fire = notify_members;
	c->notify.data = c;
	list_init(&c->notify_list);
	return c;
}

static void subscription_free(struct subscription *sub)
{
	subscription_fini(sub);
	free(sub);
}

static void consumer_group_free(struct consumer_group *g)
{
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(&g->subscriptions, &pos)) != NULL;)
		subscription_free(e->value);
	map_free(&g->subscriptions);
	list_remove(&g->notify_link);
	free(g->name);
	free(g);
}

static void member_remove(struct clients *c, struct member *m)
{
	struct client_peer *on = m->peer->service;
	struct consumer_group *consumers = m->consumer;
	struct producer_group *producers = m->producer;

	list_remove(&m->in_group);
	list_remove(&m->on_peer);
	on->n_members--;
	c->n_members--;
	free(m->client_id);
	free(m);
	if (consumers && --consumers->n_members == 0) {
		map_remove(&c->consumers, slice(consumers->name, consumers->name_len));
		consumer_group_free(consumers);
	} else if (consumers) {
		clients_group_changed(c, consumers);
	}
	if (producers && --producers->n_members == 0) {
		map_remove(&c->producers, slice(producers->name, producers->name_len));
		free(producers->name);
		free(producers);
	}
}

void clients_peer_closed(struct clients *c, struct peer *peer)
{
	struct client_peer *on = peer->service;

	if (!on)
		return;
	while (!list_empty(&on->members))
		member_remove(c, LIST_ENTRY(on->members.next, struct member, on_peer));
	free(on);
	peer->service = NULL;
}

/* Removes what is left when the broker goes before its connections do. */
static void remove_all(struct clients *c, const struct map *groups, bool are_consumers)
{
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(groups, &pos)) != NULL; pos = 0) {
		struct list *members = are_consumers ?
					       &((struct consumer_group *)e->value)->members :
					       &((struct producer_group *)e->value)->members;

		clients_peer_closed(c, LIST_ENTRY(members->next, struct member, in_group)->peer);
	}
}

void clients_destroy(struct clients *c)
{
	remove_all(c, &c->consumers, true);
	remove_all(c, &c->producers, false);
	clients_stop(c);
	map_free(&c->consumers);
	map_free(&c->producers);
	free(c);
}

void clients_start(struct clients *c)
{
	c->broker->host->timer_start(c->broker->host, &c->scan, CLIENT_SCAN_MS * MS_NS);
}

void clients_stop(struct clients *c)
{
	c->broker->host->timer_stop(c->broker->host, &c->scan);
	c->broker->host->timer_stop(c->broker->host, &c->notify);
}

struct consumer_group *clients_consumers(const struct clients *c, struct mosaic_slice group)
{
	return map_get(&c->consumers, group);
}

struct producer_group *clients_producers(const struct clients *c, struct mosaic_slice group)
{
	return map_get(&c->producers, group);
}

/* ---- members ---------------------------------------------------------------------------- */

static struct client_peer *client_peer_of(struct peer *peer)
{
	struct client_peer *on = peer->service;

	if (on)
		return on;
	on = mem_alloc(sizeof(*on));
	list_init(&on->members);
	peer->service = on;
	return on;
}

static struct member *find_on_peer(const struct peer *peer, const struct consumer_group *consumers,
				   const struct producer_group *producers)
{
	struct client_peer *on = peer->service;

	if (!on || (!consumers && !producers))
		return NULL;
	LIST_FOR(it, &on->members)
	{
		struct member *m = LIST_ENTRY(it, struct member, on_peer);

		if (m->consumer == consumers && m->producer == producers)
			return m;
	}
	return NULL;
}

static bool has_room(const struct clients *c, const struct client_info *client,
		     struct mosaic_slice group)
{
	const struct client_peer *on = client->peer->service;

	return c->n_members < c->max_members && group.len > 0 &&
	       group.len <= GROUP_NAME_CONNECTED_MAX && client->client_id.len <= CLIENT_ID_MAX &&
	       (!on || on->n_members < 2 * CLIENT_GROUPS_MAX);
}

static void refresh(struct clients *c, struct member *m, const struct client_info *client)
{
	if (!m->client_id || !slice_is(client->client_id, m->client_id)) {
		free(m->client_id);
		m->client_id = slice_dup(client->client_id);
	}
	m->version = client->version;
	m->language = client->language;
	m->last_heartbeat_ms = (int64_t)host_wall_ms(c->broker->host);
	m->heard_ns = host_now_ns(c->broker->host);
}

static struct member *member_add(struct clients *c, const struct client_info *client,
				 struct list *in_group)
{
	struct client_peer *on = client_peer_of(client->peer);
	struct member *m = mem_alloc(sizeof(*m));

	m->peer = client->peer;
	list_add_tail(in_group, &m->in_group);
	list_add_tail(&on->members, &m->on_peer);
	on->n_members++;
	c->n_members++;
	return m;
}

struct consumer_group *clients_add_consumer(struct clients *c, const struct client_info *client,
					    struct mosaic_slice group, bool *is_new)
{
	struct consumer_group *g = clients_consumers(c, group);
	struct member *m = find_on_peer(client->peer, g, NULL);

	*is_new = m == NULL;
	if (!m && !has_room(c, client, group))
		return NULL;
	if (!g) {
		g = mem_alloc(sizeof(*g));
		g->name = slice_dup(group);
		g->name_len = (uint32_t)group.len;
		g->notify_enabled = true;
		list_init(&g->members);
		list_init(&g->notify_link);
		map_put(&c->consumers, group, g);
	}
	if (!m) {
		m = member_add(c, client, &g->members);
		m->consumer = g;
		g->n_members++;
	}
	refresh(c, m, client);
	return g;
}

bool clients_add_producer(struct clients *c, const struct client_info *client,
			  struct mosaic_slice group)
{
	struct producer_group *g = clients_producers(c, group);
	struct member *m = find_on_peer(client->peer, NULL, g);

	if (!m && !has_room(c, client, group))
		return false;
	if (!g) {
		g = mem_alloc(sizeof(*g));
		g->name = slice_dup(group);
		g->name_len = (uint32_t)group.len;
		list_init(&g->members);
		map_put(&c->producers, group, g);
	}
	if (!m) {
		m = member_add(c, client, &g->members);
		m->producer = g;
		g->n_members++;
	}
	refresh(c, m, client);
	return true;
}

void clients_remove_consumer(struct clients *c, struct peer *peer, struct mosaic_slice group)
{
	struct member *m = find_on_peer(peer, clients_consumers(c, group), NULL);

	if (m)
		member_remove(c, m);
}

void clients_remove_producer(struct clients *c, struct peer *peer, struct mosaic_slice group)
{
	struct member *m = find_on_peer(peer, NULL, clients_producers(c, group));

	if (m)
		member_remove(c, m);
}

/* ---- subscriptions of a group ----------------------------------------------------------- */

const struct subscription *consumer_group_subscription(const struct consumer_group *g,
						       struct mosaic_slice topic)
{
	return map_get(&g->subscriptions, topic);
}

bool consumer_group_subscribe(struct consumer_group *g, struct subscription *sub)
{
	struct mosaic_slice topic = slice_str(sub->topic);
	struct subscription *old = map_get(&g->subscriptions, topic);

	if (old && sub->version <= old->version) {
		subscription_free(sub);
		return false;
	}
	if (!old && map_count(&g->subscriptions) >= CLIENT_SUBSCRIPTIONS_MAX) {
		subscription_free(sub);
		return false;
	}
	map_put(&g->subscriptions, topic, sub);
	if (old)
		subscription_free(old);
	g->changed_ms = sub->version;
	return old == NULL;
}

bool consumer_group_keep(struct consumer_group *g, const struct map *keep)
{
	struct map_entry *e;
	bool any = false;

	for (uint32_t pos = 0; (e = map_next(&g->subscriptions, &pos)) != NULL;) {
		struct subscription *sub = e->value;

		if (map_get(keep, e->key))
			continue;
		map_remove(&g->subscriptions, e->key);
		subscription_free(sub);
		any = true;
	}
	return any;
}

/* ---- telling members -------------------------------------------------------------------- */

void clients_group_changed(struct clients *c, struct consumer_group *g)
{
	if (g->model == MODEL_BROADCASTING || !g->notify_enabled)
		return;
	if (list_empty(&g->notify_link))
		list_add_tail(&c->notify_list, &g->notify_link);
	c->broker->host->timer_start(c->broker->host, &c->notify, 0);
}

static void notify_members(struct mosaic_timer *timer)
{
	struct clients *c = timer->data;

	while (!list_empty(&c->notify_list)) {
		struct consumer_group *g =
			LIST_ENTRY(c->notify_list.next, struct consumer_group, notify_link);
		struct mosaic_slice name = slice(g->name, g->name_len);

		list_remove(&g->notify_link);
		LIST_FOR(it, &g->members)
		{
			struct member *m = LIST_ENTRY(it, struct member, in_group);
			uint32_t room = HEADER_ROOM + (uint32_t)HEADER_FIELD_ROOM(13, name.len);
			struct call_writer cw;

			/* A peer that does not read is told by its own rebalance, each 20 s. */
			if (!call_begin(&cw, m->peer, REQ_NOTIFY_CONSUMER_IDS_CHANGED, true, room,
					0))
				continue;
			header_put(&cw.w, "consumerGroup", name);
			call_end_oneway(&cw, slice(NULL, 0));
		}
	}
}

/* ---- expiry ----------------------------------------------------------------------------- */

static bool has_expired(const struct clients *c, const struct member *m)
{
	return host_now_ns(c->broker->host) - m->heard_ns > CLIENT_EXPIRY_MS * MS_NS;
}

/* Silent members: the connection is closed, closed() removes them. As in Apache's broker one silent
 * group ends the whole connection. */
static void scan_list(struct clients *c, struct list *members, const char *group)
{
	LIST_FOR(it, members)
	{
		struct member *m = LIST_ENTRY(it, struct member, in_group);

		if (!has_expired(c, m) || !peer_is_open(m->peer))
			continue;
		LOG_WARN(c->broker->host, "client_expired", "client=%s group=%s peer=%s",
			 m->client_id, group, m->peer->address.text);
		peer_close(m->peer, false, "no heartbeat for 120 s");
	}
}

static void scan(struct mosaic_timer *timer)
{
	struct clients *c = timer->data;
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(&c->consumers, &pos)) != NULL;) {
		struct consumer_group *g = e->value;

		scan_list(c, &g->members, g->name);
	}
	for (uint32_t pos = 0; (e = map_next(&c->producers, &pos)) != NULL;) {
		struct producer_group *g = e->value;

		scan_list(c, &g->members, g->name);
	}
	clients_start(c);
}
