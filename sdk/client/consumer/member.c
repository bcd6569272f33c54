#include "consumer/member.h"
#include "base/err.h"
#include "base/mem.h"
#include "consumer/offset_file.h"
#include <mosaic/consumer.h>
#include <stdio.h>
#include <stdlib.h>

#define GROUP_MAX 120 /* as brokers take them */

static void route_changed(struct route_watch *watch, struct route *route)
{
	struct member *m = watch->data;
	struct member_topic *t = map_get(&m->topics, slice_str(route->topic));

	if (t != NULL && m->is_running)
		rebalance_topic(t);
}

static void write_subscriptions(struct consumer_group *group, struct json_writer *w)
{
	const struct member *m = group->data;
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(&m->topics, &pos)) != NULL;)
		subscription_write(((struct member_topic *)e->value)->sub, w);
}

/* ---- numbers ---- */

struct stats_sums *member_stats(struct member *m, const char *topic)
{
	struct member_topic *t = map_get(&m->topics, slice_str(topic));

	return t != NULL ? &t->stats.now : &m->lost;
}

static void sample(struct mosaic_timer *timer)
{
	struct member *m = timer->data;
	const struct mosaic_host *host = m->engine->host;
	uint64_t now_ms = host_now_ns(host) / MS_NS;
	bool is_long = m->n_samples++ % STATS_PER_LONG == 0;
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(&m->topics, &pos)) != NULL;)
		stats_sample(&((struct member_topic *)e->value)->stats, now_ms, is_long);
	host->timer_start(host, &m->sample, STATS_PERIOD_NS);
}

/* ---- making ---- */

static int check(const struct member_config *c, struct mosaic_error *error)
{
	size_t len = c->group != NULL ? strnlen(c->group, GROUP_MAX + 1) : 0;

	if (len == 0 || len > GROUP_MAX)
		return err_set(error, MOSAIC_E_INVAL, "a group has a name of 1 to %d bytes",
			       GROUP_MAX);
	if (strspn(c->group, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			     "0123456789_-%|") != len)
		return err_set(error, MOSAIC_E_INVAL, "a group's name with a character that is "
						      "not allowed: %s",
			       c->group);
	if (c->from > MOSAIC_FROM_TIME)
		return err_set(error, MOSAIC_E_INVAL, "from: no such value");
	return 0;
}

int member_init(struct member *m, struct mosaic_client *client, const struct member_config *config,
		const struct member_ops *ops, struct mosaic_error *error)
{
	static const char *const froms[] = { "CONSUME_FROM_LAST_OFFSET",
					     "CONSUME_FROM_FIRST_OFFSET",
					     "CONSUME_FROM_TIMESTAMP" };

	*m = (struct member){ .client = client, .engine = &client->engine, .ops = ops,
			      .config = *config };
	m->config.group = m->config.balance = m->config.offset_dir = NULL;
	list_init(&m->asks);
	list_init(&m->unlocks);
	list_init(&m->heartbeat.link);
	int rc = check(config, error);
	if (rc != 0)
		return rc;
	m->config.group = mem_strdup(config->group);
	if (config->is_broadcast)
		rc = offset_file_open(config->offset_dir, config->group, &m->file, error);
	m->way = allocate_way(config->balance);
	if (rc == 0)
		rc = client_balancer(client, m->way == ALLOCATE_PLUGIN && config->balance != NULL
						     ? config->balance
						     : "lb-roundrobin",
				     &m->balance, error);
	m->heartbeat = (struct consumer_group){
		.name = m->config.group, .type = config->type, .from = froms[config->from],
		.model = config->is_broadcast ? "BROADCASTING" : "CLUSTERING",
		.subscriptions = write_subscriptions, .data = m };
	m->watch = (struct route_watch){ .changed = route_changed, .data = m };
	m->commit = (struct mosaic_timer){ .fire = offsets_tick, .data = m };
	m->lock = (struct mosaic_timer){ .fire = lock_tick, .data = m };
	m->sample = (struct mosaic_timer){ .fire = sample, .data = m };
	return rc;
}

static void topic_free(struct member_topic *t)
{
	subscription_free(t->sub);
	buf_free(&t->question);
	free(t);
}

void member_free(struct member *m)
{
	struct map_entry *e;

	ASSERT(!m->is_running);
	ASSERT(map_count(&m->shares) == 0);
	for (uint32_t pos = 0; (e = map_next(&m->topics, &pos)) != NULL;)
		topic_free(e->value);
	map_free(&m->topics);
	map_free(&m->shares);
	offsets_forget(m);
	free(m->assigned);
	offset_file_close(&m->file);
	balancer_free(&m->balance);
	free((char *)(uintptr_t)m->config.group);
}

/* ---- subscriptions ---- */

static void stamp(struct member *m, struct subscription *sub)
{
	int64_t now = (int64_t)host_wall_ms(m->engine->host);

	m->version = now > m->version ? now : m->version + 1;
	sub->version = m->version;
}

static void replace(struct member_topic *t, struct subscription *sub)
{
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(&t->member->shares, &pos)) != NULL;) {
		struct share *s = e->value;
		if (s->sub == t->sub)
			s->sub = sub;
	}
	subscription_free(t->sub);
	t->sub = sub;
}

void member_subscribe(struct member *m, struct subscription *sub)
{
	struct member_topic *t = map_get(&m->topics, slice_str(sub->topic));

	stamp(m, sub);
	if (t != NULL) {
		replace(t, sub);
	} else {
		t = mem_alloc(sizeof(*t));
		t->member = m;
		t->sub = sub;
		map_put(&m->topics, slice_str(sub->topic), t);
	}
	if (m->is_running) {
		engine_beat(m->engine);
		rebalance_topic(t);
	}
}

void member_unsubscribe(struct member *m, const char *topic)
{
	struct member_topic *t = map_remove(&m->topics, slice_str(topic));
	char retry[400];

	if (t == NULL)
		return;
	rebalance_stop(t);
	if (m->is_running)
		engine_beat(m->engine);
	rebalance_apply(m, t->sub, NULL, 0);
	if (m->ops->pops != NULL)
		m->ops->pops(m, t->sub->topic, NULL, 0);
	if (m->config.is_orderly) { /* shares that are leaving still need it */
		struct map_entry *e;
		for (uint32_t pos = 0; (e = map_next(&m->shares, &pos)) != NULL;)
			if (((struct share *)e->value)->sub == t->sub)
				share_end(e->value, true);
	}
	topic_free(t);
	if (m->config.is_brokered) { /* assignment.c may have subscribed it */
		snprintf(retry, sizeof(retry), "%%RETRY%%%s_%s", m->config.group, topic);
		if (map_get(&m->topics, slice_str(retry)) != NULL)
			member_unsubscribe(m, retry);
	}
}

struct share *member_share(struct member *m, const char *topic, const char *broker, int32_t id)
{
	char key[512];

	snprintf(key, sizeof(key), "%s@%s@%d", topic, broker, (int)id);
	return map_get(&m->shares, slice_str(key));
}

/* ---- running ---- */

int member_start(struct member *m, struct mosaic_error *error)
{
	const struct mosaic_host *host = m->engine->host;

	ASSERT(!m->is_running);
	if (map_count(&m->topics) == 0)
		return err_set(error, MOSAIC_E_INVAL, "nothing is subscribed");
	if (m->config.is_reader && m->assigned == NULL)
		return err_set(error, MOSAIC_E_INVAL, "a reader reads queues that are assigned");
	LIST_FOR(it, &m->engine->consumers) {
		const char *name = LIST_ENTRY(it, struct consumer_group, link)->name;
		if (!m->config.is_reader && strcmp(name, m->config.group) == 0)
			return err_set(error, MOSAIC_E_INVAL,
				       "this client has a member of group %s already: give "
				       "another one a client of its own",
				       m->config.group);
	}
	m->is_running = true;
	m->started_ns = m->retold_ns = host_now_ns(host);
	if (!m->config.is_reader)
		consumer_group_join(m->engine, &m->heartbeat);
	route_watch_start(m->engine, &m->watch);
	host->timer_start(host, &m->commit, m->config.commit_ns);
	sample(&m->sample);
	rebalance_all(m);
	return 0;
}

static void finish(struct member *m)
{
	void (*drained)(struct member *) = m->drained;

	if (drained == NULL || !list_empty(&m->asks))
		return;
	m->drained = NULL;
	route_watch_stop(&m->watch);
	if (!m->config.is_reader)
		consumer_group_leave(m->engine, &m->heartbeat);
	drained(m);
}

void member_quiet(struct member *m)
{
	struct map_entry *e;

	m->is_running = false;
	for (uint32_t pos = 0; (e = map_next(&m->topics, &pos)) != NULL;)
		rebalance_stop(e->value);
	for (uint32_t pos = 0; (e = map_next(&m->shares, &pos)) != NULL;)
		share_quiet(e->value);
}

void member_stop(struct member *m, void (*drained)(struct member *m))
{
	const struct mosaic_host *host = m->engine->host;
	struct map_entry *e;

	ASSERT(!m->is_running);
	host->timer_stop(host, &m->commit);
	host->timer_stop(host, &m->sample);
	host->timer_stop(host, &m->lock);
	for (uint32_t pos = 0; (e = map_next(&m->shares, &pos)) != NULL;)
		share_end(e->value, !m->config.is_manual);
	(void)offsets_save(m); /* it has logged */
	m->drained = drained;
	finish(m);
}

/* ---- asks ---- */

static void member_asked(struct ask *ask)
{
	struct member_ask *a = ask->data;
	struct member *m = a->member;

	list_remove(&a->link);
	if (a->done != NULL)
		a->done(a);
	if (a->then != NULL)
		member_ask_send(a->then);
	if (a->commits != NULL)
		offsets_answered(a);
	buf_free(&a->body);
	free(a->key);
	free(a);
	finish(m);
}

struct member_ask *member_ask_make(struct member *m, const struct broker *b, const char *key)
{
	struct member_ask *a = mem_alloc(sizeof(*a));

	a->member = m;
	a->broker = b;
	a->key = key != NULL ? mem_strdup(key) : NULL;
	list_init(&a->link);
	list_init(&a->unlock);
	a->ask = (struct ask){ .done = member_asked, .data = a };
	return a;
}

void member_ask_send(struct member_ask *a)
{
	const char *address = broker_address_any(a->broker);

	list_add_tail(&a->member->asks, &a->link);
	a->ask.body = buf_slice(&a->body);
	engine_ask(a->member->engine, &a->ask, address != NULL ? address : "nowhere:0",
		   MEMBER_ASK_NS);
}
