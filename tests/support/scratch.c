#include "support/scratch.h"
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool make_below(const char *base, char dir[SCRATCH_MAX], const char *name)
{
	int len = snprintf(dir, SCRATCH_MAX, "%s/mosaic-%s-XXXXXX", base, name);

	return len < SCRATCH_MAX && mkdtemp(dir) != NULL;
}

void scratch_make(char dir[SCRATCH_MAX], const char *name)
{
	const char *base = getenv("TMPDIR");

	if (base != NULL && make_below(base, dir, name))
		return;
	if (!make_below("/tmp", dir, name)) { /* also when the name of $TMPDIR is too long */
		perror(dir);
		abort();
	}
}

void scratch_make_fast(char dir[SCRATCH_MAX], const char *name)
{
	if (getenv("TMPDIR") != NULL || !make_below("/dev/shm", dir, name))
		scratch_make(dir, name);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void scratch_remove(const char *path)
{
	(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void scratch_remove_below(const char *dir, const char *name)
{
	char path[1024];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	scratch_remove(path);
}
