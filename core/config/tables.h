/* Every key of the configuration file, once: parser, schema and manual are made from these
 * tables. */
#ifndef CONFIG_TABLES_H
#define CONFIG_TABLES_H

#include "config/config.h"

struct config_table {
	const struct mosaic_option *options;
	uint32_t n;
};

/* A place for a plugin: an object with "plugin" and that plugin's options. */
struct config_slot {
	const char *name;
	uint32_t kind;
	size_t offset;    /* of the struct plugin_instance in struct config_broker */
	bool may_be_empty;
	const char *summary;
};

extern const struct config_table config_top, config_plugins, config_log;
extern const struct config_table config_namesrv_table, config_broker_table;
extern const struct config_table config_transport; /* keys of the core in a broker's transport */
extern const struct config_table config_retention_table; /* a broker's retention */
extern const struct config_slot config_slots[];
extern const uint32_t config_n_slots;

#endif
