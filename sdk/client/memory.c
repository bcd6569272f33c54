#include "memory.h"
#include "base/mem.h"
#include <stdlib.h>
#include <time.h>

#define SPARE (64u << 10)
#define JSON_FACTOR 8 /* what a text may weigh when it is read, at most */

/* In place of base's, which ends the process. */
void mem_short(size_t size)
{
	const struct timespec a_moment = { .tv_nsec = 2000000 };

	(void)size;
	nanosleep(&a_moment, NULL);
}

static bool is_there(size_t size)
{
	void *volatile spare = malloc(size); /* volatile: else the compiler takes it out */
	bool is = spare != NULL;

	free(spare);
	return is;
}

int memory_check(struct mosaic_error *error)
{
	return is_there(SPARE) ? 0 : err_set(error, MOSAIC_E_NOMEM, "out of memory");
}

json_t *memory_json(struct mosaic_slice text)
{
	while (!is_there(SPARE + JSON_FACTOR * text.len))
		mem_short(text.len);
	return json_read(text, NULL);
}
