#include "store_kit.h"

#include "base/err.h"
#include "plugin/value.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define TIMEOUT_MS 60000

static const void *extension(void *ctx, const char *id)
{
	struct store_kit *k = ctx;
	return strcmp(id, MOSAIC_EXT_DISK) == 0 ? &k->disk_ext : NULL;
}

void kit_init(struct store_kit *k, const struct mosaic_plugin *plugin)
{
	struct mosaic_error err = ERR_INIT;
	memset(k, 0, sizeof(*k));
	loop_host_init(&k->h);
	k->h.extension = extension;
	k->h.extension_ctx = k;
	k->disk_ext = (struct mosaic_ext_disk){ sizeof(k->disk_ext), 0, &k->disk };
	k->plugin = plugin;
	k->ops = plugin->ops;
	k->has_files = strcmp(plugin->name, "store-memory") != 0;
	k->options = calloc(1, plugin->options_size);
	assert_int_equal(value_defaults(plugin->options, plugin->n_options, k->options, &err), 0);
	if (k->has_files) {
		scratch_make(k->dir, "store");
		kit_option(k, "dir", k->dir);
	}
	if (strcmp(plugin->name, "store-uring") == 0)
		kit_option(k, "tail", "4MiB"); /* locked memory; many are opened */
}

bool kit_is_usable(const struct mosaic_plugin *plugin)
{
	struct store_kit k;
	kit_init(&k, plugin);
	int32_t rc = kit_open(&k);
	if (rc == 0)
		assert_int_equal(kit_close(&k), 0);
	else
		print_message("%s is not tested here: %s\n", plugin->name, k.error.text);
	kit_fini(&k);
	assert_true(rc == 0 || rc == MOSAIC_E_UNSUPPORTED);
	return rc == 0;
}

int kit_run(const struct mosaic_plugin *plugin, const struct CMUnitTest *rules, size_t n)
{
	if (!kit_is_usable(plugin))
		return 0;
	struct CMUnitTest *tests = calloc(n, sizeof(*tests));
	for (size_t i = 0; i < n; i++) {
		tests[i] = rules[i];
		tests[i].initial_state = (void *)(uintptr_t)plugin;
	}
	int n_failed = _cmocka_run_group_tests(plugin->name, tests, n, NULL, NULL);
	free(tests);
	return n_failed;
}

void kit_fini(struct store_kit *k)
{
	assert_null(k->store);
	loop_host_fini(&k->h);
	assert_int_equal(k->h.n_allocated, 0);
	if (k->disk.destroy)
		k->disk.destroy(&k->disk);
	value_free(k->plugin->options, k->plugin->n_options, k->options);
	free(k->options);
	if (k->has_files)
		scratch_remove(k->dir);
}

void kit_option(struct store_kit *k, const char *name, const char *value)
{
	struct mosaic_error err = ERR_INIT;
	for (uint32_t i = 0; i < k->plugin->n_options; i++) {
		const struct mosaic_option *option = &k->plugin->options[i];
		if (strcmp(option->name, name) != 0)
			continue;
		if (value_set(option, slice_str(value), k->options, &err) != 0)
			fail_msg("%s: %s", name, err.text);
		return;
	}
	fail_msg("no option %s", name);
}

static void counted(struct mosaic_req *req)
{
	++*(uint32_t *)req->data;
}

void kit_expect(struct mosaic_req *req, uint32_t *n_done)
{
	*n_done = 0;
	*req = (struct mosaic_req){ .done = counted, .data = n_done };
}

void kit_wait(struct store_kit *k, const uint32_t *n_done)
{
	if (!loop_host_until(&k->h, n_done, TIMEOUT_MS))
		fail_msg("a request does not end");
	assert_int_equal(*n_done, 1);
}

/* A call that may refuse, and its end. */
static int32_t ended(struct store_kit *k, int32_t rc, const struct mosaic_req *req,
		     const uint32_t *n_done)
{
	assert_int_equal(*n_done, 0); /* never inside the call */
	if (rc < 0)
		return rc;
	kit_wait(k, n_done);
	return req->status;
}

int32_t kit_open(struct store_kit *k)
{
	uint32_t n_done;
	k->error = (struct mosaic_error)ERR_INIT;
	int32_t rc = k->ops->create(&k->h.host, k->options, &k->store, &k->error);
	if (rc < 0)
		return rc;
	memset(&k->open_req, 0, sizeof(k->open_req));
	kit_expect(&k->open_req.req, &n_done);
	k->open_req.error = &k->error;
	rc = ended(k, k->ops->open(k->store, &k->open_req), &k->open_req.req, &n_done);
	if (rc < 0) {
		k->ops->destroy(k->store);
		k->store = NULL;
		return rc;
	}
	struct mosaic_stream_name name = { .kind = MOSAIC_COMMIT_LOG };
	assert_int_equal(k->ops->stream_open(k->store, &name, &k->log), 0);
	return 0;
}

void kit_open_at(struct store_kit *k, uint64_t end)
{
	int32_t rc = kit_open(k);
	if (rc != 0)
		fail_msg("open: %s", k->error.text);
	assert_int_equal(kit_truncate(k, k->log, end), 0);
}

int32_t kit_close(struct store_kit *k)
{
	struct mosaic_req req;
	uint32_t n_done;
	kit_expect(&req, &n_done);
	int32_t rc = ended(k, k->ops->close(k->store, &req), &req, &n_done);
	k->ops->destroy(k->store);
	k->store = NULL;
	return rc;
}

struct mosaic_stream *kit_queue(struct store_kit *k, const char *topic, int32_t queue_id)
{
	struct mosaic_stream_name name = { MOSAIC_CONSUME_QUEUE, queue_id, topic };
	struct mosaic_stream *s = NULL;
	assert_int_equal(k->ops->stream_open(k->store, &name, &s), 0);
	return s;
}

uint8_t kit_byte(uint64_t offset)
{
	return (uint8_t)(1 + (offset * 2654435761u >> 7) % 255); /* never zero */
}

static void wait_for_room(struct store_kit *k, struct mosaic_stream *s)
{
	struct mosaic_req req;
	uint32_t n_done;
	kit_expect(&req, &n_done);
	assert_int_equal(ended(k, k->ops->room(s, &req), &req, &n_done), 0);
}

void kit_append(struct store_kit *k, struct mosaic_stream *s, uint64_t len)
{
	struct mosaic_stream_info info = kit_info(k, s);
	uint64_t at = info.end, end = info.end + len;
	uint32_t most = info.segment_bytes % 20 == 0 ? 20 : 1000;
	while (at < end) {
		struct mosaic_span room;
		uint32_t part = end - at < most ? (uint32_t)(end - at) : most;
		int32_t rc = k->ops->reserve(s, part, &room);
		if (rc == MOSAIC_E_AGAIN) {
			wait_for_room(k, s);
			continue;
		}
		if (rc == MOSAIC_E_LIMIT) {
			part = room.len;
			assert_true(part > 0);
			rc = k->ops->reserve(s, part, &room);
			if (rc == MOSAIC_E_AGAIN) {
				wait_for_room(k, s);
				continue;
			}
		}
		assert_int_equal(rc, 0);
		assert_true(room.len >= part);
		for (uint32_t i = 0; i < part; i++)
			room.ptr[i] = kit_byte(at + i);
		k->ops->commit(s, part);
		at += part;
	}
	assert_int_equal(kit_info(k, s).end, end);
}

int32_t kit_read(struct store_kit *k, struct mosaic_stream *s, uint64_t offset, uint32_t len,
		 struct mosaic_read *read)
{
	uint32_t n_done;
	kit_expect(&read->req, &n_done);
	int32_t rc = k->ops->read(s, offset, len, read);
	if (rc != MOSAIC_PENDING)
		return rc;
	return ended(k, rc, &read->req, &n_done);
}

void kit_check(struct store_kit *k, struct mosaic_stream *s, uint64_t from, uint64_t upto)
{
	struct mosaic_stream_info info = kit_info(k, s);
	while (from < upto) {
		struct mosaic_read read = { 0 };
		uint32_t want = upto - from < 70000 ? (uint32_t)(upto - from) : 70000;
		uint64_t in_segment = info.segment_bytes - from % info.segment_bytes;
		int32_t rc = kit_read(k, s, from, want, &read);
		assert_int_equal(rc, 0);
		assert_int_equal(read.offset, from);
		assert_int_equal(read.len, want < in_segment ? want : in_segment);
		for (uint32_t i = 0; i < read.len; i++)
			if (read.ptr[i] != kit_byte(from + i))
				fail_msg("byte %llu is %u", (unsigned long long)(from + i),
					 read.ptr[i]);
		from += read.len;
		k->ops->unpin(s, &read);
	}
}

int32_t kit_sync(struct store_kit *k, struct mosaic_stream *s, uint64_t upto)
{
	struct mosaic_sync sync = { .upto = upto };
	uint32_t n_done;
	kit_expect(&sync.req, &n_done);
	int32_t rc = ended(k, k->ops->sync(s, &sync), &sync.req, &n_done);
	if (rc == 0)
		assert_true(sync.upto >= upto);
	return rc;
}

int32_t kit_sync_queues(struct store_kit *k)
{
	struct mosaic_req req;
	uint32_t n_done;
	kit_expect(&req, &n_done);
	return ended(k, k->ops->sync_queues(k->store, &req), &req, &n_done);
}

int32_t kit_truncate(struct store_kit *k, struct mosaic_stream *s, uint64_t to)
{
	struct mosaic_req req;
	uint32_t n_done;
	kit_expect(&req, &n_done);
	return ended(k, k->ops->truncate(s, to, &req), &req, &n_done);
}

int32_t kit_trim(struct store_kit *k, struct mosaic_stream *s, uint64_t below)
{
	struct mosaic_req req;
	uint32_t n_done;
	kit_expect(&req, &n_done);
	return ended(k, k->ops->trim(s, below, &req), &req, &n_done);
}

struct mosaic_stream_info kit_info(struct store_kit *k, struct mosaic_stream *s)
{
	struct mosaic_stream_info info;
	k->ops->stream_info(s, &info);
	return info;
}

int32_t kit_save(struct store_kit *k, const char *name, const char *text, uint32_t flags)
{
	struct mosaic_doc doc = { .name = name, .content = (const uint8_t *)text,
				  .len = strlen(text), .flags = flags };
	uint32_t n_done;
	kit_expect(&doc.req, &n_done);
	return ended(k, k->ops->doc_save(k->store, &doc), &doc.req, &n_done);
}

char *kit_load(struct store_kit *k, const char *name)
{
	struct mosaic_doc doc = { .name = name };
	uint32_t n_done;
	kit_expect(&doc.req, &n_done);
	int32_t rc = ended(k, k->ops->doc_load(k->store, &doc), &doc.req, &n_done);
	if (rc == MOSAIC_E_NOTFOUND)
		return NULL;
	assert_int_equal(rc, 0);
	char *text = strndup((const char *)doc.content, doc.len);
	k->ops->doc_release(k->store, &doc);
	return text;
}
