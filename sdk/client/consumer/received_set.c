#include "consumer/received_set.h"
#include "wire/props.h"
#include <stdlib.h>

#define RETRY_PREFIX "%RETRY%"

int received_set_init(struct received_set *set, uint32_t room)
{
	*set = (struct received_set){ .room = room };
	set->messages = calloc(room, sizeof(*set->messages));
	set->owners = calloc(room, sizeof(struct received *));
	if (set->messages == NULL || set->owners == NULL) {
		received_set_free(set);
		return MOSAIC_E_NOMEM;
	}
	return 0;
}

void received_set_free(struct received_set *set)
{
	for (uint32_t i = 0; i < set->count; i++)
		received_free(set->owners[i]);
	free(set->owners);
	free(set->messages);
	*set = (struct received_set)RECEIVED_SET_INIT;
}

struct mosaic_slice received_topic(const struct message *m)
{
	struct mosaic_slice real = { NULL, 0 };

	if (slice_has_prefix(m->topic, RETRY_PREFIX))
		real = props_find(m->props, PROP_RETRY_TOPIC);
	return real.ptr != NULL ? real : m->topic;
}

int received_set_add(struct received_set *set, const struct message *m, const char *broker)
{
	struct message shown = *m;
	struct received **r = &set->owners[set->count];

	ASSERT(set->count < set->room);
	shown.topic = received_topic(m);
	int rc = received_make(&shown, broker, NULL, RECEIVED_BODY_MAX, r);
	if (rc != 0 && rc != MOSAIC_E_NOMEM) {
		shown.sys_flag &= ~SYS_COMPRESSED;
		rc = received_make(&shown, broker, NULL, SIZE_MAX, r);
	}
	if (rc == 0)
		set->messages[set->count++] = (*r)->api;
	return rc;
}
