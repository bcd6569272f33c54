/*
 * Happy path: engine_ask -> dialed -> written -> answered -> done.
 *
 * Failure modes: nobody can be reached: E_CLOSED; the connection turns out to be ending: another
 * one is dialed; the other side does not read: tried again until the time is over, then E_AGAIN; no
 * answer: E_TIMEOUT; the connection breaks: E_CLOSED, whoever asked knows whether to repeat.
 */
#include "engine.h"
#include "base/mem.h"
#include "wire/codes.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define READS_AGAIN_NS (5 * MS_NS) /* between two looks at a connection that is full */

static void end(struct ask *a, int status, const char *why)
{
	struct list *link = &a->link;

	a->engine->host->timer_stop(a->engine->host, &a->timer);
	list_remove(link);
	link->next = NULL; /* does not wait */
	if (status != 0 && status != MOSAIC_E_CANCELED)
		number_add(&a->engine->numbers.request_errors, 1);
	a->status = status;
	if (status != 0 && strstr(why, a->address) != NULL)
		snprintf(a->why, sizeof(a->why), "%s", why);
	else if (status != 0)
		snprintf(a->why, sizeof(a->why), "%s: %s", a->address, why);
	a->done(a);
}

static uint64_t time_left(const struct ask *a)
{
	uint64_t now = host_now_ns(a->engine->host);

	return a->due_ns > now ? a->due_ns - now : 0;
}

static void answered(struct call *call)
{
	struct ask *a = call->data;

	a->response = call->response;
	a->answer = call->body;
	end(a, call->status, status_text(call->status));
}

static void dial(struct ask *a);

static void look_again(struct mosaic_timer *timer)
{
	struct ask *a = timer->data;

	if (time_left(a) == 0)
		end(a, MOSAIC_E_AGAIN, "does not read what was sent");
	else
		dial(a);
}

static void dialed(struct dial_wait *wait, struct peer *peer, const char *why)
{
	struct ask *a = wait->data;
	struct call_writer cw;

	if (peer == NULL) {
		end(a, time_left(a) == 0 ? MOSAIC_E_TIMEOUT : MOSAIC_E_CLOSED, why);
		return;
	}
	connection_seen(a->engine, peer);
	if (a->code == REQ_HEART_BEAT)
		peer->service = a->engine; /* greeted */
	else if (!a->is_quiet)
		heartbeat_greet(a->engine, peer);
	if (!call_begin(&cw, peer, a->code, a->is_oneway, (uint32_t)(HEADER_ROOM + a->room),
			(uint32_t)a->body.len)) {
		if (!peer_is_open(peer)) {
			dial(a); /* it was about to close: the dialer makes another one */
			return;
		}
		a->timer = (struct mosaic_timer){ .fire = look_again, .data = a };
		a->engine->host->timer_start(a->engine->host, &a->timer, READS_AGAIN_NS);
		return;
	}
	if (a->fill != NULL)
		a->fill(a, &cw.w);
	if (a->is_oneway) {
		call_end_oneway(&cw, a->body);
		end(a, 0, "");
		return;
	}
	a->call = (struct call){ .done = answered, .data = a };
	call_end(&cw, a->body, &a->call, time_left(a));
}

static void dial(struct ask *a)
{
	a->dial = (struct dial_wait){ .done = dialed, .data = a };
	dialer_get(&a->engine->dialer, a->address, time_left(a), &a->dial);
}

void engine_ask(struct engine *e, struct ask *a, const char *address, uint64_t timeout_ns)
{
	ASSERT(a->done != NULL);
	a->engine = e;
	a->status = 0;
	a->response = NULL;
	a->answer = slice(NULL, 0);
	a->why[0] = '\0';
	a->call = (struct call){ .peer = NULL };
	a->timer = (struct mosaic_timer){ .due_ns = 0 };
	a->due_ns = host_now_ns(e->host) + timeout_ns;
	text_copy(a->address, sizeof(a->address), slice_str(address));
	list_add_tail(&e->asks, &a->link);
	number_add(&e->numbers.requests, 1);
	if (e->is_closing)
		end(a, MOSAIC_E_CANCELED, "the client stops");
	else
		dial(a);
}

void ask_cancel(struct ask *a)
{
	if (!ask_waits(a))
		return;
	dialer_cancel(&a->engine->dialer, &a->dial);
	if (a->call.peer != NULL)
		call_cancel(&a->call); /* runs done() */
	else
		end(a, MOSAIC_E_CANCELED, status_text(MOSAIC_E_CANCELED));
}

/* ---- tell ---- */

#define TELL_FIELDS 8
#define TELL_TIMEOUT_NS (3 * SECOND_NS)

struct told {
	struct ask ask;
	struct mosaic_slice fields[2 * TELL_FIELDS];
	uint32_t n_fields;
	uint8_t text[];
};

static void fill_told(struct ask *a, struct header_writer *w)
{
	struct told *t = a->data;

	for (uint32_t i = 0; i < t->n_fields; i += 2)
		header_put(w, (const char *)t->fields[i].ptr, t->fields[i + 1]);
}

static void told(struct ask *a)
{
	free(a->data);
}

void engine_tell(struct engine *e, const char *address, int32_t code, struct mosaic_slice body, ...)
{
	size_t size = body.len, room = 0;
	const char *text;
	va_list args, again;

	va_start(args, body);
	va_copy(again, args);
	while ((text = va_arg(args, const char *)) != NULL) {
		size += strlen(text) + 1;
		room += HEADER_FIELD_ROOM(strlen(text), strlen(text));
	}
	va_end(args);
	struct told *t = mem_alloc(sizeof(*t) + size);
	uint8_t *at = t->text;
	while ((text = va_arg(again, const char *)) != NULL) {
		ASSERT(t->n_fields < 2 * TELL_FIELDS);
		size_t len = strlen(text);
		t->fields[t->n_fields++] = slice(at, len);
		memcpy(at, text, len + 1);
		at += len + 1;
	}
	va_end(again);
	if (body.len > 0)
		memcpy(at, body.ptr, body.len);
	t->ask = (struct ask){ .code = code, .room = room, .body = slice(at, body.len),
			       .fill = fill_told, .done = told, .data = t };
	engine_ask(e, &t->ask, address, TELL_TIMEOUT_NS);
}
