#include "command.h"
#include "base/num.h"
#include "plugin/value.h"
#include <stdarg.h>
#include <stdio.h>

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

bool is_host_port(const char *text)
{
	char host[256];
	uint32_t port;

	return value_parse_address(text, host, sizeof(host), &port) == 0 && port != 0;
}
