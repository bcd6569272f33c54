/* Taking back a timer message: RECALL_MESSAGE, to the broker that its handle names. */
#include "producer_priv.h"
#include "wire/codes.h"
#include <stdio.h>

#define HANDLE_MAX 512

/* URL-safe Base64 -> text; false: it is none, or it is too long. */
static bool decode(const char *handle, char *out, size_t room)
{
	uint32_t bits = 0, n_bits = 0;
	size_t n = 0;

	for (; *handle != '\0' && *handle != '='; handle++) {
		char c = *handle;
		uint32_t v = c >= 'A' && c <= 'Z'   ? (uint32_t)(c - 'A')
			     : c >= 'a' && c <= 'z' ? (uint32_t)(c - 'a') + 26
			     : c >= '0' && c <= '9' ? (uint32_t)(c - '0') + 52
			     : c == '-' || c == '+' ? 62
			     : c == '_' || c == '/' ? 63
						    : 64;
		if (v == 64 || n + 1 >= room)
			return false;
		bits = bits << 6 | v;
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			out[n++] = (char)(bits >> n_bits);
		}
	}
	out[n] = '\0';
	return n > 0;
}

/* "v1 <topic> <broker> <deliver ms> <message id>" */
struct recall {
	struct mosaic_producer *producer;
	const char *topic, *handle;
	char broker[128], address[64], message_id[64];
};

static bool read_handle(struct recall *x)
{
	char text[HANDLE_MAX], topic[128], deliver[32];

	return decode(x->handle, text, sizeof(text)) &&
	       sscanf(text, "v1 %127s %127s %31s %63s", topic, x->broker, deliver,
		      x->message_id) == 4;
}

static int take_address(struct route *route, void *data)
{
	struct recall *x = data;
	struct broker *b = broker_find(route->engine, x->broker);
	const char *address = b != NULL ? broker_address(b, 0) : NULL;

	snprintf(x->address, sizeof(x->address), "%s", address != NULL ? address : "");
	return address != NULL ? 0 : MOSAIC_E_NOTFOUND;
}

static void fill(struct ask *a, struct header_writer *w)
{
	const struct recall *x = a->data;

	header_put_str(w, "producerGroup", x->producer->group_name);
	header_put_str(w, "topic", x->topic);
	header_put_str(w, "recallHandle", x->handle);
	header_put_str(w, "bname", x->broker);
}

static int take_answer(struct ask *a, struct mosaic_error *error)
{
	const struct recall *x = a->data;
	const struct header *h = a->response;
	struct mosaic_slice region = header_str(h, "MSG_REGION");
	bool is_recalled = h->code == RES_SUCCESS;

	if (x->producer->sender.tracer != NULL && region.len > 0)
		trace_recalled(x->producer->sender.tracer, x->producer->group_name, x->topic,
			       x->message_id, region, is_recalled);
	return is_recalled ? 0 : err_set(error, MOSAIC_E_IO, "%s answered %d: %.*s", a->address,
					 (int)h->code, SLICE_ARG(h->remark));
}

int32_t mosaic_producer_recall(struct mosaic_producer *p, const char *topic,
			       const char *recall_handle, struct mosaic_error *error)
{
	struct recall x = { .producer = p, .topic = topic, .handle = recall_handle };

	if (!topic_is_valid(topic) || recall_handle == NULL ||
	    strlen(recall_handle) >= HANDLE_MAX ||
	    !read_handle(&x))
		return err_set(error, MOSAIC_E_INVAL, "no topic, or no handle of a timer message");
	int rc = client_route(p->client, topic, true, take_address, &x, error);
	if (rc != 0)
		return rc;
	struct ask ask = { .code = REQ_RECALL_MESSAGE, .fill = fill, .data = &x,
			   .room = 4 * HEADER_FIELD_ROOM(16, 128) +
				   HEADER_FIELD_ROOM(0, strlen(recall_handle)) };
	return client_ask(p->client, &ask, x.address, p->sender.timeout_ns, take_answer, error);
}
