/*
 * Look-up in a decoded header, the binary form, and the choice between the forms. JSON is read in
 * header_json.c, both forms are written in header_write.c.
 */
#include "wire/header.h"
#include "base/bytes.h"
#include "base/num.h"
#include "wire/header_priv.h"

#define BINARY_FIXED_BYTES 21 /* code 2, language 1, version 2, opaque, flag, two lengths 4 each */

static const char *const language_names[LANGUAGE_COUNT] = {
	"JAVA", "CPP", "DOTNET", "PYTHON", "DELPHI", "ERLANG", "RUBY",
	"OTHER", "HTTP", "GO", "PHP", "OMS", "RUST", "NODE_JS"
};

const char *language_name(uint8_t language)
{
	return language_names[language < LANGUAGE_COUNT ? language : LANGUAGE_OTHER];
}

uint8_t language_of_name(struct mosaic_slice name)
{
	for (uint8_t i = 0; i < LANGUAGE_COUNT; i++)
		if (slice_is_nocase(name, language_names[i]))
			return i;
	return LANGUAGE_OTHER;
}

int header_decode(uint8_t *bytes, uint32_t len, uint8_t serialize, struct header *out)
{
	out->code = out->version = out->opaque = out->flag = 0;
	out->serialize = serialize;
	out->language = LANGUAGE_OTHER;
	out->n_fields = 0;
	out->remark = slice(NULL, 0);
	switch (serialize) {
	case SERIALIZE_JSON:
		return header_decode_json(bytes, len, out);
	case SERIALIZE_BINARY:
		return header_decode_binary(bytes, len, out);
	default:
		return MOSAIC_E_CORRUPT;
	}
}

/*
 * The extFields of the binary form: 2 + n key, 4 + n value, until `end`. RocketMQSerializable reads
 * a length of 0 as null and leaves out pairs with a null in them.
 */
static int decode_fields(const uint8_t *at, const uint8_t *end, struct header *out)
{
	while (at != end) {
		if (end - at < 2)
			return MOSAIC_E_CORRUPT;
		uint32_t key_len = get_be16(at);
		at += 2;
		if (end - at < (int64_t)key_len + 4)
			return MOSAIC_E_CORRUPT;
		const uint8_t *key = at;
		uint32_t value_len = get_be32(at + key_len);
		at += key_len + 4;
		if (end - at < (int64_t)value_len)
			return MOSAIC_E_CORRUPT;
		const uint8_t *value = at;
		at += value_len;
		if (key_len == 0 || value_len == 0)
			continue;
		if (out->n_fields == HEADER_MAX_FIELDS)
			return MOSAIC_E_LIMIT;
		out->fields[out->n_fields++] = (struct field){
			.key = slice(key, key_len), .value = slice(value, value_len)
		};
	}
	return 0;
}

int header_decode_binary(const uint8_t *bytes, uint32_t len, struct header *out)
{
	if (len < BINARY_FIXED_BYTES)
		return MOSAIC_E_CORRUPT;
	out->code = (int16_t)get_be16(bytes);
	out->language = bytes[2] < LANGUAGE_COUNT ? bytes[2] : LANGUAGE_OTHER;
	out->version = (int16_t)get_be16(bytes + 3);
	out->opaque = (int32_t)get_be32(bytes + 5);
	out->flag = (int32_t)get_be32(bytes + 9);

	uint32_t remark_len = get_be32(bytes + 13);
	if (remark_len > len - BINARY_FIXED_BYTES)
		return MOSAIC_E_CORRUPT;
	if (remark_len != 0)
		out->remark = slice(bytes + 17, remark_len);

	const uint8_t *fields = bytes + BINARY_FIXED_BYTES + remark_len;
	if (get_be32(fields - 4) != len - BINARY_FIXED_BYTES - remark_len)
		return MOSAIC_E_CORRUPT;
	return decode_fields(fields, bytes + len, out);
}

const struct mosaic_slice *header_find(const struct header *h, const char *key)
{
	size_t len = strlen(key);

	for (uint32_t i = h->n_fields; i-- > 0;) {
		const struct field *f = &h->fields[i];

		/* Most keys are one letter: length and first byte decide without a call. */
		if (f->key.len != len || f->key.ptr[0] != (uint8_t)key[0])
			continue;
		if (len == 1 || memcmp(f->key.ptr, key, len) == 0)
			return f->value.ptr ? &f->value : NULL;
	}
	return NULL;
}

int header_i32(const struct header *h, const char *key, int32_t *out)
{
	const struct mosaic_slice *value = header_find(h, key);

	return value ? num_parse_i32(*value, out) : MOSAIC_E_NOTFOUND;
}

int header_i64(const struct header *h, const char *key, int64_t *out)
{
	const struct mosaic_slice *value = header_find(h, key);

	return value ? num_parse_i64(*value, out) : MOSAIC_E_NOTFOUND;
}

bool header_bool(const struct header *h, const char *key, bool fallback)
{
	const struct mosaic_slice *value = header_find(h, key);

	return value ? num_parse_bool(*value) : fallback;
}

struct mosaic_slice header_str(const struct header *h, const char *key)
{
	const struct mosaic_slice *value = header_find(h, key);

	return value ? *value : slice(NULL, 0);
}
