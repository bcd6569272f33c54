/* The small files: documents with their backups, and the checkpoint. */
#include "store.h"
#include "base/err.h"
#include "base/mem.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define CHECKPOINT_BYTES 4096
#define AHEAD_MS (INT64_C(24) * 3600 * 1000)

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char **store_config_names(struct store_dir *d)
{
	char **names = mem_alloc(sizeof(*names));
	size_t n = 0;
	int fd = openat(d->fd, "config", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	for (struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
		char path[300];
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "config/%s", e->d_name);
		names = mem_resize(names, (n + 2) * sizeof(*names));
		names[n++] = mem_strdup(path);
		names[n] = NULL;
	}
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	if (n > 1)
		qsort(names, n, sizeof(*names), compare_names);
	return names;
}

void store_names_free(char **names)
{
	for (char **name = names; *name; name++)
		free(*name);
	free(names);
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);
	return n >= m && strcmp(text + n - m, end) == 0;
}

enum state { ABSENT, EMPTY, BROKEN, GOOD };

static enum state document_state(struct store_dir *d, const char *path, struct buf *content)
{
	struct mosaic_error err = ERR_INIT;
	if (!store_read_small(d, path, content))
		return ABSENT;
	if (content->len == 0)
		return EMPTY;
	json_t *root = json_read(buf_slice(content), &err);
	enum state state = json_is_object(root) ? GOOD : BROKEN;
	json_decref(root);
	return state;
}

static void verify_document(struct store_dir *d, struct report *r, struct store_checks *checks,
			    const char *path)
{
	struct buf content = BUF_INIT;
	char backup[320];
	snprintf(backup, sizeof(backup), "%s.bak", path);
	enum state state = document_state(d, path, &content);
	enum state saved = document_state(d, backup, &content);
	buf_free(&content);
	if (state == GOOD || (state == EMPTY && saved == ABSENT))
		return;
	checks->small = true;
	report_add(r, &(struct finding){
		.file = path,
		.at = -1,
		.what = state == EMPTY ? "the document is empty" : "the document is not JSON",
		.cost = saved == GOOD ? "A broker falls back on the backup, or does not start"
				      : "What it said (topics, groups or offsets) is lost: "
					"there is no good backup",
		.action = saved == GOOD ? "repair brings the backup back"
					: "repair removes it, and the broker begins anew" });
}

static const char *checkpoint_fault(const struct store_dir *d)
{
	int64_t latest = (int64_t)time(NULL) * 1000 + AHEAD_MS;
	if (d->checkpoint_bytes != CHECKPOINT_BYTES)
		return "it does not have 4096 bytes";
	for (int i = 0; i < 3; i++) {
		int64_t value = (int64_t)get_be64(d->checkpoint + 8 * i);
		if (value < 0 || value > latest)
			return "a time in it lies in the future, or is none";
	}
	return NULL;
}

void store_verify_small(struct store_dir *d, struct report *r, struct store_checks *checks)
{
	char **names = store_config_names(d);
	for (char **name = names; *name; name++)
		if (ends_with(*name, ".json"))
			verify_document(d, r, checks, *name);
	store_names_free(names);
	const char *fault = d->checkpoint_bytes < 0 ? NULL : checkpoint_fault(d);
	if (d->checkpoint_bytes < 0 && d->log.n == 0)
		return;
	if (d->checkpoint_bytes < 0)
		report_add(r, &(struct finding){
			.is_note = true,
			.file = "checkpoint",
			.at = -1,
			.what = "there is none",
			.cost = "A recovery after a crash reads the whole log",
			.action = "The next start writes one" });
	checks->small |= fault != NULL;
	if (fault)
		report_add(r, &(struct finding){
			.file = "checkpoint",
			.at = -1,
			.what = fault,
			.cost = "A recovery may believe too much, or must read the whole log",
			.action = "repair writes one that says nothing, which is always right" });
}

/* ---- repair ---- */

static bool repair_document(struct store_dir *d, struct report *r, const char *path)
{
	struct buf content = BUF_INIT;
	char backup[320];
	snprintf(backup, sizeof(backup), "%s.bak", path);
	enum state state = document_state(d, path, &content);
	enum state saved = document_state(d, backup, &content);
	bool is_done = true;
	if (state == GOOD || (state == EMPTY && saved == ABSENT))
		goto out;
	if (saved == GOOD)
		is_done = store_write_small(d, path, buf_slice(&content));
	else
		is_done = unlinkat(d->fd, path, 0) == 0;
	report_add(r, &(struct finding){
		.is_note = is_done,
		.file = path,
		.at = -1,
		.what = !is_done ? report_text(r, "could not be replaced: %s", strerror(errno))
			: saved == GOOD ? "replaced by its backup" : "removed, as it has no backup",
		.cost = "What changed since the backup is lost",
		.action = is_done ? "Done" : "Look at the rights and the disk, and repair again" });
out:
	buf_free(&content);
	return is_done;
}

bool store_repair_small(struct store_dir *d, struct report *r)
{
	static const uint8_t nothing[CHECKPOINT_BYTES];
	bool is_done = true;
	char **names = store_config_names(d);
	for (char **name = names; *name; name++)
		if (ends_with(*name, ".json"))
			is_done &= repair_document(d, r, *name);
	store_names_free(names);
	if (d->checkpoint_bytes < 0 || !checkpoint_fault(d))
		return is_done;
	bool is_written = store_write_small(d, "checkpoint", slice(nothing, sizeof(nothing)));
	report_add(r, &(struct finding){
		.is_note = is_written,
		.file = "checkpoint",
		.at = -1,
		.what = is_written ? "replaced by one that says nothing"
				   : report_text(r, "could not be written: %s", strerror(errno)),
		.cost = "The next start may read more of the log than it would have",
		.action = is_written ? "Done" : "Look at the rights and the disk" });
	return is_done && is_written;
}
