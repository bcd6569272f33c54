/*
 * What a read of the commit log that failed means. A place that cannot be read on a disk that reads
 * others is lost: it costs the messages in it, and nobody waits for it. A disk that reads nothing
 * has lost nothing: its bytes may come back with it.
 */
#ifndef STORE_COMMON_LOST_H
#define STORE_COMMON_LOST_H

#include "store.h"

struct lost {
	uint64_t offset; /* in: what could not be read, of one segment; out: whole pages of it */
	uint32_t len;
	uint64_t begin, written; /* in: what of the log is on the disk */
	int os_errno;            /* out: what the disk says; 0: the file ends before */
};

/*
 * [worker] Looks at it page by page, around the page cache, more than once, and then at other
 * pages. 0: it can be read now; MOSAIC_E_LOST: what is left in `lost` is; MOSAIC_E_IO: nothing can
 * be read, or the failure is not of a kind that belongs to a place.
 */
int32_t lost_judge(struct mosaic_store *store, struct lost *lost);
/* [core] Tells of a verdict, once a second at most. */
void lost_tell(struct mosaic_store *store, int32_t verdict, const struct lost *lost);

#endif
