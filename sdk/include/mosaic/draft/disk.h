/*
 * mosaic/draft/disk.h - extension "mosaic.disk.draft/1": a simulated disk that outlives a store.
 *
 * The host owns one struct mosaic_disk per simulated disk, zeroed at first, and offers it to the
 * store that uses it. A store without files keeps its state in it instead of in the instance, so
 * that a node can crash and start again on the same disk. Without the extension the state belongs
 * to the instance. A crash of a node, in this order, with no callback of it running any more:
 *   disk->crash(disk, how, random); destroy() of the store; create() and open() of a new one.
 */
#ifndef MOSAIC_DRAFT_DISK_H
#define MOSAIC_DRAFT_DISK_H

#include <mosaic/base.h>

#define MOSAIC_EXT_DISK "mosaic.disk.draft/1"

#ifdef __cplusplus
extern "C" {
#endif

enum mosaic_disk_crash {
	MOSAIC_CRASH_PROCESS = 1, /* kill -9: the commit log stays, consume queues keep a prefix */
	MOSAIC_CRASH_POWER = 2    /* of what is not synced a prefix stays, which is drawn */
};

struct mosaic_disk {
	void *state; /* the plugin's; NULL: an empty disk */
	/* The plugin's, set at open. Afterwards the instance that uses the disk may only be
	 * destroyed; requests under way never complete and pins are void. */
	void (*crash)(struct mosaic_disk *disk, uint32_t how, uint64_t random);
	/* Frees the state; when no instance uses it. */
	void (*destroy)(struct mosaic_disk *disk);
};

/* What host->extension() returns. */
struct mosaic_ext_disk {
	uint32_t struct_size;
	uint32_t reserved0;
	struct mosaic_disk *disk;
};

#ifdef __cplusplus
}
#endif
#endif
