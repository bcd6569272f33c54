/*
 * Store directories that Apache's broker wrote, opened through store-mmap: everything is found, and
 * queues that are built anew from the log are equal to those that it had built, unit by unit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "kit/loop_host.h"
#include "log/log.h"
#include "support/scratch.h"
#include "support/vectors.h"
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* ---- a directory made from a vector ---- */

#define WAIT_MS 60000

struct world {
	struct loop_host loop;
	void *library;
	const struct mosaic_plugin *plugin;
	json_t *vector;
	char dir[SCRATCH_MAX];
	uint8_t *options;
	const struct mosaic_store_ops *ops;
	struct mosaic_store *store;
	struct log *log;
	uint32_t is_done;
	int status;
};

/* false: the vector or the plugin is not here, which has been printed. */
static bool world_init(struct world *w, const char *name)
{
	memset(w, 0, sizeof(*w));
	w->vector = vectors_store(name);
	if (!w->vector)
		return false;
	char path[1024];
	const char *build = getenv("MOSAIC_BUILD");
	snprintf(path, sizeof(path), "%s/plugins/store-mmap.so", build ? build : "build");
	w->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!w->library) {
		fprintf(stderr, "skipped: %s\n", dlerror());
		json_decref(w->vector);
		return false;
	}
	w->plugin = dlsym(w->library, "mosaic_plugin");
	w->ops = w->plugin->ops;
	loop_host_init(&w->loop);
	scratch_make(w->dir, "vector");
	vectors_unpack(w->dir, w->vector);
	return true;
}

static void world_fini(struct world *w)
{
	scratch_remove(w->dir);
	loop_host_fini(&w->loop);
	json_decref(w->vector);
	/* The library stays: the sanitizer wants the names of its functions. */
}

static uint64_t config_of(struct world *w, const char *name, uint64_t fallback)
{
	json_t *config = json_object_get(w->vector, "config");
	const char *text = json_string_value(json_object_get(config, name));
	return text ? strtoull(text, NULL, 10) : fallback;
}

static void set_options(struct world *w)
{
	w->options = mem_alloc(w->plugin->options_size);
	for (uint32_t i = 0; i < w->plugin->n_options; i++) {
		const struct mosaic_option *o = &w->plugin->options[i];
		uint64_t size = 1u << 20;
		if (strcmp(o->name, "segment") == 0)
			size = config_of(w, "mappedFileSizeCommitLog", 1u << 30);
		else if (strcmp(o->name, "queueSegment") == 0)
			size = config_of(w, "mappedFileSizeConsumeQueue", 6000000);
		if (strcmp(o->name, "dir") == 0)
			memcpy(w->options + o->offset, &(const char *){ w->dir }, sizeof(char *));
		else if (o->type == MOSAIC_T_SIZE)
			memcpy(w->options + o->offset, &size, sizeof(size));
	}
}

static void world_done(struct mosaic_req *req)
{
	struct world *w = req->data;
	w->is_done = 1;
	w->status = req->status;
}

static void world_wait(struct world *w)
{
	assert_true(loop_host_until(&w->loop, &w->is_done, WAIT_MS));
}

static void world_open(struct world *w)
{
	struct mosaic_error err = ERR_INIT;
	set_options(w);
	assert_int_equal(w->ops->create(&w->loop.host, w->options, &w->store, &err), 0);
	struct log_config config = { .host = &w->loop.host,
				     .store_ops = w->ops,
				     .store = w->store,
				     .index = { (uint32_t)config_of(w, "maxHashSlotNum", 5000000),
						(uint32_t)config_of(w, "maxIndexNum", 20000000) },
				     .max_record_bytes = 5u << 20 };
	w->log = log_create(&config);
	struct log_open_req open = { .req = { .done = world_done, .data = w } };
	w->is_done = 0;
	int rc = log_open(w->log, &open);
	if (rc < 0)
		fprintf(stderr, "open: %s\n", open.err.text);
	assert_int_equal(rc, MOSAIC_PENDING);
	world_wait(w);
	if (w->status < 0)
		fprintf(stderr, "open: %s\n", open.err.text);
	assert_int_equal(w->status, 0);
}

/* Until no record is missing in the index. */
static void world_index(struct world *w)
{
	while (!index_is_live(w->log->index)) {
		struct mosaic_req turn = { .done = world_done, .data = w };
		w->is_done = 0;
		w->loop.host.post(&w->loop.host, &turn);
		world_wait(w);
	}
}

static void world_close(struct world *w)
{
	world_index(w);
	struct mosaic_req req = { .done = world_done, .data = w };
	w->is_done = 0;
	assert_int_equal(log_close(w->log, &req), MOSAIC_PENDING);
	world_wait(w);
	assert_int_equal(w->status, 0);
	log_destroy(w->log);
	w->ops->destroy(w->store);
	free(w->options);
}

/* ---- what must be found ---- */

/* A read that may be cold. */
static void read_units(struct world *w, struct queue *q, int64_t index, struct mosaic_read *read)
{
	read->req.done = world_done;
	read->req.data = w;
	w->is_done = 0;
	int rc = queue_read(q, index, 1, read);
	if (rc == MOSAIC_PENDING) {
		world_wait(w);
		rc = w->status;
	}
	assert_int_equal(rc, 0);
}

static struct queue_unit unit_at(struct world *w, struct queue *q, int64_t index)
{
	struct mosaic_read read;
	struct queue_unit unit;
	read_units(w, q, index, &read);
	assert_int_equal(read.len, QUEUE_UNIT_BYTES);
	queue_unit_decode(read.ptr, &unit);
	queue_unpin(q, &read);
	return unit;
}

static void record_at(struct world *w, struct queue_unit unit, struct mosaic_read *read,
		      struct message *m)
{
	uint32_t len;
	read->req.done = world_done;
	read->req.data = w;
	w->is_done = 0;
	int rc = log_read(w->log, unit.phys_offset, unit.size, read);
	if (rc == MOSAIC_PENDING) {
		world_wait(w);
		rc = w->status;
	}
	assert_int_equal(rc, 0);
	assert_int_equal(record_decode(read->ptr, read->len, true, m, &len), RECORD_MESSAGE);
	assert_int_equal(len, unit.size);
}

/* Every unit of the vector's queues is there, and its record says that it is the right one. */
static int check_queue(struct world *w, const char *topic, int32_t queue_id, const uint8_t *units,
		       size_t len)
{
	struct queue *q = log_queue_find(w->log, slice_str(topic), queue_id);
	assert_non_null(q);
	int64_t n = 0;
	for (; (size_t)n < len / QUEUE_UNIT_BYTES; n++) {
		struct queue_unit want, unit;
		queue_unit_decode(units + n * QUEUE_UNIT_BYTES, &want);
		if (want.size == 0)
			break;
		unit = unit_at(w, q, n);
		assert_int_equal(unit.phys_offset, want.phys_offset);
		assert_int_equal(unit.size, want.size);
		assert_int_equal(unit.tags_code, want.tags_code);
		struct mosaic_read read;
		struct message m;
		record_at(w, unit, &read, &m);
		assert_int_equal(m.queue_offset, n);
		assert_int_equal(m.queue_id, queue_id);
		assert_true(slice_is(m.topic, topic));
		log_unpin(w->log, &read);
	}
	assert_int_equal(q->max_offset, n);
	assert_int_equal(q->min_offset, 0);
	return (int)n;
}

static int check_queues(struct world *w)
{
	size_t i;
	json_t *file;
	int n = 0;
	json_array_foreach(json_object_get(w->vector, "files"), i, file) {
		char topic[256];
		int queue_id;
		const char *path = json_string_value(json_object_get(file, "path"));
		if (sscanf(path, "consumequeue/%255[^/]/%d/", topic, &queue_id) != 2)
			continue;
		json_t *chunks = json_object_get(file, "chunks");
		if (json_array_size(chunks) == 0)
			continue;
		assert_int_equal(json_array_size(chunks), 1);
		json_t *chunk = json_array_get(chunks, 0);
		assert_int_equal(json_integer_value(json_object_get(chunk, "offset")), 0);
		size_t len;
		uint8_t *bytes = hex_bytes(json_slice(json_object_get(chunk, "hex")), &len);
		/* Zeros at the end of the last unit may have been left out. */
		uint8_t *units = calloc(1, len + QUEUE_UNIT_BYTES);
		memcpy(units, bytes, len);
		n += check_queue(w, topic, queue_id, units, len + QUEUE_UNIT_BYTES - 1);
		free(units);
		free(bytes);
	}
	return n;
}

static int check_messages(struct world *w)
{
	size_t i;
	json_t *sent;
	int n = 0;
	json_array_foreach(json_object_get(w->vector, "messages_sent"), i, sent) {
		const char *kind = json_string_value(json_object_get(sent, "kind"));
		if (strcmp(kind, "normal") != 0)
			continue; /* stored elsewhere or with another body */
		struct queue *q = log_queue_find(
			w->log, slice_str(json_string_value(json_object_get(sent, "topic"))),
			(int32_t)json_integer_value(json_object_get(sent, "queueId")));
		assert_non_null(q);
		struct queue_unit unit =
			unit_at(w, q, json_integer_value(json_object_get(sent, "queueOffset")));
		struct mosaic_read read;
		struct message m;
		record_at(w, unit, &read, &m);
		size_t len;
		uint8_t *body = hex_bytes(json_slice(json_object_get(sent, "bodyHex")), &len);
		assert_true(slice_eq(m.body, slice(body, len)));
		assert_int_equal(m.flag, json_integer_value(json_object_get(sent, "flag")));
		uint8_t id[MESSAGE_ID_MAX + 1] = { 0 };
		message_offset_id(id, &m.store_host, m.phys_offset);
		assert_string_equal((char *)id,
				    json_string_value(json_object_get(sent, "offsetMsgId")));
		free(body);
		log_unpin(w->log, &read);
		n++;
	}
	return n;
}

static int is_digit_name(const struct dirent *e)
{
	return e->d_name[0] >= '0' && e->d_name[0] <= '9';
}

/* The files of the index, by name, are byte for byte those of the vector. */
static void check_index(struct world *w)
{
	char folder[128], path[512];
	struct dirent **names = NULL;
	snprintf(folder, sizeof(folder), "%s/index", w->dir);
	int n = scandir(folder, &names, is_digit_name, alphasort), at = 0;
	size_t i;
	json_t *file;
	json_array_foreach(json_object_get(w->vector, "files"), i, file) {
		if (strncmp(json_string_value(json_object_get(file, "path")), "index/", 6) != 0)
			continue;
		size_t size = (size_t)json_integer_value(json_object_get(file, "size"));
		if (size > 1 << 20) /* of default size: nothing but its beginning is compared */
			size = 1 << 20;
		uint8_t *theirs = vectors_content(file, size), *ours = malloc(size);
		assert_true(at < n);
		snprintf(path, sizeof(path), "%s/%s", folder, names[at]->d_name);
		int fd = open(path, O_RDONLY);
		assert_int_equal(pread(fd, ours, size, 0), size);
		assert_memory_equal(ours, theirs, size);
		close(fd);
		free(theirs);
		free(ours);
		free(names[at++]);
	}
	assert_int_equal(at, n < 0 ? 0 : n);
	free(names);
}

/* ---- the tests ---- */

static void append_one(struct world *w, int64_t index)
{
	struct queue *q = log_queue(w->log, slice_str("StA"), 1);
	struct message m = { .topic = slice_str("StA"), .body = slice_str("ours") };
	m.born_host = m.store_host = (struct host_address){ .ip_len = 4 };
	m.body_crc = hash_crc32(m.body.ptr, m.body.len) & 0x7fffffff;
	uint64_t end;
	int rc;
	while ((rc = log_append(w->log, q, &m, &end)) == MOSAIC_E_AGAIN) {
		struct mosaic_req room = { .done = world_done, .data = w };
		w->is_done = 0;
		log_wait_room(w->log, &room);
		world_wait(w);
	}
	assert_int_equal(rc, 0);
	assert_int_equal(m.queue_offset, index);
	log_run_end(w->log);
}

static void opens_what_apache_wrote(const char *name, int n_units, int n_messages)
{
	struct world w;
	if (!world_init(&w, name))
		skip();
	world_open(&w);
	int units = check_queues(&w);
	assert_int_equal(units, n_units);
	assert_int_equal(check_messages(&w), n_messages);
	world_close(&w);
	/* And again, closed by us. */
	world_open(&w);
	assert_int_equal(check_queues(&w), n_units);
	world_close(&w);
	world_fini(&w);
}

static void rebuilds_queues_as_apache_built_them(const char *name, int n_units)
{
	struct world w;
	if (!world_init(&w, name))
		skip();
	scratch_remove_below(w.dir, "consumequeue");
	scratch_remove_below(w.dir, "checkpoint");
	char path[128];
	snprintf(path, sizeof(path), "%s/abort", w.dir);
	close(open(path, O_CREAT | O_WRONLY, 0644));
	world_open(&w);
	assert_int_equal(check_queues(&w), n_units);
	world_close(&w);
	world_fini(&w);
}

static void index_is_what_apache_wrote(const char *name)
{
	struct world w;
	if (!world_init(&w, name))
		skip();
	world_open(&w);
	world_close(&w);
	check_index(&w);
	scratch_remove_below(w.dir, "index");
	world_open(&w);
	world_close(&w);
	check_index(&w);
	world_fini(&w);
}

static void index_files_are_those_of_apache(void **state)
{
	(void)state;
	index_is_what_apache_wrote("st1");
	index_is_what_apache_wrote("st1-running");
}

static void index_of_default_size_is_that_of_apache(void **state)
{
	(void)state;
	index_is_what_apache_wrote("mixed-traffic-master");
}

static void store_after_a_clean_stop(void **state)
{
	(void)state;
	opens_what_apache_wrote("st1", 51, 38);
	rebuilds_queues_as_apache_built_them("st1", 51);
}

static void store_copied_while_running(void **state)
{
	(void)state;
	opens_what_apache_wrote("st1-running", 51, 38);
	rebuilds_queues_as_apache_built_them("st1-running", 51);
}

static void store_with_all_kinds_of_traffic(void **state)
{
	(void)state;
	opens_what_apache_wrote("mixed-traffic-master", 201, 0);
	rebuilds_queues_as_apache_built_them("mixed-traffic-master", 201);
}

static void store_of_a_controlled_master(void **state)
{
	(void)state;
	opens_what_apache_wrote("controller-mode-master", 2, 0);
	rebuilds_queues_as_apache_built_them("controller-mode-master", 2);
}

static void log_goes_on_behind_what_apache_wrote(void **state)
{
	(void)state;
	struct world w;
	if (!world_init(&w, "st1"))
		skip();
	world_open(&w);
	struct queue *q = log_queue_find(w.log, slice_str("StA"), 1);
	int64_t next = q->max_offset;
	for (int i = 0; i < 100; i++)
		append_one(&w, next + i);
	world_close(&w);
	world_open(&w);
	assert_int_equal(log_queue_find(w.log, slice_str("StA"), 1)->max_offset, next + 100);
	assert_int_equal(check_messages(&w), 38);
	append_one(&w, next + 100);
	world_close(&w);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(store_after_a_clean_stop),
		cmocka_unit_test(store_copied_while_running),
		cmocka_unit_test(store_with_all_kinds_of_traffic),
		cmocka_unit_test(store_of_a_controlled_master),
		cmocka_unit_test(index_files_are_those_of_apache),
		cmocka_unit_test(index_of_default_size_is_that_of_apache),
		cmocka_unit_test(log_goes_on_behind_what_apache_wrote),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
