/*
 * Runs a piece of code that may crash or hang (a constructor of a plugin) in a child process and
 * brings its text home.
 */
#ifndef PLUGIN_PROBE_H
#define PLUGIN_PROBE_H

#include "base/buf.h"
#include "base/err.h"

#define PROBE_OUTPUT_MAX (4u << 20) /* a schema of fifty plugins is below 200 KiB */
#define PROBE_TIMEOUT_MS 10000      /* without a sign of life */

typedef int (*probe_fn)(void *ctx, struct buf *out, struct mosaic_error *err);

/*
 * what: a file or name for messages. Appends to out what fn wrote there. Returns fn's result with
 * its error; E_FATAL when the child crashed, E_TIMEOUT when it hung. What the child prints to
 * stdout goes to stderr. [main], before threads exist.
 */
NODISCARD int probe_run(const char *what, probe_fn fn, void *ctx, struct buf *out,
			struct mosaic_error *err);

#endif
