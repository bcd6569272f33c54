/* One message that an admin wants to be consumed at once (309): through the listener, and the
 * answer says what came of it. Offsets are not touched. */
#include "base/mem.h"
#include "consumer/push.h"
#include "rpc/request.h"
#include "wire/codes.h"
#include "wire/json.h"
#include <stdlib.h>

struct direct {
	struct mosaic_consumer *consumer;
	struct ticket ticket;
	uint64_t began_ns;
	char broker[128];
	struct listener_call call; /* last: it has a tail */
};

static void reply_result(const struct direct *d)
{
	uint64_t spent = host_now_ns(d->consumer->member.engine->host) - d->began_ns;
	struct buf body = BUF_INIT;
	struct json_writer w;

	jw_init(&w, &body);
	jw_object(&w);
	jw_put_bool(&w, "autoCommit", true);
	jw_put_cstr(&w, "consumeResult", d->call.consumed > 0 ? "CR_SUCCESS" : "CR_LATER");
	jw_put_bool(&w, "order", d->consumer->options.is_orderly != 0);
	jw_put_i64(&w, "spentTimeMills", (int64_t)(spent / MS_NS));
	jw_object_end(&w);
	reply_body(&d->ticket, RES_SUCCESS, buf_slice(&body));
	buf_free(&body);
}

static void ended(struct mosaic_req *req)
{
	struct direct *d = CONTAINER_OF(req, struct direct, call.req);
	struct mosaic_consumer *c = d->consumer;

	reply_result(d);
	ticket_drop(&d->ticket);
	process_queue_done(d->call.items[0]);
	free(d);
	push_call_ended(c);
}

/* An item of no queue; NULL: the body is no message. */
static struct item *make_item(struct mosaic_consumer *c, struct mosaic_slice body)
{
	static const struct subscription all = { .n_tags = 0 };
	struct engine *e = c->member.engine;
	struct process_queue queue;
	struct item *item = NULL;
	int64_t next = 0;

	process_queue_init(&queue);
	if (process_queue_add(&queue, body, &all, INT64_MIN, &next, &e->numbers) > 0)
		process_queue_take(&queue, &item, 1, host_now_ns(e->host));
	process_queue_restart(&queue, 0);
	return item;
}

void direct_consume(struct member *m, struct request *req)
{
	struct mosaic_consumer *c = CONTAINER_OF(m, struct mosaic_consumer, member);
	struct mosaic_slice broker = header_str(&req->header, "brokerName");
	struct item *item = NULL;

	if (!c->is_stopping && listeners_room(c->listeners) > 0)
		item = make_item(c, req->body);
	if (item == NULL) {
		reply_remark(&req->ticket, RES_SYSTEM_ERROR,
			     "the listeners are busy, or this is no message");
		return;
	}
	struct direct *d = mem_alloc(sizeof(*d) + sizeof(d->call.items[0]));
	d->consumer = c;
	d->ticket = ticket_keep(&req->ticket);
	d->began_ns = host_now_ns(m->engine->host);
	if (broker.len > 0 && broker.len < sizeof(d->broker))
		memcpy(d->broker, broker.ptr, broker.len);
	d->call.req.done = ended;
	d->call.broker = d->broker;
	d->call.n_items = 1;
	d->call.items[0] = item;
	listeners_call(c->listeners, &d->call);
}
