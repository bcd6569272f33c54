/* A tag expression and what matches it (FilterAPI, SubscriptionData of 5.3.3). All [core]. */
#ifndef BROKER_SUBSCRIPTION_H
#define BROKER_SUBSCRIPTION_H

#include "base/compiler.h"
#include "base/slice.h"
#include "log/queue.h"

struct subscription {
	char *topic;      /* NUL-terminated, owned */
	char *expression; /* "*" for everything, owned */
	char *type;       /* "TAG" or "SQL92", owned */
	int64_t version;
	bool all;         /* every message matches */
	uint32_t n_codes; /* else one of these Java hash codes */
	int32_t *codes;
};

/* Parses `a || b`; NULL or "" or "*" is everything. 0, MOSAIC_E_INVAL for an expression without any
 * tag, MOSAIC_E_UNSUPPORTED for a type other than TAG. On success *sub owns its strings. */
NODISCARD int subscription_init(struct subscription *sub, struct mosaic_slice topic,
				struct mosaic_slice expression, struct mosaic_slice type,
				int64_t version);
/* Keeps an expression of a type that nobody here can evaluate: it matches nothing. */
void subscription_init_opaque(struct subscription *sub, struct mosaic_slice topic,
			      struct mosaic_slice expression, struct mosaic_slice type,
			      int64_t version);
/* The tags of an expression one by one, trimmed, empty ones skipped; *at starts at 0. */
bool subscription_next_tag(struct mosaic_slice expression, size_t *at, struct mosaic_slice *tag);
void subscription_fini(struct subscription *sub);
/* An extended unit has no code to compare: it goes to the client, which compares the text as it
 * does with every message. */
static inline bool subscription_matches(const struct subscription *sub, int64_t tags_code)
{
	if (sub->all || (tags_code <= QUEUE_EXT_ADDRESS_MAX && sub->n_codes > 0))
		return true;
	for (uint32_t i = 0; i < sub->n_codes; i++)
		if (sub->codes[i] == tags_code)
			return true;
	return false;
}

#endif
