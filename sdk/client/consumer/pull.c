/*
 * Happy path: pull_next -> held by the broker until there is something, or 15 s -> answered ->
 * added to the process queue -> ready() -> pull_next.
 *
 * Failure modes: the queue is full: pulled again when it is not (share_settled); the broker cannot
 * be reached: its other addresses in turn for 5 s, so a slave is read while the master is gone,
 * then what the answers suggest; a code that says no: again after a second, then every 3 s; the
 * offset is outside of the queue: what is cached is dropped and the broker's offset taken.
 */
#include "base/err.h"
#include "consumer/member.h"
#include "wire/codes.h"
#include <stdio.h>

#define HOLD_MS 15000
#define TIMEOUT_NS (30 * SECOND_NS)
#define GONE_NS (5 * SECOND_NS) /* a broker that could not be reached: its slaves are asked */
#define SHORT_NS (50 * MS_NS) /* an empty answer sooner than this: the broker does not hold back */

/* PullSysFlag of 5.3.3 */
#define PULL_SUSPEND 0x2
#define PULL_SUBSCRIPTION 0x4

static bool is_full(const struct share *s)
{
	const struct member_config *c = &s->member->config;
	const struct process_queue *q = &s->queue;

	return q->n_items >= c->max_cached || q->bytes >= c->max_cached_bytes ||
	       (!c->is_orderly && process_queue_span(q) > c->max_span);
}

static void again(struct mosaic_timer *timer)
{
	pull_next(timer->data);
}

static void fill(struct ask *ask, struct header_writer *w)
{
	const struct share *s = ask->data;

	header_put_str(w, "consumerGroup", s->member->config.group);
	header_put_str(w, "topic", s->sub->topic);
	header_put_i64(w, "queueId", s->id);
	header_put_i64(w, "queueOffset", s->next);
	header_put_i64(w, "maxMsgNums", s->member->config.pull_batch);
	header_put_i64(w, "sysFlag", PULL_SUSPEND | PULL_SUBSCRIPTION);
	header_put_i64(w, "commitOffset", 0); /* offsets.c says why */
	header_put_i64(w, "suspendTimeoutMillis", HOLD_MS);
	header_put_str(w, "subscription", s->sub->expression);
	header_put_i64(w, "subVersion", s->sub->version);
	header_put_str(w, "expressionType", subscription_type(s->sub));
	header_put_str(w, "bname", s->broker->name);
}

static size_t room(const struct share *s)
{
	return 12 * HEADER_FIELD_ROOM(20, 20) +
	       6 * (strlen(s->member->config.group) + strlen(s->sub->topic) +
		    strlen(s->sub->expression) + strlen(s->broker->name));
}

/* To the next address of the broker. */
static void turn(struct share *s)
{
	const struct broker *b = s->broker;
	uint32_t at = 0;

	while (at < b->n_addresses && b->addresses[at].id != s->from_broker)
		at++;
	if (b->n_addresses > 0)
		s->from_broker = b->addresses[(at + 1) % b->n_addresses].id;
}

/* The broker that the last answer suggested, else the master, else any. Slaves suggest the master
 * also while it is gone. */
static const char *address_of(struct share *s)
{
	bool is_gone = s->gone_ns > host_now_ns(s->member->engine->host) &&
		       s->gone_broker == s->from_broker;

	if (is_gone || broker_address(s->broker, s->from_broker) == NULL)
		turn(s);
	return broker_address(s->broker, s->from_broker);
}

static void take_messages(struct share *s, struct mosaic_slice body, int64_t next)
{
	struct member *m = s->member;
	int64_t n = process_queue_add(&s->queue, body, s->sub, s->next, &next,
				      &m->engine->numbers);

	if (n < 0) {
		share_failed(s, again, "pull_failed", status_text(MOSAIC_E_NOMEM));
		return;
	}
	s->next = next;
	number_add(&m->engine->numbers.pulled, (uint64_t)n);
	stats_pulled(member_stats(m, s->sub->topic),
		     (host_now_ns(m->engine->host) - s->pulled_ns) / MS_NS, (uint64_t)n);
	process_queue_skip(&s->queue, next);
	pull_next(s); /* before ready(), which may end the share */
	if (n > 0)
		m->ops->ready(m, s);
}

static void take_nothing(struct share *s, int64_t next)
{
	const struct mosaic_host *host = s->member->engine->host;

	if (next > s->next)
		s->next = next;
	process_queue_skip(&s->queue, s->next);
	if (host_now_ns(host) - s->pulled_ns >= SHORT_NS) {
		pull_next(s);
		return;
	}
	s->timer = (struct mosaic_timer){ .fire = again, .data = s };
	host->timer_start(host, &s->timer, SHORT_NS);
}

static void outside(struct share *s, int64_t next)
{
	LOG_WARN(s->member->engine->host, "offset_moved", "group=%s queue=%s from=%lld to=%lld",
		 s->member->config.group, s->key, (long long)s->next, (long long)next);
	share_restart(s, next);
	s->told = -1;
	if (!s->member->config.is_manual)
		offsets_commit(s);
}

static void answered(struct ask *ask)
{
	struct share *s = ask->data;
	const struct header *h = ask->response;
	int64_t next = s->next, suggested = 0;
	char why[300];

	if (ask->status == MOSAIC_E_CANCELED)
		return;
	if (ask->status != 0) {
		s->gone_broker = s->from_broker;
		s->gone_ns = host_now_ns(s->member->engine->host) + GONE_NS;
		share_failed(s, again, "pull_failed", ask->why);
		return;
	}
	(void)header_i64(h, "nextBeginOffset", &next);
	if (header_i64(h, "suggestWhichBrokerId", &suggested) == 0)
		s->from_broker = suggested;
	switch (h->code) {
	case RES_SUCCESS:
		s->n_failed = 0;
		take_messages(s, ask->answer, next);
		break;
	case RES_PULL_NOT_FOUND:
	case RES_PULL_RETRY_IMMEDIATELY:
		s->n_failed = 0;
		take_nothing(s, next);
		break;
	case RES_PULL_OFFSET_MOVED:
		outside(s, next);
		break;
	default:
		s->from_broker = 0;
		snprintf(why, sizeof(why), "code %d: %.*s", (int)h->code, SLICE_ARG(h->remark));
		share_failed(s, again, "pull_refused", why);
		break;
	}
}

void pull_next(struct share *s)
{
	struct engine *e = s->member->engine;

	s->is_full = is_full(s);
	if (s->state != SHARE_RUNNING || s->is_full || s->is_paused || s->timer.due_ns != 0 ||
	    ask_waits(&s->ask) || !s->member->is_running)
		return;
	const char *address = address_of(s);
	if (address == NULL) {
		share_failed(s, again, "pull_failed", "the broker has no address");
		return;
	}
	s->pulled_ns = host_now_ns(e->host);
	s->ask = (struct ask){ .code = REQ_PULL_MESSAGE, .room = room(s), .fill = fill,
			       .done = answered, .data = s };
	engine_ask(e, &s->ask, address, TIMEOUT_NS);
}
