/* A plugin, all plugins or the whole configuration file described: for people and as JSON. */
#ifndef CONFIG_DESCRIBE_H
#define CONFIG_DESCRIBE_H

#include "base/buf.h"
#include "plugin/plugins.h"

void describe_text(const struct loaded_plugin *plugin, struct buf *out);
/* One JSON object without a newline at its end; indent 0: one line. */
void describe_json(const struct loaded_plugin *plugin, int indent, struct buf *out);

/*
 * JSON Schema (draft 2020-12) of the configuration file, with the options of every plugin that can
 * be found. A plugin that cannot be loaded is left out. Loads plugins: run it through probe_run().
 */
void describe_schema(struct plugins *plugins, struct buf *out);
/* The same as a page of Markdown: docs/configuration.md. */
void describe_reference(struct plugins *plugins, struct buf *out);

#endif
