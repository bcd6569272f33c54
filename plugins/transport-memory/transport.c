/*
 * transport-memory: the transport of the simulator, over a network that the host offers
 * (mosaic/draft/network.h). Nothing but host services, so a whole cluster runs in one thread.
 *
 * Happy path: listen -> accepted -> received bytes are cut into frames (input.c) -> frame()... ->
 * burst_end() -> the core reserves, commits and sends spans -> the end of the turn, a posted
 * request, gives each connection's output to the network in one piece (output.c). Ends: conn.c.
 *
 * Failure modes: a host without the network (listen and connect say so); a peer that sends nonsense
 * is closed; a peer that takes nothing is not read from; a connection that breaks ends once.
 */
#include "memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define AT(member) offsetof(struct memory_options, member)

static const struct mosaic_option options[] = {
	{ "listen", MOSAIC_T_ADDRESS, 0, AT(listen), NULL, NULL, NULL, NULL,
	  "Address to accept connections at; port 0 takes any free one" },
	{ "highPending", MOSAIC_T_SIZE, 0, AT(high_pending), "1MiB", "4KiB", "1GiB", NULL,
	  "Output not arrived above which nothing more is read from that peer" },
	{ "maxPending", MOSAIC_T_SIZE, 0, AT(max_pending), "64MiB", "64KiB", "2GiB", NULL,
	  "Output not arrived of one connection above which more is refused" },
	{ "window", MOSAIC_T_SIZE, 0, AT(window), "64KiB", "1KiB", "16MiB", NULL,
	  "Bytes of one connection that the network holds at a time" },
	{ "idle", MOSAIC_T_DURATION, 0, AT(idle_ns), "120s", "0s", NULL, NULL,
	  "A connection without a byte either way for this long is closed; 0s: never" },
};

void *memory_alloc(struct mosaic_transport *t, size_t size)
{
	void *ptr = t->host->alloc(t->host, size);

	if (ptr != NULL)
		memset(ptr, 0, size);
	return ptr;
}

void memory_free(struct mosaic_transport *t, void *ptr)
{
	t->host->free(t->host, ptr);
}

int32_t memory_error(struct mosaic_error *error, int32_t code, const char *format, ...)
{
	va_list args;

	if (error == NULL)
		return code;
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	error->code = code;
	error->os_errno = 0;
	return code;
}

/* ---- turns ---- */

static void on_turn(struct mosaic_req *req)
{
	struct mosaic_transport *t = req->data;
	struct link now;

	t->turning = false;
	link_init(&now);
	while (!link_alone(&t->dirty))
		link_move(&now, t->dirty.next);
	while (!link_alone(&now)) {
		struct mosaic_conn *c = CONTAINER(now.next, struct mosaic_conn, dirty);

		link_remove(&c->dirty);
		memory_output_turn(c);
	}
}

void memory_mark(struct mosaic_conn *c)
{
	struct mosaic_transport *t = c->transport;

	if (link_alone(&c->dirty))
		link_move(&t->dirty, &c->dirty);
	if (t->turning)
		return;
	t->turning = true;
	t->host->post(t->host, &t->turn);
}

/* ---- life ---- */

static int32_t transport_create(const struct mosaic_host *host, const void *opts,
				struct mosaic_transport **out, struct mosaic_error *error)
{
	struct mosaic_transport *t = host->alloc(host, sizeof(*t));

	if (t == NULL)
		return memory_error(error, MOSAIC_E_NOMEM, "no memory for a transport");
	*t = (struct mosaic_transport){ .host = host };
	t->network = host->extension(host, MOSAIC_EXT_NETWORK);
	t->options = *(const struct memory_options *)opts;
	t->turn = (struct mosaic_req){ .done = on_turn, .data = t };
	t->idle_timer = (struct mosaic_timer){ .fire = memory_idle_tick, .data = t };
	link_init(&t->conns);
	link_init(&t->listeners);
	link_init(&t->dials);
	link_init(&t->dirty);
	if (t->options.idle_ns > 0)
		host->timer_start(host, &t->idle_timer, t->options.idle_ns / 16 + 1);
	*out = t;
	return 0;
}

static int32_t no_network(struct mosaic_error *error)
{
	return memory_error(error, MOSAIC_E_UNSUPPORTED,
			    "transport-memory needs a host with " MOSAIC_EXT_NETWORK
			    " (the simulator); use transport-tcp to reach other processes");
}

static void close_when_empty(struct mosaic_transport *t)
{
	struct mosaic_req *req = t->close_req;

	if (req == NULL || !link_alone(&t->conns))
		return;
	t->close_req = NULL;
	req->status = 0;
	t->host->post(t->host, req);
}

void memory_conn_gone(struct mosaic_transport *t)
{
	close_when_empty(t);
}

static void transport_unlisten(struct mosaic_transport *t, struct mosaic_listener *api)
{
	struct memory_listener *l = api->reserved;

	if (l == NULL)
		return;
	api->reserved = NULL;
	t->network->unlisten(t->network->ctx, &l->net);
	link_remove(&l->link);
	memory_free(t, l);
}

/* ---- accepting ---- */

static int32_t on_accepted(void *user, struct mosaic_net_end *end,
			   const struct mosaic_address *peer,
			   const struct mosaic_net_events **events, void **end_user)
{
	struct memory_listener *l = user;
	struct mosaic_conn *c = memory_conn_create(l->transport, end, l->api->max_frame);

	if (c == NULL)
		return MOSAIC_E_NOMEM;
	int32_t rc = l->api->accepted(l->api->user, c, peer, &c->events, &c->user);
	if (rc < 0) {
		memory_output_free(c); /* it may have written before it refused */
		link_remove(&c->dirty);
		link_remove(&c->link);
		memory_free(l->transport, c);
		return rc;
	}
	*events = &memory_net_events;
	*end_user = c;
	return 0;
}

static int32_t transport_listen(struct mosaic_transport *t, struct mosaic_listener *api,
				struct mosaic_error *error)
{
	if (t->network == NULL)
		return no_network(error);
	if (t->close_req != NULL)
		return memory_error(error, MOSAIC_E_CLOSED, "the transport closes");
	struct memory_listener *l = memory_alloc(t, sizeof(*l));
	if (l == NULL)
		return memory_error(error, MOSAIC_E_NOMEM, "no memory to listen");
	l->transport = t;
	l->api = api;
	l->net = (struct mosaic_net_listener){ .address = api->address,
					       .user = l,
					       .accepted = on_accepted };
	int32_t rc = t->network->listen(t->network->ctx, &l->net);
	if (rc < 0) {
		memory_free(t, l);
		return memory_error(error, rc, "cannot listen at %s", api->address);
	}
	link_init(&l->link);
	link_move(&t->listeners, &l->link);
	api->port = l->net.port;
	api->reserved = l;
	return 0;
}

/* ---- connecting ---- */

struct dial {
	struct mosaic_net_dial net;
	struct mosaic_transport *transport;
	struct mosaic_connect *api;
	struct mosaic_timer timer;
	struct link link;
};

/* The request is answered by post: never inside a call of the core. */
static void dial_fail(struct dial *d, int32_t status, const char *why)
{
	struct mosaic_transport *t = d->transport;
	struct mosaic_connect *api = d->api;

	memory_free(t, d->net.user); /* the connection that was not made */
	link_remove(&d->link);
	t->host->timer_stop(t->host, &d->timer);
	api->req.status = memory_error(api->error, status, "cannot connect to %s: %s",
				       api->address, why);
	memory_free(t, d);
	t->host->post(t->host, &api->req);
}

static void dial_done(struct mosaic_req *req)
{
	struct dial *d = CONTAINER(req, struct dial, net.req);
	struct mosaic_transport *t = d->transport;
	struct mosaic_connect *api = d->api;

	if (req->status != 0) {
		dial_fail(d, req->status, d->net.why);
		return;
	}
	struct mosaic_conn *c = d->net.user;
	c->end = d->net.end;
	c->events = api->events;
	c->user = api->user;
	link_move(&t->conns, &c->link);
	api->conn = c;
	api->peer = d->net.peer;
	api->req.status = 0;
	link_remove(&d->link);
	t->host->timer_stop(t->host, &d->timer);
	memory_free(t, d);
	api->req.done(&api->req);
}

static void dial_drop(struct dial *d, int32_t status, const char *why)
{
	struct mosaic_transport *t = d->transport;

	t->network->cancel(t->network->ctx, &d->net);
	dial_fail(d, status, why);
}

static void dial_timed_out(struct mosaic_timer *timer)
{
	dial_drop(timer->data, MOSAIC_E_TIMEOUT, "timed out");
}

static int32_t transport_connect(struct mosaic_transport *t, struct mosaic_connect *api)
{
	if (t->network == NULL)
		return no_network(api->error);
	if (t->close_req != NULL)
		return memory_error(api->error, MOSAIC_E_CLOSED, "the transport closes");
	struct dial *d = memory_alloc(t, sizeof(*d));
	struct mosaic_conn *c = memory_conn_create(t, NULL, api->max_frame);
	if (d == NULL || c == NULL) {
		memory_free(t, d);
		memory_free(t, c);
		return memory_error(api->error, MOSAIC_E_NOMEM, "no memory to connect");
	}
	link_remove(&c->link); /* nobody's until it is connected */
	d->transport = t;
	d->api = api;
	d->timer = (struct mosaic_timer){ .fire = dial_timed_out, .data = d };
	d->net = (struct mosaic_net_dial){ .req.done = dial_done,
					   .address = api->address,
					   .events = &memory_net_events,
					   .user = c };
	api->conn = NULL;
	int32_t rc = t->network->dial(t->network->ctx, &d->net);
	if (rc < 0) {
		memory_free(t, c);
		memory_free(t, d);
		return memory_error(api->error, rc, "\"%s\" is no ip:port", api->address);
	}
	link_init(&d->link);
	link_move(&t->dials, &d->link);
	if (api->timeout_ns > 0)
		t->host->timer_start(t->host, &d->timer, api->timeout_ns);
	return 0;
}

/* ---- the end ---- */

static int32_t transport_close(struct mosaic_transport *t, struct mosaic_req *req)
{
	if (t->close_req != NULL)
		return MOSAIC_E_INVAL;
	t->close_req = req;
	while (!link_alone(&t->listeners))
		transport_unlisten(t, CONTAINER(t->listeners.next, struct memory_listener,
						link)->api);
	while (!link_alone(&t->dials))
		dial_drop(CONTAINER(t->dials.next, struct dial, link), MOSAIC_E_CANCELED,
			  "the transport closes");
	for (struct link *l = t->conns.next; l != &t->conns; l = l->next)
		memory_conn_end(CONTAINER(l, struct mosaic_conn, link), MOSAIC_E_CANCELED,
				"the transport closes");
	t->host->timer_stop(t->host, &t->idle_timer);
	close_when_empty(t);
	return 0;
}

static void transport_destroy(struct mosaic_transport *t)
{
	t->host->timer_stop(t->host, &t->idle_timer);
	memory_free(t, t);
}

static const struct mosaic_transport_ops ops = {
	.struct_size = sizeof(ops),
	.create = transport_create,
	.listen = transport_listen,
	.unlisten = transport_unlisten,
	.connect = transport_connect,
	.close = transport_close,
	.destroy = transport_destroy,
	.reserve = memory_reserve,
	.commit = memory_commit,
	.send_span = memory_send_span,
	.pending = memory_pending,
	.conn_close = memory_conn_close,
};

MOSAIC_PLUGIN(.name = "transport-memory", .version = MOSAIC_VERSION, .license = "Apache-2.0",
	      .summary = "A network inside the process, for simulation",
	      MOSAIC_KIND_TRANSPORT, .ops = &ops,
	      MOSAIC_OPTIONS(struct memory_options, options));
