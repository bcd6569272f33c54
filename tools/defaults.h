/*
 * What the program takes where nothing else is said: the one place that knows plugins by name.
 */
#ifndef TOOLS_DEFAULTS_H
#define TOOLS_DEFAULTS_H

#include "config/config.h"

/* A registry that knows the default plugin of each kind and no folder yet. */
struct plugins *tools_plugins(void);
/* file NULL: NameServer and broker with a store in ./mosaic-data. As config_load_file(). */
NODISCARD int tools_load(const char *file, struct plugins *plugins, struct config **out,
			 struct problems *problems);

#endif
