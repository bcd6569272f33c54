/*
 * The segment files of the commit log: what engines have in common. All [worker] but log_path().
 */
#ifndef STORE_COMMON_LOG_FILES_H
#define STORE_COMMON_LOG_FILES_H

#include "store.h"

#define LOG_FOLDER "commitlog"
#define LOG_PATH_BYTES 64         /* "commitlog/" and 20 digits */
#define SEGMENT_TMP "segment.tmp" /* beside the folder: Apache's broker reads every name in it */

/* [any] the file of the segment that starts there */
void log_path(char path[LOG_PATH_BYTES], uint64_t start);
/* The log's end is cut: deletes the segments of [from, upto), the last one first and each durably:
 * whatever interrupts this, no file is missing before another. False: the job has failed. */
bool log_delete_end(struct job *job, uint64_t from, uint64_t upto);
/* What only the page cache may have: writes [from, upto) again and makes it durable. Through the
 * file: a full disk is an error there, and no signal as in a mapping. */
void log_write_again(struct job *job, uint64_t from, uint64_t upto);
/* Whether the file has data at or beyond `from`, as far as the file system can tell. */
bool log_has_data(int fd, uint64_t from, uint64_t size);

#endif
