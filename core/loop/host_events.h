/* What the owner of a plugin instance hears through that instance's host, real or simulated. */
#ifndef LOOP_HOST_EVENTS_H
#define LOOP_HOST_EVENTS_H

#include <mosaic/host.h>

/* All [core]; members may be NULL. */
struct host_events {
	void (*watermark)(void *user, uint32_t which, uint64_t upto); /* only grows */
	void (*promise)(void *user, uint32_t which, uint32_t state);  /* the latest state */
	void (*fail)(void *user, const struct mosaic_error *error);   /* once */
	/* Extensions beside those of the host itself; NULL: not here. [main][core] */
	const void *(*extension)(void *user, const char *id);
};

#endif
