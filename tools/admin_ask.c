/* Requests of mosaic admin, and the brokers that they go to. */
#include "admin.h"
#include "base/mem.h"
#include <stdlib.h>

struct asking {
	struct call call;
	struct admin *admin;
	struct admin_answer *answer;
	const char *address;
	bool done;
	int rc;
};

static void on_answer(struct call *call)
{
	struct asking *q = call->data;
	struct mosaic_error *err = &q->admin->err;

	q->done = true;
	if (call->status != 0) {
		q->rc = err_set(err, call->status, "%s did not answer: %s", q->address,
				status_text(call->status));
		return;
	}
	q->admin->code = call->response->code;
	if (q->admin->code != RES_SUCCESS) {
		q->rc = err_set(err, MOSAIC_E_IO, "%s answered %d: %.*s", q->address,
				q->admin->code, SLICE_ARG(call->response->remark));
		return;
	}
	buf_append_slice(&q->answer->body, call->body);
	if (q->answer->field != NULL)
		snprintf(q->answer->value, sizeof(q->answer->value), "%.*s",
			 SLICE_ARG(header_str(call->response, q->answer->field)));
}

int admin_ask(struct admin *a, const char *address, int32_t code, const char *const *fields,
	      struct mosaic_slice body, struct admin_answer *answer)
{
	struct asking q = { .call.done = on_answer, .admin = a, .answer = answer,
			    .address = address };
	size_t room = CALL_ROOM;
	struct call_writer cw;
	struct peer *peer;

	a->code = 0;
	q.call.data = &q;
	for (uint32_t i = 0; fields != NULL && fields[i] != NULL; i += 2)
		room += HEADER_FIELD_ROOM(strlen(fields[i]), strlen(fields[i + 1]));
	int rc = client_peer(&a->client, address, &peer, &a->err);
	if (rc != 0)
		return rc;
	if (!call_begin(&cw, peer, code, false, (uint32_t)room, (uint32_t)body.len))
		return err_set(&a->err, MOSAIC_E_CLOSED, "the connection to %s broke", address);
	for (uint32_t i = 0; fields != NULL && fields[i] != NULL; i += 2)
		header_put_str(&cw.w, fields[i], fields[i + 1]);
	call_end(&cw, body, &q.call, CLIENT_TIMEOUT_NS);
	client_wait(&a->client, &q.done);
	return q.rc;
}

json_t *admin_ask_json(struct admin *a, const char *address, int32_t code,
		       const char *const *fields)
{
	struct admin_answer answer = { .body = BUF_INIT };
	json_t *root = NULL;

	if (admin_ask(a, address, code, fields, slice(NULL, 0), &answer) == 0)
		root = json_read(buf_slice(&answer.body), &a->err);
	buf_free(&answer.body);
	return root;
}

static void add_broker(struct admin *a, json_t *info, const char *id, const char *address)
{
	struct mosaic_slice name = json_get_str(info, "brokerName");
	struct mosaic_slice cluster = json_get_str(info, "cluster");
	struct admin_broker *b = &a->brokers[a->n_brokers];

	if (address == NULL || a->n_brokers == ADMIN_BROKERS_MAX)
		return;
	if (a->broker != NULL && !slice_is(name, a->broker) && strcmp(address, a->broker) != 0)
		return;
	snprintf(b->cluster, sizeof(b->cluster), "%.*s", SLICE_ARG(cluster));
	snprintf(b->name, sizeof(b->name), "%.*s", SLICE_ARG(name));
	snprintf(b->address, sizeof(b->address), "%s", address);
	b->id = strtoll(id, NULL, 10);
	a->n_brokers++;
}

static int by_name(const void *x, const void *y)
{
	const struct admin_broker *a = x, *b = y;
	int order = strcmp(a->name, b->name);
	return order != 0 ? order : (a->id > b->id) - (a->id < b->id);
}

int admin_brokers(struct admin *a)
{
	const char *name, *id;
	json_t *info, *address;
	json_t *root = admin_ask_json(a, a->namesrv, REQ_GET_BROKER_CLUSTER_INFO, NULL);

	if (root == NULL)
		return a->err.code;
	a->brokers = mem_alloc(ADMIN_BROKERS_MAX * sizeof(*a->brokers));
	json_object_foreach(json_object_get(root, "brokerAddrTable"), name, info)
		json_object_foreach(json_object_get(info, "brokerAddrs"), id, address)
			add_broker(a, info, id, json_string_value(address));
	json_decref(root);
	qsort(a->brokers, a->n_brokers, sizeof(*a->brokers), by_name);
	if (a->n_brokers > 0)
		return 0;
	if (a->broker != NULL)
		return err_set(&a->err, MOSAIC_E_NOTFOUND, "NameServer %s knows no broker %s",
			       a->namesrv, a->broker);
	return err_set(&a->err, MOSAIC_E_NOTFOUND, "NameServer %s knows no broker", a->namesrv);
}
