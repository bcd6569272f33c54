#include "folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int starts_compare(const void *a, const void *b)
{
	uint64_t x, y;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

static bool parse_start(const char *name, uint64_t *start)
{
	if (strlen(name) != 20 || strspn(name, "0123456789") != 20)
		return false;
	errno = 0;
	*start = strtoull(name, NULL, 10);
	return errno == 0 && *start <= INT64_MAX;
}

static bool starts_add(struct starts *starts, uint64_t start)
{
	if (starts->n == starts->capacity) {
		uint32_t capacity = starts->capacity ? starts->capacity * 2 : 16;
		uint64_t *grown = realloc(starts->at, capacity * sizeof(*grown));
		if (!grown)
			return false;
		starts->at = grown;
		starts->capacity = capacity;
	}
	starts->at[starts->n++] = start;
	return true;
}

DIR *folder_open(int dir_fd, const char *path)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (fd >= 0 && !dir)
		close(fd);
	return dir;
}

int folder_list(DIR *dir, struct starts *starts)
{
	uint64_t start;
	starts->n = 0;
	for (struct dirent *e; (e = readdir(dir));)
		if (parse_start(e->d_name, &start) && !starts_add(starts, start))
			return ENOMEM;
	if (starts->n > 1)
		qsort(starts->at, starts->n, sizeof(*starts->at), starts_compare);
	return 0;
}
