/* The known name that somebody probably meant. */
#ifndef PLUGIN_NEAREST_H
#define PLUGIN_NEAREST_H

#include "base/compiler.h"

#define NEAREST_MAX_BYTES 64 /* longer names are not worth a guess */

struct nearest {
	const char *wanted;
	char name[NEAREST_MAX_BYTES + 1]; /* best so far, "": nothing is near */
	uint32_t distance;
};

/* wanted is borrowed, candidates are not. */
void nearest_init(struct nearest *n, const char *wanted);
void nearest_try(struct nearest *n, const char *candidate);
/* ", did you mean "name"?" or "" in a buffer of the caller. */
const char *nearest_hint(const struct nearest *n, char *out, size_t cap);

#endif
