/* In which line of a JSON text something stands. jansson does not keep that. */
#ifndef CONFIG_LOCATE_H
#define CONFIG_LOCATE_H

#include "base/slice.h"

/* path as in problems ("brokers[1].store.dir"); the line of the deepest part of it that is there, 0
 * for an empty path. text must be valid JSON. */
uint32_t locate_line(struct mosaic_slice text, const char *path);

#endif
