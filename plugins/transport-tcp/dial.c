/*
 * Outgoing connections: look the name up, try its addresses one after the other, within one
 * timeout. A dial lives until its request is answered and libuv's look-up, which cannot always be
 * stopped, has come back.
 */
#include "tcp.h"

#include <netdb.h>
#include <stdio.h>

struct dial {
	struct mosaic_transport *transport;
	struct mosaic_connect *api; /* NULL once answered */
	struct link link;
	struct mosaic_conn *conn; /* the attempt under way */
	struct addrinfo *addresses, *next;
	struct mosaic_timer timer;
	bool resolving;
	uv_getaddrinfo_t lookup;
};

static void free_when_over(struct dial *d)
{
	struct mosaic_transport *t = d->transport;

	if (d->api != NULL || d->resolving)
		return;
	if (d->addresses != NULL)
		uv_freeaddrinfo(d->addresses);
	tcp_free(t, d);
	tcp_handle_closed(t);
}

static void forget_attempt(struct dial *d, const char *why)
{
	struct mosaic_conn *c = d->conn;
	if (c == NULL)
		return;
	d->conn = NULL;
	c->req.connect.data = NULL; /* its callback comes with UV_ECANCELED and finds nobody */
	tcp_conn_end(c, MOSAIC_E_IO, why);
}

/* Answers through post: never inside a call of the core. */
static void fail(struct dial *d, int32_t status, const char *why)
{
	struct mosaic_connect *api = d->api;

	d->api = NULL;
	link_remove(&d->link);
	d->transport->host->timer_stop(d->transport->host, &d->timer);
	forget_attempt(d, why);
	if (d->resolving)
		uv_cancel((uv_req_t *)&d->lookup);
	api->req.status = tcp_error(api->error, status, 0, "cannot connect to %s: %s", api->address,
				    why);
	d->transport->host->post(d->transport->host, &api->req);
	free_when_over(d);
}

static void succeed(struct dial *d)
{
	struct mosaic_connect *api = d->api;
	struct mosaic_conn *c = d->conn;

	d->api = NULL;
	d->conn = NULL;
	link_remove(&d->link);
	d->transport->host->timer_stop(d->transport->host, &d->timer);
	free_when_over(d);
	c->state = TCP_OPEN;
	c->max_frame = api->max_frame;
	c->events = api->events;
	c->user = api->user;
	api->conn = c;
	api->peer = c->peer;
	api->req.status = 0;
	api->req.done(&api->req);
}

static void try_next(struct dial *d, int last_error);

static void on_connected(uv_connect_t *req, int status)
{
	struct dial *d = req->data;
	if (d == NULL)
		return;
	if (status == 0)
		status = tcp_conn_begin(d->conn);
	if (status == 0) {
		succeed(d);
		return;
	}
	forget_attempt(d, uv_strerror(status));
	try_next(d, status);
}

/* 0: under way. */
static int attempt(struct dial *d, const struct sockaddr *address)
{
	struct mosaic_conn *c = tcp_conn_create(d->transport, TCP_CONNECTING);
	if (c == NULL)
		return UV_ENOMEM;
	tcp_address_set(&c->peer, address);
	int rc = uv_tcp_connect(&c->req.connect, &c->tcp, address, on_connected);
	if (rc != 0) {
		tcp_conn_end(c, MOSAIC_E_IO, uv_strerror(rc));
		return rc;
	}
	c->req.connect.data = d;
	d->conn = c;
	return 0;
}

static void try_next(struct dial *d, int last_error)
{
	while (d->next != NULL) {
		const struct addrinfo *a = d->next;
		d->next = a->ai_next;
		last_error = attempt(d, a->ai_addr);
		if (last_error == 0)
			return;
	}
	fail(d, last_error == UV_ENOMEM ? MOSAIC_E_NOMEM : MOSAIC_E_IO, uv_strerror(last_error));
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *addresses)
{
	struct dial *d = CONTAINER(req, struct dial, lookup);

	d->resolving = false;
	d->addresses = addresses;
	if (d->api == NULL) {
		free_when_over(d);
	} else if (status != 0) {
		fail(d, MOSAIC_E_NOTFOUND, uv_strerror(status));
	} else {
		d->next = addresses;
		try_next(d, UV_EAI_NODATA);
	}
}

static void on_timeout(struct mosaic_timer *timer)
{
	fail(timer->data, MOSAIC_E_TIMEOUT, "timed out");
}

static void start(struct dial *d, const char *host, uint16_t port)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct sockaddr_storage address;
	char service[8];
	int rc;

	if (tcp_address_numeric(host, port, &address) == 0) {
		rc = attempt(d, (struct sockaddr *)&address);
		if (rc != 0)
			fail(d, MOSAIC_E_IO, uv_strerror(rc));
		return;
	}
	snprintf(service, sizeof(service), "%u", (unsigned)port);
	d->resolving = true;
	rc = uv_getaddrinfo(d->transport->loop, &d->lookup, on_resolved, host, service, &hints);
	if (rc != 0) {
		d->resolving = false;
		fail(d, MOSAIC_E_NOTFOUND, uv_strerror(rc));
	}
}

int32_t tcp_connect(struct mosaic_transport *t, struct mosaic_connect *api)
{
	char host[256];
	uint16_t port;

	if (t->close_req != NULL)
		return tcp_error(api->error, MOSAIC_E_CLOSED, 0, "the transport closes");
	tcp_start(t);
	if (tcp_address_split(api->address, host, sizeof(host), &port) != 0)
		return tcp_error(api->error, MOSAIC_E_INVAL, 0, "\"%s\" is no host:port",
				 api->address != NULL ? api->address : "");
	if (t->n_conns >= (uint64_t)t->options.max_connections)
		return tcp_error(api->error, MOSAIC_E_LIMIT, 0, "maxConnections is reached");
	struct dial *d = tcp_alloc(t, sizeof(*d));
	if (d == NULL)
		return tcp_error(api->error, MOSAIC_E_NOMEM, 0, "no memory to connect");
	d->transport = t;
	d->api = api;
	d->timer = (struct mosaic_timer){ .fire = on_timeout, .data = d };
	api->conn = NULL;
	link_init(&d->link);
	link_move(&t->dials, &d->link);
	t->n_handles++;
	if (api->timeout_ns > 0)
		t->host->timer_start(t->host, &d->timer, api->timeout_ns);
	start(d, host, port);
	return 0;
}

void tcp_cancel_dials(struct mosaic_transport *t)
{
	while (!link_alone(&t->dials))
		fail(CONTAINER(t->dials.next, struct dial, link), MOSAIC_E_CANCELED,
		     "the transport closes");
}
