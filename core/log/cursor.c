#include "log/cursor.h"

static void cursor_filled(struct mosaic_req *req)
{
	struct cursor *c = req->data;
	c->is_waiting = false;
	c->resume(c);
}

void cursor_init(struct cursor *c, const struct mosaic_store_ops *ops,
		 void (*resume)(struct cursor *c), void *data)
{
	*c = (struct cursor){ .ops = ops, .resume = resume, .data = data };
}

void cursor_drop(struct cursor *c)
{
	ASSERT(!c->is_waiting);
	if (c->stream && c->read.req.status == 0)
		c->ops->unpin(c->stream, &c->read);
	c->stream = NULL;
}

/* The window shows enough; a window that begins at `offset` and was asked to be long enough shows
 * all that there is. */
static bool cursor_has(const struct cursor *c, uint64_t offset, uint32_t need)
{
	const struct mosaic_read *r = &c->read;
	if (offset < r->offset || offset - r->offset >= r->len)
		return false;
	return r->len - (offset - r->offset) >= need || (offset == r->offset && c->asked >= need);
}

int cursor_get(struct cursor *c, struct mosaic_stream *stream, uint64_t offset, uint32_t need,
	       uint32_t want, const uint8_t **ptr, uint32_t *len)
{
	ASSERT(!c->is_waiting);
	if (c->stream != stream || c->read.req.status != 0 || !cursor_has(c, offset, need)) {
		int status = c->stream == stream ? c->read.req.status : 0;
		cursor_drop(c);
		if (status != 0)
			return status; /* the read that this step waited for failed */
		c->read = (struct mosaic_read){ .req = { .done = cursor_filled, .data = c } };
		c->asked = want > need ? want : need;
		int rc = c->ops->read(stream, offset, c->asked, &c->read);
		if (rc < 0)
			return rc;
		c->stream = stream;
		c->is_waiting = rc == MOSAIC_PENDING;
		if (c->is_waiting)
			return rc;
		c->read.req.status = 0;
	}
	uint64_t skip = offset - c->read.offset;
	*ptr = c->read.ptr + skip;
	*len = c->read.len - (uint32_t)skip;
	return 0;
}
