/* Reads one whole record of the commit log, however long and however cold it is. Its body is always
 * compared with its checksum: these are single messages. [core] */
#ifndef LOG_RECORD_READ_H
#define LOG_RECORD_READ_H

#include "log/log.h"

/* Storage is the caller's until record_unpin, or until done() when the read pended. */
struct record_read {
	void (*done)(struct record_read *r); /* only after MOSAIC_PENDING; status is set */
	void *data;
	int status;
	struct message m; /* status 0: borrows from the store until record_unpin */
	uint32_t len;
	struct log *log; /* private from here */
	uint64_t offset;
	uint32_t need, want;
	struct mosaic_read read;
};

/* 0: m and len are set; MOSAIC_PENDING: done() will run; MOSAIC_E_NOTFOUND, MOSAIC_E_CORRUPT (no
 * whole record begins there, or the disk has lost some of it), or an error of the store. After 0
 * the caller unpins. */
NODISCARD int record_read(struct log *log, uint64_t offset, struct record_read *r);
void record_unpin(struct record_read *r);

#endif
