#include "base/err.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define STATUS_CASE_TEXT(name, value, text)                                                       \
	case MOSAIC_##name:                                                                       \
		return text;
#define STATUS_CASE_NAME(name, value, text)                                                       \
	case MOSAIC_##name:                                                                       \
		return #name;

static void PRINTF_LIKE(4, 0) fill(struct mosaic_error *err, int code, int os_errno,
				   const char *format, va_list args)
{
	err->code = code;
	err->os_errno = os_errno;
	vsnprintf(err->text, sizeof(err->text), format, args);
}

int err_set(struct mosaic_error *err, int code, const char *format, ...)
{
	va_list args;

	if (!err)
		return code;
	va_start(args, format);
	fill(err, code, 0, format, args);
	va_end(args);
	return code;
}

int err_set_os(struct mosaic_error *err, int code, int os_errno, const char *format, ...)
{
	va_list args;
	char storage[128];

	if (!err)
		return code;
	va_start(args, format);
	fill(err, code, os_errno, format, args);
	va_end(args);
	size_t len = strlen(err->text);
	snprintf(err->text + len, sizeof(err->text) - len, ": %s",
		 strerror_r(os_errno, storage, sizeof(storage)));
	return code;
}

const char *status_text(int status)
{
	switch (status) {
		MOSAIC_STATUS_LIST(STATUS_CASE_TEXT)
	case MOSAIC_OK:
		return "no error";
	case MOSAIC_PENDING:
		return "under way";
	default:
		return "unknown status";
	}
}

const char *status_name(int status)
{
	switch (status) {
		MOSAIC_STATUS_LIST(STATUS_CASE_NAME)
	case MOSAIC_OK:
		return "OK";
	case MOSAIC_PENDING:
		return "PENDING";
	default:
		return "UNKNOWN";
	}
}
