/*
 * mosaic/plugin.h - the descriptor that a plugin exports and the table of its options.
 *
 * A shared object exports exactly one symbol, `mosaic_plugin`: a const object, so nothing of the
 * plugin runs when the host reads it. Write it with MOSAIC_PLUGIN(...) at file scope:
 *
 *   MOSAIC_PLUGIN(.name = "flush-async", .version = "0.1.0", .license = "Apache-2.0",
 *                 .summary = "...", MOSAIC_KIND_FLUSH, .ops = &ops,
 *                 MOSAIC_OPTIONS(struct options, options));
 */
#ifndef MOSAIC_PLUGIN_H
#define MOSAIC_PLUGIN_H

#include <mosaic/base.h>

enum mosaic_kind {
	MOSAIC_STORE = 1,
	MOSAIC_FLUSH = 2,
	MOSAIC_REPLICATION = 3,
	MOSAIC_BALANCE = 4,
	MOSAIC_TRANSPORT = 5,
	MOSAIC_KIND_MAX = 5
};

/* Capability bits common to all kinds live in the top byte; the rest belongs to each kind. */
#define MOSAIC_CAP_THREADS (UINT64_C(1) << 56) /* owns threads; enters only by post, watermark */

enum mosaic_option_type {
	MOSAIC_T_BOOL = 1,     /* uint8_t: 0 or 1 */
	MOSAIC_T_INT = 2,      /* int64_t; min and max as decimal text */
	MOSAIC_T_SIZE = 3,     /* uint64_t bytes; JSON number or "64KiB", "1GiB" */
	MOSAIC_T_DURATION = 4, /* uint64_t nanoseconds; JSON text "500ms", "10s", "72h" */
	MOSAIC_T_STRING = 5,   /* const char *; owned by the host, lives as long as the instance */
	MOSAIC_T_CHOICE = 6,   /* uint32_t index into the `|`-separated list in `choices` */
	MOSAIC_T_ADDRESS = 7   /* const char *: "host:port", "[v6]:port" */
};

enum mosaic_option_flags {
	MOSAIC_O_REQUIRED = 1u << 0,
	MOSAIC_O_SECRET = 1u << 1,
	MOSAIC_O_RELOADABLE = 1u << 2,
	MOSAIC_O_DEPRECATED = 1u << 3,
	MOSAIC_O_EXPOSURE = 1u << 4 /* a duration: so long may acknowledged data be at risk */
};

/* One option. The host checks the JSON against this table and fills the plugin's struct. */
struct mosaic_option {
	const char *name;
	uint32_t type;  /* enum mosaic_option_type */
	uint32_t flags; /* enum mosaic_option_flags */
	size_t offset;  /* offsetof the member in the plugin's options struct */
	const char *fallback; /* default, as text; NULL: none (zero) */
	const char *min, *max;
	const char *choices;
	const char *summary; /* one sentence, for describe, the schema and the manual */
};

/*
 * First eight bytes are frozen for ever. *_minor_needed: the least host that the plugin runs on.
 * caps: what it offers. wants: bits of the neighbour named in the kind's header that it needs.
 */
struct mosaic_plugin {
	uint32_t struct_size;
	uint16_t abi_major, abi_minor;
	uint16_t abi_minor_needed;
	uint16_t kind; /* enum mosaic_kind */
	uint16_t kind_major, kind_minor, kind_minor_needed, reserved0;
	uint32_t flags; /* 0; unknown bits are refused */
	uint32_t n_options;
	uint32_t options_size; /* sizeof the plugin's own options struct */
	const struct mosaic_option *options;
	const char *name, *version, *vendor, *license, *summary, *url;
	uint64_t caps, wants;
	const void *ops; /* struct mosaic_<kind>_ops; struct_size first */
};

/* A build that links plugins in renames the symbol, so that many fit into one program. */
#ifndef MOSAIC_PLUGIN_SYMBOL
#define MOSAIC_PLUGIN_SYMBOL mosaic_plugin
#endif

#ifdef __cplusplus
#define MOSAIC_PLUGIN_LINKAGE extern "C"
#else
#define MOSAIC_PLUGIN_LINKAGE extern
#endif

#define MOSAIC_PLUGIN(...)                                                                        \
	MOSAIC_PLUGIN_LINKAGE MOSAIC_EXPORT const struct mosaic_plugin MOSAIC_PLUGIN_SYMBOL;      \
	const struct mosaic_plugin MOSAIC_PLUGIN_SYMBOL = { .struct_size =                        \
								    sizeof(struct mosaic_plugin), \
							    .abi_major = MOSAIC_ABI_MAJOR,        \
							    .abi_minor = MOSAIC_ABI_MINOR,        \
							    __VA_ARGS__ }

#define MOSAIC_OPTIONS(type, table)                                                               \
	.n_options = sizeof(table) / sizeof((table)[0]), .options_size = sizeof(type),            \
	.options = (table)

#endif
