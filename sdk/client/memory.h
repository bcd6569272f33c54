/*
 * Memory of a guest. What depends on the size of messages is asked for with malloc, and refused.
 * All else (routes, connections, subscriptions) is small and comes from mem_alloc: without memory
 * the client's thread waits for it, so that nothing is half done and the process lives on. Doors
 * for other threads look first whether there is any. [any]
 */
#ifndef CLIENT_MEMORY_H
#define CLIENT_MEMORY_H

#include "base/err.h"
#include "wire/json.h"

/* 0, or MOSAIC_E_NOMEM with its text: not even 64 KiB are left. At the door of each function that
 * makes something. */
NODISCARD int memory_check(struct mosaic_error *error);
/* json_read() of what a server sent, when it fits: jansson is not to be without memory. */
json_t *memory_json(struct mosaic_slice text);

#endif
