/* What the host knows about each kind of plugin: one row per kind, nothing about any plugin. */
#ifndef PLUGIN_KIND_H
#define PLUGIN_KIND_H

#include "base/compiler.h"
#include <mosaic/plugin.h>

struct kind_member {
	const char *name;
	size_t offset;
};

struct kind_cap {
	uint64_t bit;
	const char *name, *text;
};

struct kind {
	const char *name;
	uint16_t major, minor;
	uint32_t wants_of; /* the kind whose capabilities `wants` is about, 0: none */
	size_t ops_bytes;
	const struct kind_member *members; /* required operations */
	uint32_t n_members;
	const struct kind_cap *caps;
	uint32_t n_caps;
};

/* NULL for an unknown kind. */
const struct kind *kind_of(uint32_t kind);

#endif
