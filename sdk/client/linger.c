/*
 * Happy path: linger_add ... -> the time is over, or there is enough -> one batch is sent -> each
 * of its messages ends with its share of the answer.
 *
 * Failure modes: one message alone goes as it is; no memory for the batch: all go as they are; the
 * batch fails: each of them does.
 */
#include "linger.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "wire/codes.h"
#include <stdlib.h>

#define TOPICS_MAX 1024 /* more topics: their messages do not wait */
#define COUNT_MAX 8192  /* of a batch: the broker answers with an id for each of them */

struct linger {
	struct linger_set *set;
	struct list members; /* struct send.link */
	uint32_t count;
	size_t bytes;
	struct mosaic_timer timer;
	char topic[];
};

struct carrier {
	struct list members;
	uint32_t count;
};

/* ---- the batch has ended ---- */

/* The next piece of "id,id,id". */
static struct mosaic_slice next_id(const char **at)
{
	size_t len = *at != NULL ? strcspn(*at, ",") : 0;
	struct mosaic_slice id = slice(*at, len);

	if (*at != NULL)
		*at += len + ((*at)[len] == ',');
	return id;
}

static void take_share(struct send *s, const struct send *batch, uint32_t i, const char **ids)
{
	struct mosaic_send_result *r = &s->result;
	const struct mosaic_send_result *all = &batch->result;

	r->status = all->status;
	r->stored = all->stored;
	r->broker_code = all->broker_code;
	r->queue_id = all->queue_id;
	r->attempts = all->attempts;
	r->queue_offset = all->queue_offset >= 0 ? all->queue_offset + i : -1;
	text_copy(r->broker, sizeof(r->broker), slice_str(all->broker));
	text_copy(r->text, sizeof(r->text), slice_str(all->text));
	text_copy(r->offset_id, sizeof(r->offset_id), next_id(ids));
}

static void carried(struct send *batch)
{
	struct carrier *c = batch->data;
	struct numbers *n = &batch->sender->engine->numbers;
	const char *ids = batch->ids;
	uint32_t i = 0;

	/* The batch itself was counted once. */
	number_add(batch->result.status == 0 ? &n->sent : &n->send_errors, c->count - 1);
	while (!list_empty(&c->members)) {
		struct send *s = LIST_ENTRY(c->members.next, struct send, link);

		list_remove(&s->link);
		take_share(s, batch, i++, &ids);
		send_hook(s, &s->result);
		s->done(s);
	}
	free(c);
	send_free(batch);
}

/* ---- sending ---- */

static size_t item_len(const struct send *s)
{
	return BATCH_ITEM_FIXED + s->body.len + s->props.len;
}

static struct send *make_batch(struct linger *l, struct carrier *c)
{
	struct send *batch, *first = LIST_ENTRY(l->members.next, struct send, link);
	uint8_t *at;

	if (send_make_batch(l->set->sender, l->topic, l->bytes, first->result.message_id, &batch,
			    &at) != 0)
		return NULL;
	LIST_FOR(it, &l->members) {
		const struct send *s = LIST_ENTRY(it, struct send, link);
		at = batch_item_encode(at, s->body, s->props);
	}
	batch->done = carried;
	batch->data = c;
	return batch;
}

static void send_each(struct list *members)
{
	while (!list_empty(members)) {
		struct send *s = LIST_ENTRY(members->next, struct send, link);

		list_remove(&s->link);
		send_start(s);
	}
}

static void flush(struct linger *l)
{
	const struct mosaic_host *host = l->set->sender->engine->host;
	struct carrier *c = l->count > 1 ? malloc(sizeof(*c)) : NULL;
	struct send *batch = c != NULL ? make_batch(l, c) : NULL;
	struct list members;

	host->timer_stop(host, &l->timer);
	list_init(&members);
	while (!list_empty(&l->members)) {
		struct list *node = l->members.next;
		list_remove(node);
		list_add_tail(&members, node);
	}
	uint32_t count = l->count;
	l->count = 0;
	l->bytes = 0;
	if (batch == NULL) {
		free(c);
		send_each(&members);
		return;
	}
	list_init(&c->members);
	c->count = count;
	while (!list_empty(&members)) {
		struct send *s = LIST_ENTRY(members.next, struct send, link);
		list_remove(&s->link);
		list_add_tail(&c->members, &s->link);
		send_hook(s, NULL);
	}
	send_start(batch);
}

static void time_is_over(struct mosaic_timer *timer)
{
	flush(timer->data);
}

static struct linger *linger_of(struct linger_set *set, const char *topic)
{
	struct linger *l = map_get(&set->topics, slice_str(topic));

	if (l != NULL || map_count(&set->topics) >= TOPICS_MAX)
		return l;
	l = mem_alloc(sizeof(*l) + strlen(topic) + 1);
	l->set = set;
	list_init(&l->members);
	l->timer = (struct mosaic_timer){ .fire = time_is_over, .data = l };
	memcpy(l->topic, topic, strlen(topic) + 1);
	map_put(&set->topics, slice_str(topic), l);
	return l;
}

void linger_add(struct linger_set *set, struct send *s)
{
	const struct mosaic_host *host = set->sender->engine->host;
	struct linger *l = linger_of(set, s->topic);

	if (l == NULL || item_len(s) >= set->bytes) {
		send_start(s);
		return;
	}
	if (l->bytes + item_len(s) > set->bytes)
		flush(l);
	if (l->count == 0)
		host->timer_start(host, &l->timer, set->wait_ns);
	list_add_tail(&l->members, &s->link);
	l->bytes += item_len(s);
	if (++l->count == COUNT_MAX)
		flush(l);
}

void linger_cancel(struct linger_set *set)
{
	struct map_entry *m;

	for (uint32_t pos = 0; (m = map_next(&set->topics, &pos)) != NULL;) {
		struct linger *l = m->value;
		const struct mosaic_host *host = set->sender->engine->host;

		host->timer_stop(host, &l->timer);
		while (!list_empty(&l->members)) {
			struct send *s = LIST_ENTRY(l->members.next, struct send, link);

			list_remove(&s->link);
			s->result.status = MOSAIC_E_CANCELED;
			s->done(s);
		}
		l->count = 0;
		l->bytes = 0;
	}
}

void linger_free(struct linger_set *set)
{
	struct map_entry *m;

	for (uint32_t pos = 0; (m = map_next(&set->topics, &pos)) != NULL;)
		free(m->value);
	map_free(&set->topics);
}
