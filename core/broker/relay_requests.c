/*
 * Requests of operators that a consumer answers: 307 GET_CONSUMER_RUNNING_INFO is passed on as it
 * is, 309 CONSUME_MESSAGE_DIRECTLY with the message that it names.
 */
#include "base/err.h"
#include "base/mem.h"
#include "broker/admin_requests.h"
#include "broker/clients.h"
#include "log/record_read.h"
#include "wire/codes.h"
#include <stdlib.h>

#define RELAY_TIMEOUT_NS (10 * SECOND_NS)

struct relay {
	struct call call;
	struct ticket ticket;
	char *group, *client_id;
};

static void relay_free(struct relay *r)
{
	ticket_drop(&r->ticket);
	free(r->group);
	free(r->client_id);
	free(r);
}

static void relay_answered(struct call *call)
{
	struct relay *r = call->data;
	struct mosaic_slice remark;

	if (call->status == 0 && call->response->code == RES_SUCCESS) {
		reply_body(&r->ticket, RES_SUCCESS, call->body);
	} else if (call->status == 0) {
		remark = call->response->remark;
		reply_remark(&r->ticket, call->response->code, "%.*s", SLICE_ARG(remark));
	} else if (call->status == MOSAIC_E_TIMEOUT) {
		reply_remark(&r->ticket, RES_CONSUME_MSG_TIMEOUT, "consumer <%s> <%s> Timeout",
			     r->group, r->client_id);
	} else {
		reply_remark(&r->ticket, RES_SYSTEM_ERROR,
			     "invoke consumer <%s> <%s> Exception: %s", r->group,
			     r->client_id, status_text(call->status));
	}
	relay_free(r);
}

static struct peer *find_client(const struct consumer_group *g, struct mosaic_slice client_id)
{
	if (!g)
		return NULL;
	LIST_FOR(it, &g->members)
	{
		const struct member *m = LIST_ENTRY(it, struct member, in_group);

		if (slice_is(client_id, m->client_id) && peer_is_open(m->peer))
			return m->peer;
	}
	return NULL;
}

static uint32_t room_for(const struct broker *b, const struct request *req)
{
	size_t room = HEADER_ROOM + HEADER_FIELD_ROOM(strlen("brokerName"), strlen(b->config.name));

	for (uint32_t i = 0; i < req->header.n_fields; i++)
		room += HEADER_FIELD_ROOM(6 * req->header.fields[i].key.len,
					  req->header.fields[i].value.len);
	return (uint32_t)room;
}

/* The same request with the same fields to another peer, and with 309 who passes it on. */
static bool pass_on(const struct broker *b, const struct request *req, struct mosaic_slice body,
		    struct peer *peer, struct call *call)
{
	struct call_writer cw;

	if (!call_begin(&cw, peer, req->header.code, false, room_for(b, req), (uint32_t)body.len))
		return false;
	if (req->header.code == REQ_CONSUME_MESSAGE_DIRECTLY)
		header_put(&cw.w, "brokerName", slice_str(b->config.name));
	for (uint32_t i = 0; i < req->header.n_fields; i++) {
		const struct field *field = &req->header.fields[i];
		char key[64];

		if (!field->value.ptr || field->key.len >= sizeof(key) ||
		    (body.len > 0 && slice_is(field->key, "brokerName")))
			continue;
		memcpy(key, field->key.ptr, field->key.len);
		key[field->key.len] = 0;
		header_put(&cw.w, key, field->value);
	}
	call_end(&cw, body, call, RELAY_TIMEOUT_NS);
	return true;
}

static void relay(struct broker *b, const struct request *req, struct mosaic_slice body)
{
	const struct mosaic_slice *group = header_find(&req->header, "consumerGroup");
	const struct mosaic_slice *client_id = header_find(&req->header, "clientId");
	struct peer *peer;
	struct relay *r;

	if (!group || !client_id) {
		reply_missing(&req->ticket, group ? "clientId" : "consumerGroup");
		return;
	}
	peer = find_client(clients_consumers(b->clients, *group), *client_id);
	if (!peer) {
		reply_remark(&req->ticket, RES_SYSTEM_ERROR,
			     "The Consumer <%.*s> <%.*s> not online", SLICE_ARG(*group),
			     SLICE_ARG(*client_id));
		return;
	}
	r = mem_alloc(sizeof(*r));
	r->call.done = relay_answered;
	r->call.data = r;
	r->ticket = ticket_keep(&req->ticket);
	r->group = slice_dup(*group);
	r->client_id = slice_dup(*client_id);
	if (!pass_on(b, req, body, peer, &r->call)) {
		reply_remark(&req->ticket, RES_SYSTEM_ERROR,
			     "the consumer <%s> <%s> does not read its requests", r->group,
			     r->client_id);
		relay_free(r);
	}
}

void admin_on_consumer_running_info(void *broker, struct request *req)
{
	relay(broker, req, req->body);
}

/* ---- 309 CONSUME_MESSAGE_DIRECTLY: the message first ------------------------------------- */

struct direct {
	struct broker *broker;
	struct kept_request *kept;
	struct record_read record;
};

static void direct_read(struct record_read *record)
{
	struct direct *d = record->data;
	const struct request *req = &d->kept->req;

	if (record->status == 0) {
		relay(d->broker, req, slice(record->read.ptr, record->len));
		record_unpin(record);
	} else {
		reply_remark(&req->ticket, RES_SYSTEM_ERROR, "there is no message %.*s",
			     SLICE_ARG(header_str(&req->header, "msgId")));
	}
	kept_request_free(d->kept);
	free(d);
}

void admin_on_consume_directly(void *broker, struct request *req)
{
	struct broker *b = broker;
	const struct mosaic_slice *id = header_find(&req->header, "msgId");
	struct host_address host;
	int64_t offset = -1;
	struct direct *d;
	int rc;

	if (!id) {
		reply_missing(&req->ticket, "msgId");
		return;
	}
	if (message_offset_id_parse(*id, &host, &offset) != 0)
		offset = -1;
	d = mem_alloc(sizeof(*d));
	d->broker = b;
	d->kept = request_keep(req);
	if (!d->kept) {
		free(d);
		reply_remark(&req->ticket, RES_SYSTEM_ERROR, "%s", status_text(MOSAIC_E_NOMEM));
		return;
	}
	d->record.done = direct_read;
	d->record.data = d;
	rc = offset < 0 ? MOSAIC_E_NOTFOUND : record_read(b->log, (uint64_t)offset, &d->record);
	if (rc == MOSAIC_PENDING)
		return;
	d->record.status = rc;
	direct_read(&d->record);
}
