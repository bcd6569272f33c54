/* How consume prints a message: as a sentence, by a format, or as a line of JSON. */
#ifndef TOOLS_SHOW_H
#define TOOLS_SHOW_H

#include <mosaic/client.h>
#include <stdbool.h>

struct show {
	const char *format; /* NULL: a sentence */
	bool as_json;
};

/* "%t topic, ..." for --help. */
extern const char show_format_help[];
/* NULL when the format is fine, else the bytes that mean nothing. */
const char *show_check(const char *format);
void show_received(const struct show *s, const struct mosaic_received *m);

#endif
