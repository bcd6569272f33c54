/*
 * Offsets of a broadcasting member: DIR/GROUP.json, replaced as a whole. Keys are those of shares.
 * Two members of a group on one machine need two folders. [core]
 */
#ifndef CONSUMER_OFFSET_FILE_H
#define CONSUMER_OFFSET_FILE_H

#include "base/compiler.h"
#include <mosaic/base.h>

struct offset_file;

/* dir: NULL means ~/.mosaic_offsets; made when it is not there. A file that cannot be read is an
 * error: going on without it would consume everything again. */
NODISCARD int offset_file_open(const char *dir, const char *group, struct offset_file **out,
			       struct mosaic_error *error);
void offset_file_close(struct offset_file **f); /* writes nothing; NULL is fine */
bool offset_file_get(const struct offset_file *f, const char *key, int64_t *offset);
void offset_file_put(struct offset_file *f, const char *key, int64_t offset);
/* When something has changed. The file of before is there until the new one is whole. */
int offset_file_write(struct offset_file *f, struct mosaic_error *error);

#endif
