/* A configuration in words, for `mosaic check` and the first lines of the log. */
#include "config/config.h"
#include "config/tables.h"
#include "plugin/compose.h"

static void print_plugin(const char *place, const struct plugin_instance *i, struct buf *out)
{
	const struct mosaic_plugin *desc;

	if (!i->plugin) {
		buf_printf(out, "  %-12s none\n", place);
		return;
	}
	desc = &i->plugin->desc;
	buf_printf(out, "  %-12s %s %s", place, desc->name, desc->version);
	for (uint32_t k = 0; k < desc->n_options; k++) {
		buf_printf(out, "%s%s=", k == 0 ? ": " : ", ", desc->options[k].name);
		if ((desc->options[k].flags & MOSAIC_O_SECRET) != 0)
			buf_append_str(out, "(secret)");
		else
			value_print(&desc->options[k], i->options, out);
	}
	buf_append_byte(out, '\n');
}

static void print_broker(const struct config_broker *b, struct buf *out)
{
	struct composition set = { &b->transport, &b->store, &b->flush, &b->replication,
				   &b->balance, b->is_slave != 0 };

	buf_printf(out, "broker %s of %s, %s, id %lld\n", b->name, b->cluster,
		   b->is_slave ? "slave" : "master", (long long)b->id);
	buf_printf(out, "  %-12s %s; clients dial %s\n", "listen", b->listen, b->address.text);
	buf_printf(out, "  %-12s %s", "namesrv", b->namesrv.count == 0 ? "none" : "");
	for (uint32_t i = 0; i < b->namesrv.count; i++)
		buf_printf(out, "%s%s", i > 0 ? ", " : "", b->namesrv.items[i]);
	buf_append_byte(out, '\n');
	for (uint32_t i = 0; i < config_n_slots; i++)
		print_plugin(config_slots[i].name,
			     (const void *)((const uint8_t *)b + config_slots[i].offset), out);
	if (b->store_note[0] != '\0')
		buf_printf(out, "  note: %s\n", b->store_note);
	buf_append_str(out, "  an acknowledged message survives: ");
	compose_survives(&set, out);
	buf_append_str(out, ".\n");
}

void config_print(const struct config *c, struct buf *out)
{
	if (c->has_namesrv) {
		buf_append_str(out, "NameServer\n");
		buf_printf(out, "  %-12s %s\n", "listen", c->namesrv.listen);
		buf_printf(out, "  %-12s %s\n", "kvConfig", c->namesrv.kv_config);
		print_plugin("transport", &c->namesrv.transport, out);
	}
	for (uint32_t i = 0; i < c->n_brokers; i++)
		print_broker(&c->brokers[i], out);
}
