/*
 * A store's directory: taken when it is opened, given back when it is closed. [slow] but for what
 * says otherwise.
 */
#ifndef STORE_COMMON_DIRECTORY_H
#define STORE_COMMON_DIRECTORY_H

#include "store.h"

/* Everything that open() does; sets open_status, and open_error when it is not 0. */
void directory_open(struct job *job);
/* Tells the next user that what the cache has may be on no disk. */
void directory_mark_broken(struct job *job);
/* [worker] When the last user left that mark: clean pages of the file leave the cache. */
void directory_forget_cache(const struct mosaic_store *store, int fd);
/* Marks it clean unless the store is broken, and gives the lock back. */
void directory_close(struct job *job);
/* [any] Gives the lock back, if it is ours. */
void directory_unlock(struct mosaic_store *store);

#endif
