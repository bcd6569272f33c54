/* Errors: the text is made once, where the knowledge is; callers pass it on. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/compiler.h"
#include <mosaic/base.h>

/* An empty error, ready to be passed to a call that may fill it. */
#define ERR_INIT { .struct_size = sizeof(struct mosaic_error) }

/* Fills *err (which may be NULL) and returns code, so that `return err_set(...)` reads well. */
int err_set(struct mosaic_error *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);
/* The same for a failed system call: appends ": " and the text of os_errno. */
int err_set_os(struct mosaic_error *err, int code, int os_errno, const char *format, ...)
	PRINTF_LIKE(4, 5);
/* Sentence for a status code; a fixed text for unknown ones. */
const char *status_text(int status);
/* "E_AGAIN" */
const char *status_name(int status);

#endif
