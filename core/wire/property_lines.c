#include "wire/property_lines.h"
#include <string.h>

static struct mosaic_slice trim(struct mosaic_slice s)
{
	while (s.len > 0 && s.ptr[0] <= ' ')
		s = slice(s.ptr + 1, s.len - 1);
	while (s.len > 0 && s.ptr[s.len - 1] <= ' ')
		s.len--;
	return s;
}

bool property_lines_next(struct mosaic_slice *text, struct mosaic_slice *name,
			 struct mosaic_slice *value)
{
	while (text->len > 0) {
		const uint8_t *end = memchr(text->ptr, '\n', text->len);
		size_t len = end ? (size_t)(end - text->ptr) : text->len, at = 0;
		struct mosaic_slice line = trim(slice(text->ptr, len));

		*text = end ? slice(end + 1, text->len - len - 1) : slice(NULL, 0);
		if (line.len == 0 || line.ptr[0] == '#' || line.ptr[0] == '!')
			continue;
		while (at < line.len && line.ptr[at] != '=' && line.ptr[at] != ':')
			at++;
		*name = trim(slice(line.ptr, at));
		*value = at < line.len ? trim(slice(line.ptr + at + 1, line.len - at - 1))
				       : slice(line.ptr + at, 0);
		return true;
	}
	return false;
}
