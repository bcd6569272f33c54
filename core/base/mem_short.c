/* A file of its own, so that the linker leaves it out where somebody else has a mem_short(). */
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>

void mem_short(size_t size)
{
	fprintf(stderr, "mosaic: out of memory: cannot allocate %zu bytes\n", size);
	abort();
}
