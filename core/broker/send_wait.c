/*
 * Requests that wait before they are stored: for room in the log, or for topics.json to have the
 * topic that was made for them. Bounded by count and bytes, both lists together.
 */
#include "base/err.h"
#include "base/mem.h"
#include "broker/docs.h"
#include "broker/send_priv.h"
#include "wire/codes.h"
#include <stdio.h>
#include <stdlib.h>

struct parked {
	struct list link;
	struct kept_request *kept;
	void (*again)(void *broker, struct request *req); /* early only */
};

static void parked_free(struct sends *s, struct parked *p)
{
	list_remove(&p->link);
	s->n_parked--;
	s->parked_bytes -= p->kept->bytes;
	kept_request_free(p->kept);
	free(p);
}

/* Keeps a request, in one of the two lists. NULL: too much is kept, it was refused. */
static struct parked *send_keep(struct sends *s, struct list *list, const struct request *req)
{
	const struct broker_config *c = &s->broker->config;
	struct kept_request *kept = NULL;
	if (s->n_parked < c->max_parked_sends && s->parked_bytes < c->max_parked_bytes)
		kept = request_keep(req);
	if (kept == NULL) {
		send_refuse(&req->ticket, RES_SYSTEM_BUSY,
			    "[OVERLOAD]system busy, start flow control for a while");
		return NULL;
	}
	struct parked *p = mem_alloc(sizeof(*p));
	p->kept = kept;
	list_add_tail(list, &p->link);
	s->n_parked++;
	s->parked_bytes += kept->bytes;
	return p;
}

uint32_t sends_parked(const struct sends *s)
{
	return s->n_parked;
}

static void sends_refuse_all(struct sends *s, struct list *list, const char *why)
{
	LIST_FOR_SAFE(it, list)
	{
		struct parked *p = LIST_ENTRY(it, struct parked, link);
		SEND_REFUSE(&p->kept->req.ticket, RES_SERVICE_NOT_AVAILABLE,
			    "service not available now: %s", why);
		parked_free(s, p);
	}
}

void sends_stop(struct sends *s)
{
	sends_refuse_all(s, &s->parked, "the broker is shutting down");
	sends_refuse_all(s, &s->early, "the broker is shutting down");
}

/* -- for room -------------------------------------------------------------------------------- */

/* There may be room again: run what is parked, in order, until the log is full once more. */
static void sends_room(struct mosaic_req *room)
{
	struct sends *s = room->data;
	s->waits_for_room = false;
	while (!list_empty(&s->parked) && !s->waits_for_room) {
		struct parked *p = LIST_ENTRY(s->parked.next, struct parked, link);
		send_run(s, &p->kept->req, true);
		if (!s->waits_for_room)
			parked_free(s, p);
	}
	broker_burst_end(s->broker);
}

void sends_ask_room(struct sends *s)
{
	if (s->waits_for_room)
		return;
	s->waits_for_room = true;
	s->room.done = sends_room;
	s->room.data = s;
	log_wait_room(s->broker->log, &s->room);
}

void send_park(struct sends *s, const struct request *req)
{
	if (send_keep(s, &s->parked, req) != NULL)
		sends_ask_room(s);
}

/* -- for a new topic ------------------------------------------------------------------------- */

/* A save that failed refuses them: a restart would not know their topic. The next send tries it. */
static void sends_topics_saved(struct mosaic_req *saved)
{
	struct sends *s = saved->data;
	struct list now;
	s->waits_for_topics = false;
	if (saved->status != 0) {
		char why[128];
		snprintf(why, sizeof(why), "a new topic cannot be saved: %s",
			 status_text(saved->status));
		sends_refuse_all(s, &s->early, why);
		return;
	}
	s->saved_change = s->saving_change;
	list_init(&now);
	while (!list_empty(&s->early)) {
		struct list *node = s->early.next;
		list_remove(node);
		list_add_tail(&now, node);
	}
	while (!list_empty(&now)) {
		struct parked *p = LIST_ENTRY(now.next, struct parked, link);
		p->again(s->broker, &p->kept->req);
		parked_free(s, p);
	}
	broker_burst_end(s->broker);
}

static void sends_ask_topics(struct sends *s)
{
	if (s->waits_for_topics)
		return;
	s->waits_for_topics = true;
	s->saving_change = s->broker->topics->n_changes;
	s->topics_saved = (struct mosaic_req){ .done = sends_topics_saved, .data = s };
	docs_saved(s->broker->docs, DOC_TOPICS, &s->topics_saved);
}

bool sends_await_topic(struct sends *s, struct topic *topic, const struct request *req,
		       void (*again)(void *broker, struct request *req))
{
	if (LIKELY(!topic->is_unsaved))
		return false;
	if (topic->changed_at <= s->saved_change) {
		topic->is_unsaved = false;
		return false;
	}
	struct parked *p = send_keep(s, &s->early, req);
	if (p != NULL) {
		p->again = again;
		sends_ask_topics(s);
	}
	return true;
}
