#include "sim/model.h"
#include "base/mem.h"
#include "sim/simheap.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* OFFSETS_SAVE_MS, and what a save takes on this disk. */
#define SAVE_LAG_NS (UINT64_C(5600) * MS_NS)

enum message_state { MESSAGE_INVOKED, MESSAGE_OK, MESSAGE_REFUSED, MESSAGE_UNKNOWN };

void model_init(struct model *m, struct sim *sim)
{
	*m = (struct model){ .sim = sim };
	for (uint32_t b = 0; b < MODEL_BROKERS; b++)
		for (uint32_t q = 0; q < MODEL_QUEUES; q++) {
			m->queues[b][q].floor = -1;
			m->queues[b][q].most = -1;
			m->queues[b][q].unknown_min = INT64_MAX;
		}
}

void model_fini(struct model *m)
{
	for (uint32_t b = 0; b < MODEL_BROKERS; b++)
		for (uint32_t q = 0; q < MODEL_QUEUES; q++)
			free(m->queues[b][q].slots);
	free(m->messages);
}

/* The model's memory is the world's, whoever calls. */
static void *grown(void *ptr, uint32_t *cap, size_t size)
{
	uint32_t owner = heap_enter(HEAP_WORLD);
	uint32_t old = *cap;

	*cap = old ? old * 2 : 64;
	ptr = mem_resize(ptr, *cap * size);
	memset((char *)ptr + old * size, 0, (*cap - old) * size);
	heap_enter(owner);
	return ptr;
}

/* ---- messages ---- */

uint32_t model_invoke(struct model *m, uint32_t n, bool is_delayed)
{
	uint32_t first = m->n_messages + 1;

	for (uint32_t i = 0; i < n; i++) {
		if (m->n_messages == m->cap_messages)
			m->messages = grown(m->messages, &m->cap_messages, sizeof(*m->messages));
		m->messages[m->n_messages++] =
			(struct model_message){ .offset = -1, .is_delayed = is_delayed };
	}
	return first;
}

static struct model_slot *slot(struct model *m, uint32_t broker, uint32_t queue, int64_t offset)
{
	struct model_queue *q = &m->queues[broker][queue];

	while (q->cap_slots <= offset)
		q->slots = grown(q->slots, &q->cap_slots, sizeof(*q->slots));
	if (q->n_slots <= offset)
		q->n_slots = (uint32_t)offset + 1;
	return &q->slots[offset];
}

static bool is_sane(struct model *m, uint32_t id, uint32_t broker, uint32_t queue, int64_t offset)
{
	if (id >= 1 && id <= m->n_messages && broker < MODEL_BROKERS && queue < MODEL_QUEUES &&
	    offset >= 0 && offset < 1000000)
		return true;
	sim_fail(m->sim, "broker %u queue %u offset %" PRId64 " message %u: no such thing", broker,
		 queue, offset, id);
	return false;
}

/* Binds message and offset to each other. */
static void bind(struct model *m, uint32_t id, uint32_t broker, uint32_t queue, int64_t offset,
		 const char *how)
{
	struct model_message *msg = &m->messages[id - 1];
	struct model_slot *s = slot(m, broker, queue, offset);

	if (s->id != 0 && s->id != id)
		sim_fail(m->sim,
			 "broker %u queue %u offset %" PRId64
			 ": message %u was there%s, now %u is %s",
			 broker, queue, offset, s->id, s->is_acked ? ", acknowledged" : "", id,
			 how);
	else if (msg->offset >= 0 && !msg->is_delayed &&
		 (msg->broker != broker || msg->queue != queue || msg->offset != offset))
		sim_fail(m->sim,
			 "message %u is %s at broker %u queue %u offset %" PRId64
			 ", and stands at broker %u queue %u offset %" PRId64,
			 id, how, broker, queue, offset, msg->broker, msg->queue, msg->offset);
	s->id = id;
	msg->broker = (uint8_t)broker;
	msg->queue = (uint8_t)queue;
	msg->offset = offset;
}

void model_sent(struct model *m, uint32_t id, uint32_t broker, uint32_t queue, int64_t offset)
{
	if (!is_sane(m, id, broker, queue, offset))
		return;
	m->n_ok++;
	m->messages[id - 1].state = MESSAGE_OK;
	bind(m, id, broker, queue, offset, "acknowledged");
	slot(m, broker, queue, offset)->is_acked = true;
}

void model_sent_delayed(struct model *m, uint32_t id)
{
	m->n_ok++;
	m->messages[id - 1].state = MESSAGE_OK;
}

uint32_t model_undelivered(const struct model *m)
{
	for (uint32_t i = 0; i < m->n_messages; i++) {
		const struct model_message *msg = &m->messages[i];

		if (msg->is_delayed && msg->state == MESSAGE_OK && !msg->was_seen)
			return i + 1;
	}
	return 0;
}

void model_refused(struct model *m, uint32_t id)
{
	m->n_refused++;
	m->messages[id - 1].state = MESSAGE_REFUSED;
	if (m->messages[id - 1].was_seen)
		sim_fail(m->sim, "message %u was refused, but is stored", id);
}

void model_unknown(struct model *m, uint32_t id)
{
	m->n_unknown++;
	m->messages[id - 1].state = MESSAGE_UNKNOWN;
}

void model_seen(struct model *m, uint32_t id, uint32_t broker, uint32_t queue, int64_t offset)
{
	if (!is_sane(m, id, broker, queue, offset))
		return;
	m->n_seen++;
	if (m->messages[id - 1].state == MESSAGE_REFUSED)
		sim_fail(m->sim, "message %u was refused, but is read at broker %u queue %u", id,
			 broker, queue);
	m->messages[id - 1].was_seen = true;
	bind(m, id, broker, queue, offset, "read");
}

void model_audited(struct model *m, uint32_t broker, uint32_t queue, int64_t end)
{
	struct model_queue *q = &m->queues[broker][queue];

	for (uint32_t i = (uint32_t)(end > 0 ? end : 0); i < q->n_slots; i++)
		if (q->slots[i].is_acked)
			sim_fail(m->sim,
				 "broker %u queue %u ends at %" PRId64
				 ": message %u was acknowledged at offset %u and is lost",
				 broker, queue, end, q->slots[i].id, i);
		else if (q->slots[i].id != 0)
			sim_fail(m->sim,
				 "broker %u queue %u ends at %" PRId64
				 ": message %u was read at offset %u and is lost",
				 broker, queue, end, q->slots[i].id, i);
}

/* ---- offsets of the consumer ---- */

void model_commit_asked(struct model *m, uint32_t broker, uint32_t queue, int64_t offset)
{
	struct model_queue *q = &m->queues[broker][queue];

	if (offset > q->most)
		q->most = offset;
}

void model_commit_done(struct model *m, uint32_t broker, uint32_t queue, int64_t offset)
{
	struct model_queue *q = &m->queues[broker][queue];

	m->n_commits++;
	q->commits[q->n_commits++ % MODEL_COMMITS] =
		(struct model_commit){ .ran_ns = sim_node_ran_ns(m->nodes[broker]),
				       .offset = offset };
	q->floor = offset;
}

void model_commit_unknown(struct model *m, uint32_t broker, uint32_t queue, int64_t offset)
{
	struct model_queue *q = &m->queues[broker][queue];

	if (offset < q->unknown_min)
		q->unknown_min = offset;
}

void model_commit_read(struct model *m, uint32_t broker, uint32_t queue, int64_t offset)
{
	struct model_queue *q = &m->queues[broker][queue];
	int64_t floor = q->floor < q->unknown_min ? q->floor : q->unknown_min;

	if (offset < floor)
		sim_fail(m->sim,
			 "broker %u queue %u: offset %" PRId64
			 " was committed and saved, now it is %" PRId64,
			 broker, queue, floor, offset);
	if (offset > q->most && offset > 0)
		sim_fail(m->sim,
			 "broker %u queue %u: offset %" PRId64
			 " was never committed, the most was %" PRId64,
			 broker, queue, offset, q->most);
}

/* ---- faults ---- */

/* Only what was answered is sure to be there still. */
static void forget_unacked(struct model *m, struct model_queue *q)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < q->n_slots; i++) {
		if (q->slots[i].is_acked) {
			n = i + 1;
			continue;
		}
		if (q->slots[i].id != 0) {
			m->messages[q->slots[i].id - 1].offset = -1;
			m->messages[q->slots[i].id - 1].was_seen = false;
		}
		q->slots[i].id = 0;
	}
	q->n_slots = n;
}

static int64_t saved_floor(const struct model_queue *q, uint64_t ran_ns)
{
	uint32_t n = q->n_commits < MODEL_COMMITS ? q->n_commits : MODEL_COMMITS;

	for (uint32_t i = 0; i < n; i++) {
		const struct model_commit *c = &q->commits[(q->n_commits - 1 - i) % MODEL_COMMITS];

		if (c->ran_ns + SAVE_LAG_NS <= ran_ns)
			return c->offset < q->floor ? c->offset : q->floor;
	}
	return -1;
}

void model_broker_down(struct model *m, uint32_t broker, uint32_t how)
{
	m->epochs[broker]++;
	for (uint32_t i = 0; i < MODEL_QUEUES; i++) {
		struct model_queue *q = &m->queues[broker][i];

		if (how == MOSAIC_CRASH_POWER)
			forget_unacked(m, q);
		if (how == MOSAIC_CRASH_POWER)
			q->floor = -1;
		else if (how == MOSAIC_CRASH_PROCESS)
			q->floor = saved_floor(q, sim_node_ran_ns(m->nodes[broker]));
		if (how != 0)
			q->n_commits = 0;
	}
}
