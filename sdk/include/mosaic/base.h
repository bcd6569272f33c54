/*
 * mosaic/base.h - what every other header of the contract stands on: status codes, errors, slices
 * and the one form of an asynchronous request.
 *
 * Thread tags used in all contract headers:
 *   [main]   start and stop of the process, before and after the loop runs
 *   [core]   the node's one core thread; such a function never blocks
 *   [worker] inside mosaic_work.run
 *   [any]    thread-safe
 *
 * Base ABI change log, newest first:
 *   0.1  first shape
 */
#ifndef MOSAIC_BASE_H
#define MOSAIC_BASE_H

#include <stddef.h>
#include <stdint.h>

#define MOSAIC_ABI_MAJOR 0
#define MOSAIC_ABI_MINOR 1

#define MOSAIC_EXPORT __attribute__((visibility("default")))
#define MOSAIC_NODISCARD __attribute__((warn_unused_result))

/* True when the struct that `p` points at (struct_size first) is new enough to have `member`. */
#define MOSAIC_HAS(type, p, member)                                                               \
	((p)->struct_size >= offsetof(type, member) + sizeof((p)->member))

/* Name, value, text. The set is closed: a plugin returns nothing else that is negative. */
#define MOSAIC_STATUS_LIST(X)                                                                     \
	X(E_AGAIN, -1, "a bound is reached, try again when there is room")                        \
	X(E_INVAL, -2, "an argument or a state is not valid")                                     \
	X(E_NOSPACE, -3, "no space is left")                                                      \
	X(E_IO, -4, "an input or output operation failed")                                        \
	X(E_CORRUPT, -5, "data is damaged")                                                       \
	X(E_CANCELED, -6, "the request was canceled")                                             \
	X(E_TIMEOUT, -7, "the time is over")                                                      \
	X(E_UNSUPPORTED, -8, "not supported")                                                     \
	X(E_NOMEM, -9, "no memory is left")                                                       \
	X(E_LIMIT, -10, "a configured limit is exceeded")                                         \
	X(E_FATAL, -11, "the component is broken and stays so until restart")                     \
	X(E_NOTFOUND, -12, "there is no such thing")                                              \
	X(E_CLOSED, -13, "the connection or component is closed")                                 \
	X(E_LOST, -14, "the disk cannot read these bytes and reads others")

#define MOSAIC_STATUS_ENUM(name, value, text) MOSAIC_##name = (value),
enum mosaic_status {
	MOSAIC_STATUS_LIST(MOSAIC_STATUS_ENUM) MOSAIC_OK = 0,
	MOSAIC_PENDING = 1 /* accepted; done() will run */
};
#undef MOSAIC_STATUS_ENUM

#ifdef __cplusplus
extern "C" {
#endif

/* Borrowed bytes. A slice owns nothing; ptr may be NULL when len is 0. */
struct mosaic_slice {
	const uint8_t *ptr;
	size_t len;
};

/* Filled by slow calls that fail. The caller sets struct_size and owns the storage. */
struct mosaic_error {
	uint32_t struct_size;
	int32_t code;     /* MOSAIC_E_... */
	int32_t os_errno; /* 0 when the operating system had no part in it */
	uint32_t reserved0;
	char text[496]; /* what failed, on which object, what to do about it; NUL-terminated */
};

/*
 * The one form of everything that takes time. A function that takes a request returns
 *   0 or MOSAIC_PENDING  accepted: done() runs exactly once, later, on the core thread, never
 *                        inside the call (a function that may answer at once documents that 0
 *                        means "answered, done() will not run");
 *   negative             nothing happened, done() never runs.
 * The caller owns the request and all buffers in it and leaves them alone until done().
 */
struct mosaic_req {
	struct mosaic_req *next; /* belongs to whoever holds the request */
	void (*done)(struct mosaic_req *req);
	void *data;     /* the caller's */
	int32_t status; /* result: MOSAIC_OK or MOSAIC_E_... */
	uint32_t flags; /* 0 */
};

#ifdef __cplusplus
}
#endif
#endif
