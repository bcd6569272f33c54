/* What a consumer says of itself to admins. [core] */
#ifndef CONSUMER_RUNNING_INFO_H
#define CONSUMER_RUNNING_INFO_H

#include "base/buf.h"

struct member;

struct json_writer;

/* The key of a queue: an object, as fastjson writes keys. */
void running_info_key(struct json_writer *w, const char *topic, const char *broker, int32_t id);
void running_info_write(const struct member *m, struct buf *out); /* answer to 307 */
/* Answer to 221: offsets of the queues of a topic. */
void running_info_offsets(const struct member *m, struct mosaic_slice topic, struct buf *out);

#endif
