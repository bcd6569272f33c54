#include "node/dispatch.h"

static void dispatch_add_row(struct dispatch *d, const struct request_row *row, void *service)
{
	struct dispatch_entry *e;
	if (row->code >= 0 && row->code < DISPATCH_DIRECT) {
		e = &d->direct[row->code];
	} else {
		ASSERT(d->n_far < DISPATCH_FAR);
		e = &d->far[d->n_far++];
	}
	ASSERT(e->handle == NULL);
	*e = (struct dispatch_entry){ row->handle, service, row->code };
}

void dispatch_add(struct dispatch *d, const struct request_row *rows, uint32_t n_rows,
		  void *service)
{
	for (uint32_t i = 0; i < n_rows; i++)
		dispatch_add_row(d, &rows[i], service);
}

static const struct dispatch_entry *dispatch_find(const struct dispatch *d, int32_t code)
{
	if (code >= 0 && code < DISPATCH_DIRECT)
		return &d->direct[code];
	for (uint32_t i = 0; i < d->n_far; i++)
		if (d->far[i].code == code)
			return &d->far[i];
	return NULL;
}

void dispatch_request(const struct dispatch *d, struct request *req)
{
	const struct dispatch_entry *e = dispatch_find(d, req->header.code);
	if (e != NULL && e->handle != NULL)
		e->handle(e->service, req);
	else
		reply_unsupported(req);
}
