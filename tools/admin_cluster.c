/* mosaic admin cluster, broker, set: brokers and what they say of themselves. */
#include "admin.h"
#include <stdlib.h>

/* The first of the three averages "1.0 2.0 3.0", rounded; -1: unknown. */
static int64_t first_number(json_t *table, const char *name)
{
	const char *text = json_string_value(json_object_get(table, name));
	return text != NULL && *text != '\0' ? (int64_t)(strtod(text, NULL) + 0.5) : -1;
}

static void put_number(struct table *t, int64_t value)
{
	if (value < 0)
		table_none(t);
	else
		table_i64(t, value);
}

static void put_runtime(struct admin *a, const struct admin_broker *b, struct table *t)
{
	json_t *root = admin_ask_json(a, b->address, REQ_GET_BROKER_RUNTIME_INFO, NULL);
	json_t *table = json_object_get(root, "table");
	const char *version = json_string_value(json_object_get(table, "brokerVersionDesc"));

	table_str(t, root != NULL ? version : "unreachable");
	put_number(t, first_number(table, "putTps"));
	put_number(t, first_number(table, "getTransferredTps"));
	put_number(t, first_number(table, "msgPutTotalTodayNow"));
	put_number(t, first_number(table, "msgGetTotalTodayNow"));
	json_decref(root);
}

int admin_cluster(struct admin *a, char **args)
{
	static const char *const columns[] = { "broker",  "id",	     "cluster",
					       "address", "version", "in_per_s",
					       "out_per_s", "in",    "out", NULL };
	struct table t;
	int rc = admin_brokers(a);

	(void)args;
	if (rc != 0)
		return rc;
	table_init(&t, columns);
	for (uint32_t i = 0; i < a->n_brokers; i++) {
		const struct admin_broker *b = &a->brokers[i];
		table_row(&t);
		table_str(&t, b->name);
		table_i64(&t, b->id);
		table_str(&t, b->cluster);
		table_str(&t, b->address);
		put_runtime(a, b, &t);
	}
	admin_show(a, &t);
	return 0;
}

/* Addresses are asked without a NameServer. */
static const char *address_of(struct admin *a, char *name)
{
	if (strchr(name, ':') != NULL)
		return name;
	a->broker = name;
	return admin_brokers(a) == 0 ? a->brokers[0].address : NULL;
}

int admin_broker(struct admin *a, char **args)
{
	static const char *const columns[] = { "name", "value", NULL };
	const char *name, *address = address_of(a, args[0]);
	json_t *root, *value;
	struct table t;

	if (address == NULL)
		return a->err.code;
	root = admin_ask_json(a, address, REQ_GET_BROKER_RUNTIME_INFO, NULL);
	if (root == NULL)
		return a->err.code;
	table_init(&t, columns);
	json_object_foreach(json_object_get(root, "table"), name, value) {
		table_row(&t);
		table_str(&t, name);
		table_str(&t, json_string_value(value));
	}
	json_decref(root);
	table_sort(&t);
	admin_show(a, &t);
	return 0;
}

int admin_set(struct admin *a, char **args)
{
	struct admin_answer answer = { .body = BUF_INIT };
	const char *address;
	int rc;

	if (strchr(args[1], '=') == NULL)
		return err_set(&a->err, MOSAIC_E_INVAL, "KEY=VALUE, not \"%s\"", args[1]);
	address = address_of(a, args[0]);
	if (address == NULL)
		return a->err.code;
	rc = admin_ask(a, address, REQ_UPDATE_BROKER_CONFIG, NULL, slice_str(args[1]), &answer);
	buf_free(&answer.body);
	if (rc == 0)
		admin_say(a, "%s: %s", address, args[1]);
	return rc;
}
