/*
 * Message properties as text: name \1 value \2 name \1 value \2 ... (MessageDecoder, 5.3.3). A
 * piece shorter than 3 bytes is ignored, name and value must both be non-empty, the trailing \2 may
 * be missing, of a repeated name the last one wins.
 */
#ifndef WIRE_PROPS_H
#define WIRE_PROPS_H

#include "base/buf.h"
#include "base/slice.h"

#define PROPS_MAX 32767 /* bytes on disk: a signed short */

/* Well-known names. */
#define PROP_KEYS "KEYS"
#define PROP_TAGS "TAGS"
#define PROP_WAIT "WAIT"
#define PROP_DELAY "DELAY"
#define PROP_RETRY_TOPIC "RETRY_TOPIC"
#define PROP_REAL_TOPIC "REAL_TOPIC"
#define PROP_REAL_QUEUE_ID "REAL_QID"
#define PROP_TRAN_MSG "TRAN_MSG"
#define PROP_ORIGIN_MESSAGE_ID "ORIGIN_MESSAGE_ID"
#define PROP_MSG_REGION "MSG_REGION"
#define PROP_TRACE_ON "TRACE_ON"
#define PROP_CLUSTER "CLUSTER"
#define PROP_UNIQ_KEY "UNIQ_KEY"
#define PROP_POP_CK "POP_CK"

struct props_iter {
	const uint8_t *at, *end;
};

static inline struct props_iter props_iter(struct mosaic_slice props)
{
	return (struct props_iter){ props.ptr, props.len != 0 ? props.ptr + props.len : props.ptr };
}

/* The next valid pair; false at the end. */
bool props_next(struct props_iter *it, struct mosaic_slice *name, struct mosaic_slice *value);
/* The value of a name (last one wins); ptr NULL when absent. */
struct mosaic_slice props_find(struct mosaic_slice props, const char *name);

/*
 * A set of properties being edited: parse, put, remove, then written in the order in which Java's
 * HashMap with 128 buckets would hold them (store.md: files are then equal byte for byte).
 */
#define PROPS_MAX_COUNT 512 /* pairs; a message with more is refused */

struct props_edit {
	uint32_t count;
	uint32_t n_buckets; /* of that HashMap: grows with its pairs, never shrinks */
	struct {
		struct mosaic_slice name, value;
		uint32_t hash; /* h ^ h >>> 16 of Java's hashCode */
	} pairs[PROPS_MAX_COUNT]; /* in order of insertion */
};

/*
 * Names that are looked up for every message, with their hash: Java's hashCode, spread as HashMap
 * does. tests/unit/wire holds the numbers against hash_java().
 */
struct prop_key {
	const char *text;
	uint32_t len, hash;
};

extern const struct prop_key prop_key_cluster, prop_key_delay, prop_key_keys, prop_key_msg_region,
	prop_key_pop_ck, prop_key_tags, prop_key_timer_delay_ms, prop_key_timer_delay_sec,
	prop_key_timer_deliver_ms, prop_key_trace_on, prop_key_tran_msg, prop_key_uniq_key,
	prop_key_wait;
extern const struct prop_key *const prop_keys[];
extern const uint32_t prop_n_keys;

/* 0, or MOSAIC_E_LIMIT when there are more than PROPS_MAX_COUNT pairs. Names and values borrow. */
NODISCARD int props_edit_parse(struct props_edit *edit, struct mosaic_slice props);
/* Sets or replaces (a replaced pair keeps its place, as in a Java map). 0 or MOSAIC_E_LIMIT. */
NODISCARD int props_edit_put(struct props_edit *edit, struct mosaic_slice name,
			     struct mosaic_slice value);
void props_edit_remove(struct props_edit *edit, const char *name);
struct mosaic_slice props_edit_find(const struct props_edit *edit, const char *name);
/* The same by a key that needs no hashing. */
NODISCARD int props_edit_set(struct props_edit *edit, const struct prop_key *key,
			     struct mosaic_slice value);
void props_edit_drop(struct props_edit *edit, const struct prop_key *key);
struct mosaic_slice props_edit_get(const struct props_edit *edit, const struct prop_key *key);
/* Appends the text to out, each pair ended by \2. */
void props_edit_write(const struct props_edit *edit, struct buf *out);

#endif
