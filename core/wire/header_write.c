/*
 * Writes headers. JSON comes out as fastjson writes a RemotingCommand: members in alphabetic order,
 * extFields absent when there are none.
 */
#include "base/bytes.h"
#include "base/num.h"
#include "wire/escape.h"
#include "wire/frame.h"

#define BINARY_REMARK_AT 13 /* in the header: behind code, language, version, opaque, flag */

/* Whether n more bytes fit; when not, the whole header has failed. */
static inline bool has_room(struct header_writer *w, size_t n)
{
	if (LIKELY((size_t)(w->limit - w->at) >= n))
		return true;
	w->failed = true;
	return false;
}

/* The worst case first, because it costs nothing to compute; the exact length only when memory is
 * tight. */
static bool has_room_escaped(struct header_writer *w, struct mosaic_slice text, size_t more)
{
	size_t left = (size_t)(w->limit - w->at);

	if (LIKELY(left >= more && (left - more) / 6 >= text.len))
		return true;
	return has_room(w, escape_len(text) + more);
}

static void put_text(struct header_writer *w, const char *text, size_t len)
{
	memcpy(w->at, text, len);
	w->at += len;
}

#define PUT_TEXT(w, text) put_text(w, text, sizeof(text) - 1)

static void begin_binary(struct header_writer *w, int32_t code)
{
	uint8_t *p = w->at;

	put_be16(p, (uint16_t)code);
	p[2] = w->language;
	put_be16(p + 3, (uint16_t)w->version);
	put_be32(p + 5, (uint32_t)w->opaque);
	put_be32(p + 9, (uint32_t)w->flag);
	put_be32(p + BINARY_REMARK_AT, 0);
	w->mark = p + BINARY_REMARK_AT + 4;
	w->at = w->mark + 4;
}

void header_begin(struct header_writer *w, void *memory, size_t size, uint8_t serialize,
		  int32_t code, int32_t opaque, int32_t flag, uint8_t language, int32_t version)
{
	*w = (struct header_writer){
		.start = memory, .at = memory, .limit = (uint8_t *)memory + size,
		.opaque = opaque, .flag = flag, .version = version,
		.serialize = serialize, .language = language
	};
	if (code != (int16_t)code)
		w->serialize = SERIALIZE_JSON;
	if (!has_room(w, FRAME_PREFIX_BYTES + 32))
		return;
	w->at += FRAME_PREFIX_BYTES;
	if (w->serialize == SERIALIZE_BINARY) {
		begin_binary(w, code);
	} else {
		PUT_TEXT(w, "{\"code\":");
		w->at += num_format_i64(w->at, code);
	}
}

static void put_binary(struct header_writer *w, struct mosaic_slice key, struct mosaic_slice value)
{
	if (key.len > INT16_MAX || value.len > INT32_MAX || !has_room(w, 6 + key.len + value.len)) {
		w->failed = true;
		return;
	}
	put_be16(w->at, (uint16_t)key.len);
	memcpy(w->at + 2, key.ptr, key.len);
	w->at += 2 + key.len;
	put_be32(w->at, (uint32_t)value.len);
	memcpy(w->at + 4, value.ptr, value.len);
	w->at += 4 + value.len;
}

void header_put(struct header_writer *w, const char *name, struct mosaic_slice value)
{
	struct mosaic_slice key = slice_str(name);

	if (w->failed || !value.ptr)
		return;
	if (w->serialize == SERIALIZE_BINARY) {
		put_binary(w, key, value);
		return;
	}
	/* Beside the two texts: ,"extFields":{ and "":"" and the 8 bytes of put_escaped. */
	if (!has_room_escaped(w, key, 32))
		return;
	if (w->has_fields)
		*w->at++ = ',';
	else
		PUT_TEXT(w, ",\"extFields\":{");
	w->has_fields = true;
	*w->at++ = '"';
	w->at = escape_put(w->at, key);
	PUT_TEXT(w, "\":\"");
	if (!has_room_escaped(w, value, 12))
		return;
	w->at = escape_put(w->at, value);
	*w->at++ = '"';
}

void header_put_str(struct header_writer *w, const char *key, const char *value)
{
	header_put(w, key, slice_str(value));
}

void header_put_i64(struct header_writer *w, const char *key, int64_t value)
{
	uint8_t digits[20];

	header_put(w, key, slice(digits, num_format_i64(digits, value)));
}

void header_put_bool(struct header_writer *w, const char *key, bool value)
{
	header_put(w, key, value ? slice("true", 4) : slice("false", 5));
}

void header_put_remark(struct header_writer *w, struct mosaic_slice text)
{
	w->remark = text;
}

/* The remark stands before the fields, which are there already: move them. */
static void end_binary(struct header_writer *w)
{
	size_t n = w->remark.ptr ? w->remark.len : 0;

	put_be32(w->mark, (uint32_t)(w->at - w->mark - 4));
	if (n == 0 || !has_room(w, n))
		return;
	memmove(w->mark + n, w->mark, (size_t)(w->at - w->mark));
	memcpy(w->mark, w->remark.ptr, n);
	put_be32(w->mark - 4, (uint32_t)n);
	w->at += n;
}

static void end_json(struct header_writer *w)
{
	const char *language = language_name(w->language);

	if (!has_room(w, 96)) /* the longest: two full integers and NODE_JS take 64 */
		return;
	if (w->has_fields)
		*w->at++ = '}';
	PUT_TEXT(w, ",\"flag\":");
	w->at += num_format_i64(w->at, w->flag);
	PUT_TEXT(w, ",\"language\":\"");
	put_text(w, language, strlen(language));
	PUT_TEXT(w, "\",\"opaque\":");
	w->at += num_format_i64(w->at, w->opaque);
	if (w->remark.ptr) {
		if (!has_room_escaped(w, w->remark, 24))
			return;
		PUT_TEXT(w, ",\"remark\":\"");
		w->at = escape_put(w->at, w->remark);
		*w->at++ = '"';
	}
	if (!has_room(w, 64))
		return;
	PUT_TEXT(w, ",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
	w->at += num_format_i64(w->at, w->version);
	*w->at++ = '}';
}

uint32_t header_end(struct header_writer *w, uint32_t body_len)
{
	if (!w->failed && w->serialize == SERIALIZE_BINARY)
		end_binary(w);
	else if (!w->failed)
		end_json(w);
	if (w->failed)
		return 0;
	size_t used = (size_t)(w->at - w->start), header_len = used - FRAME_PREFIX_BYTES;
	if (header_len > 0xFFFFFF || body_len > INT32_MAX - used)
		return 0;
	put_be32(w->start, (uint32_t)(used - FRAME_LENGTH_BYTES + body_len));
	put_be32(w->start + 4, (uint32_t)w->serialize << 24 | (uint32_t)header_len);
	return (uint32_t)used;
}
