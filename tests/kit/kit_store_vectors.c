/*
 * Directories that RocketMQ 5.3.3 wrote open as they are: every unit of every queue points at a
 * whole record, and what the store then writes itself is found again.
 */
#include "store_kit.h"

#include "base/bytes.h"
#include "support/vectors.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

extern const struct mosaic_plugin mosaic_plugin_store_mmap, mosaic_plugin_store_uring;

/* Returns the end of the last record that a unit of this queue points at. */
static uint64_t check_queue(struct store_kit *k, struct mosaic_stream *q, uint32_t *n_units)
{
	struct mosaic_stream_info info = kit_info(k, q);
	uint64_t end = 0;
	for (uint64_t at = info.begin; at < info.end; at += 20, ++*n_units) {
		struct mosaic_read unit = { 0 }, record = { 0 };
		assert_int_equal(kit_read(k, q, at, 20, &unit), 0);
		assert_int_equal(unit.len, 20);
		uint64_t offset = get_be64(unit.ptr);
		uint32_t size = get_be32(unit.ptr + 8);
		k->ops->unpin(q, &unit);
		assert_int_equal(kit_read(k, k->log, offset, size, &record), 0);
		assert_int_equal(record.len, size);
		assert_int_equal(get_be32(record.ptr), size);
		k->ops->unpin(k->log, &record);
		end = offset + size > end ? offset + size : end;
	}
	return end;
}

static void check_store(struct store_kit *k, bool is_clean, uint32_t n_queues)
{
	uint64_t end = 0;
	uint32_t n_units = 0;
	if (kit_open(k) != 0)
		fail_msg("%s", k->error.text);
	assert_int_equal(k->open_req.was_clean, is_clean);
	uint32_t n_found = 0;
	for (uint32_t i = 0; i < k->open_req.n_streams; i++) {
		struct mosaic_stream_name name;
		assert_int_equal(k->ops->stream_at(k->store, i, &name), 0);
		if (name.kind != MOSAIC_CONSUME_QUEUE)
			continue;
		n_found++;
		struct mosaic_stream *q = kit_queue(k, name.topic, name.queue_id);
		uint64_t of_queue = check_queue(k, q, &n_units);
		end = of_queue > end ? of_queue : end;
	}
	assert_true(n_units > 0);
	assert_int_equal(n_found, n_queues);
	char *topics = kit_load(k, "config/topics.json");
	assert_non_null(topics);
	free(topics);
	assert_int_equal(kit_truncate(k, k->log, end), 0);
	uint64_t begin = kit_info(k, k->log).begin;
	assert_int_equal(begin, 0);
	kit_append(k, k->log, 20000);
	assert_int_equal(kit_close(k), 0);
	kit_open_at(k, end + 20000);
	kit_check(k, k->log, end, end + 20000);
	assert_int_equal(kit_close(k), 0);
	print_message("%u queues, %u units, log of %llu bytes\n", n_queues, n_units,
		      (unsigned long long)end);
}

static void check_vector(const char *name, const struct mosaic_plugin *plugin)
{
	struct store_kit k;
	const json_t *file;
	size_t i;
	bool is_clean = true;
	uint32_t n_queues = 0;
	json_t *root = vectors_load(name);
	assert_non_null(root);
	kit_init(&k, plugin);
	const json_t *config = json_object_get(root, "config");
	kit_option(&k, "segment",
		   json_string_value(json_object_get(config, "mappedFileSizeCommitLog")));
	kit_option(&k, "queueSegment",
		   json_string_value(json_object_get(config, "mappedFileSizeConsumeQueue")));
	json_array_foreach(json_object_get(root, "files"), i, file) {
		const char *path = json_string_value(json_object_get(file, "path"));
		is_clean &= strcmp(path, "abort") != 0;
		n_queues += strncmp(path, "consumequeue/", 13) == 0;
		vectors_unpack_file(k.dir, file);
	}
	check_store(&k, is_clean, n_queues);
	kit_fini(&k);
	json_decref(root);
}

static void stores_of_rocketmq_open(void **state)
{
	char path[4096];
	if (vectors_missing())
		return;
	vectors_path(path, sizeof(path), "store");
	DIR *dir = opendir(path);
	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir));) {
		size_t len = strlen(e->d_name);
		if (len < 6 || strcmp(e->d_name + len - 5, ".json") != 0)
			continue;
		snprintf(path, sizeof(path), "store/%s", e->d_name);
		print_message("%s: ", e->d_name);
		check_vector(path, *state);
	}
	closedir(dir);
}

int main(void)
{
	static const struct CMUnitTest rules[] = { KIT_RULE(stores_of_rocketmq_open) };
	return kit_run(&mosaic_plugin_store_mmap, rules, 1) +
	       kit_run(&mosaic_plugin_store_uring, rules, 1);
}
