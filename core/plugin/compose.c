#include "plugin/compose.h"
#include "plugin/kind.h"
#include "plugin/value.h"

static bool is_there(const struct plugin_instance *i)
{
	return i && i->plugin;
}

static bool offers(const struct plugin_instance *i, uint64_t caps)
{
	return is_there(i) && (i->plugin->desc.caps & caps) == caps;
}

static const struct plugin_instance *neighbour(const struct composition *c, uint32_t kind)
{
	switch (kind) {
	case MOSAIC_STORE: return c->store;
	case MOSAIC_FLUSH: return c->flush;
	case MOSAIC_REPLICATION: return c->replication;
	case MOSAIC_BALANCE: return c->balance;
	case MOSAIC_TRANSPORT: return c->transport;
	default: return NULL;
	}
}

static void check_wants(const struct composition *c, const struct plugin_instance *who,
			const char *where, struct problems *problems)
{
	const struct mosaic_plugin *desc = &who->plugin->desc;
	uint32_t of = kind_of(desc->kind)->wants_of;
	const struct plugin_instance *other = neighbour(c, of);
	const char *other_name = is_there(other) ? other->plugin->desc.name : "nothing";

	for (uint32_t i = 0; i < 64; i++) {
		uint64_t bit = UINT64_C(1) << i;
		const char *name = of ? plugin_cap_name(of, bit) : NULL;

		if ((desc->wants & bit) == 0 || offers(other, bit))
			continue;
		if (!name)
			problems_add(problems, where, "%s needs something this host does not know "
				     "(bit %u)", desc->name, i);
		else
			problems_add(problems, where, "%s needs %s of the %s (%s), and %s does not "
				     "offer it", desc->name, name, plugin_kind_name(of),
				     plugin_cap_text(of, bit), other_name);
	}
}

void compose_check(const struct composition *c, const char *where, struct problems *problems)
{
	static const uint32_t order[] = { MOSAIC_TRANSPORT, MOSAIC_STORE, MOSAIC_FLUSH,
					  MOSAIC_REPLICATION, MOSAIC_BALANCE };
	char path[128];

	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		const struct plugin_instance *who = neighbour(c, order[i]);

		if (!is_there(who))
			continue;
		path_at(path, sizeof(path), "%s%s%s", where, where[0] ? "." : "",
			 plugin_kind_name(order[i]));
		check_wants(c, who, path, problems);
	}
	if (c->is_slave && !is_there(c->replication))
		problems_add(problems, where, "a slave needs a replication plugin to get its "
			     "messages from the master");
}

/* "about the last 10s of messages", by the option that bounds for how long acknowledged data is at
 * risk; "about", because the sync that begins then takes its time. */
static void print_exposure(const struct plugin_instance *flush, struct buf *out)
{
	const struct mosaic_plugin *desc = &flush->plugin->desc;

	for (uint32_t i = 0; i < desc->n_options; i++) {
		const struct mosaic_option *o = &desc->options[i];

		if ((o->flags & MOSAIC_O_EXPOSURE) == 0 || o->type != MOSAIC_T_DURATION)
			continue;
		buf_append_str(out, "about the last ");
		value_print(o, flush->options, out);
		buf_append_str(out, " of messages");
		return;
	}
	buf_append_str(out, "the messages that were not synced yet");
}

void compose_survives(const struct composition *c, struct buf *out)
{
	bool crash = offers(c->store, MOSAIC_STORE_CAP_CRASH);
	bool sync = offers(c->store, MOSAIC_STORE_CAP_SYNC);
	bool gates = sync && offers(c->flush, MOSAIC_FLUSH_CAP_GATES);
	bool elsewhere = offers(c->replication, MOSAIC_REPLICATION_CAP_ACKABLE);

	if (gates) {
		buf_append_str(out, "process crash (kill -9) and power loss of this machine");
	} else if (crash) {
		buf_append_str(out, "process crash (kill -9); not a power cut, which can lose ");
		if (sync && is_there(c->flush))
			print_exposure(c->flush, out);
		else
			buf_append_str(out, "everything, as nothing asks for a sync");
	} else if (sync && is_there(c->flush)) {
		buf_append_str(out, "neither a process crash (kill -9) nor a power cut for "
				    "certain, which can lose ");
		print_exposure(c->flush, out);
	} else if (!elsewhere) {
		buf_append_str(out, "nothing: messages live in memory");
		return;
	} else {
		buf_append_str(out, "nothing on this machine, where messages live in memory");
	}
	buf_append_str(out, elsewhere ? "; the loss of this machine: another node has the message"
				      : "; not the loss of this machine");
}
