/*
 * A model of a disk below a real folder: what of the files in it would still be there if the power
 * went away now. The programs of this folder have their file calls wrapped by the linker (calls.c);
 * each call is made for real and told to the model.
 *
 * What the model promises, and nothing more:
 *   data      a sector of 512 bytes is old or new as a whole. It is new for sure after a successful
 *             sync of its file that began after it was written; before that any subset of the
 *             changed sectors may have been written back, in any order, at any moment.
 *   names     making, renaming and removing names and changing sizes is a journal. Some first part
 *             of it is on the disk; all of it up to the last change of a file or folder is after a
 *             successful sync of that. LOOSE: each folder has a journal of its own and sizes belong
 *             to their file, which is all that POSIX promises; else one journal orders all of it,
 *             as ext4 and xfs do.
 *   errors    a sync that failed with EIO leaves the pages clean in the cache and never written:
 *             the next sync says 0 and knows nothing of them.
 *
 * Mapped files need no calls: the folder's files are compared with what the disk has.
 *
 * One disk at a time; single-threaded (fibers.h); everything follows from the seed.
 */
#ifndef FAULT_DISK_H
#define FAULT_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Calls that can fail, and that a disk can lie about. */
enum disk_call {
	CALL_OPEN,     /* with O_CREAT */
	CALL_WRITE,    /* write, pwrite, pwritev */
	CALL_TRUNCATE, /* ftruncate */
	CALL_ALLOCATE, /* posix_fallocate, fallocate */
	CALL_MSYNC,
	CALL_FSYNC,     /* of a file; syncfs too */
	CALL_FDATASYNC,
	CALL_FSYNC_DIR, /* fsync of a folder */
	CALL_RENAME,
	CALL_LINK,
	CALL_UNLINK,
	CALL_MKDIR,
	CALL_MMAP,
	CALLS
};

const char *disk_call_name(enum disk_call call);

/* Follows the folder `root` from now on; everything that is in it counts as durable. */
void disk_attach(const char *root, uint64_t seed, bool is_loose);
void disk_detach(void);
/* Time passes: the disk may write back something of its own accord, and at random moments on_point
 * is called, where the power may go away. In every wrapped call too. */
void disk_moment(void);
/* Counts moments: one more with each call. */
uint64_t disk_now(void);
/* At about one of `every` moments; NULL: never. */
void disk_on_point(void (*on_point)(void *ctx), void *ctx, uint64_t every);
/* Makes the folder `to` and puts what the disk has into it, after a last random write-back. */
void disk_image(const char *to);

/* The n-th call from now (1: the next one) of this kind fails with os_errno, SHORT_WRITE: writes
 * less than it should. CALLS: of any kind. */
#define SHORT_WRITE (-1)
#define LIE (-2)
void disk_fail(enum disk_call call, uint64_t n, int os_errno);
/* The call that failed and how many of the kind there were; false: none has failed yet. */
bool disk_has_failed(enum disk_call *call, uint64_t *n_calls);
/* This call says 0 and does nothing. */
void disk_lie(enum disk_call call);

uint64_t disk_random(uint64_t below);

/* ---- for calls.c ---- */

/* 0, SHORT_WRITE, LIE or an errno: what the call must answer. */
int disk_fault(enum disk_call call);
bool disk_is_attached(void);
bool disk_is_loose(void);
/* Path below root into `out` (of 256 bytes); false: not below. */
bool disk_path(int dir_fd, const char *path, char *out);
void disk_opened(int fd, const char *path, int flags, bool was_there);
void disk_closed(int fd);
bool disk_has_fd(int fd);
bool disk_is_folder(int fd);
void disk_wrote(int fd, uint64_t at, uint64_t n); /* dirty again, also with the same bytes */
void disk_resized(int fd);
void disk_mapped(const void *at, uint64_t len, int fd, uint64_t offset);
void disk_unmapped(const void *at);
void disk_synced(int fd, int os_errno);
void disk_synced_range(int fd, uint64_t from, uint64_t len, int os_errno);
/* Of mapped bytes; false: not ours. */
bool disk_synced_map(const void *at, uint64_t len, int os_errno);
bool disk_has_map(const void *at);
void disk_synced_all(void);
/* Clean pages leave the cache: what a failed sync has lost is seen. */
void disk_forgot(int fd);
void disk_renamed(const char *from, const char *to);
void disk_linked(const char *from, const char *to);
void disk_unlinked(const char *path);
void disk_made_folder(const char *path);

#endif
