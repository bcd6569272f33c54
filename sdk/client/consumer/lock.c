/*
 * Locks of queues, for order (RebalanceLockManager at the broker: 60 s). Asked for when a queue is
 * new, every 20 s for all, and every half second while the former owner still has one; what was
 * locked longer than 30 s ago is not used. A queue that comes back is not asked for before its
 * unlock has been answered, and an answer to a question that is older than the share says nothing
 * of it: the unlock came between.
 */
#include "consumer/member.h"
#include "memory.h"
#include "wire/codes.h"
#include "wire/json.h"
#include <string.h>

#define PERIOD_NS (20 * SECOND_NS)
#define RETRY_NS (SECOND_NS / 2)

static void write_queue(struct json_writer *w, const struct share *s)
{
	jw_object(w);
	jw_put_cstr(w, "brokerName", s->broker->name);
	jw_put_i64(w, "queueId", s->id);
	jw_put_cstr(w, "topic", s->sub->topic);
	jw_object_end(w);
}

static bool is_unlocking(const struct share *s)
{
	LIST_FOR(it, &s->member->unlocks)
		if (strcmp(LIST_ENTRY(it, struct member_ask, unlock)->key, s->key) == 0)
			return true;
	return false;
}

static void write_begin(struct json_writer *w, struct member *m, struct buf *out)
{
	jw_init(w, out);
	jw_object(w);
	jw_put_cstr(w, "clientId", m->engine->client_id);
	jw_put_cstr(w, "consumerGroup", m->config.group);
	jw_key(w, "mqSet");
	jw_array(w);
}

static void write_end(struct json_writer *w)
{
	jw_array_end(w);
	jw_put_bool(w, "onlyThisBroker", false);
	jw_object_end(w);
}

static void locked(struct share *s, uint64_t asked_ns)
{
	s->locked_ns = asked_ns;
	if (s->state == SHARE_LOCKING) {
		s->state = SHARE_STARTING;
		start_offset_find(s);
	} else if (s->state == SHARE_RUNNING) {
		s->member->ops->ready(s->member, s);
	}
}

/* Somebody else has it: what is cached may be consumed there by now. */
static void refused(struct share *s)
{
	s->locked_ns = 0;
	if (s->state == SHARE_RUNNING && s->queue.n_out == 0)
		share_relock(s);
	if (s->state != SHARE_LEAVING)
		lock_soon(s->member);
}

static bool has(json_t *list, const struct share *s)
{
	json_t *q;
	size_t i;

	json_array_foreach(list, i, q)
		if (json_get_i64(q, "queueId", -1) == s->id &&
		    slice_is(json_get_str(q, "topic"), s->sub->topic) &&
		    slice_is(json_get_str(q, "brokerName"), s->broker->name))
			return true;
	return false;
}

static void answered(struct member_ask *a)
{
	struct member *m = a->member;
	json_t *root = NULL;
	struct map_entry *e;

	if (!m->is_running)
		return;
	if (a->ask.status == 0 && a->ask.response->code == RES_SUCCESS)
		root = memory_json(a->ask.answer);
	if (root == NULL) { /* what is locked stays so until its time is over */
		lock_soon(m);
		return;
	}
	json_t *list = json_object_get(root, "lockOKMQSet");
	for (uint32_t pos = 0; (e = map_next(&m->shares, &pos)) != NULL;) {
		struct share *s = e->value;
		if (s->broker != a->broker || s->made_ns > (uint64_t)a->offset || is_unlocking(s))
			continue;
		if (has(list, s))
			locked(s, (uint64_t)a->offset);
		else
			refused(s);
	}
	json_decref(root);
}

static void lock_broker(struct member *m, struct broker *b)
{
	struct member_ask *a = member_ask_make(m, b, NULL);
	struct json_writer w;
	struct map_entry *e;

	write_begin(&w, m, &a->body);
	for (uint32_t pos = 0; (e = map_next(&m->shares, &pos)) != NULL;) {
		struct share *s = e->value;
		if (s->broker == b && !is_unlocking(s))
			write_queue(&w, s);
	}
	write_end(&w);
	a->ask.code = REQ_LOCK_BATCH_MQ;
	a->offset = (int64_t)host_now_ns(m->engine->host);
	a->done = answered;
	member_ask_send(a);
}

void lock_tick(struct mosaic_timer *timer)
{
	struct member *m = timer->data;
	const struct mosaic_host *host = m->engine->host;
	struct map_entry *e, *other;

	m->locks_asked_ns = host_now_ns(host);
	host->timer_start(host, &m->lock, PERIOD_NS);
	for (uint32_t pos = 0; (e = map_next(&m->shares, &pos)) != NULL;) {
		struct share *s = e->value;
		bool is_first = true;
		for (uint32_t i = 0; (other = map_next(&m->shares, &i)) != NULL && other != e;)
			is_first &= ((struct share *)other->value)->broker != s->broker;
		if (is_first)
			lock_broker(m, s->broker);
	}
}

void lock_soon(struct member *m)
{
	const struct mosaic_host *host = m->engine->host;
	uint64_t now = host_now_ns(host), since = now - m->locks_asked_ns;
	uint64_t delay = m->locks_asked_ns == 0 || since >= RETRY_NS ? 0 : RETRY_NS - since;

	if (m->is_running && (m->lock.due_ns == 0 || m->lock.due_ns > now + delay))
		host->timer_start(host, &m->lock, delay);
}

static void unlocked(struct member_ask *a)
{
	list_remove(&a->unlock);
	if (map_get(&a->member->shares, slice_str(a->key)) != NULL) /* it has come back */
		lock_soon(a->member);
}

struct member_ask *lock_make_unlock(struct share *s)
{
	struct member_ask *a = member_ask_make(s->member, s->broker, s->key);
	struct json_writer w;

	write_begin(&w, s->member, &a->body);
	write_queue(&w, s);
	write_end(&w);
	a->ask.code = REQ_UNLOCK_BATCH_MQ;
	a->done = unlocked;
	list_add_tail(&s->member->unlocks, &a->unlock);
	s->locked_ns = 0;
	return a;
}
