/*
 * A store under test: opened, used and closed in single calls that wait, over any plugin.
 * store-memory gets a simulated disk, so that it too can be opened again and crash.
 */
#ifndef KIT_STORE_KIT_H
#define KIT_STORE_KIT_H

#include "kit/loop_host.h"

#include <mosaic/draft/disk.h>
#include <mosaic/store.h>

struct store_kit {
	struct loop_host h;
	const struct mosaic_plugin *plugin;
	const struct mosaic_store_ops *ops;
	void *options;
	struct mosaic_store *store;
	struct mosaic_stream *log;
	struct mosaic_store_open open_req;
	struct mosaic_error error;
	struct mosaic_disk disk;
	struct mosaic_ext_disk disk_ext;
	char dir[64]; /* of a store with files; fresh */
	bool has_files;
};

/* Whether the plugin can be used on this machine; prints why not. */
bool kit_is_usable(const struct mosaic_plugin *plugin);
void kit_init(struct store_kit *k, const struct mosaic_plugin *plugin);
/* Removes the directory. */
void kit_fini(struct store_kit *k);
void kit_option(struct store_kit *k, const char *name, const char *value);
/* create and open; the status; the commit log is open when it is 0. */
int32_t kit_open(struct store_kit *k);
/* The end of the commit log is told to the store, as recovery does. */
void kit_open_at(struct store_kit *k, uint64_t end);
int32_t kit_close(struct store_kit *k);

/* A request whose end is counted in *n_done (and status kept). */
void kit_expect(struct mosaic_req *req, uint32_t *n_done);
/* Turns until n_done; fails the test after a few seconds. */
void kit_wait(struct store_kit *k, const uint32_t *n_done);

struct mosaic_stream *kit_queue(struct store_kit *k, const char *topic, int32_t queue_id);
/* Appends len bytes, waiting for room; a byte at offset i is kit_byte(i). */
void kit_append(struct store_kit *k, struct mosaic_stream *s, uint64_t len);
uint8_t kit_byte(uint64_t offset);
/* Reads and compares all of [from, upto) with kit_byte. */
void kit_check(struct store_kit *k, struct mosaic_stream *s, uint64_t from, uint64_t upto);
/* One read, waiting if it is cold: 0 or E_... */
int32_t kit_read(struct store_kit *k, struct mosaic_stream *s, uint64_t offset, uint32_t len,
		 struct mosaic_read *read);
int32_t kit_sync(struct store_kit *k, struct mosaic_stream *s, uint64_t upto);
int32_t kit_sync_queues(struct store_kit *k);
int32_t kit_truncate(struct store_kit *k, struct mosaic_stream *s, uint64_t to);
int32_t kit_trim(struct store_kit *k, struct mosaic_stream *s, uint64_t below);
struct mosaic_stream_info kit_info(struct store_kit *k, struct mosaic_stream *s);

/* A rule of a table; its state is the plugin. */
#define KIT_RULE(name) { #name, name, NULL, NULL, NULL }
struct CMUnitTest;
/* Runs a table against a plugin, when that can be used here. The number that failed. */
int kit_run(const struct mosaic_plugin *plugin, const struct CMUnitTest *rules, size_t n);

int32_t kit_save(struct store_kit *k, const char *name, const char *text, uint32_t flags);
/* The content as text (freed by the caller), NULL when there is none. */
char *kit_load(struct store_kit *k, const char *name);

#endif
