/* Tag expressions: `a || b` becomes the Java hash codes of its tags. */
#include "broker/subscription.h"
#include "base/hash.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

#define TYPE_TAG "TAG"

static struct mosaic_slice trim(struct mosaic_slice s)
{
	/* String.trim(): everything up to U+0020 goes. */
	while (s.len > 0 && s.ptr[0] <= ' ') {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0 && s.ptr[s.len - 1] <= ' ')
		s.len--;
	return s;
}

bool subscription_next_tag(struct mosaic_slice expression, size_t *at, struct mosaic_slice *tag)
{
	while (*at < expression.len) {
		size_t end = *at;

		while (end < expression.len && !(expression.ptr[end] == '|' &&
						 end + 1 < expression.len &&
						 expression.ptr[end + 1] == '|'))
			end++;
		*tag = trim(slice(expression.ptr + *at, end - *at));
		*at = end + 2;
		if (tag->len > 0)
			return true;
	}
	return false;
}

static void init_texts(struct subscription *sub, struct mosaic_slice topic,
		       struct mosaic_slice expression, struct mosaic_slice type, int64_t version)
{
	*sub = (struct subscription){
		.topic = slice_dup(topic),
		.expression = slice_dup(expression),
		.type = slice_dup(type),
		.version = version,
	};
}

int subscription_init(struct subscription *sub, struct mosaic_slice topic,
		      struct mosaic_slice expression, struct mosaic_slice type, int64_t version)
{
	struct mosaic_slice tag;
	uint32_t n = 0;

	if (type.len > 0 && !slice_is(type, TYPE_TAG))
		return expression.len > 0 ? MOSAIC_E_UNSUPPORTED : MOSAIC_E_INVAL;
	if (expression.len == 0 || slice_is(expression, "*")) {
		init_texts(sub, topic, slice_str("*"), slice_str(TYPE_TAG), version);
		sub->all = true;
		return 0;
	}
	for (size_t at = 0; subscription_next_tag(expression, &at, &tag);)
		n++;
	/* Separators alone are refused; blanks between them are tags that nothing matches. */
	if (n == 0 && memchr(expression.ptr, ' ', expression.len) == NULL)
		return MOSAIC_E_INVAL;
	init_texts(sub, topic, expression, slice_str(TYPE_TAG), version);
	sub->codes = mem_alloc((n > 0 ? n : 1) * sizeof(sub->codes[0]));
	for (size_t at = 0; subscription_next_tag(expression, &at, &tag);)
		sub->codes[sub->n_codes++] = hash_java(tag);
	return 0;
}

void subscription_init_opaque(struct subscription *sub, struct mosaic_slice topic,
			      struct mosaic_slice expression, struct mosaic_slice type,
			      int64_t version)
{
	init_texts(sub, topic, expression, type, version);
}

void subscription_fini(struct subscription *sub)
{
	free(sub->topic);
	free(sub->expression);
	free(sub->type);
	free(sub->codes);
	*sub = (struct subscription){ 0 };
}
