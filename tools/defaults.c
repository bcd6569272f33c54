#include "defaults.h"

static const struct {
	uint32_t kind;
	const char *name;
} defaults[] = {
	{ MOSAIC_TRANSPORT, "transport-tcp" },
	{ MOSAIC_STORE, "store-mmap" },
	{ MOSAIC_FLUSH, "flush-async" },
	{ MOSAIC_BALANCE, "lb-roundrobin" },
};

struct plugins *tools_plugins(void)
{
	struct plugins *plugins = plugins_create(NULL, 0);

	for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
		plugins_set_default(plugins, defaults[i].kind, defaults[i].name);
	return plugins;
}

int tools_load(const char *file, struct plugins *plugins, struct config **out,
	       struct problems *problems)
{
	static const char text[] = "{ \"roles\": [\"namesrv\", \"broker\"],"
		" \"broker\": { \"store\": { \"dir\": \"mosaic-data\" } } }";

	if (file)
		return config_load_file(file, plugins, out, problems);
	return config_load_text("(defaults)", slice_str(text), plugins, out, problems);
}
