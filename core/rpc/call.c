/*
 * Requests that we send on a peer. A call waits in its peer's list, in order of sending: answers
 * come mostly in that order too, so the search for an opaque ends at the first entry.
 *
 * A call ends once: by its answer, its timer, the end of the connection, or call_cancel.
 */
#include "rpc/call.h"

bool call_begin(struct call_writer *cw, struct peer *peer, int32_t code, bool oneway, uint32_t room,
		uint32_t body_room)
{
	uint8_t *memory;

	if (!peer_is_open(peer))
		return false;
	if (room < HEADER_ROOM)
		room = HEADER_ROOM;
	memory = peer->ops->reserve(peer->conn, room + body_room);
	if (memory == NULL) {
		/* Nothing waits for the other side to read it: the transport has seen the end of
		 * this connection and has not told it yet. Now the dialer makes another one. */
		if (peer->ops->pending(peer->conn) == 0)
			peer_close(peer, false, "the connection is ending");
		return false;
	}
	cw->peer = peer;
	cw->opaque = peer->next_opaque;
	cw->body_room = body_room;
	peer->next_opaque = peer->next_opaque == INT32_MAX ? 0 : peer->next_opaque + 1;
	header_begin(&cw->w, memory, room, SERIALIZE_JSON, code, cw->opaque,
		     oneway ? HEADER_ONEWAY : 0, LANGUAGE_JAVA, VERSION_V5_3_3);
	return true;
}

/* false: the fields did not fit, nothing was sent. */
static bool call_send(struct call_writer *cw, struct mosaic_slice body)
{
	uint32_t used;

	ASSERT(body.len <= cw->body_room);
	used = header_end(&cw->w, (uint32_t)body.len);
	if (used == 0) {
		LOG_ERROR(cw->peer->host, "call_too_long", "peer=%s opaque=%d",
			  cw->peer->address.text, cw->opaque);
		return false;
	}
	if (body.len > 0)
		memcpy(cw->w.start + used, body.ptr, body.len);
	cw->peer->ops->commit(cw->peer->conn, used + (uint32_t)body.len);
	return true;
}

static void call_finish(struct call *call, int status)
{
	struct peer *peer = call->peer;

	list_remove(&call->link);
	peer->host->timer_stop(peer->host, &call->timer);
	call->peer = NULL;
	call->status = status;
	call->done(call); /* may free the call */
	peer_unref(peer);
}

static void call_timed_out(struct mosaic_timer *timer)
{
	struct call *call = timer->data;

	call_finish(call, call->status != 0 ? call->status : MOSAIC_E_TIMEOUT);
}

void call_end(struct call_writer *cw, struct mosaic_slice body, struct call *call,
	      uint64_t timeout_ns)
{
	struct peer *peer = cw->peer;
	bool sent = call_send(cw, body);

	ASSERT(call->done != NULL);
	ASSERT(call->peer == NULL);
	call->status = sent ? 0 : MOSAIC_E_LIMIT;
	call->opaque = cw->opaque;
	call->response = NULL;
	call->body = slice(NULL, 0);
	call->peer = peer_ref(peer);
	list_add_tail(&peer->calls, &call->link);
	call->timer.fire = call_timed_out;
	call->timer.data = call;
	peer->host->timer_start(peer->host, &call->timer, sent ? timeout_ns : 0);
}

void call_end_oneway(struct call_writer *cw, struct mosaic_slice body)
{
	(void)call_send(cw, body);
}

void call_cancel(struct call *call)
{
	if (call->peer)
		call_finish(call, MOSAIC_E_CANCELED);
}

bool call_answered(struct peer *peer, const struct header *response, struct mosaic_slice body)
{
	LIST_FOR(it, &peer->calls) {
		struct call *call = LIST_ENTRY(it, struct call, link);

		if (call->opaque != response->opaque || call->status != 0)
			continue;
		call->response = response;
		call->body = body;
		call_finish(call, 0);
		return true;
	}
	return false;
}

void call_break_all(struct peer *peer, int status)
{
	ASSERT(!peer_is_open(peer)); /* no new call can be added by a done() below */
	while (!list_empty(&peer->calls))
		call_finish(LIST_ENTRY(peer->calls.next, struct call, link), status);
}
