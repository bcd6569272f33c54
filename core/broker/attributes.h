/*
 * Attributes of topics and groups (AttributeUtil, AttributeParser, TopicAttributes of 5.3.3): a map
 * of texts that is changed by a list `+key=value,-key`. All [core].
 */
#ifndef BROKER_ATTRIBUTES_H
#define BROKER_ATTRIBUTES_H

#include "base/slice.h"
#include "wire/json.h"

struct attribute {
	const char *name;
	bool is_changeable;
	const char *const *values; /* ends with NULL; NULL: a number of at least 0 */
};

extern const struct attribute topic_attributes[], group_attributes[];

/* The list as an object {"+key": "value", "-key": ""}; the caller owns it. NULL and *err. */
json_t *attributes_parse(struct mosaic_slice list, struct mosaic_error *err);
/*
 * Applies changes (keys with their sign) to `now` (a JSON object, changed in place). known ends
 * with an entry without a name. MOSAIC_E_INVAL and RocketMQ's text in *err: nothing is changed.
 */
int attributes_alter(const struct attribute *known, bool is_create, json_t *now,
		     const json_t *changes, struct mosaic_error *err);

#endif
