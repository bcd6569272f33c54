#include "base/compiler.h"
#include <stdio.h>
#include <stdlib.h>

_Noreturn void assert_failed(const char *expression, const char *file, int line)
{
	fprintf(stderr, "mosaic: assertion failed: %s at %s:%d\n", expression, file, line);
	abort();
}
