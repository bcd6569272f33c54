/* mosaic admin message, find: single messages, by the broker's id or by a key. */
#include "admin.h"
#include "wire/message.h"
#include "wire/props.h"
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>

#define FIND_MOST "64" /* messages of one answer */

static char *text_of(struct mosaic_slice s)
{
	return strndup(s.ptr != NULL ? (const char *)s.ptr : "", s.len);
}

static void add_slice(struct table *t, struct mosaic_slice s)
{
	char *text = s.ptr != NULL ? text_of(s) : NULL;
	table_str(t, text);
	free(text);
}

static void add_message(struct table *t, const struct message *m)
{
	uint8_t id[MESSAGE_ID_MAX];

	table_row(t);
	add_slice(t, slice(id, message_offset_id(id, &m->store_host, m->phys_offset)));
	add_slice(t, m->topic);
	table_i64(t, m->queue_id);
	table_i64(t, m->queue_offset);
	table_time(t, m->store_ms);
	add_slice(t, props_find(m->props, PROP_TAGS));
	add_slice(t, props_find(m->props, PROP_KEYS));
	table_i64(t, (int64_t)m->body.len);
	if ((m->sys_flag & SYS_COMPRESSED) != 0)
		table_str(t, "(compressed)");
	else
		add_slice(t, m->body);
}

static const char *const columns[] = { "id",   "topic", "queue", "offset", "stored",
				       "tag", "keys",  "bytes", "body",   NULL };

/* An answer is records, one after the other. */
static int add_records(struct admin *a, struct table *t, struct mosaic_slice body)
{
	struct message m;
	uint32_t len;

	for (uint64_t at = 0; at < body.len; at += len)
		switch (record_decode(body.ptr + at, body.len - at, false, &m, &len)) {
		case RECORD_MESSAGE: add_message(t, &m); break;
		default:
			return err_set(&a->err, MOSAIC_E_CORRUPT, "the answer is no message");
		}
	return 0;
}

int admin_message(struct admin *a, char **args)
{
	struct admin_answer answer = { .body = BUF_INIT };
	struct host_address host;
	char ip[INET6_ADDRSTRLEN], address[INET6_ADDRSTRLEN + 16], offset[24];
	int64_t phys;
	struct table t;

	if (message_offset_id_parse(slice_str(args[0]), &host, &phys) != 0)
		return err_set(&a->err, MOSAIC_E_INVAL, "\"%s\" is not an id that a broker made: "
			       "32 or 56 hex digits (those that producers make: find TOPIC --key "
			       "ID)", args[0]);
	inet_ntop(host.ip_len == 4 ? AF_INET : AF_INET6, host.ip, ip, sizeof(ip));
	snprintf(address, sizeof(address), host.ip_len == 4 ? "%s:%u" : "[%s]:%u", ip, host.port);
	snprintf(offset, sizeof(offset), "%" PRId64, phys);
	const char *const fields[] = { "offset", offset, NULL };
	table_init(&t, columns);
	int rc = admin_ask(a, address, REQ_VIEW_MESSAGE_BY_ID, fields, slice(NULL, 0), &answer);
	if (rc == 0)
		rc = add_records(a, &t, buf_slice(&answer.body));
	buf_free(&answer.body);
	if (rc == 0)
		admin_show(a, &t);
	else
		table_free(&t);
	return rc;
}

int admin_find(struct admin *a, char **args)
{
	const char *const fields[] = { "topic", args[0], "key", a->key, "maxNum", FIND_MOST,
				       "beginTimestamp", "0", "endTimestamp", "9223372036854775807",
				       NULL };
	struct table t;
	int rc;

	if (a->key == NULL)
		return err_set(&a->err, MOSAIC_E_INVAL, "--key KEY is missing");
	rc = admin_brokers(a);
	if (rc != 0)
		return rc;
	table_init(&t, columns);
	ADMIN_EACH_MASTER(a, b) {
		struct admin_answer answer = { .body = BUF_INIT };
		rc = admin_ask(a, b->address, REQ_QUERY_MESSAGE, fields, slice(NULL, 0), &answer);
		if (rc == 0)
			rc = add_records(a, &t, buf_slice(&answer.body));
		else if (a->code == RES_QUERY_NOT_FOUND)
			rc = 0;
		buf_free(&answer.body);
		if (rc != 0)
			break;
	}
	if (rc == 0)
		admin_show(a, &t);
	else
		table_free(&t);
	return rc;
}
