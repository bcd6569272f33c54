/* A hash table from address to owner: open addressing, linear probing. */
#include "sim/simheap.h"
#include <stdlib.h>
#include <string.h>

/* Names that the linker gives (--wrap). */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *ptr, size_t size);
void __real_free(void *ptr);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *ptr, size_t size);
void __wrap_free(void *ptr);
char *__wrap_strdup(const char *text);

struct block {
	void *ptr;
	uint32_t owner;
};

/* One program, one thread: the only place of the simulator that may be global. */
static struct {
	struct block *blocks;
	size_t size, count; /* size: a power of two */
	uint32_t owner;
} heap;

static size_t slot_of(const void *ptr)
{
	return (size_t)(((uint64_t)(uintptr_t)ptr >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 20) &
	       (heap.size - 1);
}

static void put(void *ptr, uint32_t owner)
{
	size_t i = slot_of(ptr);

	while (heap.blocks[i].ptr != NULL)
		i = (i + 1) & (heap.size - 1);
	heap.blocks[i] = (struct block){ ptr, owner };
	heap.count++;
}

static void grow(void)
{
	struct block *old = heap.blocks;
	size_t size = heap.size;

	heap.size = size ? size * 2 : 1 << 16;
	heap.blocks = __real_calloc(heap.size, sizeof(*heap.blocks));
	if (heap.blocks == NULL)
		abort();
	heap.count = 0;
	for (size_t i = 0; i < size; i++)
		if (old[i].ptr != NULL)
			put(old[i].ptr, old[i].owner);
	__real_free(old);
}

static void *note(void *ptr, uint32_t owner)
{
	if (ptr == NULL || owner == HEAP_WORLD)
		return ptr;
	if (heap.count * 2 >= heap.size)
		grow();
	put(ptr, owner);
	return ptr;
}

/* Empties slot i and moves what probed past it. */
static void take(size_t i)
{
	heap.count--;
	for (size_t j = i;;) {
		heap.blocks[i].ptr = NULL;
		for (;;) {
			j = (j + 1) & (heap.size - 1);
			if (heap.blocks[j].ptr == NULL)
				return;
			size_t home = slot_of(heap.blocks[j].ptr);
			if (((j - home) & (heap.size - 1)) >= ((j - i) & (heap.size - 1)))
				break;
		}
		heap.blocks[i] = heap.blocks[j];
		i = j;
	}
}

/* The owner of a block that goes. */
static uint32_t forget(const void *ptr)
{
	if (heap.count == 0)
		return HEAP_WORLD;
	for (size_t i = slot_of(ptr); heap.blocks[i].ptr != NULL; i = (i + 1) & (heap.size - 1)) {
		if (heap.blocks[i].ptr != ptr)
			continue;
		uint32_t owner = heap.blocks[i].owner;
		take(i);
		return owner;
	}
	return HEAP_WORLD;
}

uint32_t heap_enter(uint32_t owner)
{
	uint32_t was = heap.owner;

	heap.owner = owner;
	return was;
}

uint32_t heap_count(uint32_t owner)
{
	uint32_t n = 0;

	for (size_t i = 0; i < heap.size; i++)
		n += heap.blocks[i].ptr != NULL && heap.blocks[i].owner == owner;
	return n;
}

uint32_t heap_kill(uint32_t owner)
{
	struct block *old = heap.blocks;
	size_t size = heap.size;
	uint32_t n = 0;

	if (heap.count == 0)
		return 0;
	heap.blocks = __real_calloc(size, sizeof(*heap.blocks));
	if (heap.blocks == NULL)
		abort();
	heap.count = 0;
	for (size_t i = 0; i < size; i++) {
		if (old[i].ptr == NULL)
			continue;
		if (old[i].owner != owner) {
			put(old[i].ptr, old[i].owner);
			continue;
		}
		__real_free(old[i].ptr);
		n++;
	}
	__real_free(old);
	return n;
}

void *__wrap_malloc(size_t size)
{
	return note(__real_malloc(size), heap.owner);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return note(__real_calloc(n, size), heap.owner);
}

void *__wrap_realloc(void *ptr, size_t size)
{
	uint32_t owner = ptr == NULL ? heap.owner : forget(ptr);

	return note(__real_realloc(ptr, size), owner);
}

void __wrap_free(void *ptr)
{
	if (ptr == NULL)
		return;
	(void)forget(ptr);
	__real_free(ptr);
}

char *__wrap_strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = __wrap_malloc(size);

	return copy ? memcpy(copy, text, size) : NULL;
}
