#include "support/vectors.h"
#include "base/num.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

void vectors_path(char *path, size_t cap, const char *name)
{
	const char *shared = getenv("MOSAIC_SHARED"), *source = getenv("MOSAIC_SOURCE");

	if (shared != NULL)
		snprintf(path, cap, "%s/reference/vectors/%s", shared, name);
	else
		snprintf(path, cap, "%s/../shared/reference/vectors/%s",
			 source != NULL ? source : ".", name);
}

bool vectors_missing(void)
{
	char path[4096];

	vectors_path(path, sizeof(path), "README.md");
	if (access(path, R_OK) == 0)
		return false;
	printf("skipped: no captured vectors at %s (set MOSAIC_SHARED)\n", path);
	return true;
}

json_t *vectors_load(const char *name)
{
	char path[4096];
	json_error_t err;

	vectors_path(path, sizeof(path), name);
	json_t *json = json_load_file(path, JSON_ALLOW_NUL, &err);
	if (json == NULL)
		fprintf(stderr, "%s: %s\n", path, err.text);
	return json;
}

struct mosaic_slice json_slice(const json_t *text)
{
	return slice(json_string_value(text), json_string_length(text));
}

uint8_t *hex_bytes(struct mosaic_slice hex, size_t *len)
{
	uint8_t *bytes = malloc(hex.len / 2 + (hex.len == 0));

	*len = hex.len / 2;
	if (num_parse_hex(hex, bytes, *len) != 0) {
		free(bytes);
		return NULL;
	}
	return bytes;
}

/* ---- stores ---- */

json_t *vectors_store(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "store/%s.json", name);
	return vectors_missing() ? NULL : vectors_load(path);
}

/* Calls put(to, offset, bytes, len) for what the file has, in order. */
static void each_chunk(const json_t *file,
		       void (*put)(void *to, size_t offset, const uint8_t *bytes, size_t len),
		       void *to)
{
	struct mosaic_slice text = json_slice(json_object_get(file, "utf8"));
	const json_t *chunk;
	size_t i, len;

	if (text.len > 0)
		put(to, 0, text.ptr, text.len);
	json_array_foreach(json_object_get(file, "chunks"), i, chunk) {
		uint8_t *bytes = hex_bytes(json_slice(json_object_get(chunk, "hex")), &len);

		assert_non_null(bytes);
		put(to, (size_t)json_integer_value(json_object_get(chunk, "offset")), bytes, len);
		free(bytes);
	}
}

static void put_in_file(void *to, size_t offset, const uint8_t *bytes, size_t len)
{
	assert_int_equal(pwrite(*(int *)to, bytes, len, (off_t)offset), len);
}

void vectors_unpack_file(const char *dir, const json_t *file)
{
	char path[1024];

	snprintf(path, sizeof(path), "%s/%s", dir,
		 json_string_value(json_object_get(file, "path")));
	for (char *p = path + 1; *p != '\0'; p++)
		if (*p == '/') {
			*p = '\0';
			assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
			*p = '/';
		}
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, json_integer_value(json_object_get(file, "size"))), 0);
	each_chunk(file, put_in_file, &fd);
	close(fd);
}

void vectors_unpack(const char *dir, const json_t *store)
{
	const json_t *file;
	size_t i;

	json_array_foreach(json_object_get(store, "files"), i, file)
		vectors_unpack_file(dir, file);
}

struct content {
	uint8_t *bytes;
	size_t size;
};

static void put_in_memory(void *to, size_t offset, const uint8_t *bytes, size_t len)
{
	const struct content *c = to;

	if (offset < c->size)
		memcpy(c->bytes + offset, bytes, len < c->size - offset ? len : c->size - offset);
}

uint8_t *vectors_content(const json_t *file, size_t size)
{
	struct content c = { .bytes = calloc(1, size), .size = size };

	each_chunk(file, put_in_memory, &c);
	return c.bytes;
}
