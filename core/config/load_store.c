/*
 * The place of the store. It may name a second plugin, "fallback", which takes the place when the
 * first says that it cannot be used on this machine: at once, so that everything that follows, what
 * an acknowledgement survives among it, is about the store that is used.
 */
#include "config/load.h"
#include <stdio.h>

static const char *const core_keys[] = { "plugin", "fallback", NULL };

static bool is_usable(const struct plugin_instance *store, struct mosaic_error *err)
{
	const struct mosaic_store_ops *ops = &store->plugin->ops.store;

	return !ops->usable || ops->usable(store->options, err) >= 0;
}

/* The section as the fallback reads it: options that only the first plugin has are left out. */
static json_t *section_of(const json_t *object, const struct mosaic_plugin *first,
			  const struct mosaic_plugin *second)
{
	json_t *section = json_copy((json_t *)(uintptr_t)object);

	for (uint32_t i = 0; i < first->n_options; i++)
		if (!options_find(second->options, second->n_options, first->options[i].name))
			json_object_del(section, first->options[i].name);
	json_object_set_new(section, "plugin", json_string(second->name));
	return section;
}

void load_store(struct load *l, struct config_broker *b, const json_t *object, const char *path)
{
	const json_t *name = json_object_get(object, "fallback");
	const struct loaded_plugin *second;
	struct mosaic_error err = ERR_INIT;
	struct plugin_instance first;

	load_slot(l, &b->store, MOSAIC_STORE, true, object, core_keys, path);
	if (!name || !b->store.plugin)
		return;
	if (!json_is_string(name)) {
		problems_add(l->problems, path, "\"fallback\" must be the name of a store plugin");
		return;
	}
	if (plugins_find(l->plugins, json_string_value(name), MOSAIC_STORE, &second, &err) != 0) {
		problems_add(l->problems, path, "\"fallback\": %s", err.text);
		return;
	}
	if (is_usable(&b->store, &err))
		return;
	first = b->store;
	b->store = (struct plugin_instance){ 0 };
	snprintf(b->store_note, sizeof(b->store_note), "%s takes the place of %s: %s",
		 second->desc.name, first.plugin->desc.name, err.text);
	json_t *section = section_of(object, &first.plugin->desc, &second->desc);
	load_slot(l, &b->store, MOSAIC_STORE, true, section, core_keys, path);
	json_decref(section);
	plugin_instance_free(&first);
}
