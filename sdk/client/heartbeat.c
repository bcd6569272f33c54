/*
 * Heartbeats: who we are and which groups live here (HeartbeatData, 5.3.3). Masters always, slaves
 * too while there are consumers, as Java's clients do. Answers do not matter: a broker that lost us
 * closes the connection, and the next one begins with a heartbeat.
 */
#include "engine.h"
#include "wire/codes.h"
#include "wire/json.h"

#define FORGET_REFRESHES 5 /* a broker that was in no route for so long is left alone */

static void write_producers(struct engine *e, struct json_writer *w)
{
	jw_key(w, "producerDataSet");
	jw_array(w);
	LIST_FOR(it, &e->producers) {
		jw_object(w);
		jw_put_cstr(w, "groupName", LIST_ENTRY(it, struct producer_group, link)->name);
		jw_object_end(w);
	}
	jw_array_end(w);
}

static void write_consumers(struct engine *e, struct json_writer *w)
{
	jw_key(w, "consumerDataSet");
	jw_array(w);
	LIST_FOR(it, &e->consumers) {
		struct consumer_group *g = LIST_ENTRY(it, struct consumer_group, link);

		jw_object(w);
		jw_put_cstr(w, "consumeFromWhere", g->from);
		jw_put_cstr(w, "consumeType", g->type);
		jw_put_cstr(w, "groupName", g->name);
		jw_put_cstr(w, "messageModel", g->model);
		jw_key(w, "subscriptionDataSet");
		jw_array(w);
		g->subscriptions(g, w);
		jw_array_end(w);
		jw_put_bool(w, "unitMode", false);
		jw_object_end(w);
	}
	jw_array_end(w);
}

static void write_body(struct engine *e, struct buf *out)
{
	struct json_writer w;

	jw_init(&w, out);
	jw_object(&w);
	jw_put_cstr(&w, "clientID", e->client_id);
	write_consumers(e, &w);
	jw_put_i64(&w, "heartbeatFingerprint", 0);
	write_producers(e, &w);
	jw_put_bool(&w, "withoutSub", false);
	jw_object_end(&w);
}

static bool has_groups(const struct engine *e)
{
	return !list_empty(&e->producers) || !list_empty(&e->consumers);
}

void engine_beat(struct engine *e)
{
	struct buf body = BUF_INIT;
	struct map_entry *m;

	if (!has_groups(e) || e->is_closing)
		return;
	write_body(e, &body);
	for (uint32_t pos = 0; (m = map_next(&e->brokers, &pos)) != NULL;) {
		struct broker *b = m->value;

		if (host_now_ns(e->host) - b->seen_ns > FORGET_REFRESHES * e->refresh_ns)
			continue;
		for (uint32_t i = 0; i < b->n_addresses; i++) {
			if (b->addresses[i].id != 0 && list_empty(&e->consumers))
				continue;
			number_add(&e->numbers.heartbeats, 1);
			engine_tell(e, b->addresses[i].text, REQ_HEART_BEAT, buf_slice(&body),
				    NULL);
		}
	}
	buf_free(&body);
}

void heartbeat_tick(struct mosaic_timer *timer)
{
	struct engine *e = timer->data;

	engine_beat(e);
	e->host->timer_start(e->host, &e->beat, e->heartbeat_ns);
}

void heartbeat_greet(struct engine *e, struct peer *peer)
{
	struct buf body = BUF_INIT;
	struct call_writer cw;

	if (peer->service == e || !has_groups(e))
		return;
	peer->service = e; /* greeted */
	write_body(e, &body);
	if (call_begin(&cw, peer, REQ_HEART_BEAT, false, HEADER_ROOM, (uint32_t)body.len)) {
		call_end_oneway(&cw, buf_slice(&body)); /* nobody waits for its answer */
		number_add(&e->numbers.heartbeats, 1);
	}
	buf_free(&body);
}

static void leave(struct engine *e, const char *producer, const char *consumer)
{
	const char *field = producer != NULL ? "producerGroup" : "consumerGroup";
	const char *group = producer != NULL ? producer : consumer;
	struct map_entry *m;

	for (uint32_t pos = 0; (m = map_next(&e->brokers, &pos)) != NULL;) {
		struct broker *b = m->value;

		for (uint32_t i = 0; i < b->n_addresses; i++)
			if (dialer_peek(&e->dialer, b->addresses[i].text) != NULL)
				engine_tell(e, b->addresses[i].text, REQ_UNREGISTER_CLIENT,
					    slice(NULL, 0), "clientID", e->client_id, field, group,
					    NULL);
	}
}

void producer_group_join(struct engine *e, struct producer_group *group)
{
	list_add_tail(&e->producers, &group->link);
	engine_beat(e);
}

void consumer_group_join(struct engine *e, struct consumer_group *group)
{
	list_add_tail(&e->consumers, &group->link);
	engine_beat(e);
}

void producer_group_leave(struct engine *e, struct producer_group *group)
{
	list_remove(&group->link);
	LIST_FOR(it, &e->producers) /* two producers may share a group */
		if (strcmp(LIST_ENTRY(it, struct producer_group, link)->name, group->name) == 0)
			return;
	leave(e, group->name, NULL);
}

void consumer_group_leave(struct engine *e, struct consumer_group *group)
{
	list_remove(&group->link);
	leave(e, NULL, group->name);
}
