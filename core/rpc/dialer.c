/*
 * One connection per address.
 *
 * Happy path: the first caller starts the connection, others join the wait, all get the peer.
 * Failure modes:
 *   - it cannot be made: all who wait get NULL and the transport's text; whoever asks again within
 *     DIAL_PERIOD_NS of the attempt waits for the rest of it, then the next attempt starts;
 *   - a caller's time is over: it alone gets NULL, the attempt goes on;
 *   - the connection breaks: calls on it break (peer.c); the next caller dials again;
 *   - close during an attempt: who waits gets NULL at once, the connection is closed when it is
 *     there.
 */
#include "base/err.h"
#include "base/mem.h"
#include "rpc/call.h"
#include "rpc/request.h"
#include "wire/frame.h"
#include <stdlib.h>

/* As RocketMQ's clients (connectTimeoutMillis). Who waits has a limit of its own beside it. */
#define DIAL_TIMEOUT_NS (3 * SECOND_NS)

struct dial_link {
	struct dialer *dialer;
	char *address;
	struct mosaic_connect connect;
	struct mosaic_error err;
	struct peer_handler handler; /* ours, which passes on to the dialer's */
	struct peer *peer;           /* connecting or open; the reference is the connection's */
	struct mosaic_timer retry;
	struct list waits; /* struct dial_wait */
	uint64_t attempt_ns;
	bool was_tried;
};

void dialer_init(struct dialer *d, const struct mosaic_host *host,
		 const struct mosaic_transport_ops *ops, struct mosaic_transport *transport,
		 const struct peer_handler *handler)
{
	*d = (struct dialer){
		.host = host, .ops = ops, .transport = transport, .handler = handler
	};
}

static void link_request(void *ctx, struct request *req)
{
	const struct peer_handler *h = ((struct dial_link *)ctx)->dialer->handler;

	if (h && h->request)
		h->request(h->ctx, req);
	else
		reply_unsupported(req);
}

static void link_burst_end(void *ctx, struct peer *peer)
{
	const struct peer_handler *h = ((struct dial_link *)ctx)->dialer->handler;

	if (h && h->burst_end)
		h->burst_end(h->ctx, peer);
}

/* Dials when the last attempt is DIAL_PERIOD_NS old. */
static void link_redial(struct dial_link *l)
{
	const struct mosaic_host *host = l->dialer->host;
	uint64_t since = host_now_ns(host) - l->attempt_ns;

	host->timer_start(host, &l->retry, since < DIAL_PERIOD_NS ? DIAL_PERIOD_NS - since : 0);
}

static void link_closed(void *ctx, struct peer *peer)
{
	struct dial_link *l = ctx;
	const struct peer_handler *h = l->dialer->handler;

	ASSERT(l->peer == peer);
	l->peer = NULL;
	if (!list_empty(&l->waits)) /* they came after peer_close */
		link_redial(l);
	if (h && h->closed)
		h->closed(h->ctx, peer);
}

static void wait_end(struct dialer *d, struct dial_wait *wait, struct peer *peer, const char *why)
{
	list_remove(&wait->link);
	d->host->timer_stop(d->host, &wait->timer);
	wait->done(wait, peer, why);
}

/* Ends all who wait now; who is added meanwhile by a done() waits for the next attempt. */
static void waits_end(struct dial_link *l, struct peer *peer, const char *why)
{
	struct list now;

	list_init(&now);
	while (!list_empty(&l->waits)) {
		struct list *node = l->waits.next;

		list_remove(node);
		list_add_tail(&now, node);
	}
	while (!list_empty(&now))
		wait_end(l->dialer, LIST_ENTRY(now.next, struct dial_wait, link),
			 peer && peer_is_open(peer) ? peer : NULL, why);
}

static void link_connected(struct mosaic_req *req)
{
	struct dial_link *l = req->data;
	struct dialer *d = l->dialer;
	struct peer *peer = l->peer;

	if (req->status != 0) {
		char text[256];

		l->peer = NULL;
		peer_unref(peer);
		LOG_DEBUG(d->host, "connect_failed", "address=%s why=%s", l->address,
			  host_log_quote(text, sizeof(text), l->err.text));
		waits_end(l, NULL, l->err.text[0] ? l->err.text : "cannot connect");
		return;
	}
	peer_connected(peer, l->connect.conn, &l->connect.peer);
	if (d->is_closing)
		peer_close(peer, false, "closing");
	else
		waits_end(l, peer, "");
}

static void link_dial(struct dial_link *l)
{
	struct dialer *d = l->dialer;
	int rc;

	l->peer = peer_create(d->host, d->ops, NULL, NULL, &l->handler);
	l->was_tried = true;
	l->attempt_ns = host_now_ns(d->host);
	l->err = (struct mosaic_error){ .struct_size = sizeof(l->err) };
	l->connect = (struct mosaic_connect){ .req = { .done = link_connected, .data = l },
					      .address = l->address,
					      .max_frame = FRAME_MAX,
					      .timeout_ns = DIAL_TIMEOUT_NS,
					      .events = &peer_conn_events,
					      .user = l->peer,
					      .error = &l->err };
	rc = d->ops->connect(d->transport, &l->connect);
	if (rc < 0) {
		peer_unref(l->peer);
		l->peer = NULL;
		waits_end(l, NULL, status_text(rc));
	}
}

static void link_retry(struct mosaic_timer *timer)
{
	struct dial_link *l = timer->data;

	if (l->peer == NULL && !list_empty(&l->waits))
		link_dial(l);
}

static void wait_timed_out(struct mosaic_timer *timer)
{
	struct dial_wait *wait = timer->data;

	list_remove(&wait->link);
	wait->done(wait, NULL, "timed out while connecting");
}

static struct dial_link *dialer_link(struct dialer *d, const char *address)
{
	struct dial_link *l = map_get(&d->links, slice_str(address));

	if (l)
		return l;
	l = mem_alloc(sizeof(*l));
	l->dialer = d;
	l->address = mem_strdup(address);
	l->handler = (struct peer_handler){ .ctx = l,
					    .request = link_request,
					    .burst_end = link_burst_end,
					    .closed = link_closed };
	l->retry.fire = link_retry;
	l->retry.data = l;
	list_init(&l->waits);
	map_put(&d->links, slice_str(address), l);
	return l;
}

void dialer_get(struct dialer *d, const char *address, uint64_t timeout_ns, struct dial_wait *wait)
{
	struct dial_link *l = dialer_link(d, address);

	list_init(&wait->link);
	if (d->is_closing) {
		wait->done(wait, NULL, "closing");
		return;
	}
	if (l->peer && peer_is_open(l->peer)) {
		wait->done(wait, l->peer, "");
		return;
	}
	list_add_tail(&l->waits, &wait->link);
	wait->timer.fire = wait_timed_out;
	wait->timer.data = wait;
	d->host->timer_start(d->host, &wait->timer, timeout_ns);
	if (l->peer != NULL)
		return; /* connecting, or its closed() is still to come */
	if (l->was_tried)
		link_redial(l);
	else
		link_dial(l);
}

void dialer_cancel(struct dialer *d, struct dial_wait *wait)
{
	if (wait->link.next == NULL || list_empty(&wait->link))
		return;
	list_remove(&wait->link);
	d->host->timer_stop(d->host, &wait->timer);
}

struct peer *dialer_peek(struct dialer *d, const char *address)
{
	struct dial_link *l = map_get(&d->links, slice_str(address));

	return l && l->peer && peer_is_open(l->peer) ? l->peer : NULL;
}

void dialer_close(struct dialer *d)
{
	struct map_entry *e;

	d->is_closing = true;
	for (uint32_t pos = 0; (e = map_next(&d->links, &pos)) != NULL;) {
		struct dial_link *l = e->value;

		d->host->timer_stop(d->host, &l->retry);
		if (l->peer)
			peer_close(l->peer, true, "closing");
		waits_end(l, NULL, "closing");
	}
}

void dialer_free(struct dialer *d)
{
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(&d->links, &pos)) != NULL;) {
		struct dial_link *l = e->value;

		ASSERT(l->peer == NULL);
		ASSERT(list_empty(&l->waits));
		free(l->address);
		free(l);
	}
	map_free(&d->links);
}
