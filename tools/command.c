#include "command.h"
#include "base/num.h"
#include "plugin/value.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int usage_error(const char *command, const char *format, ...)
{
	va_list args;

	if (format) {
		fprintf(stderr, "%s: ", command);
		va_start(args, format);
		vfprintf(stderr, format, args);
		va_end(args);
		fputc('\n', stderr);
	}
	fprintf(stderr, "%s --help says more.\n", command);
	return EXIT_USAGE;
}

bool parse_count(const char *text, int64_t *out)
{
	return num_parse_i64(slice_str(text), out) == 0 && *out >= 1;
}

bool parse_upto(const char *text, int64_t most, int64_t *out)
{
	return parse_count(text, out) && *out <= most;
}

bool parse_moment(const char *text, int64_t *out)
{
	struct tm tm = { .tm_isdst = -1 };
	const char *end;

	if (strcmp(text, "last") == 0 || strcmp(text, "first") == 0) {
		*out = strcmp(text, "last") == 0 ? MOMENT_LAST : MOMENT_FIRST;
		return true;
	}
	if (num_parse_i64(slice_str(text), out) == 0)
		return *out > 0;
	end = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
	if (end == NULL || *end != '\0')
		return false;
	*out = (int64_t)mktime(&tm) * 1000;
	return true;
}

bool is_host_port(const char *text)
{
	char host[256];
	uint32_t port;

	return value_parse_address(text, host, sizeof(host), &port) == 0 && port != 0;
}

bool is_namesrv_list(const char *text)
{
	char one[300];

	for (;; text++) {
		size_t len = strcspn(text, ";");

		if (len >= sizeof(one))
			return false;
		memcpy(one, text, len);
		one[len] = '\0';
		if (!is_host_port(one))
			return false;
		text += len;
		if (*text == '\0')
			return true;
	}
}
