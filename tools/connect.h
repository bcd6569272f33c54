/* A client of libmosaic for the commands that use one, and errors that say what to do. */
#ifndef TOOLS_CONNECT_H
#define TOOLS_CONNECT_H

#include "base/compiler.h"
#include <mosaic/client.h>

#define CONNECT_TIMEOUT_MS 5000

/* Made and started; log and log_data as in mosaic_client_options. *out may be set when it fails. */
NODISCARD int connect_client(const char *namesrv,
			     void (*log)(void *data, int32_t level, const char *line),
			     void *log_data, struct mosaic_client **out, struct mosaic_error *err);
/* Adds to the error of a NameServer that cannot be reached what to do. Gives rc. */
int connect_hint(int rc, struct mosaic_error *err);
/* The queues of a topic; *out is to be freed. MOSAIC_E_NOTFOUND: it has none, err is not set. */
NODISCARD int connect_queues(struct mosaic_client *client, const char *topic, bool for_write,
			     struct mosaic_queue **out, uint32_t *n, struct mosaic_error *err);

#endif
