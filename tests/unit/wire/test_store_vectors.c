#include "support/vectors.h"
#include "base/bytes.h"
#include "wire/message.h"
#include "wire/props.h"
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* The CommitLog of a store that Apache's broker wrote: read, written again, and rebuilt. */

static struct props_edit edit;

/* What the client said it sent to this physical offset; NULL for records of the broker's own. */
static const json_t *sent_at(const json_t *store, const struct message *m)
{
	uint8_t id[MESSAGE_ID_MAX];
	uint32_t id_len = message_offset_id(id, &m->store_host, m->phys_offset);
	struct mosaic_slice wanted = slice(id, id_len);
	const json_t *sent;
	size_t i;

	json_array_foreach(json_object_get(store, "messages_sent"), i, sent)
		if (slice_eq(json_slice(json_object_get(sent, "offsetMsgId")), wanted))
			return sent;
	return NULL;
}

static bool props_are_written_as(struct mosaic_slice stored)
{
	struct buf out = BUF_INIT;

	props_edit_write(&edit, &out);
	bool same = slice_eq(buf_slice(&out), stored);
	buf_free(&out);
	return same;
}

/* The broker's way: the client's properties, then its own. */
static void assert_props_rebuilt(const json_t *sent, const char *cluster, const struct message *m)
{
	json_t *props = json_object_get(sent, "properties"), *value;
	const char *name;

	assert_int_equal(props_edit_parse(&edit, slice(NULL, 0)), 0);
	json_object_foreach(props, name, value)
		assert_int_equal(props_edit_put(&edit, slice_str(name), json_slice(value)), 0);
	assert_int_equal(props_edit_put(&edit, slice_str(PROP_MSG_REGION),
					slice_str("DefaultRegion")), 0);
	assert_int_equal(props_edit_put(&edit, slice_str(PROP_TRACE_ON), slice_str("true")), 0);
	assert_int_equal(props_edit_put(&edit, slice_str(PROP_CLUSTER), slice_str(cluster)), 0);
	assert_true(props_are_written_as(m->props));
}

struct counts {
	unsigned records, blanks, same_order, rebuilt;
};

static void check_record(const json_t *store, const uint8_t *at, uint32_t len,
			 const struct message *m, struct counts *counts)
{
	const char *cluster = json_string_value(
		json_object_get(json_object_get(store, "config"), "brokerClusterName"));
	uint8_t *again = malloc(len);
	const json_t *sent = sent_at(store, m);

	assert_int_equal(record_len(m), len);
	record_encode(again, len, m);
	assert_memory_equal(again, at, len);
	free(again);
	counts->records++;

	assert_int_equal(props_edit_parse(&edit, m->props), 0);
	counts->same_order += props_are_written_as(m->props);
	if (!sent)
		return;
	const char *kind = json_string_value(json_object_get(sent, "kind"));
	if (strcmp(kind, "normal") != 0 && strcmp(kind, "compressed-by-client") != 0)
		return;
	assert_true(slice_eq(m->topic, json_slice(json_object_get(sent, "topic"))));
	assert_props_rebuilt(sent, cluster, m);
	counts->rebuilt++;
}

static void check_segment(const json_t *store, const json_t *file, struct counts *counts)
{
	size_t size = (size_t)json_integer_value(json_object_get(file, "size")), at = 0;
	uint8_t *bytes = vectors_content(file, size);
	const char *path = json_string_value(json_object_get(file, "path"));
	int64_t base = strtoll(strrchr(path, '/') + 1, NULL, 10);

	for (;;) {
		struct message m;
		uint32_t len;
		int rc = record_decode(bytes + at, size - at, true, &m, &len);

		if (rc == RECORD_BLANK) {
			assert_int_equal(at + len, size);
			counts->blanks++;
			break;
		}
		if (rc != RECORD_MESSAGE) {
			assert_int_equal(rc, MOSAIC_E_CORRUPT); /* zeros: the end of the log */
			assert_int_equal(get_be64(bytes + at), 0);
			break;
		}
		assert_true(m.phys_offset == base + (int64_t)at);
		check_record(store, bytes + at, len, &m, counts);
		at += len;
	}
	free(bytes);
}

static struct counts check_store(const char *name)
{
	struct counts counts = { 0 };
	json_t *store = vectors_load(name), *file;
	size_t i;

	assert_non_null(store);
	json_array_foreach(json_object_get(store, "files"), i, file)
		if (slice_has_prefix(json_slice(json_object_get(file, "path")), "commitlog/"))
			check_segment(store, file, &counts);
	json_decref(store);
	return counts;
}

static void records_of_a_small_store_are_read_and_rebuilt(void **state)
{
	(void)state;
	if (vectors_missing())
		skip();
	struct counts counts = check_store("store/st1.json");
	assert_int_equal(counts.records, 51);
	assert_int_equal(counts.blanks, 2);
	/* Not: the three of a batch, whose two property strings stand behind each other, and the
	 * operation message of a transaction, which the broker makes with a smaller map. */
	assert_int_equal(counts.same_order, 47);
	assert_true(counts.rebuilt >= 40);
}

static void records_of_mixed_traffic_are_read_and_written_again(void **state)
{
	(void)state;
	if (vectors_missing())
		skip();
	assert_true(check_store("store/mixed-traffic-master.json").records > 50);
	assert_true(check_store("store/st1-running.json").records > 40);
	check_store("store/controller-mode-master.json");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_of_a_small_store_are_read_and_rebuilt),
		cmocka_unit_test(records_of_mixed_traffic_are_read_and_written_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
