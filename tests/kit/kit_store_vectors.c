/*
 * Directories that RocketMQ 5.3.3 wrote open as they are: every unit of every queue points at a
 * whole record, and what the store then writes itself is found again. They lie outside of the
 * repository: ${MOSAIC_SHARED:-$MOSAIC_SOURCE/../shared}/reference/vectors/store.
 */
#include "store_kit.h"

#include "base/bytes.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

extern const struct mosaic_plugin mosaic_plugin_store_mmap, mosaic_plugin_store_uring;

static void make_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
}

static void write_hex(int fd, uint64_t offset, const char *hex)
{
	size_t n = strlen(hex) / 2;
	uint8_t *bytes = malloc(n + 1);
	for (size_t i = 0; i < n; i++) {
		unsigned value;
		assert_int_equal(sscanf(hex + 2 * i, "%2x", &value), 1);
		bytes[i] = (uint8_t)value;
	}
	assert_int_equal(pwrite(fd, bytes, n, (off_t)offset), n);
	free(bytes);
}

static void make_file(const char *dir, const json_t *file)
{
	char path[600];
	const json_t *chunk;
	size_t i;
	snprintf(path, sizeof(path), "%s/%s", dir,
		 json_string_value(json_object_get(file, "path")));
	make_folders(path);
	int fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0644);
	assert_true(fd >= 0);
	json_int_t size = json_integer_value(json_object_get(file, "size"));
	assert_int_equal(ftruncate(fd, size), 0);
	const json_t *text = json_object_get(file, "utf8");
	if (text)
		assert_true(pwrite(fd, json_string_value(text), json_string_length(text), 0) >= 0);
	json_array_foreach(json_object_get(file, "chunks"), i, chunk)
		write_hex(fd, (uint64_t)json_integer_value(json_object_get(chunk, "offset")),
			  json_string_value(json_object_get(chunk, "hex")));
	close(fd);
}

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

static void check_vector(const char *path, const struct mosaic_plugin *plugin)
{
	struct store_kit k;
	const json_t *file;
	size_t i;
	bool is_clean = true;
	uint32_t n_queues = 0;
	json_error_t err;
	json_t *root = json_load_file(path, 0, &err);
	if (!root)
		fail_msg("%s: %s", path, err.text);
	kit_init(&k, plugin);
	const json_t *config = json_object_get(root, "config");
	kit_option(&k, "segment",
		   json_string_value(json_object_get(config, "mappedFileSizeCommitLog")));
	kit_option(&k, "queueSegment",
		   json_string_value(json_object_get(config, "mappedFileSizeConsumeQueue")));
	json_array_foreach(json_object_get(root, "files"), i, file) {
		const char *name = json_string_value(json_object_get(file, "path"));
		is_clean &= strcmp(name, "abort") != 0;
		n_queues += strncmp(name, "consumequeue/", 13) == 0;
		make_file(k.dir, file);
	}
	check_store(&k, is_clean, n_queues);
	kit_fini(&k);
	json_decref(root);
}

static void stores_of_rocketmq_open(void **state)
{
	char folder[400], path[800];
	const char *shared = getenv("MOSAIC_SHARED"), *source = getenv("MOSAIC_SOURCE");
	snprintf(folder, sizeof(folder), "%s%s/reference/vectors/store",
		 shared ? shared : source ? source : ".", shared ? "" : "/../shared");
	DIR *dir = opendir(folder);
	if (!dir) {
		print_message("no captured stores: %s is not there\n", folder);
		return;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		size_t len = strlen(e->d_name);
		if (len < 6 || strcmp(e->d_name + len - 5, ".json") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		print_message("%s: ", e->d_name);
		check_vector(path, *state);
	}
	closedir(dir);
}

int main(void)
{
	const struct mosaic_plugin *plugins[] = { &mosaic_plugin_store_mmap,
						  &mosaic_plugin_store_uring };
	int n_failed = 0;
	for (int i = 0; i < 2; i++) {
		const struct CMUnitTest tests[] = {
			{ "stores_of_rocketmq_open", stores_of_rocketmq_open, NULL, NULL,
			  (void *)(uintptr_t)plugins[i] },
		};
		if (kit_is_usable(plugins[i]))
			n_failed += cmocka_run_group_tests(tests, NULL, NULL);
	}
	return n_failed;
}
