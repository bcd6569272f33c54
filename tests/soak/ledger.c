#include "soak.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum flag {
	ACCEPTED = 1,
	ENDED = 2,
	ACKED = 4,
	SEEN = 8 /* << enum group */
};

#define TOPICS 2
#define PLACES (TOPICS * BROKERS * QUEUES)

/* Memory of its own, and all of it at once: what the heap holds is the library's. */
struct ledger {
	struct soak *soak;
	size_t size;
	uint32_t room, place_room;
	uint32_t next[STREAMS];
	_Atomic uint64_t accepted, acked, failed, ended, seen[GROUPS];
	_Atomic uint64_t passed[BROKERS][QUEUES]; /* all below was consumed */
	_Atomic uint8_t *flags[STREAMS];
	_Atomic uint32_t *places[PLACES]; /* offset -> 1 + message */
	_Alignas(16) uint8_t memory[];
};

struct head { /* of a body */
	uint32_t magic, stream, number, len;
};
#define MAGIC 0x534f414bu

struct ledger *ledger_create(struct soak *s, uint32_t messages)
{
	uint32_t place_room = messages; /* a queue may get most of what there is */
	size_t size = sizeof(struct ledger) + (size_t)STREAMS * messages +
		      (size_t)PLACES * place_room * sizeof(uint32_t) + 64;
	struct ledger *l = mmap(NULL, size, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (l == MAP_FAILED)
		abort();
	l->soak = s;
	l->size = size;
	l->room = messages;
	l->place_room = place_room;
	for (int i = 0; i < PLACES; i++)
		l->places[i] = (_Atomic uint32_t *)(void *)l->memory + (size_t)i * place_room;
	for (int i = 0; i < STREAMS; i++)
		l->flags[i] = (_Atomic uint8_t *)l->memory +
			      (size_t)PLACES * place_room * sizeof(uint32_t) + (size_t)i * messages;
	return l;
}

void ledger_destroy(struct ledger **l)
{
	if (*l != NULL)
		munmap(*l, (*l)->size);
	*l = NULL;
}

/* ---- sending ---- */

/* Follows from the number alone. Most are small, some are worth compressing. */
static uint32_t make_body(enum stream stream, uint32_t number, uint8_t *body)
{
	uint64_t chance = ((uint64_t)stream << 32 | number) * 0x9e3779b97f4a7c15u + 1;
	uint32_t kind = draw(&chance, 64), len = sizeof(struct head);

	len += kind == 0 ? draw(&chance, BODY_MAX - len) : draw(&chance, kind < 8 ? 2000 : 200);
	struct head h = { MAGIC, stream, number, len };
	memcpy(body, &h, sizeof(h));
	for (uint32_t i = sizeof(h); i < len; i++)
		body[i] = (uint8_t)(number + i / 16);
	return len;
}

bool ledger_begin(struct ledger *l, enum stream stream, uint32_t *number, uint8_t *body,
		  uint32_t *len)
{
	if (l->next[stream] == l->room)
		return false;
	*number = l->next[stream]++;
	*len = make_body(stream, *number, body);
	return true;
}

void ledger_refused(struct ledger *l, enum stream stream)
{
	l->next[stream]--;
}

void ledger_accepted(struct ledger *l, enum stream stream, uint32_t number)
{
	uint8_t old = atomic_fetch_or(&l->flags[stream][number], ACCEPTED);

	if ((old & ACCEPTED) != 0)
		failure(l->soak, "message %d/%u was accepted twice", stream, number);
	atomic_fetch_add(&l->accepted, 1);
}

void ledger_ended(struct ledger *l, enum stream stream, uint32_t number, int32_t status)
{
	uint8_t old = atomic_fetch_or(&l->flags[stream][number],
				      (uint8_t)(status == 0 ? ENDED | ACKED : ENDED));

	if ((old & ENDED) != 0)
		failure(l->soak, "message %d/%u has ended twice", stream, number);
	atomic_fetch_add(&l->ended, 1);
	atomic_fetch_add(status == 0 ? &l->acked : &l->failed, 1);
}

/* ---- receiving ---- */

static bool read_head(struct ledger *l, const struct mosaic_received *m, struct head *h)
{
	uint8_t body[BODY_MAX];

	if (m->body.len >= sizeof(*h)) {
		memcpy(h, m->body.ptr, sizeof(*h));
		if (h->magic == MAGIC && h->stream < STREAMS && h->number < l->room &&
		    make_body(h->stream, h->number, body) == m->body.len &&
		    memcmp(body, m->body.ptr, m->body.len) == 0)
			return true;
	}
	failure(l->soak, "not what was sent: %s of %s queue %d offset %lld", m->topic, m->broker,
		m->queue_id, (long long)m->queue_offset);
	return false;
}

static int broker_of(const struct mosaic_received *m)
{
	int n = -1;

	return sscanf(m->broker, "broker-%d", &n) == 1 && n >= 0 && n < BROKERS ? n : -1;
}

static void check_place(struct ledger *l, const struct head *h, const struct mosaic_received *m)
{
	int topic = h->stream == STREAM_ORDERED, broker = broker_of(m);
	uint32_t id = 1 + h->stream * l->room + h->number, found = 0;

	if (m->reconsume_times > 0)
		return; /* the offset is that of a retry queue */
	if (broker < 0 || m->queue_id < 0 || m->queue_id >= QUEUES || m->queue_offset < 0 ||
	    m->queue_offset >= l->place_room) {
		failure(l->soak, "a place that cannot be: %s %s %d %lld", m->topic, m->broker,
			m->queue_id, (long long)m->queue_offset);
		return;
	}
	_Atomic uint32_t *place = l->places[(topic * BROKERS + broker) * QUEUES + m->queue_id] +
				  m->queue_offset;
	if (!atomic_compare_exchange_strong(place, &found, id) && found != id)
		failure(l->soak, "%s %s queue %d offset %lld was message %u and is %u", m->topic,
			m->broker, m->queue_id, (long long)m->queue_offset, found, id);
}

void ledger_seen(struct ledger *l, enum group group, const struct mosaic_received *m)
{
	struct head h;

	if (!read_head(l, m, &h))
		return;
	check_place(l, &h, m);
	/* A message may be here before its sender knows that it was accepted. */
	atomic_fetch_or(&l->flags[h.stream][h.number], (uint8_t)(SEEN << group));
	atomic_fetch_add(&l->seen[group], 1);
}

void ledger_in_order(struct ledger *l, const struct mosaic_received *m)
{
	int broker = broker_of(m);

	if (broker < 0 || m->queue_id < 0 || m->queue_id >= QUEUES)
		return; /* noted elsewhere */
	uint64_t passed = atomic_load(&l->passed[broker][m->queue_id]);
	if ((uint64_t)m->queue_offset > passed)
		failure(l->soak, "out of order: %s queue %d offset %lld before %llu", m->broker,
			m->queue_id, (long long)m->queue_offset, (unsigned long long)passed);
}

void ledger_passed(struct ledger *l, const struct mosaic_received *m)
{
	int broker = broker_of(m);
	uint64_t to = (uint64_t)m->queue_offset + 1;

	if (broker < 0 || m->queue_id < 0 || m->queue_id >= QUEUES)
		return;
	uint64_t at = atomic_load(&l->passed[broker][m->queue_id]);
	while (at < to && !atomic_compare_exchange_weak(&l->passed[broker][m->queue_id], &at, to))
		;
}

/* ---- the balance ---- */

static bool is_for(enum stream stream, enum group group)
{
	return (stream == STREAM_ORDERED) == (group == GROUP_ORDERED);
}

static bool is_missing(const struct ledger *l, enum stream stream, uint32_t number,
		       enum group group)
{
	uint8_t flags = l->flags[stream][number];

	return is_for(stream, group) && (flags & ACKED) != 0 && (flags & (SEEN << group)) == 0;
}

uint64_t ledger_open(struct ledger *l)
{
	uint64_t n_ended = l->ended; /* first: it may end before it is noted as accepted */
	uint64_t n_accepted = l->accepted;

	return n_accepted > n_ended ? n_accepted - n_ended : 0;
}

void ledger_totals(struct ledger *l, struct totals *t)
{
	*t = (struct totals){ .accepted = l->accepted, .acked = l->acked, .failed = l->failed };
	for (enum group g = 0; g < GROUPS; g++) {
		t->seen[g] = l->seen[g];
		for (enum stream s = 0; s < STREAMS; s++)
			for (uint32_t i = 0; is_for(s, g) && i < l->next[s]; i++)
				t->missing[g] += is_missing(l, s, i, g);
	}
}

void ledger_tell_missing(struct ledger *l, enum group group)
{
	for (enum stream s = 0; s < STREAMS; s++)
		for (uint32_t i = 0; i < l->next[s]; i++)
			if (is_missing(l, s, i, group)) {
				say(l->soak, "group %d misses %d/%u", group, s, i);
				return;
			}
}
