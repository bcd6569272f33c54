#include "request.h"
#include "client.h"

static void fill(struct ask *ask, struct header_writer *w)
{
	const struct client_request *r = ask->data;

	for (uint32_t i = 0; r->fields != NULL && r->fields[i] != NULL; i += 2)
		header_put_str(w, r->fields[i], r->fields[i + 1]);
}

static int take(struct ask *ask, struct mosaic_error *error)
{
	const struct client_request *r = ask->data;

	(void)error;
	return r->take(r->data, ask->response, ask->answer);
}

int mosaic_tool_request(struct mosaic_client *client, const char *address,
			const struct client_request *r, struct mosaic_error *error)
{
	struct ask ask = { .code = r->code, .is_quiet = true, .body = r->body, .fill = fill,
			   .data = (void *)(uintptr_t)r };

	for (uint32_t i = 0; r->fields != NULL && r->fields[i] != NULL; i += 2)
		ask.room += HEADER_FIELD_ROOM(strlen(r->fields[i]), strlen(r->fields[i + 1]));
	return client_ask(client, &ask, address, r->timeout_ms * MS_NS, take, error);
}
