/*
 * A shared object -> the descriptor it exports. Through libltdl with a loader of our own: binds at
 * once (RTLD_NOW), keeps symbols local, never unloads, and keeps the reason why something failed.
 */
#ifndef PLUGIN_LOADER_H
#define PLUGIN_LOADER_H

#include "base/compiler.h"
#include <mosaic/plugin.h>

/*
 * file: an absolute path. A file or folder that everybody may write is refused, and so is a file
 * that is shorter than its own headers say (mapping it would end the process with SIGBUS).
 * 0, E_NOTFOUND when there is no such file, E_INVAL with a text that begins with the file. [main]
 */
NODISCARD int loader_open(const char *file, const struct mosaic_plugin **out,
			  struct mosaic_error *err);

#endif
