/*
 * The plugins of a process: those that are linked in and those found in configured folders. Loaded
 * once, by name, and kept until the end. [main]
 */
#ifndef PLUGIN_PLUGINS_H
#define PLUGIN_PLUGINS_H

#include "base/err.h"
#include "plugin/loaded.h"

/* Static builds (simulator, fuzzing) link plugins in: mosaic_plugin_NAME of plugin_NAME. */
struct plugin_builtin {
	const struct mosaic_plugin *plugin;
};

struct plugins;

/* builtins may be NULL; borrowed. */
struct plugins *plugins_create(const struct plugin_builtin *builtins, uint32_t n_builtins);
/* Frees the host's copies. Code that was loaded stays in the process. */
void plugins_destroy(struct plugins **plugins);

/* Folders are searched in the order in which they were added; built-in plugins come first.
 * E_NOTFOUND when there is no such folder. */
NODISCARD int plugins_add_folder(struct plugins *plugins, const char *folder,
				 struct mosaic_error *err);
/* plugins/ beside the running program and ../lib/mosaic/plugins, those of them that exist. */
void plugins_add_default_folders(struct plugins *plugins);
uint32_t plugins_n_folders(const struct plugins *plugins);
/* Nothing is built in and there is no folder: no name can be found. */
bool plugins_is_empty(const struct plugins *plugins);

/* The plugin of a kind where the configuration names none. The program decides it; the name is
 * borrowed. NULL when nothing was decided. */
void plugins_set_default(struct plugins *plugins, uint32_t kind, const char *name);
const char *plugins_default(const struct plugins *plugins, uint32_t kind);

/* By name; kind 0: any. The result lives as long as `plugins`. E_NOTFOUND names where it was looked
 * for and the nearest name; E_INVAL when it is of another kind. */
NODISCARD int plugins_find(struct plugins *plugins, const char *name, uint32_t kind,
			   const struct loaded_plugin **out, struct mosaic_error *err);
/* A certain file, wherever it lies. */
NODISCARD int plugins_load(struct plugins *plugins, const char *file,
			   const struct loaded_plugin **out, struct mosaic_error *err);

/* Every name that can be found, in order of the alphabet, without loading anything. file is NULL
 * for a built-in one. */
void plugins_each(struct plugins *plugins, void (*each)(void *ctx, const char *name,
							const char *file), void *ctx);

#endif
