/*
 * Happy path, per topic, every 20 s and after each change: route -> who is in the group -> the
 * plugin shares the queues out -> apply. Members in Java and Go do the same over the same sorted
 * lists, so all agree.
 *
 * Failure modes: no route or no answer: what is ours stays, tried again after 1, 2, 4 ... 20 s; the
 * broker does not know us (it has just started, or others push us out): heartbeat and again; after
 * the third time nothing is ours, because the others share everything among them.
 */
#include "base/err.h"
#include "base/mem.h"
#include "consumer/member.h"
#include "memory.h"
#include "wire/codes.h"
#include <stdlib.h>

#define PERIOD_NS (20 * SECOND_NS)
#define MISSED_MAX 3
#define MEMBERS_MAX 100000

static void begin_again(struct mosaic_timer *timer)
{
	rebalance_topic(timer->data);
}

void rebalance_end(struct member_topic *t, bool is_good)
{
	const struct mosaic_host *host = t->member->engine->host;
	uint64_t delay = PERIOD_NS;

	t->is_busy = false;
	t->n_failed = is_good ? 0 : t->n_failed + 1;
	if (!t->member->is_running)
		return;
	if (!is_good && t->n_failed < 5)
		delay = SECOND_NS << (t->n_failed - 1);
	if (t->is_due)
		delay = 0;
	t->again = (struct mosaic_timer){ .fire = begin_again, .data = t };
	host->timer_start(host, &t->again, delay);
}

/* ---- applying ---- */

static bool has(const struct route_queue *queues, uint32_t n, const struct share *s)
{
	for (uint32_t i = 0; i < n; i++)
		if (queues[i].broker == s->broker && queues[i].id == s->id)
			return true;
	return false;
}

void rebalance_apply(struct member *m, struct subscription *sub, const struct route_queue *queues,
		     uint32_t n)
{
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(&m->shares, &pos)) != NULL;) {
		struct share *s = e->value;
		if (s->sub == sub && !has(queues, n, s))
			share_leave(s);
	}
	for (uint32_t i = 0; i < n; i++) {
		struct share *s = member_share(m, sub->topic, queues[i].broker->name, queues[i].id);
		if (s == NULL)
			share_make(m, sub, queues[i].broker, queues[i].id);
		else
			share_stay(s);
	}
}

/* ---- sharing out ---- */

static int by_bytes(const void *a, const void *b)
{
	const struct mosaic_slice *x = a, *y = b;

	return slice_compare(*x, *y);
}

/* The members' ids, sorted; *own: the index of ours, or n. They borrow from root. */
static struct mosaic_slice *read_members(const struct member *m, json_t *root, uint32_t *n,
					 uint32_t *own)
{
	json_t *list = json_object_get(root, "consumerIdList"), *id;
	size_t i, count = json_array_size(list);
	struct mosaic_slice *ids = mem_alloc((count + 1) * sizeof(*ids));

	*n = 0;
	json_array_foreach(list, i, id)
		if (json_is_string(id) && *n < MEMBERS_MAX)
			ids[(*n)++] = slice_str(json_string_value(id));
	qsort(ids, *n, sizeof(*ids), by_bytes);
	for (*own = 0; *own < *n && !slice_is(ids[*own], m->engine->client_id);)
		(*own)++;
	return ids;
}

static void share_out(struct member_topic *t, const struct route *r, const struct mosaic_slice *ids,
		      uint32_t n, uint32_t own)
{
	struct member *m = t->member;
	uint32_t *owners = mem_alloc((r->n_reads + 1) * sizeof(*owners)), n_ours = 0;
	struct route_queue *ours = mem_alloc((r->n_reads + 1) * sizeof(*ours));

	allocate(m->way, &m->balance, t->sub->topic, r->reads, r->n_reads, ids, n, owners);
	for (uint32_t i = 0; i < r->n_reads; i++)
		if (owners[i] == own)
			ours[n_ours++] = r->reads[i];
	LOG_DEBUG(m->engine->host, "rebalanced", "group=%s topic=%s members=%u queues=%u ours=%u",
		  m->config.group, t->sub->topic, n, r->n_reads, n_ours);
	rebalance_apply(m, t->sub, ours, n_ours);
	free(owners);
	free(ours);
}

/* false: to be asked again soon. */
static bool read_list(struct member_topic *t, struct mosaic_slice body)
{
	struct member *m = t->member;
	struct route *r = route_peek(m->engine, t->sub->topic);
	json_t *root = memory_json(body);
	uint32_t n, own;

	if (root == NULL || r == NULL || r->n_reads == 0) {
		json_decref(root);
		return false;
	}
	struct mosaic_slice *ids = read_members(m, root, &n, &own);
	bool is_known = own < n;
	if (is_known) {
		t->n_missed = 0;
		share_out(t, r, ids, n, own);
	} else {
		LOG_DEBUG(m->engine->host, "not_in_group", "group=%s members=%u", m->config.group,
			  n);
		engine_beat(m->engine);
		if (++t->n_missed >= MISSED_MAX)
			rebalance_apply(m, t->sub, NULL, 0);
	}
	free(ids);
	json_decref(root);
	return is_known;
}

static void listed(struct ask *ask)
{
	struct member_topic *t = ask->data;
	bool is_good = false;

	if (!t->member->is_running)
		return;
	if (ask->status == 0 && ask->response->code == RES_SUCCESS)
		is_good = read_list(t, ask->answer);
	else
		LOG_DEBUG(t->member->engine->host, "no_member_list", "group=%s code=%d",
			  t->member->config.group, ask->status != 0 ? ask->status
								    : ask->response->code);
	rebalance_end(t, is_good);
}

static void fill(struct ask *ask, struct header_writer *w)
{
	const struct member_topic *t = ask->data;

	header_put_str(w, "consumerGroup", t->member->config.group);
}

void rebalance_ask_members(struct member_topic *t, const char *address)
{
	struct member *m = t->member;

	t->ask = (struct ask){ .code = REQ_GET_CONSUMER_LIST_BY_GROUP,
			       .room = HEADER_FIELD_ROOM(16, strlen(m->config.group)),
			       .fill = fill, .done = listed, .data = t };
	engine_ask(m->engine, &t->ask, address, MEMBER_ASK_NS);
}

static void apply_assigned(struct member_topic *t, const struct route *r)
{
	const struct member *m = t->member;
	struct route_queue *ours = mem_alloc((r->n_reads + 1) * sizeof(*ours));
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->n_reads; i++)
		for (uint32_t j = 0; j < m->n_assigned; j++) {
			const struct mosaic_queue *q = &m->assigned[j];
			if (q->id == r->reads[i].id && strcmp(q->topic, t->sub->topic) == 0 &&
			    strcmp(q->broker, r->reads[i].broker->name) == 0) {
				ours[n++] = r->reads[i];
				break;
			}
		}
	rebalance_apply(t->member, t->sub, ours, n);
	free(ours);
}

static void routed(struct route_wait *wait, struct route *r, int status, const char *why)
{
	struct member_topic *t = wait->data;
	struct member *m = t->member;

	(void)why;
	if (!m->is_running)
		return;
	if (status != 0) {
		rebalance_end(t, false);
		return;
	}
	if (m->assigned != NULL) {
		apply_assigned(t, r);
		rebalance_end(t, true);
		return;
	}
	if (m->config.is_broadcast) {
		rebalance_apply(m, t->sub, r->reads, r->n_reads);
		rebalance_end(t, true);
		return;
	}
	/* Any broker of the topic: all hear of every member. */
	uint64_t any = m->engine->host->random(m->engine->host) % r->n_reads;
	const char *address = broker_address_any(r->reads[any].broker);
	if (address == NULL) {
		rebalance_end(t, false);
		return;
	}
	if (m->config.is_brokered && !m->config.is_orderly) /* as in Java */
		assignment_ask(t, address);
	else
		rebalance_ask_members(t, address);
}

static void begin(struct member_topic *t)
{
	t->is_busy = true;
	t->is_due = false;
	t->wait = (struct route_wait){ .done = routed, .data = t };
	route_get(t->member->engine, t->sub->topic, &t->wait);
}

void rebalance_topic(struct member_topic *t)
{
	const struct mosaic_host *host = t->member->engine->host;

	if (!t->member->is_running)
		return;
	if (t->is_busy) {
		t->is_due = true;
		return;
	}
	host->timer_stop(host, &t->again);
	begin(t);
}

void rebalance_all(struct member *m)
{
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(&m->topics, &pos)) != NULL;)
		rebalance_topic(e->value);
}

static void canceled(struct ask *ask)
{
	(void)ask;
}

void rebalance_stop(struct member_topic *t)
{
	const struct mosaic_host *host = t->member->engine->host;

	host->timer_stop(host, &t->again);
	route_wait_cancel(&t->wait);
	t->is_busy = false;
	if (ask_waits(&t->ask)) {
		t->ask.done = canceled;
		ask_cancel(&t->ask);
	}
}
