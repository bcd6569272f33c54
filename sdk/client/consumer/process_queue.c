#include "consumer/process_queue.h"
#include "consumer/subscription.h"
#include "wire/props.h"
#include <stdlib.h>

void process_queue_init(struct process_queue *q)
{
	*q = (struct process_queue){ .last = -1, .commit = -1 };
	list_init(&q->items);
	list_init(&q->ready);
}

/* ---- items ---- */

static void item_free(struct item *item)
{
	struct pulled *p = item->from;

	list_remove(&item->waiting);
	if (--p->n_left > 0)
		return;
	number_add(&p->numbers->bytes_held, (uint64_t)0 - p->bytes);
	free(p);
}

void item_decode(const struct item *item, struct message *m)
{
	uint32_t len;
	int rc = record_decode(item->record, item->len, false, m, &len);

	ASSERT(rc == RECORD_MESSAGE); /* it was decoded when it came */
}

static void detach(struct item *item)
{
	struct process_queue *q = item->queue;

	list_remove(&item->link);
	q->n_items--;
	q->bytes -= item->len;
	q->n_out -= item->out_ns != 0;
	item->queue = NULL;
}

/* ---- the queue ---- */

void process_queue_restart(struct process_queue *q, int64_t commit)
{
	LIST_FOR_SAFE(it, &q->items) {
		struct item *item = LIST_ENTRY(it, struct item, link);
		bool is_out = item->out_ns != 0;

		detach(item);
		if (!is_out)
			item_free(item);
	}
	q->last = -1;
	q->commit = commit;
}

static bool next_record(struct mosaic_slice *rest, struct message *m, uint32_t *len)
{
	if (rest->len == 0 ||
	    record_decode(rest->ptr, rest->len, false, m, len) != RECORD_MESSAGE)
		return false;
	rest->ptr += *len;
	rest->len -= *len;
	return true;
}

static bool is_wanted(const struct message *m, const struct subscription *sub, int64_t from)
{
	return m->queue_offset >= from &&
	       (sub->n_tags == 0 || subscription_takes(sub, props_find(m->props, PROP_TAGS)));
}

/* How many are wanted, and how many bytes they take. */
static uint32_t measure(struct mosaic_slice rest, const struct subscription *sub, int64_t from,
			size_t *bytes, int64_t *next)
{
	struct message m;
	uint32_t len, n = 0;
	int64_t last = -1;

	*bytes = 0;
	while (next_record(&rest, &m, &len)) {
		last = m.queue_offset;
		if (!is_wanted(&m, sub, from))
			continue;
		n++;
		*bytes += len;
	}
	if (rest.len > 0 && last >= from)
		*next = last + 1;
	return n;
}

static void add(struct process_queue *q, struct item *item, const struct message *m)
{
	item->queue = q;
	item->offset = m->queue_offset;
	list_add_tail(&q->items, &item->link);
	list_add_tail(&q->ready, &item->waiting);
	q->n_items++;
	q->bytes += item->len;
	q->last = item->offset;
}

int64_t process_queue_add(struct process_queue *q, struct mosaic_slice body,
			  const struct subscription *sub, int64_t from, int64_t *next,
			  struct numbers *numbers)
{
	struct message m;
	uint32_t len;
	size_t bytes;
	uint32_t n = measure(body, sub, from, &bytes, next);

	if (n == 0)
		return 0;
	size_t size = sizeof(struct pulled) + n * sizeof(struct item) + bytes;
	struct pulled *p = malloc(size);
	if (p == NULL)
		return -1;
	*p = (struct pulled){ .numbers = numbers, .n_items = n, .n_left = n, .bytes = size };
	number_add(&numbers->bytes_held, size);
	struct item *item = (struct item *)(p + 1);
	uint8_t *at = (uint8_t *)(item + n);
	while (next_record(&body, &m, &len)) {
		if (!is_wanted(&m, sub, from))
			continue;
		*item = (struct item){ .from = p, .record = at, .len = len };
		memcpy(at, body.ptr - len, len);
		add(q, item++, &m);
		at += len;
	}
	return n;
}

uint32_t process_queue_take(struct process_queue *q, struct item **out, uint32_t n,
			    uint64_t now_ns)
{
	uint32_t taken = 0;

	while (taken < n && !list_empty(&q->ready)) {
		struct item *item = LIST_ENTRY(q->ready.next, struct item, waiting);

		list_remove(&item->waiting);
		item->out_ns = now_ns;
		q->n_out++;
		out[taken++] = item;
	}
	return taken;
}

void process_queue_put_back(struct item *item)
{
	struct process_queue *q = item->queue;

	if (q == NULL) {
		item_free(item);
		return;
	}
	item->out_ns = 0;
	q->n_out--;
	struct list *before = q->ready.next;
	while (before != &q->ready &&
	       LIST_ENTRY(before, struct item, waiting)->offset < item->offset)
		before = before->next;
	list_add_tail(before, &item->waiting);
}

void process_queue_forget(struct item *item)
{
	struct process_queue *q = item->queue;

	if (q == NULL)
		return;
	bool was_first = q->items.next == &item->link;
	detach(item);
	if (was_first)
		q->commit = list_empty(&q->items)
				    ? q->last + 1
				    : LIST_ENTRY(q->items.next, struct item, link)->offset;
}

void process_queue_done(struct item *item)
{
	process_queue_forget(item);
	item_free(item);
}

void process_queue_skip(struct process_queue *q, int64_t offset)
{
	if (list_empty(&q->items) && offset > q->commit)
		q->commit = offset;
}

int64_t process_queue_span(const struct process_queue *q)
{
	return list_empty(&q->items)
		       ? 0
		       : q->last - LIST_ENTRY(q->items.next, struct item, link)->offset;
}
