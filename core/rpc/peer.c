/*
 * One connection, both directions.
 *
 * Happy path: frame -> frame_decode -> request to the handler, or response to its call.
 * Failure modes:
 *   - a frame that is none: a log line (20 a second at most), the connection is closed without an
 *     answer, as Apache does;
 *   - frames that a transport still delivers after peer_close: dropped;
 *   - a response that nobody waits for: dropped with a debug line, the connection stays.
 */
#include "base/mem.h"
#include "rpc/call.h"
#include "rpc/request.h"
#include "wire/frame.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define PEER_MAGIC 0x70656572u

static struct peer *peer_of(void *user)
{
	struct peer *peer = user;

	ASSERT(peer != NULL);
	ASSERT(peer->magic == PEER_MAGIC);
	return peer;
}

/* False: there were enough lines in this second. */
static bool may_log(const struct mosaic_host *host, struct peer_log *log)
{
	uint64_t now = host_now_ns(host);

	if (now - log->since_ns >= SECOND_NS) {
		if (log->left_out > 0)
			LOG_WARN(host, "lines_left_out", "count=%u", log->left_out);
		*log = (struct peer_log){ .since_ns = now };
	}
	if (log->lines >= PEER_LINES_PER_SECOND) {
		log->left_out++;
		return false;
	}
	log->lines++;
	return true;
}

void peer_warn(struct peer *peer, const char *event, const char *format, ...)
{
	char line[512];
	va_list args;

	if (peer->listener && !may_log(peer->host, &peer->listener->log))
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	peer->host->log(peer->host, MOSAIC_LOG_WARN, event, line);
}

static void on_frame(void *user, struct mosaic_conn *conn, uint8_t *frame, uint32_t len)
{
	struct peer *peer = peer_of(user);
	struct request req;
	int rc;

	if (peer->conn != conn)
		return; /* we have closed it */
	rc = frame_decode(frame, len, &req.header, &req.body);
	if (rc != 0) {
		peer_warn(peer, "frame_corrupt", "peer=%s bytes=%u", peer->address.text, len);
		peer_close(peer, false, "corrupt frame");
		return;
	}
	if (header_is_response(&req.header)) {
		if (!call_answered(peer, &req.header, req.body))
			LOG_DEBUG(peer->host, "answer_unexpected", "peer=%s opaque=%d code=%d",
				  peer->address.text, req.header.opaque, req.header.code);
		return;
	}
	req.ticket = (struct ticket){ .peer = peer,
				      .opaque = req.header.opaque,
				      .version = req.header.version,
				      .oneway = header_is_oneway(&req.header) };
	peer->handler->request(peer->handler->ctx, &req);
}

static void on_burst_end(void *user, struct mosaic_conn *conn)
{
	struct peer *peer = peer_of(user);

	(void)conn;
	if (peer->handler->burst_end)
		peer->handler->burst_end(peer->handler->ctx, peer);
}

static void on_writable(void *user, struct mosaic_conn *conn)
{
	(void)user;
	(void)conn;
}

static void on_closed(void *user, struct mosaic_conn *conn, int32_t status, const char *why)
{
	struct peer *peer = peer_of(user);
	char text[128];

	(void)conn;
	LOG_DEBUG(peer->host, "peer_closed", "peer=%s status=%d why=%s", peer->address.text, status,
		  host_log_quote(text, sizeof(text), why));
	peer->conn = NULL;
	call_break_all(peer, MOSAIC_E_CLOSED);
	/* A burst that the connection did not survive: what it began is owed to others. */
	if (peer->handler->burst_end)
		peer->handler->burst_end(peer->handler->ctx, peer);
	if (peer->handler->closed)
		peer->handler->closed(peer->handler->ctx, peer);
	list_remove(&peer->link);
	if (peer->listener)
		peer->listener->n_peers--;
	peer->listener = NULL;
	peer_unref(peer);
}

const struct mosaic_conn_events peer_conn_events = {
	.struct_size = sizeof(struct mosaic_conn_events),
	.frame = on_frame,
	.burst_end = on_burst_end,
	.writable = on_writable,
	.closed = on_closed,
};

struct peer *peer_create(const struct mosaic_host *host, const struct mosaic_transport_ops *ops,
			 struct mosaic_conn *conn, const struct mosaic_address *address,
			 const struct peer_handler *handler)
{
	struct peer *peer = mem_alloc(sizeof(*peer));

	peer->magic = PEER_MAGIC;
	peer->refs = 1;
	peer->conn = conn;
	peer->ops = ops;
	peer->host = host;
	peer->handler = handler;
	if (address)
		peer->address = *address;
	list_init(&peer->calls);
	list_init(&peer->link);
	list_init(&peer->held);
	return peer;
}

void peer_connected(struct peer *peer, struct mosaic_conn *conn,
		    const struct mosaic_address *address)
{
	ASSERT(peer->conn == NULL);
	peer->conn = conn;
	peer->address = *address;
}

struct peer *peer_ref(struct peer *peer)
{
	ASSERT(peer->magic == PEER_MAGIC);
	ASSERT(peer->refs > 0);
	peer->refs++;
	return peer;
}

void peer_unref(struct peer *peer)
{
	ASSERT(peer->magic == PEER_MAGIC);
	ASSERT(peer->refs > 0);
	if (--peer->refs > 0)
		return;
	ASSERT(peer->conn == NULL);
	ASSERT(list_empty(&peer->calls));
	peer->magic = 0;
	free(peer);
}

void peer_close(struct peer *peer, bool flush, const char *why)
{
	struct mosaic_conn *conn = peer->conn;

	if (conn == NULL)
		return;
	peer->conn = NULL;
	peer->ops->conn_close(conn, flush, why);
}

static int32_t on_accepted(void *user, struct mosaic_conn *conn,
			   const struct mosaic_address *address,
			   const struct mosaic_conn_events **events, void **conn_user)
{
	struct peer_listener *pl = user;
	struct peer *peer;

	if (pl->n_peers >= pl->max_peers) {
		if (may_log(pl->host, &pl->log))
			LOG_WARN(pl->host, "connection_refused", "peer=%s limit=%u", address->text,
				 pl->max_peers);
		return MOSAIC_E_LIMIT;
	}
	peer = peer_create(pl->host, pl->ops, conn, address, pl->handler);
	peer->listener = pl;
	pl->n_peers++;
	list_add_tail(&pl->peers, &peer->link);
	*events = &peer_conn_events;
	*conn_user = peer;
	return 0;
}

int peer_listen(struct peer_listener *pl, struct mosaic_transport *transport,
		struct mosaic_error *err)
{
	list_init(&pl->peers);
	pl->n_peers = 0;
	pl->log = (struct peer_log){ 0 };
	pl->listener.user = pl;
	pl->listener.accepted = on_accepted;
	return pl->ops->listen(transport, &pl->listener, err);
}
