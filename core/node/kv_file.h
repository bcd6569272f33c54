/*
 * The NameServer's KV config on disk: read once at start, replaced atomically (write, fsync,
 * rename, fsync of the folder) on a worker. One save is under way at a time; saves complete in
 * order.
 */
#ifndef NODE_KV_FILE_H
#define NODE_KV_FILE_H

#include "base/buf.h"
#include "base/host.h"

struct kv_file {
	const struct mosaic_host *host;
	char *path;
	struct buf content;   /* as read */
	struct kv_save *head, *tail; /* waiting and running saves, oldest first */
};

/* Reads the file; a missing one is empty. 0, or MOSAIC_E_IO with *err. path NULL: memory only.
 * [main] */
NODISCARD int kv_file_open(struct kv_file *f, const struct mosaic_host *host, const char *path,
			   struct mosaic_error *err);
/* For struct namesrv_docs.save: copies content; req->done with the status. [core] */
int kv_file_save(void *kv_file, struct mosaic_slice content, struct mosaic_req *req);
/* After the last save has completed. [main] */
void kv_file_close(struct kv_file *f);

#endif
