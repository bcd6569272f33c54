/*
 * A plugin that passed every check, as the host sees it: copies of descriptor and operations in the
 * host's own shape, so that nobody has to look at sizes or NULL again. And an instance's options.
 */
#ifndef PLUGIN_LOADED_H
#define PLUGIN_LOADED_H

#include "base/compiler.h"
#include <mosaic/balance.h>
#include <mosaic/flush.h>
#include <mosaic/replication.h>
#include <mosaic/store.h>
#include <mosaic/transport.h>

struct loaded_plugin {
	struct mosaic_plugin desc; /* the copy; desc.ops points at the plugin's own table */
	char *file;                /* "(built in)" for those that are linked in */
	union {
		struct mosaic_store_ops store;
		struct mosaic_flush_ops flush;
		struct mosaic_replication_ops replication;
		struct mosaic_balance_ops balance;
		struct mosaic_transport_ops transport;
	} ops; /* complete: no member is NULL */
};

/* A plugin in its place, with the options that its create() gets. plugin NULL: the place is
 * empty. */
struct plugin_instance {
	const struct loaded_plugin *plugin;
	void *options;
};

/* Options are the defaults. */
void plugin_instance_init(struct plugin_instance *instance, const struct loaded_plugin *plugin);
void plugin_instance_free(struct plugin_instance *instance);

/* "store", "flush" ...; NULL for an unknown kind. */
const char *plugin_kind_name(uint32_t kind);
/* The name of a capability bit, such as "SYNC", and what it means; NULL when the bit is unknown. */
const char *plugin_cap_name(uint32_t kind, uint64_t bit);
const char *plugin_cap_text(uint32_t kind, uint64_t bit);
/* ABI version of a kind as this host has it. */
void plugin_kind_version(uint32_t kind, uint32_t *major, uint32_t *minor);

/*
 * Checks a descriptor against this host (versions, flags, names, option table, operations) and
 * makes the copies. name: what the file is called, NULL: not checked. 0, or E_UNSUPPORTED / E_INVAL
 * with a text that begins with the file.
 */
NODISCARD int plugin_adopt(const struct mosaic_plugin *theirs, const char *file, const char *name,
			   struct loaded_plugin *out, struct mosaic_error *err);

#endif
