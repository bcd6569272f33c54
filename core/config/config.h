/*
 * The configuration of one process: JSON file -> checked structs, with every plugin loaded and its
 * options filled. All problems of a file are found in one go.
 *
 *   plugins_create(...)        built-in plugins, folders from the command line
 *   plugins_set_default(...)   the plugins of places that the file does not fill
 *   config_load_file(...)
 *   config->brokers[i].store.plugin->ops.store.create(host, config->brokers[i].store.options, ...)
 *   config_free, plugins_destroy
 *
 * Strings belong to the config and live until config_free. [main]
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "plugin/plugins.h"
#include "plugin/problems.h"
#include "plugin/value.h"

#define CONFIG_FILE_MAX (1u << 20)
#define CONFIG_BROKERS_MAX 64

struct config_namesrv {
	const char *listen;    /* "0.0.0.0:9876" */
	const char *kv_config; /* file */
	uint64_t broker_expiry_ns, scan_ns;
	int64_t max_topics, max_brokers;
	struct plugin_instance transport;
};

struct config_retention {
	uint64_t time_ns, size_bytes, interval_ns, pause_ns;
	const char *at; /* as written */
	uint32_t hours; /* the same, bit h for hour h */
	int64_t disk_clean, disk_force, disk_stop; /* percent; 0: off */
	uint8_t keep_unconsumed;
};

struct config_broker {
	const char *cluster, *name;
	uint32_t is_slave; /* role: 0 master, 1 slave */
	int64_t id;        /* 0 for a master only */
	const char *listen;
	const char *address_option; /* as written; NULL: found out */
	/* What clients dial and records carry. text is "ip:port"; port 0 when listen's port is 0:
	 * the node then writes the port that was bound. */
	struct mosaic_address address;
	/* NameServers. Without "namesrv" in the file: the NameServer of this process, else
	 * 127.0.0.1:9876. Port 0 means: that of this process' NameServer, once it is bound. */
	struct value_list namesrv;
	uint64_t max_message_bytes;
	uint8_t auto_create_topic, auto_create_group, index;
	int64_t index_slots, index_entries;
	int64_t topic_queues, permission;
	int64_t max_topics, max_groups, max_held_pulls, max_parked_sends, max_waiting_acks;
	uint64_t max_parked_bytes;
	struct config_retention retention;
	/* flush may be empty (a store that cannot sync), replication too */
	struct plugin_instance transport, store, flush, replication, balance;
	char store_note[640]; /* why `store` is the fallback; empty: it is not */
};

struct config {
	char *file; /* or the name that a text was given */
	struct value_list roles, plugin_path;
	uint32_t log_level; /* enum mosaic_log_level */
	bool has_namesrv;
	struct config_namesrv namesrv;
	struct config_broker *brokers;
	uint32_t n_brokers; /* 0: no role broker */
};

/*
 * Folders of "plugins.path" are added to plugins, or the default folders when there is none and
 * plugins has no folder yet. 0 and *out, or E_INVAL and at least one problem.
 */
NODISCARD int config_load_file(const char *file, struct plugins *plugins, struct config **out,
			       struct problems *problems);
/* name: what problems call the text. */
NODISCARD int config_load_text(const char *name, struct mosaic_slice text, struct plugins *plugins,
			       struct config **out, struct problems *problems);
void config_free(struct config **config);

/* What it is made of and what an acknowledgement survives, for people. */
void config_print(const struct config *config, struct buf *out);

#endif
