#include "config/locate.h"
#include <stdlib.h>

struct scan {
	const uint8_t *at, *end;
	uint32_t line;
};

static int peek(const struct scan *s)
{
	return s->at < s->end ? *s->at : -1;
}

static void step(struct scan *s)
{
	if (s->at < s->end && *s->at++ == '\n')
		s->line++;
}

/* Blanks and the separators between items: the text is known to be valid. */
static void skip_blank(struct scan *s)
{
	while (peek(s) == ' ' || peek(s) == '\t' || peek(s) == '\n' || peek(s) == '\r' ||
	       peek(s) == ',' || peek(s) == ':')
		step(s);
}

/* The raw text between the quotes. */
static struct mosaic_slice take_string(struct scan *s)
{
	const uint8_t *start;

	step(s);
	start = s->at;
	while (peek(s) >= 0 && peek(s) != '"') {
		if (peek(s) == '\\')
			step(s);
		step(s);
	}
	struct mosaic_slice text = slice(start, (size_t)(s->at - start));
	step(s);
	return text;
}

static void skip_value(struct scan *s)
{
	uint32_t depth = 0;

	do {
		skip_blank(s);
		switch (peek(s)) {
		case '"':
			take_string(s);
			break;
		case '{': case '[':
			depth++;
			step(s);
			break;
		case '}': case ']':
			depth--;
			step(s);
			break;
		case -1:
			return;
		default:
			while (peek(s) >= 0 && !strchr(",:]}{[ \t\r\n\"", peek(s)))
				step(s);
		}
		if (depth > 0)
			skip_blank(s);
	} while (depth > 0);
}

/* Enters the object and stops at the value of `key`; false when it is not there. */
static bool enter_member(struct scan *s, struct mosaic_slice key, uint32_t *line)
{
	skip_blank(s);
	if (peek(s) != '{')
		return false;
	step(s);
	for (skip_blank(s); peek(s) == '"'; skip_blank(s)) {
		uint32_t here = s->line;

		if (slice_eq(take_string(s), key)) {
			*line = here;
			return true;
		}
		skip_value(s);
	}
	return false;
}

static bool enter_item(struct scan *s, unsigned long index, uint32_t *line)
{
	skip_blank(s);
	if (peek(s) != '[')
		return false;
	step(s);
	for (skip_blank(s); peek(s) >= 0 && peek(s) != ']'; skip_blank(s)) {
		if (index-- == 0) {
			*line = s->line;
			return true;
		}
		skip_value(s);
	}
	return false;
}

uint32_t locate_line(struct mosaic_slice text, const char *path)
{
	struct scan s = { text.ptr, text.ptr + text.len, 1 };
	uint32_t line = 0;
	bool is_there = true;

	while (is_there && path[0] != '\0') {
		size_t len = strcspn(path, ".[");
		char *rest;

		if (path[0] == '[') {
			is_there = enter_item(&s, strtoul(path + 1, &rest, 10), &line);
			path = rest + (*rest == ']');
		} else {
			is_there = enter_member(&s, slice(path, len), &line);
			path += len;
		}
		path += path[0] == '.';
	}
	return line;
}
