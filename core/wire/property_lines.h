/* Java properties as tools send them to brokers and NameServers (25, 318): the lines of a text. */
#ifndef WIRE_PROPERTY_LINES_H
#define WIRE_PROPERTY_LINES_H

#include "base/slice.h"

/* The next `name=value` or `name:value` line; comments and empty lines are skipped, a line without
 * a separator is a name without a value. False at the end of the text. Slices point into it. */
bool property_lines_next(struct mosaic_slice *text, struct mosaic_slice *name,
			 struct mosaic_slice *value);

#endif
