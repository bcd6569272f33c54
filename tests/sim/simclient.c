/*
 * Everything a client does is an op: get a connection, send one request, handle the answer. It ends
 * in exactly one of: answered (the code), refused (it never left), unknown.
 */
#include "sim/simclient.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/num.h"
#include "sim/simheap.h"
#include "wire/codes.h"
#include "wire/json.h"
#include "wire/message.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUP "SimGroup"
#define DIAL_NS (3 * SECOND_NS)
#define SEND_NS (3 * SECOND_NS)
#define HOLD_MS 4000
#define PULL_NS (8 * SECOND_NS)
#define ROUTE_NS (2 * SECOND_NS)
#define COMMIT_PERIOD_NS (700 * MS_NS)
#define BODY_MAX 3000
#define BATCH_MAX 5

enum op_result { OP_ANSWERED, OP_REFUSED, OP_UNKNOWN };

struct op {
	struct client *client;
	struct dial_wait wait;
	struct call call;
	int32_t code;
	uint64_t timeout_ns;
	void (*done)(struct op *op, enum op_result result);
	char address[32];
	uint32_t broker, queue, namesrv;
	uint32_t id, n_ids; /* of the first message, and how many */
	uint32_t delay_level;
	bool commits; /* a pull that commits its offset, too */
	uint32_t epoch; /* of the broker */
	int64_t offset;
	struct puller *puller;
	bool is_default_topic;
};

static uint64_t draw(struct client *c, uint64_t n)
{
	return c->host->random(c->host) % n;
}

/* Around a mean, so that things of one period do not march in step. */
static void start_timer(struct client *c, struct mosaic_timer *timer, uint64_t mean_ns)
{
	c->host->timer_start(c->host, timer, mean_ns / 2 + draw(c, mean_ns + 1));
}

/* ---- ops ---- */

static void op_end(struct op *op, enum op_result result)
{
	op->done(op, result);
	free(op);
}

static void on_call(struct call *call)
{
	struct op *op = call->data;

	if (call->status == 0)
		op_end(op, OP_ANSWERED);
	else
		op_end(op, OP_UNKNOWN);
}

static void put_queue(struct call_writer *cw, const struct op *op)
{
	header_put_str(&cw->w, "consumerGroup", GROUP);
	header_put_str(&cw->w, "topic", CLIENT_TOPIC);
	header_put_i64(&cw->w, "queueId", op->queue);
}

static void put_send(struct call_writer *cw, const struct op *op)
{
	static const char *const props[] = { "TAGS\1tag\2", "DELAY\1" "1\2", "DELAY\1" "2\2" };

	header_put_str(&cw->w, "a", "SimProducer");
	header_put_str(&cw->w, "b", CLIENT_TOPIC);
	header_put_str(&cw->w, "c", "TBW102");
	header_put_i64(&cw->w, "d", MODEL_QUEUES);
	header_put_i64(&cw->w, "e", op->queue);
	header_put_str(&cw->w, "f", "0");
	header_put_i64(&cw->w, "g", (int64_t)host_wall_ms(op->client->host));
	header_put_str(&cw->w, "h", "0");
	header_put_str(&cw->w, "i", props[op->delay_level]);
	header_put_str(&cw->w, "j", "0");
	if (op->code == REQ_SEND_BATCH_MESSAGE)
		header_put_str(&cw->w, "m", "true");
}

static void put_pull(struct call_writer *cw, const struct op *op)
{
	put_queue(cw, op);
	header_put_i64(&cw->w, "queueOffset", op->offset);
	header_put_str(&cw->w, "maxMsgNums", "32");
	header_put_i64(&cw->w, "sysFlag", (op->client->is_auditing ? 4 : 6) + op->commits);
	header_put_i64(&cw->w, "commitOffset", op->commits ? op->offset : 0);
	header_put_i64(&cw->w, "suspendTimeoutMillis", HOLD_MS);
	header_put_str(&cw->w, "subscription", "*");
	header_put_str(&cw->w, "subVersion", "0");
	header_put_str(&cw->w, "expressionType", "TAG");
}

/* "m<id> xxxx": the number and some padding, short mostly. */
static uint32_t write_one(struct client *c, uint32_t id, uint32_t most, uint8_t *body)
{
	uint32_t n = (uint32_t)snprintf((char *)body, 16, "m%u ", id);
	uint32_t len = n + (uint32_t)draw(c, draw(c, c->config.long_one_in) == 0 ? most - n : 100);

	memset(body + n, 'x', len - n);
	return len;
}

/* One message, or a batch (struct batch_item). */
static uint32_t write_body(struct op *op, uint8_t *body)
{
	uint8_t *at = body;

	if (op->code == REQ_SEND_MESSAGE_V2)
		return write_one(op->client, op->id, BODY_MAX, body);
	for (uint32_t i = 0; i < op->n_ids; i++) {
		uint32_t most = BODY_MAX / BATCH_MAX - 32;
		uint32_t len = write_one(op->client, op->id + i, most, at + 20);

		memset(at, 0, 20);
		put_be32(at, 22 + len);
		put_be32(at + 16, len);
		put_be16(at + 20 + len, 0);
		at += 22 + len;
	}
	return (uint32_t)(at - body);
}

static void on_peer(struct dial_wait *wait, struct peer *peer, const char *why)
{
	struct op *op = wait->data;
	uint8_t body[BODY_MAX];
	uint32_t len = op->n_ids > 0 ? write_body(op, body) : 0;
	struct call_writer cw;

	(void)why;
	if (peer == NULL || !call_begin(&cw, peer, op->code, false, 4096, len)) {
		op_end(op, OP_REFUSED);
		return;
	}
	if (op->n_ids > 0)
		put_send(&cw, op);
	else if (op->code == REQ_PULL_MESSAGE)
		put_pull(&cw, op);
	else if (op->code == REQ_GET_ROUTEINFO_BY_TOPIC)
		header_put_str(&cw.w, "topic", op->is_default_topic ? "TBW102" : CLIENT_TOPIC);
	else
		put_queue(&cw, op);
	if (op->code == REQ_UPDATE_CONSUMER_OFFSET)
		header_put_i64(&cw.w, "commitOffset", op->offset);
	op->call.done = on_call;
	op->call.data = op;
	call_end(&cw, slice(body, len), &op->call, op->timeout_ns);
}

static struct op *op_make(struct client *c, int32_t code, const char *address, uint64_t timeout_ns,
			  void (*done)(struct op *, enum op_result))
{
	struct op *op = mem_alloc(sizeof(*op));

	op->client = c;
	op->code = code;
	op->timeout_ns = timeout_ns;
	op->done = done;
	snprintf(op->address, sizeof(op->address), "%s", address);
	op->wait.done = on_peer;
	op->wait.data = op;
	return op;
}

/* The answer came from a broker that has gone down since. */
static bool is_old(const struct op *op)
{
	return op->epoch != op->client->config.model->epochs[op->broker];
}

static void op_start(struct op *op)
{
	op->epoch = op->client->config.model->epochs[op->broker];
	dialer_get(&op->client->dialer, op->address, DIAL_NS, &op->wait);
}

/* ---- routes ---- */

static uint32_t broker_index(struct mosaic_slice name)
{
	return name.len == 2 && name.ptr[0] == 'b' && name.ptr[1] >= '0' &&
			       name.ptr[1] < '0' + MODEL_BROKERS ?
		       (uint32_t)(name.ptr[1] - '0') :
		       MODEL_BROKERS;
}

/* Brokers of a route, a bit each. What is taken is kept when a later route lacks it: real clients
 * use an old route for a while, too. */
static int64_t read_route(struct client *c, struct mosaic_slice body, bool take)
{
	json_t *root = json_read(body, NULL), *item;
	int64_t found = 0;
	size_t i;

	if (root == NULL) {
		sim_fail(c->node->sim, "a route that cannot be read");
		return 0;
	}
	json_array_foreach(json_object_get(root, "brokerDatas"), i, item)
	{
		uint32_t b = broker_index(json_get_str(item, "brokerName"));
		struct mosaic_slice a = json_get_str(json_object_get(item, "brokerAddrs"), "0");

		if (b == MODEL_BROKERS || a.ptr == NULL)
			continue;
		found |= INT64_C(1) << b;
		if (take)
			snprintf(c->addresses[b], sizeof(c->addresses[b]), "%.*s", SLICE_ARG(a));
	}
	json_array_foreach(json_object_get(root, "queueDatas"), i, item)
	{
		uint32_t b = broker_index(json_get_str(item, "brokerName"));
		int64_t n = json_get_i64(item, "writeQueueNums", 0);

		if (take && b < MODEL_BROKERS)
			c->write_queues[b] = n < MODEL_QUEUES ? (uint32_t)n : MODEL_QUEUES;
	}
	json_decref(root);
	return found;
}

static void ask_route(struct client *c, bool default_topic);

static void on_route(struct op *op, enum op_result result)
{
	struct client *c = op->client;

	if (result == OP_ANSWERED && op->call.response->code == RES_TOPIC_NOT_EXIST &&
	    !op->is_default_topic) {
		ask_route(c, true);
		return;
	}
	if (result == OP_ANSWERED && op->call.response->code == RES_SUCCESS)
		(void)read_route(c, op->call.body, true);
	start_timer(c, &c->route_timer, 2 * SECOND_NS);
}

static void ask_route(struct client *c, bool default_topic)
{
	uint32_t ns = (uint32_t)draw(c, c->config.n_namesrv);
	struct op *op = op_make(c, REQ_GET_ROUTEINFO_BY_TOPIC, c->config.namesrv[ns], ROUTE_NS,
				on_route);

	op->is_default_topic = default_topic;
	op_start(op);
}

/* Now and then the route of the default topic: so the topic comes to every broker, not only to
 * those that were there at the first send. */
static void route_fired(struct mosaic_timer *timer)
{
	struct client *c = timer->data;

	ask_route(c, draw(c, 4) == 0);
}

static void on_probe(struct op *op, enum op_result result)
{
	if (result != OP_ANSWERED)
		return;
	op->client->probed[op->namesrv] = op->call.response->code == RES_SUCCESS ?
						  read_route(op->client, op->call.body, false) :
						  0;
}

void client_probe(struct client *c, uint32_t namesrv)
{
	struct sim_node *was = sim_enter(c->node->sim, c->node);
	struct op *op = op_make(c, REQ_GET_ROUTEINFO_BY_TOPIC, c->config.namesrv[namesrv], ROUTE_NS,
				on_probe);

	c->probed[namesrv] = -1;
	op->namesrv = namesrv;
	op->is_default_topic = true; /* every broker has it */
	op_start(op);
	sim_leave(c->node->sim, was);
}

/* ---- producing ---- */

static void on_send_ok(struct op *op)
{
	struct model *m = op->client->config.model;
	int64_t offset = -1;
	int32_t queue = -1;

	op->client->last_ok_ns = op->client->node->sim->now_ns;
	(void)header_i64(op->call.response, "queueOffset", &offset);
	(void)header_i32(op->call.response, "queueId", &queue);
	for (uint32_t i = 0; i < op->n_ids; i++)
		if (op->delay_level > 0)
			model_sent_delayed(m, op->id + i);
		else
			model_sent(m, op->id + i, op->broker, (uint32_t)queue, offset + i);
}

static void on_send(struct op *op, enum op_result result)
{
	struct client *c = op->client;
	int32_t code = result == OP_ANSWERED ? op->call.response->code : -1;

	c->n_sends--;
	if (code == RES_SUCCESS) {
		on_send_ok(op);
		return;
	}
	c->n_not_ok++;
	for (uint32_t i = 0; i < op->n_ids; i++)
		if (result == OP_UNKNOWN || code == RES_FLUSH_DISK_TIMEOUT)
			model_unknown(c->config.model, op->id + i);
		else
			model_refused(c->config.model, op->id + i);
}

static void send_one(struct client *c)
{
	uint32_t b = (uint32_t)draw(c, c->config.n_brokers);

	for (uint32_t i = 0; i < c->config.n_brokers && c->addresses[b][0] == '\0'; i++)
		b = (b + 1) % c->config.n_brokers;
	if (c->addresses[b][0] == '\0' || c->write_queues[b] == 0)
		return;
	bool is_batch = draw(c, 10) == 0;
	struct op *op = op_make(c, is_batch ? REQ_SEND_BATCH_MESSAGE : REQ_SEND_MESSAGE_V2,
				c->addresses[b], SEND_NS, on_send);
	op->broker = b;
	op->queue = (uint32_t)draw(c, c->write_queues[b]);
	op->n_ids = is_batch ? 2 + (uint32_t)draw(c, BATCH_MAX - 1) : 1;
	if (!is_batch && draw(c, 12) == 0)
		op->delay_level = 1 + (uint32_t)draw(c, 2);
	op->id = model_invoke(c->config.model, op->n_ids, op->delay_level > 0);
	c->n_sends++;
	op_start(op);
}

static void send_fired(struct mosaic_timer *timer)
{
	struct client *c = timer->data;

	if (c->send_period_ns == 0)
		return;
	for (uint64_t n = draw(c, 4) == 0 ? draw(c, 8) : 1; n > 0; n--) /* bursts now and then */
		if (c->n_sends < c->max_sends)
			send_one(c);
	start_timer(c, &c->send_timer, c->send_period_ns);
}

void client_set_rate(struct client *c, uint64_t period_ns, uint32_t max_sends)
{
	struct sim_node *was = sim_enter(c->node->sim, c->node);

	c->send_period_ns = period_ns;
	c->max_sends = max_sends;
	if (period_ns != 0)
		start_timer(c, &c->send_timer, period_ns);
	sim_leave(c->node->sim, was);
}

/* ---- consuming ---- */

static void puller_go(struct puller *p);

static void puller_later(struct puller *p)
{
	p->knows_offset = false;
	start_timer(p->client, &p->retry, 500 * MS_NS);
}

static bool read_id(struct mosaic_slice body, uint32_t *id)
{
	const uint8_t *space = memchr(body.ptr, ' ', body.len);
	int32_t n;

	if (space == NULL || body.ptr[0] != 'm' ||
	    num_parse_i32(slice(body.ptr + 1, (size_t)(space - body.ptr) - 1), &n) != 0)
		return false;
	*id = (uint32_t)n;
	return true;
}

static void read_records(struct puller *p, struct mosaic_slice body)
{
	struct client *c = p->client;
	struct message m;
	uint32_t len, id;

	while (body.len > 0 && !c->node->sim->has_failed) {
		if (record_decode(body.ptr, body.len, true, &m, &len) != RECORD_MESSAGE ||
		    !read_id(m.body, &id)) {
			sim_fail(c->node->sim, "broker %u queue %u: a damaged record at offset %"
				 PRId64, p->broker, p->queue, p->offset);
			return;
		}
		if (m.queue_offset != p->offset || m.queue_id != (int32_t)p->queue ||
		    !slice_is(m.topic, CLIENT_TOPIC)) {
			sim_fail(c->node->sim,
				 "broker %u queue %u: asked for offset %" PRId64 ", got %" PRId64
				 " of queue %d of %.*s", p->broker, p->queue, p->offset,
				 m.queue_offset, m.queue_id, SLICE_ARG(m.topic));
			return;
		}
		model_seen(c->config.model, id, p->broker, p->queue, p->offset);
		p->offset++;
		body.ptr += len;
		body.len -= len;
	}
}

static void audit_end(struct puller *p)
{
	p->is_audited = true;
	model_audited(p->client->config.model, p->broker, p->queue, p->offset);
	p->client->n_audits--;
}

static void pull_committed(struct op *op, enum op_result result)
{
	struct model *m = op->client->config.model;
	int32_t code = result == OP_ANSWERED ? op->call.response->code : -1;

	if (result == OP_UNKNOWN || (result == OP_ANSWERED && is_old(op)))
		model_commit_unknown(m, op->broker, op->queue, op->offset);
	else if (code == RES_SUCCESS || code == RES_PULL_NOT_FOUND ||
		 code == RES_PULL_RETRY_IMMEDIATELY)
		model_commit_done(m, op->broker, op->queue, op->offset);
}

static void on_pull(struct op *op, enum op_result result)
{
	struct puller *p = op->puller;
	struct client *c = p->client;
	int64_t next = p->offset;
	bool is_stale = c->is_auditing != p->was_auditing; /* asked before the audit began */
	int32_t code = result == OP_ANSWERED && !is_old(op) ? op->call.response->code : -1;

	p->is_busy = false;
	if (op->commits)
		pull_committed(op, result);
	if (is_stale) {
		if (c->is_auditing)
			puller_later(p);
		return;
	}
	if (code == RES_SUCCESS) {
		read_records(p, op->call.body);
	} else if (code == RES_PULL_NOT_FOUND || code == RES_PULL_RETRY_IMMEDIATELY) {
		if (c->is_auditing && code == RES_PULL_NOT_FOUND) {
			audit_end(p);
			return;
		}
	} else if (code == RES_PULL_OFFSET_MOVED &&
		   header_i64(op->call.response, "nextBeginOffset", &next) == 0) {
		sim_say(c->node->sim, "broker %u queue %u: offset moved %" PRId64 " -> %" PRId64,
			p->broker, p->queue, p->offset, next);
		if (next > p->offset)
			sim_fail(c->node->sim, "broker %u queue %u begins at %" PRId64, p->broker,
				 p->queue, next);
		p->offset = next;
	} else {
		if (c->is_auditing && code == RES_TOPIC_NOT_EXIST) /* nothing was ever sent there */
			audit_end(p);
		else
			puller_later(p);
		return;
	}
	puller_go(p);
}

static void on_offset(struct op *op, enum op_result result)
{
	struct puller *p = op->puller;
	int64_t offset = -1;
	int32_t code = result == OP_ANSWERED && !is_old(op) ? op->call.response->code :
							      RES_SYSTEM_ERROR;

	p->is_busy = false;
	if (code != RES_SUCCESS && code != RES_QUERY_NOT_FOUND) {
		puller_later(p);
		return;
	}
	if (code == RES_SUCCESS)
		(void)header_i64(op->call.response, "offset", &offset);
	model_commit_read(p->client->config.model, p->broker, p->queue, offset);
	p->knows_offset = true;
	p->offset = offset > 0 ? offset : 0;
	p->committed = offset;
	puller_go(p);
}

static void puller_go(struct puller *p)
{
	struct client *c = p->client;
	const char *address = c->addresses[p->broker];
	bool pulls = p->knows_offset || c->is_auditing;

	if (p->is_busy || p->is_audited || c->node->sim->has_failed)
		return;
	if (address[0] == '\0') { /* this client never heard of the broker */
		if (c->is_auditing && c->config.model->queues[p->broker][p->queue].n_slots == 0)
			audit_end(p);
		else
			puller_later(p);
		return;
	}
	struct op *op = op_make(c, pulls ? REQ_PULL_MESSAGE : REQ_QUERY_CONSUMER_OFFSET, address,
				pulls ? PULL_NS : SEND_NS, pulls ? on_pull : on_offset);
	op->puller = p;
	op->broker = p->broker;
	op->queue = p->queue;
	op->offset = p->offset;
	p->is_busy = true;
	p->was_auditing = c->is_auditing;
	op->commits = pulls && !c->is_auditing && p->offset > 0 && draw(c, 4) == 0;
	if (op->commits)
		model_commit_asked(c->config.model, p->broker, p->queue, p->offset);
	op_start(op);
}

static void retry_fired(struct mosaic_timer *timer)
{
	puller_go(timer->data);
}

/* ---- committing ---- */

static void on_commit(struct op *op, enum op_result result)
{
	struct puller *p = op->puller;
	struct model *m = p->client->config.model;

	p->is_committing = false;
	if (result == OP_UNKNOWN || (result == OP_ANSWERED && is_old(op))) {
		model_commit_unknown(m, p->broker, p->queue, op->offset);
	} else if (result == OP_ANSWERED && op->call.response->code == RES_SUCCESS) {
		model_commit_done(m, p->broker, p->queue, op->offset);
		p->committed = op->offset;
	}
}

static void commit(struct puller *p)
{
	struct client *c = p->client;

	if (p->is_committing || !p->knows_offset || p->offset == p->committed || p->offset == 0 ||
	    c->addresses[p->broker][0] == '\0')
		return;
	struct op *op = op_make(c, REQ_UPDATE_CONSUMER_OFFSET, c->addresses[p->broker], SEND_NS,
				on_commit);
	op->puller = p;
	op->broker = p->broker;
	op->queue = p->queue;
	op->offset = p->offset;
	p->is_committing = true;
	model_commit_asked(c->config.model, p->broker, p->queue, op->offset);
	op_start(op);
}

static void commit_fired(struct mosaic_timer *timer)
{
	struct client *c = timer->data;

	for (uint32_t b = 0; b < c->config.n_brokers && !c->is_auditing; b++)
		for (uint32_t q = 0; q < MODEL_QUEUES; q++)
			commit(&c->pullers[b][q]);
	start_timer(c, &c->commit_timer, COMMIT_PERIOD_NS);
}

bool client_is_caught_up(const struct client *c)
{
	for (uint32_t b = 0; b < c->config.n_brokers; b++)
		for (uint32_t q = 0; q < MODEL_QUEUES; q++) {
			const struct puller *p = &c->pullers[b][q];
			const struct model_queue *mq = &c->config.model->queues[b][q];

			if (mq->n_slots > 0 && (!p->knows_offset || p->offset < mq->n_slots))
				return false;
		}
	return true;
}

void client_audit(struct client *c)
{
	struct sim_node *was = sim_enter(c->node->sim, c->node);

	c->is_auditing = true;
	for (uint32_t b = 0; b < c->config.n_brokers; b++)
		for (uint32_t q = 0; q < MODEL_QUEUES; q++) {
			struct puller *p = &c->pullers[b][q];

			p->offset = 0;
			c->n_audits++;
			if (!p->is_busy)
				puller_go(p);
		}
	sim_leave(c->node->sim, was);
}

/* ---- life ---- */

void client_start(struct client *c, struct sim_node *node, const struct client_config *config)
{
	struct sim_node *was = sim_enter(node->sim, node);
	struct mosaic_error err = ERR_INIT;

	*c = (struct client){ .config = *config, .node = node, .host = &node->core.api };
	plugin_instance_init(&c->plugin, config->transport);
	c->ops = &config->transport->ops.transport;
	const struct mosaic_host *host = node->hosts.make(node, "transport", NULL, NULL);
	ASSERT(c->ops->create(host, c->plugin.options, &c->transport, &err) == 0);
	dialer_init(&c->dialer, c->host, c->ops, c->transport, NULL);
	c->route_timer = (struct mosaic_timer){ .fire = route_fired, .data = c };
	c->send_timer = (struct mosaic_timer){ .fire = send_fired, .data = c };
	c->commit_timer = (struct mosaic_timer){ .fire = commit_fired, .data = c };
	ask_route(c, false);
	for (uint32_t b = 0; b < config->n_brokers && config->consumes; b++)
		for (uint32_t q = 0; q < MODEL_QUEUES; q++) {
			struct puller *p = &c->pullers[b][q];

			*p = (struct puller){ .client = c, .broker = b, .queue = q };
			p->retry = (struct mosaic_timer){ .fire = retry_fired, .data = p };
			puller_later(p);
		}
	if (config->consumes)
		start_timer(c, &c->commit_timer, COMMIT_PERIOD_NS);
	sim_leave(node->sim, was);
}
