/* Requests of operators that a consumer answers: 307 GET_CONSUMER_RUNNING_INFO is passed on. */
#include "base/err.h"
#include "base/mem.h"
#include "broker/admin_requests.h"
#include "broker/clients.h"
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

static uint32_t room_for(const struct request *req)
{
	size_t room = HEADER_ROOM;

	for (uint32_t i = 0; i < req->header.n_fields; i++)
		room += HEADER_FIELD_ROOM(6 * req->header.fields[i].key.len,
					  req->header.fields[i].value.len);
	return (uint32_t)room;
}

/* The same request with the same fields to another peer. */
static bool pass_on(const struct request *req, struct peer *peer, struct call *call)
{
	struct call_writer cw;

	if (!call_begin(&cw, peer, req->header.code, false, room_for(req), (uint32_t)req->body.len))
		return false;
	for (uint32_t i = 0; i < req->header.n_fields; i++) {
		const struct field *field = &req->header.fields[i];
		char key[64];

		if (!field->value.ptr || field->key.len >= sizeof(key))
			continue;
		memcpy(key, field->key.ptr, field->key.len);
		key[field->key.len] = 0;
		header_put(&cw.w, key, field->value);
	}
	call_end(&cw, req->body, call, RELAY_TIMEOUT_NS);
	return true;
}

void admin_on_consumer_running_info(void *broker, struct request *req)
{
	struct broker *b = broker;
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
	if (!pass_on(req, peer, &r->call)) {
		reply_remark(&req->ticket, RES_SYSTEM_ERROR,
			     "the consumer <%s> <%s> does not read its requests", r->group,
			     r->client_id);
		relay_free(r);
	}
}
