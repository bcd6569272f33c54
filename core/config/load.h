/* What the files that read a configuration share: config.c, load_slot.c, load_broker.c. */
#ifndef CONFIG_LOAD_H
#define CONFIG_LOAD_H

#include "config/options.h"
#include "config/tables.h"

#define PATH_BYTES 128 /* of a JSON path in a problem */

struct load {
	struct config *config;
	struct plugins *plugins;
	struct problems *problems;
};

static inline void load_defaults(const struct config_table *t, void *to)
{
	ASSERT(value_defaults(t->options, t->n, to, NULL) == 0);
}

static inline void load_table(struct load *l, const struct config_table *t, void *to,
			      const json_t *object, const char *path)
{
	options_fill(t->options, t->n, to, object, NULL, path, l->problems);
}

static inline struct plugin_instance *load_place(struct config_broker *b, uint32_t slot)
{
	return (void *)((uint8_t *)b + config_slots[slot].offset);
}

/*
 * Reads { "plugin": NAME, options... }. Without NAME: the program's default for the kind if
 * the place is needed, else it stays empty. also: keys that are the core's own. On a problem the
 * place stays empty.
 */
void load_slot(struct load *l, struct plugin_instance *place, uint32_t kind, bool is_needed,
	       const json_t *object, const char *const *also, const char *path);
/* The store's place, with the one that it may fall back on. */
void load_store(struct load *l, struct config_broker *b, const json_t *object, const char *path);
/* A transport that has an option "listen" of its own is given the address too. */
void load_pass_listen(struct plugin_instance *transport, const char *listen);

/* One broker; object NULL: all defaults. The NameServer's section has been read. */
void load_broker(struct load *l, struct config_broker *b, const json_t *object, const char *path);
/* Its section "retention"; object NULL: all defaults. */
void load_retention(struct load *l, struct config_retention *r, const json_t *object,
		    const char *path);
/* What must hold between the brokers of a process. */
void load_check_brokers(struct load *l);

#endif
