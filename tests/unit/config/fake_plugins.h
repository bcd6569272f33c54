/* Built-in plugins that do nothing, and which of them are the defaults. */
#ifndef CONFIG_FAKE_PLUGINS_H
#define CONFIG_FAKE_PLUGINS_H

#include "plugin/plugins.h"
#include <stdlib.h>

struct fake_options {
	const char *dir, *listen, *token;
	uint64_t segment, window;
};

#define FAKE_AT(m) offsetof(struct fake_options, m)

static const struct mosaic_option fake_store_options[] = {
	{ "dir", MOSAIC_T_STRING, 0, FAKE_AT(dir), "mosaic-data", NULL, NULL, NULL, "Folder" },
	{ "segment", MOSAIC_T_SIZE, 0, FAKE_AT(segment), "1GiB", "1MiB", "8GiB", NULL, "Bytes" },
};
static const struct mosaic_option fake_needy_options[] = {
	{ "token", MOSAIC_T_STRING, MOSAIC_O_REQUIRED | MOSAIC_O_SECRET, FAKE_AT(token), NULL, NULL,
	  NULL, NULL, "A word that lets you in" },
};
static const struct mosaic_option fake_transport_options[] = {
	{ "listen", MOSAIC_T_ADDRESS, 0, FAKE_AT(listen), NULL, NULL, NULL, NULL, "Address" },
};
static const struct mosaic_option fake_flush_options[] = {
	{ "window", MOSAIC_T_DURATION, MOSAIC_O_EXPOSURE, FAKE_AT(window), "10s", "1ms", "1h", NULL,
	  "Time" },
};

static void fake_operation(void)
{
}

/* A table of operations: the size, then as many pointers as fit. */
struct fake_ops {
	uint32_t struct_size, reserved0;
	void (*operations[40])(void);
};

static struct fake_ops fake_ops_make(void)
{
	struct fake_ops ops = { .struct_size = sizeof(ops) };

	for (size_t i = 0; i < ARRAY_LEN(ops.operations); i++)
		ops.operations[i] = fake_operation;
	return ops;
}

#define FAKE(plugin_name, ...)                                                                    \
	{ .struct_size = sizeof(struct mosaic_plugin), .abi_minor = MOSAIC_ABI_MINOR,             \
	  .name = (plugin_name), .version = "0.0.1", .license = "none", .summary = "Does nothing",\
	  .ops = ops, __VA_ARGS__ }
#define FAKE_OPTIONS(table) MOSAIC_OPTIONS(struct fake_options, table)
#define FAKE_DISK                                                                                 \
	MOSAIC_STORE_CAP_SYNC | MOSAIC_STORE_CAP_CRASH | MOSAIC_STORE_CAP_TRUNCATE

struct fake_plugins {
	struct fake_ops ops;
	struct mosaic_plugin descs[8];
	struct plugin_builtin builtins[8];
	struct plugins *plugins;
};

static struct fake_plugins *fake_plugins_create(void)
{
	struct fake_plugins *f = calloc(1, sizeof(*f));
	const void *ops = &f->ops;
	const struct mosaic_plugin descs[] = {
		FAKE("transport-tcp", MOSAIC_KIND_TRANSPORT, FAKE_OPTIONS(fake_transport_options)),
		FAKE("store-mmap", MOSAIC_KIND_STORE, .caps = FAKE_DISK,
		     FAKE_OPTIONS(fake_store_options)),
		FAKE("store-memory", MOSAIC_KIND_STORE),
		FAKE("flush-async", MOSAIC_KIND_FLUSH, FAKE_OPTIONS(fake_flush_options)),
		FAKE("flush-sync", MOSAIC_KIND_FLUSH, .caps = MOSAIC_FLUSH_CAP_GATES,
		     .wants = MOSAIC_STORE_CAP_SYNC),
		FAKE("lb-roundrobin", MOSAIC_KIND_BALANCE),
		FAKE("repl-needy", MOSAIC_KIND_REPLICATION, .caps = MOSAIC_REPLICATION_CAP_ACKABLE,
		     .wants = MOSAIC_STORE_CAP_TRUNCATE, FAKE_OPTIONS(fake_needy_options)),
	};

	f->ops = fake_ops_make();
	memcpy(f->descs, descs, sizeof(descs));
	for (size_t i = 0; i < ARRAY_LEN(descs); i++)
		f->builtins[i].plugin = &f->descs[i];
	f->plugins = plugins_create(f->builtins, ARRAY_LEN(descs));
	plugins_set_default(f->plugins, MOSAIC_TRANSPORT, "transport-tcp");
	plugins_set_default(f->plugins, MOSAIC_STORE, "store-mmap");
	plugins_set_default(f->plugins, MOSAIC_FLUSH, "flush-async");
	plugins_set_default(f->plugins, MOSAIC_BALANCE, "lb-roundrobin");
	return f;
}

static void fake_plugins_destroy(struct fake_plugins *f)
{
	plugins_destroy(&f->plugins);
	free(f);
}

#endif
