/*
 * Answers.
 *
 * Happy path: reserve room of the connection's output, write header and body into it, commit.
 * Failure modes:
 *   - oneway or closed: nothing is written;
 *   - the transport refuses room (the peer sends requests and does not read answers): the peer is
 *     closed;
 *   - fields do not fit the room that the handler asked for: the answer becomes code 1.
 */
#include "rpc/request.h"
#include "base/mem.h"
#include "wire/codes.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define REMARK_MAX 2048 /* Java's longest, the FAQ texts with a topic name, stay below 500 */

struct ticket ticket_keep(const struct ticket *ticket)
{
	struct ticket kept = *ticket;

	kept.peer = peer_ref(ticket->peer);
	return kept;
}

void ticket_drop(struct ticket *ticket)
{
	struct peer *peer = ticket->peer;

	ticket->peer = NULL;
	if (peer)
		peer_unref(peer);
}

/* Copies the bytes of a slice to *at and points the slice at the copy. A null stays null. */
static void rebase(struct mosaic_slice *s, uint8_t **at)
{
	if (s->ptr == NULL)
		return;
	if (s->len > 0)
		memcpy(*at, s->ptr, s->len);
	s->ptr = *at;
	*at += s->len;
}

struct kept_request *request_keep(const struct request *req)
{
	const struct header *h = &req->header;
	struct kept_request *kept;
	/* Only the fields that are there: a held pull is to weigh some hundred bytes. */
	size_t fixed = offsetof(struct kept_request, req.header.fields) +
		       h->n_fields * sizeof(h->fields[0]);
	size_t bytes = fixed + req->body.len + h->remark.len;
	uint8_t *at;

	for (uint32_t i = 0; i < h->n_fields; i++)
		bytes += h->fields[i].key.len + h->fields[i].value.len;
	kept = malloc(bytes);
	if (kept == NULL)
		return NULL;
	kept->bytes = bytes;
	memcpy(&kept->req, req, fixed - offsetof(struct kept_request, req));
	kept->req.ticket = ticket_keep(&req->ticket);
	at = (uint8_t *)kept + fixed;
	rebase(&kept->req.body, &at);
	rebase(&kept->req.header.remark, &at);
	for (uint32_t i = 0; i < h->n_fields; i++) {
		rebase(&kept->req.header.fields[i].key, &at);
		rebase(&kept->req.header.fields[i].value, &at);
	}
	ASSERT(at == (uint8_t *)kept + bytes);
	return kept;
}

void kept_request_free(struct kept_request *kept)
{
	if (kept == NULL)
		return;
	ticket_drop(&kept->req.ticket);
	free(kept);
}

bool reply_begin(struct reply *r, const struct ticket *to, int32_t code, uint32_t room,
		 uint32_t body_room)
{
	struct peer *peer = to->peer;
	uint8_t *memory;

	if (to->oneway || !peer_is_open(peer))
		return false;
	if (room < HEADER_ROOM)
		room = HEADER_ROOM;
	memory = peer->ops->reserve(peer->conn, room + body_room);
	if (memory == NULL) {
		peer_warn(peer, "peer_does_not_read", "peer=%s pending=%llu", peer->address.text,
			  (unsigned long long)peer->ops->pending(peer->conn));
		peer_close(peer, false, "does not read its answers");
		return false;
	}
	r->peer = peer;
	r->opaque = to->opaque;
	r->body_room = body_room;
	header_begin(&r->w, memory, room, SERIALIZE_JSON, code, to->opaque, HEADER_RESPONSE,
		     LANGUAGE_JAVA, VERSION_V5_3_3);
	return true;
}

/* The fields did not fit: the room holds a bare answer in any case (HEADER_ROOM). */
static void reply_too_long(struct reply *r)
{
	void *memory = r->w.start;
	uint32_t used;

	LOG_ERROR(r->peer->host, "reply_too_long", "peer=%s opaque=%d", r->peer->address.text,
		  r->opaque);
	header_begin(&r->w, memory, HEADER_ROOM, SERIALIZE_JSON, RES_SYSTEM_ERROR, r->opaque,
		     HEADER_RESPONSE, LANGUAGE_JAVA, VERSION_V5_3_3);
	used = header_end(&r->w, 0);
	ASSERT(used > 0);
	r->peer->ops->commit(r->peer->conn, used);
}

void reply_end(struct reply *r)
{
	uint32_t used = header_end(&r->w, 0);

	if (used == 0)
		reply_too_long(r);
	else
		r->peer->ops->commit(r->peer->conn, used);
}

void reply_end_copy(struct reply *r, struct mosaic_slice body)
{
	uint32_t used;

	ASSERT(body.len <= r->body_room);
	used = header_end(&r->w, (uint32_t)body.len);
	if (used == 0) {
		reply_too_long(r);
		return;
	}
	if (body.len > 0)
		memcpy(r->w.start + used, body.ptr, body.len);
	r->peer->ops->commit(r->peer->conn, used + (uint32_t)body.len);
}

void reply_end_gather(struct reply *r, const struct mosaic_slice *pieces, uint32_t n_pieces)
{
	size_t body_len = 0;
	uint8_t *at;
	uint32_t used;

	for (uint32_t i = 0; i < n_pieces; i++)
		body_len += pieces[i].len;
	ASSERT(body_len <= r->body_room);
	used = header_end(&r->w, (uint32_t)body_len);
	if (used == 0) {
		reply_too_long(r);
		return;
	}
	at = r->w.start + used;
	for (uint32_t i = 0; i < n_pieces; i++) {
		memcpy(at, pieces[i].ptr, pieces[i].len);
		at += pieces[i].len;
	}
	r->peer->ops->commit(r->peer->conn, used + (uint32_t)body_len);
}

static void release_all(struct mosaic_out_span *span)
{
	while (span) {
		struct mosaic_out_span *next = span->next;

		span->release(span);
		span = next;
	}
}

void reply_end_spans(struct reply *r, struct mosaic_out_span *first, uint32_t body_len)
{
	struct peer *peer = r->peer;
	uint32_t used = header_end(&r->w, body_len);

	if (used == 0) {
		reply_too_long(r);
		release_all(first);
		return;
	}
	peer->ops->commit(peer->conn, used);
	while (first) {
		struct mosaic_out_span *next = first->next;

		if (peer->ops->send_span(peer->conn, first) != 0) {
			/* The header promised more bytes: this stream of frames is broken. */
			peer_warn(peer, "peer_does_not_read", "peer=%s", peer->address.text);
			peer_close(peer, false, "does not read its answers");
			first->next = next;
			release_all(first);
			return;
		}
		first = next;
	}
}

void reply_code(const struct ticket *to, int32_t code)
{
	struct reply r;

	if (reply_begin(&r, to, code, HEADER_ROOM, 0))
		reply_end(&r);
}

/* How much of `len` bytes of UTF-8 may stay when the text was cut there. */
static size_t whole_characters(const char *text, size_t len)
{
	size_t n = len;

	while (n > 0 && len - n < 3 && ((uint8_t)text[n - 1] & 0xC0) == 0x80)
		n--;
	return n > 0 && (uint8_t)text[n - 1] >= 0xC0 ? n - 1 : len;
}

void reply_remark(const struct ticket *to, int32_t code, const char *format, ...)
{
	char text[REMARK_MAX];
	struct reply r;
	va_list args;
	size_t len;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	len = n < 0 ? 0 : (size_t)n;
	if (len >= sizeof(text))
		len = whole_characters(text, sizeof(text) - 1);
	if (!reply_begin(&r, to, code, (uint32_t)(HEADER_ROOM + HEADER_FIELD_ROOM(6, len)), 0))
		return;
	header_put_remark(&r.w, slice(text, len));
	reply_end(&r);
}

void reply_body(const struct ticket *to, int32_t code, struct mosaic_slice body)
{
	struct reply r;

	if (reply_begin(&r, to, code, HEADER_ROOM, (uint32_t)body.len))
		reply_end_copy(&r, body);
}

void reply_missing(const struct ticket *to, const char *field)
{
	reply_remark(to, RES_SYSTEM_ERROR, "the request has no valid field %s", field);
}

void reply_unsupported(const struct request *req)
{
	reply_remark(&req->ticket, RES_REQUEST_CODE_NOT_SUPPORTED, " request type %d not supported",
		     req->header.code);
}
