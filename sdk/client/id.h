/* Message ids as MessageClientIDSetter of 5.3.3 makes them, and what tells this machine apart. */
#ifndef CLIENT_ID_H
#define CLIENT_ID_H

#include <stdint.h>

/*
 *   4 or 16 bytes address | 2 process id | 4 random | 4 ms since the month began | 2 that count
 *
 * as upper-case hex. Only IPv4 here, so 16 bytes. The caller's lock guards it.
 */
#define ID_CHARS 32
struct id_maker {
	uint8_t fixed[10];
	uint16_t count;
	int64_t month_ms, next_month_ms;
};

/* The first address of an interface that is up and not loopback; 127.0.0.1 without one. */
void id_own_address(uint8_t ip[4]);
void id_init(struct id_maker *ids, const uint8_t ip[4], int32_t pid, uint32_t random);
/* Writes ID_CHARS characters and a 0. */
void id_make(struct id_maker *ids, int64_t wall_ms, char *out);

#endif
