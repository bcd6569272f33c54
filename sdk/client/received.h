/* Messages that came from a broker, in the form of the public header: one block of memory each. */
#ifndef CLIENT_RECEIVED_H
#define CLIENT_RECEIVED_H

#include "base/compiler.h"
#include "wire/message.h"
#include <mosaic/client.h>

struct received {
	struct mosaic_received api; /* points into the block */
	struct received *next;      /* the owner's */
	size_t bytes;               /* what the block weighs, for bounds */
	int64_t phys_offset;        /* in the commit log, for sending back */
};

/*
 * Copies and decompresses. topic: NULL means that of the record. max_body: of the body once it is
 * decompressed. 0, MOSAIC_E_NOMEM, E_CORRUPT, E_LIMIT, E_UNSUPPORTED. [any]
 */
NODISCARD int received_make(const struct message *m, const char *broker, const char *topic,
			    size_t max_body, struct received **out);
void received_free(struct received *r); /* [any] NULL is fine */

#endif
