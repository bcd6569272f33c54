#include "ifile.h"

#include "directory.h"
#include "io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define INDEX_NAME_MAX 64
#define INDEX_PATH_BYTES 80

struct ifile {
	struct mosaic_stream base; /* first */
	uint64_t bytes;            /* its size */
	int fd;                    /* -1: not made yet; set on the helper */
	uint32_t refs;             /* the table and everything under way */
	bool is_new;               /* made since the last sync of the folder */
};

/* A truncate, write, sync or drop under way. */
struct ifile_job {
	struct job job; /* first */
	struct ifile *file;
	struct mosaic_req *req;
	uint64_t offset; /* truncate: the size */
	const uint8_t *ptr;
	uint32_t len;
	bool syncs_folder;
};

struct ifile_read {
	struct mosaic_work work; /* first */
	struct ifile *file;
	struct mosaic_read *read;
};

/* Digits, as Apache's broker reads every name of the folder as a number. */
static bool name_is_valid(const char *name)
{
	size_t len = name ? strlen(name) : 0;
	return len > 0 && len < INDEX_NAME_MAX && strspn(name, "0123456789") == len;
}

static void file_path(char path[INDEX_PATH_BYTES], const struct ifile *file)
{
	snprintf(path, INDEX_PATH_BYTES, INDEX_FOLDER "/%s", file->base.name.topic);
}

static struct ifile *file_create(struct mosaic_store *store, const char *topic)
{
	struct mosaic_stream_name name = { .kind = MOSAIC_INDEX, .topic = topic };
	struct ifile *file = calloc(1, sizeof(*file));
	if (!file)
		return NULL;
	file->base.store = store;
	file->fd = -1;
	file->refs = 1;
	if (names_add(&store->indexes, &file->base.name, &name) == 0)
		return file;
	free(file);
	return NULL;
}

static void file_unref(struct ifile *file)
{
	if (--file->refs > 0)
		return;
	if (file->fd >= 0)
		close(file->fd);
	free(file->base.name.topic);
	free(file);
}

int32_t ifile_open(struct mosaic_store *store, const struct mosaic_stream_name *name,
		   struct mosaic_stream **out)
{
	if (!name_is_valid(name->topic) || name->queue_id != 0)
		return MOSAIC_E_INVAL;
	struct ifile *file = (struct ifile *)names_find(&store->indexes, name);
	if (!file)
		file = file_create(store, name->topic);
	if (!file)
		return MOSAIC_E_NOMEM;
	*out = &file->base;
	return 0;
}

void ifile_info(const struct ifile *file, struct mosaic_stream_info *info)
{
	*info = (struct mosaic_stream_info){ .end = file->bytes, .segment_bytes = file->bytes };
}

/* ---- jobs ---- */

static void ifile_done(struct job *job)
{
	struct ifile_job *j = (struct ifile_job *)job;
	struct ifile *file = j->file;
	struct mosaic_store *store = job->store;
	struct mosaic_req *req = j->req;
	int32_t status = job->status;
	if (status < 0)
		store_log(store, MOSAIC_LOG_WARN, "index_failed", "%s %s/" INDEX_FOLDER "/%s: %s",
			  job->what, store->options.dir, file->base.name.topic,
			  strerror(job->os_errno));
	if (status < 0 && j->syncs_folder)
		file->is_new = true;
	free(j);
	file_unref(file);
	store_done(store, req, status);
}

static struct ifile_job *job_create(struct ifile *file, struct mosaic_req *req,
				    void (*run)(struct job *job), int32_t *rc)
{
	struct ifile_job *j = calloc(1, sizeof(*j));
	*rc = j ? store_accept(file->base.store) : MOSAIC_E_NOMEM;
	if (*rc < 0) {
		free(j);
		return NULL;
	}
	j->job.store = file->base.store;
	j->job.run = run;
	j->job.done = ifile_done;
	j->file = file;
	j->req = req;
	file->refs++;
	return j;
}

static void truncate_run(struct job *job)
{
	struct ifile_job *j = (struct ifile_job *)job;
	struct ifile *file = j->file;
	char path[INDEX_PATH_BYTES];
	if (file->fd < 0) {
		file_path(path, file);
		file->fd = io_open(job->store->dir_fd, path, O_RDWR | O_CREAT);
	}
	if (file->fd < 0)
		job_fail(job, -file->fd, "cannot make the index file");
	else if (ftruncate(file->fd, (off_t)j->offset) != 0)
		job_fail(job, errno, "cannot size the index file");
}

int32_t ifile_truncate(struct ifile *file, uint64_t to, struct mosaic_req *req)
{
	int32_t rc;
	struct ifile_job *j = job_create(file, req, truncate_run, &rc);
	if (!j)
		return rc;
	j->offset = file->bytes = to;
	file->is_new = true;
	worker_submit(&file->base.store->helper, &j->job);
	return MOSAIC_PENDING;
}

static void write_run(struct job *job)
{
	struct ifile_job *j = (struct ifile_job *)job;
	int rc = j->file->fd < 0 ? EBADF : io_pwrite(j->file->fd, j->ptr, j->len, j->offset);
	if (rc != 0)
		job_fail(job, rc, "cannot write the index file");
}

int32_t ifile_write(struct ifile *file, struct mosaic_write *write)
{
	if (write->len == 0 || write->offset > file->bytes ||
	    file->bytes - write->offset < write->len)
		return MOSAIC_E_INVAL;
	int32_t rc;
	struct ifile_job *j = job_create(file, &write->req, write_run, &rc);
	if (!j)
		return rc;
	j->offset = write->offset;
	j->ptr = write->ptr;
	j->len = write->len;
	worker_submit(&file->base.store->helper, &j->job);
	return MOSAIC_PENDING;
}

static void sync_run(struct job *job)
{
	struct ifile_job *j = (struct ifile_job *)job;
	if (j->file->fd < 0 || fdatasync(j->file->fd) != 0)
		job_fail(job, j->file->fd < 0 ? EBADF : errno, "cannot sync the index file");
	if (!j->syncs_folder)
		return;
	int rc = io_sync_folder(job->store->dir_fd, INDEX_FOLDER);
	if (rc == 0)
		rc = io_sync_folder(job->store->dir_fd, ".");
	if (rc != 0)
		job_fail(job, rc, "cannot sync the folder of the index file");
}

int32_t ifile_sync(struct ifile *file, struct mosaic_sync *req)
{
	if (req->upto > file->bytes)
		return MOSAIC_E_INVAL;
	int32_t rc;
	struct ifile_job *j = job_create(file, &req->req, sync_run, &rc);
	if (!j)
		return rc;
	req->upto = file->bytes;
	j->syncs_folder = file->is_new;
	file->is_new = false;
	worker_submit(&file->base.store->slow, &j->job);
	return MOSAIC_PENDING;
}

static void drop_run(struct job *job)
{
	char path[INDEX_PATH_BYTES];
	file_path(path, ((struct ifile_job *)job)->file);
	if (unlinkat(job->store->dir_fd, path, 0) != 0 && errno != ENOENT)
		job_fail(job, errno, "cannot delete the index file");
}

int32_t ifile_drop(struct ifile *file, struct mosaic_req *req)
{
	int32_t rc;
	struct ifile_job *j = job_create(file, req, drop_run, &rc);
	if (!j)
		return rc;
	/* The name is free at once; its text stays, the job makes a path of it. */
	names_take(&file->base.store->indexes, &file->base.name);
	worker_submit(&file->base.store->helper, &j->job);
	file_unref(file);
	return MOSAIC_PENDING;
}

/* ---- reading ---- */

static void read_run(struct mosaic_work *work)
{
	struct ifile_read *r = (struct ifile_read *)work;
	void *buffer = (void *)(uintptr_t)r->read->pin[0];
	int64_t n = io_pread(r->file->fd, buffer, r->read->len, r->read->offset);
	work->req.status = n == r->read->len ? 0 : MOSAIC_E_IO;
}

static void read_done(struct mosaic_req *req)
{
	struct ifile_read *r = (struct ifile_read *)req;
	struct mosaic_store *store = r->file->base.store;
	struct mosaic_read *read = r->read;
	int32_t status = req->status;
	if (status != 0) {
		ifile_unpin(read);
		read->ptr = NULL;
	}
	file_unref(r->file);
	free(r);
	store_done(store, &read->req, status);
}

static int32_t read_cold(struct ifile *file, struct mosaic_read *read)
{
	struct mosaic_store *store = file->base.store;
	struct ifile_read *r = calloc(1, sizeof(*r));
	int32_t rc = r ? store_accept(store) : MOSAIC_E_NOMEM;
	if (rc < 0) {
		free(r);
		return rc;
	}
	*r = (struct ifile_read){ .work = { .run = read_run, .req = { .done = read_done } },
				  .file = file,
				  .read = read };
	rc = store->host->work(store->host, &r->work);
	if (rc < 0) {
		store->n_pending--;
		free(r);
		return rc;
	}
	file->refs++;
	return MOSAIC_PENDING;
}

int32_t ifile_read(struct ifile *file, uint64_t offset, uint32_t len,
		   struct mosaic_read *read)
{
	if (offset >= file->bytes || file->fd < 0)
		return MOSAIC_E_NOTFOUND;
	len = file->bytes - offset < len ? (uint32_t)(file->bytes - offset) : len;
	uint8_t *buffer = len > 0 ? malloc(len) : NULL;
	if (!buffer)
		return len > 0 ? MOSAIC_E_NOMEM : MOSAIC_E_INVAL;
	read->offset = offset;
	read->ptr = buffer;
	read->len = len;
	read->pin[0] = (uint64_t)(uintptr_t)buffer;
	read->pin[1] = MOSAIC_INDEX;
	struct iovec iov = { .iov_base = buffer, .iov_len = len };
	if (preadv2(file->fd, &iov, 1, (off_t)offset, RWF_NOWAIT) == (ssize_t)len)
		return 0;
	int32_t rc = read_cold(file, read);
	if (rc < 0)
		free(buffer);
	return rc;
}

void ifile_unpin(struct mosaic_read *read)
{
	free((void *)(uintptr_t)read->pin[0]);
}

/* ---- the folder ---- */

static int find_file(struct mosaic_store *store, int folder_fd, const char *name)
{
	int fd = openat(folder_fd, name, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return errno;
	struct stat st;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return 0;
	}
	struct ifile *file = file_create(store, name);
	if (!file) {
		close(fd);
		return ENOMEM;
	}
	directory_forget_cache(store, fd);
	file->fd = fd;
	file->bytes = (uint64_t)st.st_size;
	return 0;
}

int ifile_find(struct mosaic_store *store)
{
	int fd = openat(store->dir_fd, INDEX_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (fd >= 0 && !dir)
		close(fd);
	if (!dir)
		return errno == ENOENT ? 0 : errno;
	int rc = 0;
	for (struct dirent *e; rc == 0 && (e = readdir(dir));)
		if (name_is_valid(e->d_name))
			rc = find_file(store, fd, e->d_name);
	closedir(dir);
	return rc;
}

void ifile_destroy_all(struct mosaic_store *store)
{
	while (store->indexes.n > 0) {
		struct ifile *file =
			(struct ifile *)store->indexes.by_index[store->indexes.n - 1];
		names_take(&store->indexes, &file->base.name);
		file_unref(file);
	}
	names_fini(&store->indexes);
}
