/*
 * Index files: of a fixed size, sparse, written anywhere by whoever keeps the index. Truncates and
 * writes run on the helper in the order of the calls, syncs on the slow thread; a read that the
 * page cache cannot serve at once goes to a host worker.
 */
#ifndef STORE_COMMON_IFILE_H
#define STORE_COMMON_IFILE_H

#include "store.h"

#define INDEX_FOLDER "index"

struct ifile;

static inline struct ifile *ifile_of(struct mosaic_stream *stream)
{
	return (struct ifile *)stream;
}

int32_t ifile_open(struct mosaic_store *store, const struct mosaic_stream_name *name,
		   struct mosaic_stream **out);
void ifile_info(const struct ifile *file, struct mosaic_stream_info *info);
int32_t ifile_truncate(struct ifile *file, uint64_t to, struct mosaic_req *req);
int32_t ifile_write(struct ifile *file, struct mosaic_write *write);
int32_t ifile_read(struct ifile *file, uint64_t offset, uint32_t len,
		   struct mosaic_read *read);
void ifile_unpin(struct mosaic_read *read);
int32_t ifile_sync(struct ifile *file, struct mosaic_sync *req);
int32_t ifile_drop(struct ifile *file, struct mosaic_req *req);
/* [worker] the files of the folder: 0 or an errno */
int ifile_find(struct mosaic_store *store);
/* [main] at destroy: all that are left */
void ifile_destroy_all(struct mosaic_store *store);

#endif
