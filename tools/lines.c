#include "lines.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES 65536

void lines_init(struct lines *l, int fd)
{
	*l = (struct lines){ .fd = fd, .buf = BUF_INIT };
}

void lines_free(struct lines *l)
{
	buf_free(&l->buf);
}

/* true: *line is what was read whole. searched: bytes in which there is no end. */
static bool take(struct lines *l, size_t searched, struct mosaic_slice *line)
{
	const uint8_t *begin = l->buf.data + l->at;
	size_t len = l->buf.len - l->at;
	const uint8_t *end = len > searched ? memchr(begin + searched, '\n', len - searched) : NULL;

	if (end == NULL && (!l->is_end || len == 0))
		return false;
	*line = slice(begin, end != NULL ? (size_t)(end - begin) : len);
	l->at += line->len + (end != NULL);
	return true;
}

/* 0 or E_AGAIN, E_IO. */
static int fill(struct lines *l, struct interrupt *i, int timeout_ms)
{
	struct pollfd fds[] = { { .fd = l->fd, .events = POLLIN },
				{ .fd = i->fd, .events = POLLIN } };

	int n_ready = poll(fds, 2, timeout_ms);
	if (interrupt_came(i) || n_ready <= 0 || fds[0].revents == 0)
		return MOSAIC_E_AGAIN;
	ssize_t n = read(l->fd, buf_room(&l->buf, READ_BYTES), READ_BYTES);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? MOSAIC_E_AGAIN : MOSAIC_E_IO;
	l->buf.len += (size_t)n;
	l->is_end = n == 0;
	return 0;
}

int lines_next(struct lines *l, struct interrupt *i, int timeout_ms, struct mosaic_slice *line)
{
	size_t searched = 0;

	while (!take(l, searched, line)) {
		if (l->is_end)
			return 0;
		searched = l->buf.len - l->at;
		if (searched > LINE_MAX_BYTES)
			return MOSAIC_E_LIMIT;
		if (l->at > 0) {
			memmove(l->buf.data, l->buf.data + l->at, searched);
			l->buf.len = searched;
			l->at = 0;
		}
		int rc = fill(l, i, timeout_ms);
		if (rc != 0)
			return rc;
	}
	return 1;
}
