/* How full the disk is, and how old the oldest segment; on the slow thread. */
#include "log_files.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

struct space_job {
	struct job job; /* first */
	struct mosaic_space *space;
	char path[LOG_PATH_BYTES]; /* of the first segment; "": there is none */
};

static void space_run(struct job *job)
{
	struct space_job *s = (struct space_job *)job;
	struct mosaic_space *space = s->space;
	struct statvfs fs;
	struct stat st;
	if (fstatvfs(job->store->dir_fd, &fs) != 0) {
		job_fail(job, errno, "cannot ask how full the disk is");
		return;
	}
	space->used = (uint64_t)(fs.f_blocks - fs.f_bfree) * fs.f_frsize;
	space->total = space->used + (uint64_t)fs.f_bavail * fs.f_frsize;
	space->oldest_ms = 0;
	if (s->path[0] && fstatat(job->store->dir_fd, s->path, &st, 0) == 0)
		space->oldest_ms = (uint64_t)st.st_mtim.tv_sec * 1000 +
				   (uint64_t)st.st_mtim.tv_nsec / 1000000;
}

static void space_done(struct job *job)
{
	struct space_job *s = (struct space_job *)job;
	struct mosaic_store *store = job->store;
	struct mosaic_space *space = s->space;
	int32_t status = job->status;
	free(s);
	store_done(store, &space->req, status);
}

int32_t store_space(struct mosaic_store *store, struct mosaic_space *space)
{
	struct space_job *s = calloc(1, sizeof(*s));
	int32_t rc = s ? store_accept(store) : MOSAIC_E_NOMEM;
	if (rc < 0) {
		free(s);
		return rc;
	}
	s->job.store = store;
	s->job.run = space_run;
	s->job.done = space_done;
	s->space = space;
	if (!store->engine->is_empty(store->log)) {
		struct mosaic_stream_info info;
		store->engine->info(store->log, &info);
		log_path(s->path, info.begin - info.begin % info.segment_bytes);
	}
	worker_submit(&store->slow, &s->job);
	return MOSAIC_PENDING;
}
