/*
 * Whose memory it is. The program is linked so that malloc, calloc, realloc, free and strdup come
 * here, and each block is noted with the node that was running. So a node can be killed between two
 * events: all that it held is freed at once, without any of its code. And what a node that was
 * stopped properly has left behind is a leak.
 */
#ifndef SIM_SIMHEAP_H
#define SIM_SIMHEAP_H

#include <stddef.h>
#include <stdint.h>

#define HEAP_WORLD 0 /* owner of what is not noted */

/* Blocks that are allocated from now on belong to `owner`; returns the one before. */
uint32_t heap_enter(uint32_t owner);
/* Frees everything of this owner; returns how many blocks there were. */
uint32_t heap_kill(uint32_t owner);
uint32_t heap_count(uint32_t owner);

#endif
