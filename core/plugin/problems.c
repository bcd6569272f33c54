#include "plugin/problems.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>

const char *path_at(char *out, size_t cap, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(out, cap, format, args);
	va_end(args);
	return out;
}

void problems_add(struct problems *problems, const char *where, const char *format, ...)
{
	struct buf *out = &problems->text;
	uint32_t line = problems->line_of ? problems->line_of(problems, where) : 0;
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = mem_strdup("(no memory for the message)");
	va_end(args);
	if (problems->file && line > 0)
		buf_printf(out, "%s:%u: ", problems->file, line);
	else if (problems->file)
		buf_printf(out, "%s: ", problems->file);
	if (where[0] != '\0')
		buf_printf(out, "%s: ", where);
	buf_printf(out, "%s\n", text);
	problems->count++;
	free(text);
}

const char *problems_text(struct problems *problems)
{
	return buf_cstr(&problems->text);
}

void problems_free(struct problems *problems)
{
	buf_free(&problems->text);
	problems->count = 0;
}
