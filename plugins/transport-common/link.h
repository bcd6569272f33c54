/* Lists of the transports: a head is a link, an item has one for each list that it may be in. */
#ifndef TRANSPORT_COMMON_LINK_H
#define TRANSPORT_COMMON_LINK_H

#include <stdbool.h>
#include <stddef.h>

#define CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

struct link {
	struct link *next, *prev; /* points at itself when in no list */
};

static inline void link_init(struct link *l) { l->next = l->prev = l; }
static inline bool link_alone(const struct link *l) { return l->next == l; }

static inline void link_remove(struct link *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	link_init(l);
}

/* Moves l from whatever list it is in to the end of this one. */
static inline void link_move(struct link *head, struct link *l)
{
	link_remove(l);
	l->prev = head->prev;
	l->next = head;
	head->prev->next = l;
	head->prev = l;
}

#endif
