/*
 * Documents, on the slow thread. Saving NAME:
 *   write NAME.tmp and sync it; with BACKUP keep the old content as NAME.bak (a link, renamed into
 *   place); rename NAME.tmp to NAME; sync the folder.
 * So at any moment, also after a power cut, NAME is the old or the new content as a whole. LAZY
 * leaves out the sync of the folder: which of the two it is. Without that of the file NAME could be
 * empty.
 */
#include "store.h"

#include "io.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct doc_job {
	struct job job; /* first */
	struct mosaic_doc *doc;
	uint8_t *content;
	uint64_t len;
};

static bool doc_name_is_valid(const char *name)
{
	if (!name || !*name || *name == '/' || strlen(name) > PATH_MAX / 2)
		return false;
	for (const char *p = name; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL)
		if (strncmp(p, "../", 3) == 0 || strcmp(p, "..") == 0)
			return false;
	return true;
}

static void load_run(struct job *job)
{
	struct doc_job *d = (struct doc_job *)job;
	char backup[PATH_MAX];
	snprintf(backup, sizeof(backup), "%s.bak", d->doc->name);
	const char *const names[] = { d->doc->name, backup };
	for (int i = 0; i < 2; i++) {
		int rc = io_read_file(job->store->dir_fd, names[i], &d->content, &d->len);
		if (rc == 0 && d->len > 0)
			return;
		if (rc == 0) {
			free(d->content);
			d->content = NULL;
		} else if (rc != ENOENT) {
			job_fail(job, rc, "cannot read a document");
			return;
		}
	}
	job->status = MOSAIC_E_NOTFOUND;
}

static int save_backup(int dir_fd, const char *name)
{
	char backup[PATH_MAX], fresh[PATH_MAX];
	snprintf(backup, sizeof(backup), "%s.bak", name);
	snprintf(fresh, sizeof(fresh), "%s.bak.tmp", name);
	if (unlinkat(dir_fd, fresh, 0) != 0 && errno != ENOENT)
		return errno;
	if (linkat(dir_fd, name, dir_fd, fresh, 0) != 0)
		return errno == ENOENT ? 0 : errno; /* the first save has nothing to keep */
	return renameat(dir_fd, fresh, dir_fd, backup) == 0 ? 0 : errno;
}

static void save_run(struct job *job)
{
	struct mosaic_doc *doc = ((struct doc_job *)job)->doc;
	int dir_fd = job->store->dir_fd;
	char fresh[PATH_MAX];
	snprintf(fresh, sizeof(fresh), "%s.tmp", doc->name);
	int rc = io_write_file(dir_fd, fresh, doc->content, doc->len, true);
	if (rc == 0 && (doc->flags & MOSAIC_DOC_BACKUP))
		rc = save_backup(dir_fd, doc->name);
	if (rc == 0 && renameat(dir_fd, fresh, dir_fd, doc->name) != 0)
		rc = errno;
	if (rc != 0) {
		job_fail(job, rc, "cannot save a document");
		unlinkat(dir_fd, fresh, 0);
		return;
	}
	if (doc->flags & MOSAIC_DOC_LAZY)
		return;
	char folder[PATH_MAX];
	snprintf(folder, sizeof(folder), "%s", doc->name);
	char *slash = strrchr(folder, '/');
	if (slash)
		*slash = '\0';
	rc = io_sync_folder(dir_fd, slash ? folder : ".");
	if (rc != 0)
		job_fail(job, rc, "cannot sync the folder of a document");
}

static void doc_done(struct job *job)
{
	struct doc_job *d = (struct doc_job *)job;
	struct mosaic_store *store = job->store;
	struct mosaic_doc *doc = d->doc;
	int32_t status = job->status;
	if (status < 0 && status != MOSAIC_E_NOTFOUND)
		store_log(store, MOSAIC_LOG_ERROR, "document_failed", "%s %s/%s: %s", job->what,
			  store->options.dir, doc->name, strerror(job->os_errno));
	if (d->content) {
		doc->content = doc->reserved1 = d->content;
		doc->len = d->len;
	}
	free(d);
	store_done(store, &doc->req, status);
}

static int32_t doc_submit(struct mosaic_store *store, struct mosaic_doc *doc,
			  void (*run)(struct job *job))
{
	if (!doc_name_is_valid(doc->name))
		return MOSAIC_E_INVAL;
	struct doc_job *d = calloc(1, sizeof(*d));
	int32_t rc = d ? store_accept(store) : MOSAIC_E_NOMEM;
	if (rc < 0) {
		free(d);
		return rc;
	}
	d->job.store = store;
	d->job.run = run;
	d->job.done = doc_done;
	d->doc = doc;
	worker_submit(&store->slow, &d->job);
	return MOSAIC_PENDING;
}

int32_t doc_load(struct mosaic_store *store, struct mosaic_doc *doc)
{
	doc->content = NULL;
	doc->len = 0;
	doc->reserved1 = NULL;
	return doc_submit(store, doc, load_run);
}

void doc_release(struct mosaic_store *store, struct mosaic_doc *doc)
{
	(void)store;
	free(doc->reserved1);
	doc->reserved1 = NULL;
	doc->content = NULL;
}

int32_t doc_save(struct mosaic_store *store, struct mosaic_doc *doc)
{
	return doc_submit(store, doc, save_run);
}
