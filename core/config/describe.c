#include "config/describe.h"
#include "config/options.h"
#include "config/tables.h"
#include "plugin/kind.h"
#include "plugin/value.h"
#include <stdlib.h>

static void print_caps(const char *word, uint32_t kind, uint64_t caps, struct buf *out)
{
	const char *name, *text;

	for (uint32_t i = 0; i < 64; i++) {
		uint64_t bit = UINT64_C(1) << i;

		if ((caps & bit) == 0)
			continue;
		name = plugin_cap_name(kind, bit);
		text = plugin_cap_text(kind, bit);
		if (name)
			buf_printf(out, "%s %s (%s)\n", word, name, text);
		else
			buf_printf(out, "%s bit %u, unknown to this host\n", word, i);
	}
}

static void print_option(const struct mosaic_option *o, struct buf *out)
{
	buf_printf(out, "  %-16s %s", o->name, value_type_name(o->type));
	if (o->fallback)
		buf_printf(out, ", default %s", o->fallback);
	if (o->min || o->max)
		buf_printf(out, ", %s to %s", o->min ? o->min : "0", o->max ? o->max : "any");
	if (o->choices)
		buf_printf(out, ", one of %s", o->choices);
	if ((o->flags & MOSAIC_O_REQUIRED) != 0)
		buf_append_str(out, ", required");
	if ((o->flags & MOSAIC_O_SECRET) != 0)
		buf_append_str(out, ", secret");
	if ((o->flags & MOSAIC_O_RELOADABLE) != 0)
		buf_append_str(out, ", can change while running");
	if ((o->flags & MOSAIC_O_DEPRECATED) != 0)
		buf_append_str(out, ", deprecated");
	buf_printf(out, "\n  %-16s %s\n", "", o->summary ? o->summary : "");
}

void describe_text(const struct loaded_plugin *plugin, struct buf *out)
{
	const struct mosaic_plugin *d = &plugin->desc;
	uint32_t of = kind_of(d->kind)->wants_of;

	buf_printf(out, "%s %s: %s\n\n", d->name, d->version, d->summary);
	buf_printf(out, "kind     %s, interface %u.%u, needs at least %u.%u\n",
		   plugin_kind_name(d->kind), d->kind_major, d->kind_minor, d->kind_major,
		   d->kind_minor_needed);
	buf_printf(out, "ABI      %u.%u, needs at least %u.%u\n", d->abi_major, d->abi_minor,
		   d->abi_major, d->abi_minor_needed);
	buf_printf(out, "license  %s\n", d->license);
	if (d->vendor)
		buf_printf(out, "vendor   %s\n", d->vendor);
	if (d->url)
		buf_printf(out, "url      %s\n", d->url);
	buf_printf(out, "file     %s\n", plugin->file);
	print_caps("offers  ", d->kind, d->caps, out);
	print_caps("needs   ", of, d->wants, out);
	buf_append_str(out, d->n_options > 0 ? "\noptions\n" : "\nno options\n");
	for (uint32_t i = 0; i < d->n_options; i++)
		print_option(&d->options[i], out);
}

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

static void dump(json_t *json, int indent, struct buf *out)
{
	char *text = json_dumps(json, indent > 0 ? JSON_INDENT((size_t)indent) : JSON_COMPACT);

	ASSERT(text);
	buf_append_str(out, text);
	free(text);
	json_decref(json);
}

static json_t *caps_json(uint32_t kind, uint64_t caps)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < 64; i++) {
		uint64_t bit = UINT64_C(1) << i;
		const char *name = plugin_cap_name(kind, bit);

		if ((caps & bit) != 0)
			json_array_append_new(array, name ? json_string(name)
							  : json_sprintf("bit%u", i));
	}
	return array;
}

static json_t *option_json(const struct mosaic_option *o)
{
	json_t *json = json_object();

	json_object_set_new(json, "name", json_string(o->name));
	json_object_set_new(json, "type", json_string(value_type_name(o->type)));
	json_object_set_new(json, "default", text_or_null(o->fallback));
	json_object_set_new(json, "min", text_or_null(o->min));
	json_object_set_new(json, "max", text_or_null(o->max));
	json_object_set_new(json, "choices", text_or_null(o->choices));
	json_object_set_new(json, "summary", text_or_null(o->summary));
	json_object_set_new(json, "required", json_boolean(o->flags & MOSAIC_O_REQUIRED));
	json_object_set_new(json, "secret", json_boolean(o->flags & MOSAIC_O_SECRET));
	json_object_set_new(json, "reloadable", json_boolean(o->flags & MOSAIC_O_RELOADABLE));
	json_object_set_new(json, "deprecated", json_boolean(o->flags & MOSAIC_O_DEPRECATED));
	return json;
}

static json_t *version_json(uint32_t major, uint32_t minor, uint32_t needed)
{
	return json_pack("{sisisi}", "major", (int)major, "minor", (int)minor, "minorNeeded",
			 (int)needed);
}

void describe_json(const struct loaded_plugin *plugin, int indent, struct buf *out)
{
	const struct mosaic_plugin *d = &plugin->desc;
	json_t *json = json_object(), *options = json_array();

	for (uint32_t i = 0; i < d->n_options; i++)
		json_array_append_new(options, option_json(&d->options[i]));
	json_object_set_new(json, "name", json_string(d->name));
	json_object_set_new(json, "version", json_string(d->version));
	json_object_set_new(json, "kind", json_string(plugin_kind_name(d->kind)));
	json_object_set_new(json, "summary", json_string(d->summary));
	json_object_set_new(json, "license", json_string(d->license));
	json_object_set_new(json, "vendor", text_or_null(d->vendor));
	json_object_set_new(json, "url", text_or_null(d->url));
	json_object_set_new(json, "file", json_string(plugin->file));
	json_object_set_new(json, "abi", version_json(d->abi_major, d->abi_minor,
						      d->abi_minor_needed));
	json_object_set_new(json, "interface", version_json(d->kind_major, d->kind_minor,
							    d->kind_minor_needed));
	json_object_set_new(json, "offers", caps_json(d->kind, d->caps));
	json_object_set_new(json, "needs", caps_json(kind_of(d->kind)->wants_of, d->wants));
	json_object_set_new(json, "options", options);
	dump(json, indent, out);
}

static json_t *closed_object(json_t *properties)
{
	json_t *schema = json_object();

	json_object_set_new(schema, "type", json_string("object"));
	json_object_set_new(schema, "additionalProperties", json_false());
	json_object_set_new(schema, "properties", properties);
	return schema;
}

static json_t *table_properties(const struct mosaic_option *options, uint32_t n)
{
	json_t *properties = json_object();

	for (uint32_t i = 0; i < n; i++)
		json_object_set_new(properties, options[i].name, options_schema(&options[i]));
	return properties;
}

struct alternatives {
	struct plugins *plugins;
	uint32_t kind;
	const struct config_table *extra; /* keys of the core beside the plugin's, or NULL */
	json_t *list;
};

/* { "plugin": NAME, its options }; "plugin" may be left out only for the default. */
static void add_alternative(void *ctx, const char *name, const char *file)
{
	struct alternatives *a = ctx;
	const struct loaded_plugin *plugin;
	struct mosaic_error err = ERR_INIT;
	const char *fallback = plugins_default(a->plugins, a->kind);
	json_t *properties, *schema, *required;

	(void)file;
	if (plugins_find(a->plugins, name, a->kind, &plugin, &err) != 0)
		return;
	properties = table_properties(plugin->desc.options, plugin->desc.n_options);
	for (uint32_t i = 0; a->extra && i < a->extra->n; i++)
		json_object_set_new(properties, a->extra->options[i].name,
				    options_schema(&a->extra->options[i]));
	if (!a->extra)
		json_object_del(properties, "listen"); /* namesrv.listen says it */
	json_object_set_new(properties, "plugin", json_pack("{ss}", "const", name));
	if (a->kind == MOSAIC_STORE)
		json_object_set_new(properties, "fallback",
				    json_pack("{ss}", "type", "string"));
	schema = closed_object(properties);
	json_object_set_new(schema, "title", json_string(name));
	json_object_set_new(schema, "description", json_string(plugin->desc.summary));
	required = json_array();
	if (!fallback || strcmp(fallback, name) != 0)
		json_array_append_new(required, json_string("plugin"));
	for (uint32_t i = 0; i < plugin->desc.n_options; i++)
		if ((plugin->desc.options[i].flags & MOSAIC_O_REQUIRED) != 0)
			json_array_append_new(required, json_string(plugin->desc.options[i].name));
	json_object_set_new(schema, "required", required);
	json_array_append_new(a->list, schema);
}

static json_t *slot_schema(struct plugins *plugins, uint32_t kind,
			   const struct config_table *extra, const char *summary)
{
	struct alternatives a = { plugins, kind, extra, json_array() };
	json_t *schema = json_object();

	plugins_each(plugins, add_alternative, &a);
	json_object_set_new(schema, "description", json_string(summary));
	if (json_array_size(a.list) > 0)
		json_object_set_new(schema, "anyOf", a.list);
	else
		json_decref(a.list);
	return schema;
}

static json_t *broker_schema(struct plugins *plugins)
{
	json_t *properties = table_properties(config_broker_table.options, config_broker_table.n);

	for (uint32_t i = 0; i < config_n_slots; i++) {
		const struct config_slot *slot = &config_slots[i];

		json_object_set_new(properties, slot->name,
				    slot_schema(plugins, slot->kind,
						slot->kind == MOSAIC_TRANSPORT ? &config_transport
									       : NULL,
						slot->summary));
	}
	json_object_set_new(properties, "retention",
			    closed_object(table_properties(config_retention_table.options,
							   config_retention_table.n)));
	return closed_object(properties);
}

static json_t *namesrv_schema(struct plugins *plugins)
{
	json_t *properties = table_properties(config_namesrv_table.options, config_namesrv_table.n);

	json_object_set_new(properties, "transport",
			    slot_schema(plugins, MOSAIC_TRANSPORT, NULL, "carries frames"));
	return closed_object(properties);
}

void describe_schema(struct plugins *plugins, struct buf *out)
{
	json_t *properties = table_properties(config_top.options, config_top.n);
	json_t *schema, *brokers = json_pack("{sss{ss}sisi}", "type", "array", "items", "$ref",
					     "#/$defs/broker", "minItems", 1, "maxItems",
					     CONFIG_BROKERS_MAX);

	json_object_set_new(properties, "plugins",
			    closed_object(table_properties(config_plugins.options,
							   config_plugins.n)));
	json_object_set_new(properties, "log",
			    closed_object(table_properties(config_log.options, config_log.n)));
	json_object_set_new(properties, "namesrv", namesrv_schema(plugins));
	json_object_set_new(properties, "broker", json_pack("{ss}", "$ref", "#/$defs/broker"));
	json_object_set_new(properties, "brokers", brokers);
	schema = closed_object(properties);
	json_object_set_new(schema, "$schema",
			    json_string("https://json-schema.org/draft/2020-12/schema"));
	json_object_set_new(schema, "title", json_string("Configuration of Mosaic"));
	json_object_set_new(schema, "$defs", json_pack("{so}", "broker", broker_schema(plugins)));
	dump(schema, 2, out);
	buf_append_byte(out, '\n');
}
