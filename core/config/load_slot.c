/* A place for a plugin: find the plugin, take its defaults, put the JSON over them. */
#include "config/load.h"

void load_slot(struct load *l, struct plugin_instance *place, uint32_t kind,
	       bool is_needed, const json_t *object, const char *const *also, const char *path)
{
	const json_t *name = object ? json_object_get(object, "plugin") : NULL;
	const char *fallback = is_needed ? plugins_default(l->plugins, kind) : NULL;
	const char *wanted = name ? json_string_value(name) : fallback;
	const struct loaded_plugin *plugin;
	struct mosaic_error err = ERR_INIT;

	if (object && !json_is_object(object)) {
		problems_add(l->problems, path, "must be an object with \"plugin\" in it");
		return;
	}
	if (!wanted) {
		if (name)
			problems_add(l->problems, path, "\"plugin\" must be a text");
		else if (object)
			problems_add(l->problems, path, "needs \"plugin\", the name of a plugin");
		else if (is_needed)
			problems_add(l->problems, path, "needs { \"plugin\": NAME }: there is no "
				     "default %s plugin", plugin_kind_name(kind));
		return;
	}
	if (plugins_find(l->plugins, wanted, kind, &plugin, &err) != 0) {
		problems_add(l->problems, path, "%s", err.text);
		return;
	}
	plugin_instance_init(place, plugin);
	json_t *nothing = json_object();
	options_fill(plugin->desc.options, plugin->desc.n_options, place->options,
		     object ? object : nothing, also, path, l->problems);
	json_decref(nothing);
}

void load_pass_listen(struct plugin_instance *transport, const char *listen)
{
	const struct mosaic_option *o;

	if (!transport->plugin)
		return;
	o = options_find(transport->plugin->desc.options, transport->plugin->desc.n_options,
			 "listen");
	if (o && o->type == MOSAIC_T_ADDRESS)
		ASSERT(value_set(o, slice_str(listen), transport->options, NULL) == 0);
}
