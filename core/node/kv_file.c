#include "node/kv_file.h"
#include "base/err.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define KV_FILE_MAX (64u * 1024 * 1024)

struct kv_save {
	struct mosaic_work work;
	struct kv_file *file;
	struct kv_save *next;
	struct mosaic_req *req;
	struct buf content;
};

static void kv_file_start(struct kv_file *f);

static int kv_file_read(int fd, struct buf *out)
{
	for (;;) {
		ssize_t n = read(fd, buf_room(out, 65536), 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 ? 0 : -errno;
		out->len += (size_t)n;
		if (out->len > KV_FILE_MAX)
			return -EFBIG;
	}
}

/* The folders above path, so that a fresh machine needs no preparation. */
static void make_folders(const char *path)
{
	char *copy = mem_strdup(path);
	for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		(void)mkdir(copy, 0755); /* what fails here fails again, with a text, at the save */
		*slash = '/';
	}
	free(copy);
}

int kv_file_open(struct kv_file *f, const struct mosaic_host *host, const char *path,
		 struct mosaic_error *err)
{
	*f = (struct kv_file){ .host = host, .path = path ? mem_strdup(path) : NULL };
	if (path == NULL)
		return 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		make_folders(path);
		return 0;
	}
	int rc = fd < 0 ? -errno : kv_file_read(fd, &f->content);
	if (fd >= 0)
		(void)close(fd);
	if (rc == 0)
		return 0;
	kv_file_close(f);
	return err_set_os(err, MOSAIC_E_IO, -rc, "cannot read the KV config %s", path);
}

static int write_all(int fd, struct mosaic_slice s)
{
	while (s.len > 0) {
		ssize_t n = write(fd, s.ptr, s.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		s.ptr += n;
		s.len -= (size_t)n;
	}
	return fsync(fd) == 0 ? 0 : -errno;
}

static int sync_folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash == NULL ? mem_strdup(".") :
				       slice_dup(slice(path, (size_t)(slash - path) + 1));
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd >= 0 && fsync(fd) == 0 ? 0 : -errno;
	if (fd >= 0)
		(void)close(fd);
	free(folder);
	return rc;
}

static int replace(const char *path, struct mosaic_slice content)
{
	struct buf tmp = BUF_INIT;
	buf_append_str(&tmp, path);
	buf_append_str(&tmp, ".tmp");
	int fd = open(buf_cstr(&tmp), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int rc = fd < 0 ? -errno : write_all(fd, content);
	if (fd >= 0 && close(fd) != 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && rename(buf_cstr(&tmp), path) != 0)
		rc = -errno;
	if (rc == 0)
		rc = sync_folder_of(path);
	buf_free(&tmp);
	return rc;
}

static void kv_save_run(struct mosaic_work *work)
{
	struct kv_save *s = CONTAINER_OF(work, struct kv_save, work);
	int rc = s->file->path ? replace(s->file->path, buf_slice(&s->content)) : 0;
	work->req.status = rc == 0 ? 0 : rc == -ENOSPC ? MOSAIC_E_NOSPACE : MOSAIC_E_IO;
}

static void kv_save_done(struct mosaic_req *req)
{
	struct kv_save *s = CONTAINER_OF(req, struct kv_save, work.req);
	struct kv_file *f = s->file;
	struct mosaic_req *waiter = s->req;
	waiter->status = req->status;
	if (req->status != 0)
		LOG_ERROR(f->host, "kv_config_not_saved", "path=%s reason=\"%s\"", f->path,
			  status_text(req->status));
	f->head = s->next;
	if (f->head == NULL)
		f->tail = NULL;
	buf_free(&s->content);
	free(s);
	kv_file_start(f);
	waiter->done(waiter);
}

static void kv_file_start(struct kv_file *f)
{
	struct kv_save *s = f->head;
	if (s == NULL)
		return;
	s->work.run = kv_save_run;
	s->work.req.done = kv_save_done;
	if (f->host->work(f->host, &s->work) < 0) {
		s->work.req.status = MOSAIC_E_NOMEM;
		f->host->post(f->host, &s->work.req);
	}
}

int kv_file_save(void *kv_file, struct mosaic_slice content, struct mosaic_req *req)
{
	struct kv_file *f = kv_file;
	struct kv_save *s = mem_alloc(sizeof(*s));
	s->file = f;
	s->req = req;
	buf_append_slice(&s->content, content);
	if (f->tail != NULL)
		f->tail->next = s;
	else
		f->head = s;
	f->tail = s;
	if (f->head == s)
		kv_file_start(f);
	return 0;
}

void kv_file_close(struct kv_file *f)
{
	ASSERT(f->head == NULL);
	buf_free(&f->content);
	free(f->path);
	f->path = NULL;
}
