/*
 * A stream has two ends and two flows. A flow is a list of chunks with a time of arrival that only
 * grows; its event delivers the first one.
 *
 *   sending    cut into one or two chunks, each with a drawn delay -> flow
 *   delivery   received() at the far end -> an acknowledgement travels back -> sent()
 *   closing    FIN behind the bytes; the near end hears ended() soon
 *
 * What holds a flow up: a partition or a machine without power (stuck: tried again when that
 * changes), a reader that paused, a connection that is not yet known to who dialled (waits).
 */
#include "sim/simnet.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/num.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SYN_RETRY_NS SECOND_NS

enum chunk_kind { CHUNK_DATA, CHUNK_FIN, CHUNK_RESET };

struct chunk {
	struct chunk *next;
	enum chunk_kind kind;
	uint32_t len;
	uint64_t arrive_ns;
	uint8_t *bytes;
};

enum end_state { END_DIALING, END_OPEN, END_CLOSING, END_GONE };

struct flow {
	struct sim_event deliver, ack;
	struct mosaic_net_end *from, *to;
	struct chunk *first, *last;
	uint64_t last_arrive_ns;
	uint32_t acked; /* not told yet */
	bool is_stuck, is_ack_stuck;
};

struct mosaic_net_end {
	struct stream *stream;
	struct sim_node *node;
	enum end_state state;
	bool is_paused;
	const struct mosaic_net_events *events;
	void *user;
	struct flow out;
	struct sim_event end;
	int32_t status;
	const char *why;
};

struct stream {
	struct list link;
	struct sim_net *net;
	struct mosaic_net_end ends[2]; /* 0: who dialled */
};

struct listening {
	struct list link;
	struct sim_node *node;
	uint32_t port;
	struct mosaic_net_listener *api;
};

struct dialing {
	struct list link;
	struct sim_net *net;
	struct sim_node *from, *to; /* to NULL: no such machine */
	uint32_t port;
	struct mosaic_net_dial *api; /* NULL: canceled */
	struct sim_event event;
	struct mosaic_net_end *end; /* accepted; the answer is under way */
	const char *why;            /* refused; the answer is under way */
};

struct sim_net {
	struct sim *sim;
	struct list streams, listeners, dials;
	uint32_t next_port;
	bool is_blocked[SIM_NODES + 1][SIM_NODES + 1];
};

/* ---- times ---- */

static uint64_t draw_delay(struct sim *s)
{
	if (sim_chance(s, 64))
		return sim_between(s, 1 * MS_NS, 60 * MS_NS);
	return sim_between(s, 50000, 1 * MS_NS);
}

static bool is_cut(const struct sim_net *net, const struct sim_node *a, const struct sim_node *b)
{
	return net->is_blocked[a->id][b->id] || !b->is_on;
}

/* ---- streams ---- */

static struct mosaic_net_end *other(struct mosaic_net_end *e)
{
	return e == &e->stream->ends[0] ? &e->stream->ends[1] : &e->stream->ends[0];
}

static void deliver(struct sim_event *event);
static void acknowledge(struct sim_event *event);
static void end_fired(struct sim_event *event);

static struct stream *stream_create(struct sim_net *net, struct sim_node *from, struct sim_node *to)
{
	struct stream *st = mem_alloc(sizeof(*st));

	st->net = net;
	list_add_tail(&net->streams, &st->link);
	for (int i = 0; i < 2; i++) {
		struct mosaic_net_end *e = &st->ends[i];

		e->stream = st;
		e->node = i == 0 ? from : to;
		e->out.from = e;
		e->out.to = &st->ends[1 - i];
		e->out.deliver = (struct sim_event){ .node = i == 0 ? to : from, .fire = deliver,
						     .data = &e->out, .kind = 'd' };
		e->out.ack = (struct sim_event){ .node = e->node, .fire = acknowledge,
						 .data = &e->out, .kind = 'a' };
		e->end = (struct sim_event){ .node = e->node, .fire = end_fired, .data = e,
					     .kind = 'e' };
	}
	return st;
}

static void flow_clear(struct flow *f)
{
	sim_cancel(f->from->stream->net->sim, &f->deliver);
	f->is_stuck = false;
	while (f->first != NULL) {
		struct chunk *c = f->first;

		f->first = c->next;
		free(c->bytes);
		free(c);
	}
	f->last = NULL;
}

static void stream_destroy(struct stream *st)
{
	struct sim *s = st->net->sim;

	for (int i = 0; i < 2; i++) {
		struct mosaic_net_end *e = &st->ends[i];

		sim_cancel(s, &e->end);
		sim_cancel(s, &e->out.ack);
		flow_clear(&e->out);
	}
	list_remove(&st->link);
	free(st);
}

static void destroy_when_gone(struct stream *st)
{
	if (st->ends[0].state == END_GONE && st->ends[1].state == END_GONE)
		stream_destroy(st);
}

static void flow_arm(struct flow *f)
{
	f->is_stuck = false;
	if (f->first != NULL && f->deliver.at == 0)
		sim_at(f->from->stream->net->sim, &f->deliver, f->first->arrive_ns);
}

static void flow_add(struct flow *f, enum chunk_kind kind, const uint8_t *bytes, uint32_t len)
{
	struct sim *s = f->from->stream->net->sim;
	struct chunk *c = mem_alloc(sizeof(*c));
	uint64_t at = s->now_ns + draw_delay(s);

	c->kind = kind;
	c->len = len;
	c->arrive_ns = at > f->last_arrive_ns ? at : f->last_arrive_ns;
	f->last_arrive_ns = c->arrive_ns;
	if (len > 0) {
		c->bytes = malloc(len);
		ASSERT(c->bytes != NULL);
		memcpy(c->bytes, bytes, len);
	}
	if (f->last != NULL)
		f->last->next = c;
	else
		f->first = c;
	f->last = c;
	if (!f->is_stuck)
		flow_arm(f);
}

/* The owner of the end hears ended() in a moment; nothing else any more. */
static void end_soon(struct mosaic_net_end *e, int32_t status, const char *why)
{
	if (e->state != END_OPEN)
		return;
	e->state = END_CLOSING;
	e->status = status;
	e->why = why;
	sim_at(e->stream->net->sim, &e->end, e->stream->net->sim->now_ns);
}

static void end_fired(struct sim_event *event)
{
	struct mosaic_net_end *e = event->data;
	struct stream *st = e->stream;
	struct sim_node *was = sim_enter(st->net->sim, e->node);

	e->state = END_GONE;
	e->events->ended(e->user, e->status, e->why);
	sim_leave(st->net->sim, was);
	destroy_when_gone(st);
}

static struct chunk *flow_pop(struct flow *f)
{
	struct chunk *c = f->first;

	f->first = c->next;
	if (f->first == NULL)
		f->last = NULL;
	return c;
}

static void receive(struct mosaic_net_end *to, struct chunk *c)
{
	struct sim_net *net = to->stream->net;
	struct mosaic_net_end *from = other(to);
	struct sim_node *was;

	if (to->state != END_OPEN) {
		/* Nobody there: a reset travels back. */
		if (from->state == END_OPEN && c->kind == CHUNK_DATA) {
			flow_clear(&to->out);
			flow_add(&to->out, CHUNK_RESET, NULL, 0);
		}
		return;
	}
	if (c->kind == CHUNK_FIN) {
		end_soon(to, MOSAIC_E_CLOSED, "closed by the peer");
	} else if (c->kind == CHUNK_RESET) {
		end_soon(to, MOSAIC_E_IO, "connection reset by the peer");
	} else {
		struct flow *f = &from->out;

		f->acked += c->len;
		if (f->ack.at == 0 && !f->is_ack_stuck)
			sim_at(net->sim, &f->ack, net->sim->now_ns + draw_delay(net->sim));
		sim_trace(net->sim, c->len);
		was = sim_enter(net->sim, to->node);
		to->events->received(to->user, c->bytes, c->len);
		sim_leave(net->sim, was);
	}
}

static void deliver(struct sim_event *event)
{
	struct flow *f = event->data;
	struct sim_net *net = f->from->stream->net;
	struct mosaic_net_end *to = f->to;

	if (is_cut(net, f->from->node, to->node)) {
		f->is_stuck = true;
		return;
	}
	if (to->state == END_DIALING || (to->state == END_OPEN && to->is_paused))
		return; /* armed again by established() and pause() */
	struct chunk *c = flow_pop(f);
	receive(to, c);
	free(c->bytes);
	free(c);
	flow_arm(f);
}

static void acknowledge(struct sim_event *event)
{
	struct flow *f = event->data;
	struct mosaic_net_end *e = f->from;
	struct sim *s = e->stream->net->sim;
	uint32_t acked = f->acked;

	if (e->state != END_OPEN)
		return;
	if (is_cut(e->stream->net, f->to->node, e->node)) {
		f->is_ack_stuck = true;
		return;
	}
	f->acked = 0;
	struct sim_node *was = sim_enter(s, e->node);
	e->events->sent(e->user, acked);
	sim_leave(s, was);
}

/* ---- addresses ---- */

static bool parse_address(struct sim_net *net, const char *text, struct sim_node **node,
			  uint32_t *port)
{
	const char *colon = text ? strrchr(text, ':') : NULL;
	int32_t number = -1;

	*node = NULL;
	if (colon == NULL || num_parse_i32(slice_str(colon + 1), &number) != 0 || number < 0 ||
	    number > 65535)
		return false;
	*port = (uint32_t)number;
	for (uint32_t i = 0; i < net->sim->n_nodes; i++) {
		struct sim_node *n = &net->sim->nodes[i];

		if (slice_eq(slice(text, (size_t)(colon - text)), slice_str(n->ip)))
			*node = n;
	}
	return true;
}

static void set_address(struct mosaic_address *out, const struct sim_node *node, uint32_t port)
{
	*out = (struct mosaic_address){ .ip = { 10, 0, 0, (uint8_t)node->id },
					.ip_len = 4, .port = port };
	snprintf(out->text, sizeof(out->text), "%s:%u", node->ip, port);
}

static uint32_t free_port(struct sim_net *net)
{
	return net->next_port++ % 20000 + 40000;
}

/* ---- connecting ---- */

static void dialing_destroy(struct dialing *d)
{
	sim_cancel(d->net->sim, &d->event);
	list_remove(&d->link);
	free(d);
}

static struct listening *find_listener(struct sim_net *net, const struct sim_node *node,
				       uint32_t port)
{
	LIST_FOR(it, &net->listeners) {
		struct listening *l = LIST_ENTRY(it, struct listening, link);

		if (l->node == node && l->port == port)
			return l;
	}
	return NULL;
}

/* The first packet has arrived: a listener takes the connection, or not. */
static void dial_arrived(struct dialing *d)
{
	struct sim_net *net = d->net;
	struct listening *l = find_listener(net, d->to, d->port);
	struct mosaic_address peer;
	struct sim_node *was;

	d->why = "connection refused";
	if (l == NULL)
		return;
	struct stream *st = stream_create(net, d->from, d->to);
	struct mosaic_net_end *near = &st->ends[0], *far = &st->ends[1];
	set_address(&peer, d->from, free_port(net));
	near->state = END_DIALING;
	far->state = END_OPEN;
	was = sim_enter(net->sim, d->to);
	int32_t rc = l->api->accepted(l->api->user, far, &peer, &far->events, &far->user);
	sim_leave(net->sim, was);
	if (rc < 0) {
		stream_destroy(st);
		return;
	}
	d->end = near;
	d->why = NULL;
}

static void dial_answered(struct dialing *d)
{
	struct mosaic_net_dial *api = d->api;
	struct mosaic_net_end *e = d->end;
	struct sim *s = d->net->sim;
	struct sim_node *node = d->from, *was;

	if (e != NULL) {
		e->state = END_OPEN;
		e->events = api->events;
		e->user = api->user;
		api->end = e;
		set_address(&api->peer, d->to, d->port);
		flow_arm(&other(e)->out);
	}
	api->req.status = e ? 0 : MOSAIC_E_IO;
	api->why = d->why;
	dialing_destroy(d);
	was = sim_enter(s, node);
	api->req.done(&api->req);
	sim_leave(s, was);
}

static void dial_fired(struct sim_event *event)
{
	struct dialing *d = event->data;
	struct sim_net *net = d->net;
	bool was_there = d->end != NULL || d->why != NULL;

	if (d->to == NULL) {
		d->why = "no route to host";
		dial_answered(d);
		return;
	}
	if (is_cut(net, d->from, d->to) || is_cut(net, d->to, d->from)) {
		sim_at(net->sim, &d->event, net->sim->now_ns + SYN_RETRY_NS);
		return;
	}
	if (was_there) {
		dial_answered(d);
		return;
	}
	dial_arrived(d);
	sim_at(net->sim, &d->event, net->sim->now_ns + draw_delay(net->sim));
}

/* Nobody waits for it any more: who has accepted hears a reset. */
static void dialing_drop(struct dialing *d)
{
	struct mosaic_net_end *e = d->end;

	if (e != NULL) {
		e->state = END_GONE;
		flow_clear(&other(e)->out);
		flow_add(&e->out, CHUNK_RESET, NULL, 0);
		destroy_when_gone(e->stream);
	}
	dialing_destroy(d);
}

/* ---- what a transport calls; the world's memory is used, whoever runs ---- */

static struct sim_node *node_of(void *ctx)
{
	return ctx;
}

static struct sim_net *net_of(void *ctx)
{
	return node_of(ctx)->sim->net;
}

static int32_t net_listen(void *ctx, struct mosaic_net_listener *api)
{
	struct sim_net *net = net_of(ctx);
	struct sim_node *node, *was;
	uint32_t port;

	if (!parse_address(net, api->address, &node, &port))
		return MOSAIC_E_INVAL;
	if (port == 0)
		port = free_port(net);
	if (find_listener(net, ctx, port) != NULL)
		return MOSAIC_E_IO;
	was = sim_enter(net->sim, NULL);
	struct listening *l = mem_alloc(sizeof(*l));
	*l = (struct listening){ .node = ctx, .port = port, .api = api };
	list_add_tail(&net->listeners, &l->link);
	sim_leave(net->sim, was);
	api->port = port;
	return 0;
}

static void net_unlisten(void *ctx, struct mosaic_net_listener *api)
{
	struct listening *l = find_listener(net_of(ctx), ctx, api->port);

	ASSERT(l != NULL);
	list_remove(&l->link);
	free(l);
}

static int32_t net_dial(void *ctx, struct mosaic_net_dial *api)
{
	struct sim_net *net = net_of(ctx);
	struct sim_node *to, *was;
	uint32_t port;

	if (!parse_address(net, api->address, &to, &port) || port == 0)
		return MOSAIC_E_INVAL;
	was = sim_enter(net->sim, NULL);
	struct dialing *d = mem_alloc(sizeof(*d));
	*d = (struct dialing){ .net = net, .from = ctx, .to = to, .port = port, .api = api };
	d->event = (struct sim_event){ .node = ctx, .fire = dial_fired, .data = d, .kind = 'c' };
	list_add_tail(&net->dials, &d->link);
	sim_at(net->sim, &d->event, net->sim->now_ns + draw_delay(net->sim));
	sim_leave(net->sim, was);
	return MOSAIC_PENDING;
}

static void net_cancel(void *ctx, struct mosaic_net_dial *api)
{
	struct sim_net *net = net_of(ctx);

	LIST_FOR_SAFE(it, &net->dials) {
		struct dialing *d = LIST_ENTRY(it, struct dialing, link);

		if (d->api != api)
			continue;
		struct sim_node *was = sim_enter(net->sim, NULL);
		dialing_drop(d);
		sim_leave(net->sim, was);
		return;
	}
}

static uint8_t *net_buffer(void *ctx, uint32_t len)
{
	struct sim_net *net = net_of(ctx);
	struct sim_node *was = sim_enter(net->sim, NULL);
	uint8_t *buffer = malloc(len);

	sim_leave(net->sim, was);
	return buffer;
}

static void net_send(struct mosaic_net_end *e, uint8_t *buffer, uint32_t len)
{
	struct sim *s = e->stream->net->sim;
	struct sim_node *was = sim_enter(s, NULL);

	if (e->state == END_OPEN) {
		uint32_t cut = len;

		if (len > 1 && sim_chance(s, 8))
			cut = 1 + (uint32_t)sim_below(s, len - 1);
		flow_add(&e->out, CHUNK_DATA, buffer, cut);
		if (cut < len)
			flow_add(&e->out, CHUNK_DATA, buffer + cut, len - cut);
	}
	free(buffer);
	sim_leave(s, was);
}

static void net_pause(struct mosaic_net_end *e, int32_t paused)
{
	e->is_paused = paused != 0;
	if (!e->is_paused && e->state == END_OPEN)
		flow_arm(&other(e)->out);
}

static void net_close(struct mosaic_net_end *e)
{
	struct sim *s = e->stream->net->sim;
	struct sim_node *was = sim_enter(s, NULL);

	if (e->state == END_OPEN) {
		flow_add(&e->out, CHUNK_FIN, NULL, 0);
		end_soon(e, MOSAIC_OK, "closed");
	}
	sim_leave(s, was);
}

void simnet_extension(struct sim_net *net, struct sim_node *node, struct mosaic_ext_network *out)
{
	(void)net;
	*out = (struct mosaic_ext_network){ .struct_size = sizeof(*out),
					    .ctx = node,
					    .listen = net_listen,
					    .unlisten = net_unlisten,
					    .dial = net_dial,
					    .cancel = net_cancel,
					    .buffer = net_buffer,
					    .send = net_send,
					    .pause = net_pause,
					    .close = net_close };
}

/* ---- faults ---- */

void simnet_block(struct sim_net *net, const struct sim_node *a, const struct sim_node *b)
{
	net->is_blocked[a->id][b->id] = true;
}

/* What was stuck is sent again after a pause, as TCP does. */
static void unstick(struct sim_net *net)
{
	struct sim *s = net->sim;

	LIST_FOR(it, &net->streams) {
		struct stream *st = LIST_ENTRY(it, struct stream, link);

		for (int i = 0; i < 2; i++) {
			struct flow *f = &st->ends[i].out;

			if (f->is_stuck) {
				f->is_stuck = false;
				sim_at(s, &f->deliver, s->now_ns + sim_below(s, SECOND_NS));
			}
			if (f->is_ack_stuck) {
				f->is_ack_stuck = false;
				sim_at(s, &f->ack, s->now_ns + sim_below(s, SECOND_NS));
			}
		}
	}
}

void simnet_heal(struct sim_net *net)
{
	memset(net->is_blocked, 0, sizeof(net->is_blocked));
	unstick(net);
}

void simnet_power_on(struct sim_net *net, struct sim_node *node)
{
	(void)node;
	unstick(net);
}

/* A prefix of what is under way still arrives, then the reset. */
static void flow_break(struct flow *f)
{
	struct sim *s = f->from->stream->net->sim;
	struct chunk *c = f->first;

	if (c != NULL && c->kind == CHUNK_DATA && sim_chance(s, 2)) {
		c->len = 1 + (uint32_t)sim_below(s, c->len);
		while (c->next != NULL) {
			struct chunk *dead = c->next;

			c->next = dead->next;
			free(dead->bytes);
			free(dead);
		}
		f->last = c;
	} else {
		flow_clear(f);
	}
	flow_add(f, CHUNK_RESET, NULL, 0);
}

bool simnet_reset_one(struct sim_net *net)
{
	uint32_t n = 0;
	struct stream *chosen = NULL;

	LIST_FOR(it, &net->streams) {
		struct stream *st = LIST_ENTRY(it, struct stream, link);

		if (st->ends[0].state == END_OPEN && st->ends[1].state == END_OPEN &&
		    sim_below(net->sim, ++n) == 0)
			chosen = st;
	}
	if (chosen == NULL)
		return false;
	sim_say(net->sim, "reset of a connection %s -> %s", chosen->ends[0].node->name,
		chosen->ends[1].node->name);
	flow_break(&chosen->ends[0].out);
	flow_break(&chosen->ends[1].out);
	return true;
}

static void end_kill(struct mosaic_net_end *e, uint32_t how)
{
	struct sim *s = e->stream->net->sim;

	sim_cancel(s, &e->end);
	sim_cancel(s, &e->out.ack);
	if (e->state == END_OPEN) {
		if (how == MOSAIC_CRASH_PROCESS) {
			flow_break(&e->out);
		} else if (e->out.is_stuck || sim_chance(s, 2)) {
			flow_clear(&e->out);
		}
	}
	e->state = END_GONE;
}

void simnet_kill(struct sim_net *net, struct sim_node *node, uint32_t how)
{
	LIST_FOR_SAFE(it, &net->listeners) {
		struct listening *l = LIST_ENTRY(it, struct listening, link);

		if (l->node != node)
			continue;
		list_remove(&l->link);
		free(l);
	}
	LIST_FOR_SAFE(it, &net->dials) {
		struct dialing *d = LIST_ENTRY(it, struct dialing, link);

		if (d->from == node)
			dialing_drop(d);
	}
	LIST_FOR_SAFE(it, &net->streams) {
		struct stream *st = LIST_ENTRY(it, struct stream, link);

		for (int i = 0; i < 2; i++)
			if (st->ends[i].node == node && st->ends[i].state != END_GONE &&
			    st->ends[i].state != END_DIALING)
				end_kill(&st->ends[i], how);
		destroy_when_gone(st);
	}
}

/* ---- life ---- */

struct sim_net *simnet_create(struct sim *s)
{
	struct sim_net *net = mem_alloc(sizeof(*net));

	net->sim = s;
	list_init(&net->streams);
	list_init(&net->listeners);
	list_init(&net->dials);
	return net;
}

void simnet_destroy(struct sim_net *net)
{
	while (!list_empty(&net->dials))
		dialing_destroy(LIST_ENTRY(net->dials.next, struct dialing, link));
	while (!list_empty(&net->streams))
		stream_destroy(LIST_ENTRY(net->streams.next, struct stream, link));
	while (!list_empty(&net->listeners)) {
		struct list *l = net->listeners.next;

		list_remove(l);
		free(LIST_ENTRY(l, struct listening, link));
	}
	free(net);
}
