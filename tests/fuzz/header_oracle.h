/*
 * jansson as judge of the hand-written header decoder: a header that is a strict JSON object with
 * members of the right types must be accepted, and must say the same.
 */
#ifndef FUZZ_HEADER_ORACLE_H
#define FUZZ_HEADER_ORACLE_H

#include "fuzz/fuzz.h"
#include "wire/header.h"
#include <jansson.h>

static inline bool oracle_is_i32(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	json_int_t number = json_integer_value(value);

	return !value || json_is_null(value) ||
	       (json_is_integer(value) && number == (int32_t)number);
}

/* Whether the decoder has no reason to refuse it. */
static inline bool oracle_must_accept(const json_t *object, const uint8_t *bytes, size_t len)
{
	const json_t *fields = json_object_get(object, "extFields");

	return json_is_object(object) && oracle_is_i32(object, "code") &&
	       oracle_is_i32(object, "flag") && oracle_is_i32(object, "opaque") &&
	       oracle_is_i32(object, "version") &&
	       (!fields || json_is_null(fields) || json_is_object(fields)) &&
	       json_object_size(fields) <= HEADER_MAX_FIELDS && !fuzz_may_be_refused(bytes, len);
}

static inline bool oracle_same_text(const struct mosaic_slice *text, const json_t *value)
{
	if (!value || json_is_null(value))
		return !text || !text->ptr;
	if (!json_is_string(value))
		return true; /* the decoder gives its JSON text */
	return text && text->ptr &&
	       slice_eq(*text, slice(json_string_value(value), json_string_length(value)));
}

/* NULL, or what differs. */
static inline const char *oracle_compare(const struct header *h, const json_t *object)
{
	json_t *value;
	const char *key;

	if (h->code != json_integer_value(json_object_get(object, "code")))
		return "code";
	if (h->flag != json_integer_value(json_object_get(object, "flag")))
		return "flag";
	if (h->opaque != json_integer_value(json_object_get(object, "opaque")))
		return "opaque";
	if (h->version != json_integer_value(json_object_get(object, "version")))
		return "version";
	if (!oracle_same_text(&h->remark, json_object_get(object, "remark")))
		return "remark";
	if (h->n_fields != json_object_size(json_object_get(object, "extFields")))
		return "number of fields";
	json_object_foreach(json_object_get(object, "extFields"), key, value)
		if (key[0] != 0 && !oracle_same_text(header_find(h, key), value))
			return "a field";
	return NULL;
}

/* Decodes the bytes as a JSON header both ways; NULL when all is well, else what is wrong. */
static inline const char *oracle_check(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = fuzz_copy(bytes, len);
	struct header *h = malloc(sizeof(*h));
	json_t *object = json_loadb((const char *)bytes, len,
				    JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	const char *wrong = NULL;

	ASSERT(h);
	int rc = header_decode(copy, (uint32_t)len, SERIALIZE_JSON, h);
	for (uint32_t i = 0; rc == 0 && i < h->n_fields; i++)
		if (!fuzz_is_within(h->fields[i].key, copy, len) ||
		    !fuzz_is_within(h->fields[i].value, copy, len))
			wrong = "a field outside of the header";
	if (rc == 0 && !fuzz_is_within(h->remark, copy, len))
		wrong = "remark outside of the header";
	if (!wrong && object && oracle_must_accept(object, bytes, len))
		wrong = rc == 0 ? oracle_compare(h, object) : "refused";
	json_decref(object);
	free(h);
	free(copy);
	return wrong;
}

#endif
