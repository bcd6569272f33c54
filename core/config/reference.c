/* The manual of the configuration file, docs/configuration.md, from the tables and the plugins. */
#include "config/describe.h"
#include "config/tables.h"
#include "plugin/kind.h"
#include "plugin/value.h"

static const char intro[] =
	"# Configuration\n\n"
	"<!-- Written by `mosaic plugins reference`; a test compares. Change the tables. -->\n\n"
	"A configuration is one JSON file. Every key may be left out: `{}` is a NameServer and a\n"
	"broker in one process. Unknown keys and wrong values are errors; `mosaic check FILE`\n"
	"tells all of them at once, with their lines. `mosaic plugins schema` prints the same as\n"
	"JSON Schema, for editors.\n\n"
	"| type | is written as |\n|---|---|\n"
	"| bool | `true` or `false` |\n"
	"| integer | a number |\n"
	"| size | bytes as a number, or `\"64KiB\"`, `\"4MiB\"`, `\"1GiB\"` |\n"
	"| duration | `\"500ms\"`, `\"10s\"`, `\"5m\"`, `\"72h\"`, `\"3d\"` |\n"
	"| string, choice | a text |\n"
	"| address | `\"host:port\"`, `\"[v6]:port\"`; to listen at port 0 means any free one |\n"
	"| list | an array of texts |\n"
	"| object | a section of its own, below |\n";

/* A cell of a table, which `|` would end; a full stop at the end is left out. */
static void print_cell(const char *text, struct buf *out)
{
	for (; *text && strcmp(text, ".") != 0; text++)
		buf_printf(out, *text == '|' ? "\\%c" : "%c", *text);
}

static void print_code(const char *text, struct buf *out)
{
	if (text[0] == '\0')
		return;
	buf_append_byte(out, '`');
	print_cell(text, out);
	buf_append_byte(out, '`');
}

static bool is_zero(const char *bound)
{
	return bound[strcspn(bound, "123456789")] == '\0';
}

static void print_range(const struct mosaic_option *o, struct buf *out)
{
	if (o->choices)
		print_code(o->choices, out);
	else if (o->max)
		buf_printf(out, "%s to %s", o->min ? o->min : "0", o->max);
	else if (o->min && !is_zero(o->min))
		buf_printf(out, "%s and more", o->min);
}

static void print_row(const struct mosaic_option *o, struct buf *out)
{
	buf_printf(out, "| `%s` | %s | ", o->name, value_type_name(o->type));
	if ((o->flags & MOSAIC_O_REQUIRED) != 0)
		buf_append_str(out, "required");
	else if (o->fallback)
		print_code(o->fallback, out);
	buf_append_str(out, " | ");
	print_range(o, out);
	buf_append_str(out, " | ");
	print_cell(o->summary ? o->summary : "", out);
	if ((o->flags & MOSAIC_O_SECRET) != 0)
		buf_append_str(out, " (secret: never printed)");
	if ((o->flags & MOSAIC_O_DEPRECATED) != 0)
		buf_append_str(out, " (deprecated)");
	buf_append_str(out, " |\n");
}

/* hidden: an option that is not for the file, or NULL. */
static void print_options(const struct mosaic_option *options, uint32_t n, const char *hidden,
			  struct buf *out)
{
	if (n == 0) {
		buf_append_str(out, "\nNo options.\n");
		return;
	}
	buf_append_str(out, "\n| option | type | default | range | meaning |\n"
			    "|---|---|---|---|---|\n");
	for (uint32_t i = 0; i < n; i++)
		if (!hidden || strcmp(options[i].name, hidden) != 0)
			print_row(&options[i], out);
}

static void print_section(const char *title, const struct config_table *t, struct buf *out)
{
	buf_printf(out, "\n## %s\n", title);
	print_options(t->options, t->n, NULL, out);
}

struct chapter {
	struct plugins *plugins;
	uint32_t kind;
	struct buf *out;
};

static void print_caps(const struct mosaic_plugin *desc, struct buf *out)
{
	const char *between = "Offers: ";

	for (uint32_t i = 0; i < 64; i++) {
		uint64_t bit = UINT64_C(1) << i;

		if ((desc->caps & bit) == 0 || !plugin_cap_text(desc->kind, bit))
			continue;
		buf_printf(out, "%s%s", between, plugin_cap_text(desc->kind, bit));
		between = "; ";
	}
	if (strcmp(between, "; ") == 0)
		buf_append_str(out, ".\n");
}

static void print_plugin(void *ctx, const char *name, const char *file)
{
	const struct chapter *c = ctx;
	const struct loaded_plugin *plugin;
	const char *fallback = plugins_default(c->plugins, c->kind);
	struct mosaic_error err = ERR_INIT;

	(void)file;
	if (plugins_find(c->plugins, name, c->kind, &plugin, &err) != 0)
		return; /* of another kind */
	buf_printf(c->out, "\n### %s%s\n\n", name,
		   fallback && strcmp(fallback, name) == 0 ? " (default)" : "");
	print_cell(plugin->desc.summary, c->out);
	buf_append_str(c->out, ".\n");
	print_caps(&plugin->desc, c->out);
	/* The core's "listen" fills a transport's own. */
	print_options(plugin->desc.options, plugin->desc.n_options,
		      c->kind == MOSAIC_TRANSPORT ? "listen" : NULL, c->out);
}

static void print_chapter(struct plugins *plugins, const struct config_slot *slot, struct buf *out)
{
	struct chapter c = { plugins, slot->kind, out };

	buf_printf(out, "\n## broker.%s: the plugin that %s\n\n"
		   "`{ \"plugin\": NAME, options }`%s.", slot->name, slot->summary,
		   slot->may_be_empty ? "; may be left out, then there is none" : "");
	if (slot->kind == MOSAIC_TRANSPORT) {
		buf_append_str(out, " Beside the plugin's options, for a broker only:\n");
		print_options(config_transport.options, config_transport.n, NULL, out);
	} else {
		buf_append_byte(out, '\n');
	}
	plugins_each(plugins, print_plugin, &c);
}

void describe_reference(struct plugins *plugins, struct buf *out)
{
	buf_append_str(out, intro);
	print_section("The file", &config_top, out);
	print_section("plugins", &config_plugins, out);
	print_section("log", &config_log, out);
	print_section("namesrv", &config_namesrv_table, out);
	print_section("broker, and each of brokers", &config_broker_table, out);
	print_section("broker.retention", &config_retention_table, out);
	for (uint32_t i = 0; i < config_n_slots; i++)
		print_chapter(plugins, &config_slots[i], out);
}
