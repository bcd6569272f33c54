/*
 * The header of a remoting command in both encodings: JSON and ROCKETMQ binary.
 *
 * Decoding makes slices into the frame and allocates nothing. Encoding writes forward into memory
 * the caller lends. Rules and traps: RemotingCommand, RemotingSerializable, RocketMQSerializable
 * (5.3.3): values of extFields may be strings, numbers, booleans or null; unknown members, a
 * missing or unknown language and a null remark are fine; the binary form has a 16-bit code, and a
 * value of length 0 in it is null.
 */
#ifndef WIRE_HEADER_H
#define WIRE_HEADER_H

#include "base/compiler.h"
#include "base/slice.h"

enum serialize_type {
	SERIALIZE_JSON = 0,
	SERIALIZE_BINARY = 1
};

enum header_flags {
	HEADER_RESPONSE = 1,
	HEADER_ONEWAY = 2
};

/* LanguageCode of 5.3.3 */
enum language {
	LANGUAGE_JAVA = 0, LANGUAGE_CPP, LANGUAGE_DOTNET, LANGUAGE_PYTHON, LANGUAGE_DELPHI,
	LANGUAGE_ERLANG, LANGUAGE_RUBY, LANGUAGE_OTHER, LANGUAGE_HTTP, LANGUAGE_GO, LANGUAGE_PHP,
	LANGUAGE_OMS, LANGUAGE_RUST, LANGUAGE_NODE_JS, LANGUAGE_COUNT
};

/* Ordinals of MQVersion that rules compare with. */
#define VERSION_V3_4_9 121
#define VERSION_V4_9_4 401
#define VERSION_V5_3_3 479 /* what we announce */

#define HEADER_MAX_FIELDS 96 /* 3 times the most that any client was seen to send */

/* value.ptr is NULL for a null value. */
struct field {
	struct mosaic_slice key, value;
};

struct header {
	int32_t code;
	int32_t version;
	int32_t opaque;
	int32_t flag;
	uint8_t serialize; /* enum serialize_type */
	uint8_t language;  /* enum language; LANGUAGE_OTHER when unknown */
	uint16_t n_fields;
	struct mosaic_slice remark; /* ptr NULL: absent */
	struct field fields[HEADER_MAX_FIELDS];
};

static inline bool header_is_response(const struct header *h)
{
	return (h->flag & HEADER_RESPONSE) != 0;
}

static inline bool header_is_oneway(const struct header *h)
{
	return (h->flag & HEADER_ONEWAY) != 0;
}

/* Decodes in place. Duplicate keys: the last one wins on look-up, as in a Java map.
 * 0, MOSAIC_E_CORRUPT, MOSAIC_E_LIMIT (too many fields). */
NODISCARD int header_decode(uint8_t *bytes, uint32_t len, uint8_t serialize, struct header *out);

/* The value of a field, NULL when absent or null. */
const struct mosaic_slice *header_find(const struct header *h, const char *key);
/* 0; MOSAIC_E_NOTFOUND when absent or null; MOSAIC_E_INVAL when it is no number of that size. Java
 * treats the last two alike: the field stays null. */
int header_i32(const struct header *h, const char *key, int32_t *out);
int header_i64(const struct header *h, const char *key, int64_t *out);
/* `fallback` when absent; "true" in any case is true, all else false. */
bool header_bool(const struct header *h, const char *key, bool fallback);
/* Empty slice (ptr NULL) when absent. */
struct mosaic_slice header_str(const struct header *h, const char *key);

const char *language_name(uint8_t language); /* "JAVA" ... */

/*
 * Writes one frame's prefix and header: begin, fields, remark, end. Nothing is checked on the way;
 * when the memory was too small, header_end returns 0 and nothing must be sent.
 * Codes that do not fit the binary form's 16 bits are written as JSON whatever was asked for.
 */
struct header_writer {
	uint8_t *start, *at, *limit; /* whole frame from its length word */
	uint8_t *mark;               /* binary: where the length of extFields goes */
	struct mosaic_slice remark;
	int32_t opaque, flag, version; /* JSON has them behind the fields */
	uint8_t serialize, language;
	bool failed, has_fields;
};

/* Bytes that are enough for a header without fields and remark. */
#define HEADER_ROOM 192
/* Bytes that are enough for one more field: JSON may need 6 bytes for one. */
#define HEADER_FIELD_ROOM(key_len, value_len) (16 + (key_len) + 6 * (size_t)(value_len))

void header_begin(struct header_writer *w, void *memory, size_t size, uint8_t serialize,
		  int32_t code, int32_t opaque, int32_t flag, uint8_t language, int32_t version);
void header_put(struct header_writer *w, const char *key, struct mosaic_slice value);
void header_put_str(struct header_writer *w, const char *key, const char *value);
void header_put_i64(struct header_writer *w, const char *key, int64_t value);
void header_put_bool(struct header_writer *w, const char *key, bool value);
/* Borrowed until header_end. */
void header_put_remark(struct header_writer *w, struct mosaic_slice text);
/* Completes prefix and header for a body of body_len bytes; returns how many bytes of memory are
 * used: the body follows them. 0 when the memory was too small. */
uint32_t header_end(struct header_writer *w, uint32_t body_len);

#endif
