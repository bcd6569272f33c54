#include "consumer/offset_file.h"
#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"
#include "wire/json.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (64u << 20)

struct offset_file {
	char *path, *next_path;
	struct map offsets; /* key -> int64_t on the heap */
	bool is_changed;
};

/* ---- reading ---- */

static int read_whole(const char *path, struct buf *out, struct mosaic_error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_set_os(error, MOSAIC_E_IO, errno, "cannot open %s", path);
	while ((n = read(fd, buf_room(out, 65536), 65536)) != 0 && out->len < FILE_MAX) {
		if (n > 0)
			out->len += (size_t)n;
		else if (errno != EINTR)
			break;
	}
	int os = n < 0 ? errno : 0;
	close(fd);
	if (os != 0)
		return err_set_os(error, MOSAIC_E_IO, os, "cannot read %s", path);
	return 0;
}

static int load(struct offset_file *f, struct mosaic_error *error)
{
	struct buf text = BUF_INIT;
	json_t *root = NULL, *value;
	const char *key;
	int rc = read_whole(f->path, &text, error);

	if (rc == 0 && text.len > 0) {
		root = json_read(buf_slice(&text), NULL);
		if (!json_is_object(json_object_get(root, "offsets")))
			rc = err_set(error, MOSAIC_E_CORRUPT,
				     "%s does not hold offsets: repair or remove it", f->path);
	}
	buf_free(&text);
	if (rc == 0)
		json_object_foreach(json_object_get(root, "offsets"), key, value)
			if (json_is_integer(value) && json_integer_value(value) >= 0)
				offset_file_put(f, key, json_integer_value(value));
	f->is_changed = false;
	json_decref(root);
	return rc;
}

static void set_paths(struct offset_file *f, const char *dir, const char *group)
{
	struct buf path = BUF_INIT;

	buf_printf(&path, "%s/%s.json", dir, group);
	f->path = mem_strdup(buf_cstr(&path));
	buf_append_str(&path, ".new");
	f->next_path = mem_strdup(buf_cstr(&path));
	buf_free(&path);
}

int offset_file_open(const char *dir, const char *group, struct offset_file **out,
		     struct mosaic_error *error)
{
	struct buf home = BUF_INIT;
	struct offset_file *f = mem_alloc(sizeof(*f));

	if (dir == NULL) {
		const char *of_user = getenv("HOME");
		buf_printf(&home, "%s/.mosaic_offsets", of_user != NULL ? of_user : ".");
		dir = buf_cstr(&home);
	}
	set_paths(f, dir, group);
	int rc = 0;
	if (mkdir(dir, 0777) != 0 && errno != EEXIST)
		rc = err_set_os(error, MOSAIC_E_IO, errno, "cannot make the folder %s", dir);
	buf_free(&home);
	if (rc == 0)
		rc = load(f, error);
	if (rc != 0)
		offset_file_close(&f);
	else
		*out = f;
	return rc;
}

void offset_file_close(struct offset_file **file)
{
	struct offset_file *f = *file;
	struct map_entry *e;

	if (f == NULL)
		return;
	for (uint32_t pos = 0; (e = map_next(&f->offsets, &pos)) != NULL;)
		free(e->value);
	map_free(&f->offsets);
	free(f->path);
	free(f->next_path);
	free(f);
	*file = NULL;
}

/* ---- using ---- */

bool offset_file_get(const struct offset_file *f, const char *key, int64_t *offset)
{
	const int64_t *found = map_get(&f->offsets, slice_str(key));

	if (found != NULL)
		*offset = *found;
	return found != NULL;
}

void offset_file_put(struct offset_file *f, const char *key, int64_t offset)
{
	int64_t *value = map_get(&f->offsets, slice_str(key));

	if (value == NULL) {
		value = mem_alloc(sizeof(*value));
		map_put(&f->offsets, slice_str(key), value);
	}
	*value = offset;
	f->is_changed = true;
}

/* ---- writing ---- */

static void write_text(const struct offset_file *f, struct buf *out)
{
	struct json_writer w;
	struct map_entry *e;

	jw_init(&w, out);
	jw_object(&w);
	jw_key(&w, "offsets");
	jw_object(&w);
	for (uint32_t pos = 0; (e = map_next(&f->offsets, &pos)) != NULL;) {
		jw_key_slice(&w, e->key);
		jw_i64(&w, *(const int64_t *)e->value);
	}
	jw_object_end(&w);
	jw_object_end(&w);
	buf_append_byte(out, '\n');
}

static int write_all(int fd, struct mosaic_slice text)
{
	while (text.len > 0) {
		ssize_t n = write(fd, text.ptr, text.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		text.ptr += n;
		text.len -= (size_t)n;
	}
	return 0;
}

/* A rename is on the disk when its folder is. */
static int sync_folder(const char *path)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path), path);
	int fd = open(dir[0] != '\0' ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	int os = fsync(fd) == 0 || errno == EINVAL ? 0 : errno; /* not all file systems can */
	close(fd);
	return os;
}

int offset_file_write(struct offset_file *f, struct mosaic_error *error)
{
	struct buf text = BUF_INIT;

	if (!f->is_changed)
		return 0;
	int fd = open(f->next_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return err_set_os(error, MOSAIC_E_IO, errno, "cannot make %s", f->next_path);
	write_text(f, &text);
	int os = write_all(fd, buf_slice(&text));
	buf_free(&text);
	if (os == 0 && fsync(fd) != 0)
		os = errno;
	if (close(fd) != 0 && os == 0)
		os = errno;
	if (os == 0 && rename(f->next_path, f->path) != 0)
		os = errno;
	if (os == 0)
		os = sync_folder(f->path);
	if (os != 0)
		return err_set_os(error, MOSAIC_E_IO, os, "cannot write %s", f->path);
	f->is_changed = false;
	return 0;
}
