/* Requests of mosaic admin, and the brokers that they go to. */
#include "admin.h"
#include "base/mem.h"
#include "request.h"
#include <stdlib.h>

struct asking {
	struct admin *admin;
	struct admin_answer *answer;
	const char *address;
};

/* [client's thread] */
static int take(void *data, const struct header *response, struct mosaic_slice body)
{
	struct asking *q = data;
	struct admin_answer *answer = q->answer;

	q->admin->code = response->code;
	if (response->code != RES_SUCCESS)
		return err_set(&q->admin->err, MOSAIC_E_IO, "%s answered %d: %.*s", q->address,
			       response->code, SLICE_ARG(response->remark));
	buf_append_slice(&answer->body, body);
	if (answer->field != NULL)
		snprintf(answer->value, sizeof(answer->value), "%.*s",
			 SLICE_ARG(header_str(response, answer->field)));
	return 0;
}

int admin_ask(struct admin *a, const char *address, int32_t code, const char *const *fields,
	      struct mosaic_slice body, struct admin_answer *answer)
{
	struct asking q = { .admin = a, .answer = answer, .address = address };
	const struct client_request request = { .code = code, .timeout_ms = CONNECT_TIMEOUT_MS,
						.fields = fields, .body = body, .take = take,
						.data = &q };

	a->code = 0;
	int rc = mosaic_tool_request(a->client, address, &request, &a->err);
	if (rc != 0 && a->code == 0 && strcmp(address, a->namesrv) == 0)
		rc = connect_hint(rc, &a->err);
	return rc;
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
