/* A queue that is ours: locked (orderly), begun, pulled, left. */
#include "base/err.h"
#include "base/mem.h"
#include "consumer/member.h"
#include "consumer/offset_file.h"
#include <stdio.h>
#include <stdlib.h>

static bool needs_lock(const struct member *m)
{
	return m->config.is_orderly && !m->config.is_broadcast;
}

static void resumed(struct mosaic_timer *timer)
{
	struct share *s = timer->data;

	s->member->ops->ready(s->member, s);
}

void share_make(struct member *m, struct subscription *sub, struct broker *broker, int32_t id)
{
	struct share *s = mem_alloc(sizeof(*s));
	char key[512];

	snprintf(key, sizeof(key), "%s@%s@%d", sub->topic, broker->name, (int)id);
	s->member = m;
	s->sub = sub;
	s->broker = broker;
	s->id = id;
	s->key = mem_strdup(key);
	s->told = -1;
	s->made_ns = host_now_ns(m->engine->host);
	process_queue_init(&s->queue);
	list_init(&s->service);
	s->suspend = (struct mosaic_timer){ .fire = resumed, .data = s };
	map_put(&m->shares, slice_str(s->key), s);
	LOG_INFO(m->engine->host, "queue_taken", "group=%s queue=%s", m->config.group, s->key);
	if (needs_lock(m)) {
		s->state = SHARE_LOCKING;
		lock_soon(m);
	} else {
		s->state = SHARE_STARTING;
		start_offset_find(s);
	}
}

void share_begin(struct share *s, int64_t offset, bool is_committed)
{
	struct member *m = s->member;

	s->state = SHARE_RUNNING;
	s->n_failed = 0;
	s->next = offset;
	s->told = is_committed ? offset : -1;
	process_queue_restart(&s->queue, offset);
	LOG_DEBUG(m->engine->host, "queue_begins", "group=%s queue=%s offset=%lld",
		  m->config.group, s->key, (long long)offset);
	pull_next(s);
}

static void canceled(struct ask *ask)
{
	(void)ask;
}

void share_quiet(struct share *s)
{
	s->member->engine->host->timer_stop(s->member->engine->host, &s->timer);
	if (ask_waits(&s->ask)) {
		s->ask.done = canceled;
		ask_cancel(&s->ask);
	}
}

void share_restart(struct share *s, int64_t offset)
{
	share_quiet(s);
	if (s->state == SHARE_STARTING)
		s->state = SHARE_RUNNING;
	s->next = offset;
	s->is_full = false;
	process_queue_restart(&s->queue, offset);
	pull_next(s);
}

/* Unlocked after the offset is known: the next owner asks for it at once. Also when the broker was
 * asked for a lock and has not said yes: it may do so still, and nobody would have the queue for
 * the minute that a lock lives. */
static void give_back(struct share *s, bool is_committing)
{
	bool may_be_locked = s->locked_ns != 0 || s->state == SHARE_LOCKING;
	struct member_ask *commit = is_committing ? offsets_make(s) : NULL;
	struct member_ask *unlock = may_be_locked ? lock_make_unlock(s) : NULL;

	if (commit != NULL) {
		commit->then = unlock;
		offsets_send(commit);
	} else if (unlock != NULL) {
		member_ask_send(unlock);
	}
}

void share_relock(struct share *s)
{
	share_quiet(s);
	process_queue_restart(&s->queue, -1);
	s->state = SHARE_LOCKING;
}

void share_end(struct share *s, bool is_committing)
{
	struct member *m = s->member;
	const struct mosaic_host *host = m->engine->host;

	share_quiet(s);
	host->timer_stop(host, &s->suspend);
	give_back(s, is_committing);
	m->ops->ends(m, s);
	process_queue_restart(&s->queue, -1);
	map_remove(&m->shares, slice_str(s->key));
	LOG_INFO(host, "queue_left", "group=%s queue=%s", m->config.group, s->key);
	free(s->key);
	free(s);
}

void share_leave(struct share *s)
{
	/* Orderly: the next owner must not begin before the last message of ours has ended. */
	if (s->member->config.is_orderly && s->queue.n_out > 0) {
		share_quiet(s);
		s->state = SHARE_LEAVING;
	} else {
		share_end(s, !s->member->config.is_manual);
	}
}

void share_stay(struct share *s)
{
	if (s->state != SHARE_LEAVING)
		return;
	s->state = SHARE_RUNNING;
	pull_next(s);
}

bool share_is_usable(const struct share *s)
{
	const struct mosaic_host *host = s->member->engine->host;

	if (s->state != SHARE_RUNNING || s->is_paused)
		return false;
	return !needs_lock(s->member) ||
	       (s->locked_ns != 0 && host_now_ns(host) - s->locked_ns < LOCK_LIFE_NS);
}

void share_settled(struct share *s)
{
	s->settled_ns = host_now_ns(s->member->engine->host);
	if (s->state == SHARE_LEAVING && s->queue.n_out == 0) {
		share_end(s, !s->member->config.is_manual);
		return;
	}
	if (s->state != SHARE_RUNNING)
		return;
	if (needs_lock(s->member) && s->locked_ns == 0 && s->queue.n_out == 0) {
		share_relock(s);
		lock_soon(s->member);
		return;
	}
	process_queue_skip(&s->queue, s->next);
	pull_next(s);
}

void share_failed(struct share *s, void (*again)(struct mosaic_timer *timer), const char *what,
		  const char *why)
{
	const struct mosaic_host *host = s->member->engine->host;
	char text[300];

	/* At first after a second, for it is often a broker that has just started; then every 3. */
	uint64_t delay = s->n_failed++ == 0 ? SECOND_NS : 3 * SECOND_NS;
	LOG_WARN(host, what, "group=%s queue=%s why=%s", s->member->config.group, s->key,
		 host_log_quote(text, sizeof(text), why));
	route_refresh(s->member->engine, s->sub->topic);
	s->timer = (struct mosaic_timer){ .fire = again, .data = s };
	host->timer_start(host, &s->timer, delay);
}
