/*
 * Long polls: a pull that found nothing is held until a message arrives that its consumer wants, or
 * its time is over; then the whole pull runs again, checks included, and is answered.
 *
 *   holds_add         into the queue's list, timer started
 *   holds_arrived     a record became visible: pulls that match are marked awake
 *   holds_burst_end   those that are awake run: one answer for all messages of a burst
 *
 * A message that does not match wakes nobody, as in Apache.
 */
#include "broker/pulls.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

struct held {
	struct list in_queue, on_peer;
	struct list awake; /* points at itself while asleep */
	struct mosaic_timer timer;
	struct holds *holds;
	struct queue *queue;
	struct kept_request *kept;
	int64_t offset; /* wakes when a visible record has this queue offset or a higher one */
	bool all;
	uint32_t n_codes;
	int32_t codes[];
};

/* queue->polls */
struct queue_holds {
	struct list list;
};

struct holds {
	struct broker *broker;
	struct list awake;
	uint32_t count;
	bool stopped;
};

static void held_unlink(struct held *h)
{
	struct queue_holds *qh = h->queue->polls;
	h->holds->broker->host->timer_stop(h->holds->broker->host, &h->timer);
	list_remove(&h->in_queue);
	list_remove(&h->on_peer);
	list_remove(&h->awake);
	h->holds->count--;
	if (list_empty(&qh->list)) {
		h->queue->polls = NULL;
		free(qh);
	}
}

static void held_free(struct held *h)
{
	kept_request_free(h->kept);
	free(h);
}

static void held_run(struct held *h)
{
	held_unlink(h);
	pull_run_again(h->holds->broker, &h->kept->req);
	held_free(h);
}

static void held_timeout(struct mosaic_timer *timer)
{
	held_run(timer->data);
}

bool holds_add(struct holds *holds, const struct request *req, struct queue *queue, int64_t offset,
	       const struct subscription *sub, int64_t timeout_ms)
{
	const struct mosaic_host *host = holds->broker->host;
	if (holds->stopped || holds->count >= holds->broker->config.max_held_pulls ||
	    timeout_ms <= 0)
		return false;
	struct kept_request *kept = request_keep(req);
	if (kept == NULL)
		return false;
	uint32_t n_codes = sub->all ? 0 : sub->n_codes;
	struct held *h = mem_alloc(sizeof(*h) + n_codes * sizeof(h->codes[0]));
	h->holds = holds;
	h->queue = queue;
	h->kept = kept;
	h->offset = offset;
	h->all = sub->all;
	h->n_codes = n_codes;
	if (n_codes > 0)
		memcpy(h->codes, sub->codes, n_codes * sizeof(h->codes[0]));
	h->timer.fire = held_timeout;
	h->timer.data = h;
	if (queue->polls == NULL) {
		struct queue_holds *qh = mem_alloc(sizeof(*qh));
		list_init(&qh->list);
		queue->polls = qh;
	}
	list_add_tail(&((struct queue_holds *)queue->polls)->list, &h->in_queue);
	list_add_tail(&kept->req.ticket.peer->held, &h->on_peer);
	list_init(&h->awake);
	holds->count++;
	/* A client that asks for more than an hour gets an hour. */
	host->timer_start(host, &h->timer,
			  (uint64_t)(timeout_ms < 3600000 ? timeout_ms : 3600000) * MS_NS);
	return true;
}

static bool held_wants(const struct held *h, int64_t tags_code)
{
	if (h->all)
		return true;
	for (uint32_t i = 0; i < h->n_codes; i++)
		if (h->codes[i] == tags_code)
			return true;
	return false;
}

void holds_arrived(struct holds *holds, struct queue *queue, int64_t next_offset, int64_t tags_code)
{
	struct queue_holds *qh = queue->polls;
	if (qh == NULL)
		return;
	LIST_FOR(it, &qh->list)
	{
		struct held *h = LIST_ENTRY(it, struct held, in_queue);
		if (list_empty(&h->awake) && next_offset > h->offset && held_wants(h, tags_code))
			list_add_tail(&holds->awake, &h->awake);
	}
}

void holds_burst_end(struct holds *holds)
{
	while (!list_empty(&holds->awake))
		held_run(LIST_ENTRY(holds->awake.next, struct held, awake));
}

void holds_queue_gone(struct holds *holds, struct queue *queue)
{
	(void)holds;
	while (queue->polls != NULL) {
		struct queue_holds *qh = queue->polls;
		held_run(LIST_ENTRY(qh->list.next, struct held, in_queue));
	}
}

void holds_peer_closed(struct holds *holds, struct peer *peer)
{
	(void)holds;
	while (!list_empty(&peer->held)) {
		struct held *h = LIST_ENTRY(peer->held.next, struct held, on_peer);
		held_unlink(h);
		held_free(h);
	}
}

struct holds *holds_create(struct broker *b)
{
	struct holds *h = mem_alloc(sizeof(*h));
	h->broker = b;
	list_init(&h->awake);
	return h;
}

uint32_t holds_count(const struct holds *h)
{
	return h->count;
}

void holds_stop(struct holds *h)
{
	struct map_entry *e;
	h->stopped = true;
	for (uint32_t pos = 0; (e = map_next(&h->broker->log->queues, &pos)) != NULL;)
		holds_queue_gone(h, e->value);
}

void holds_destroy(struct holds *h)
{
	if (h == NULL)
		return;
	ASSERT(h->count == 0);
	free(h);
}
