/*
 * Memory of the core. Small control-plane objects (topics, groups, connections) use these: out of
 * memory there ends the process with a clear line, because a broker that cannot allocate a hundred
 * bytes cannot keep a promise either. Memory whose size an outsider chooses is bounded before it is
 * asked for and uses malloc with a check.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size);             /* zeroed */
void *mem_resize(void *ptr, size_t size); /* as realloc */
char *mem_strdup(const char *text);
/* free() from <stdlib.h> releases all of them. */

/* What they do without memory; when it returns they try again. This floor's ends the process;
 * libmosaic, a guest in its process, is linked with one of its own, which waits. */
void mem_short(size_t size);

#endif
