/*
 * The happy path: gate_add puts a waiter at the end of the list, a watermark moves, gate_release
 * takes waiters from the front while their end is covered. One timer serves the first waiter's
 * deadline; it is left running when that waiter leaves, and then finds nothing to do.
 *
 * done() may append, wait again or move a watermark: whoever releases picks the head of the list
 * anew each time, and a release inside a release only leaves its watermark to the outer one.
 */
#include "log/gate.h"

static void gate_expire(struct mosaic_timer *timer);

void gate_init(struct gate *g, const struct mosaic_host *host, bool flush_gates, bool repl_gates,
	       uint64_t timeout_ns)
{
	*g = (struct gate){ .host = host,
			    .flush_gates = flush_gates,
			    .repl_gates = repl_gates,
			    .repl_promise = MOSAIC_PROMISE_KEPT,
			    .timeout_ns = timeout_ns,
			    .timer = { .fire = gate_expire, .data = g } };
	list_init(&g->waits);
}

bool gate_is_open(const struct gate *g, uint64_t end)
{
	return (!g->flush_gates || end <= g->durable) && (!g->repl_gates || end <= g->ackable);
}

static struct gate_wait *gate_first(struct gate *g)
{
	return list_empty(&g->waits) ? NULL : LIST_ENTRY(g->waits.next, struct gate_wait, link);
}

/* Whether the waiter is to be told something other than KEPT now. */
static bool gate_is_lost(const struct gate *g, const struct gate_wait *wait, uint64_t now_ns,
			 enum gate_result *result)
{
	bool waits_for_repl = g->repl_gates && wait->end > g->ackable;
	if (g->is_broken)
		*result = GATE_BROKEN;
	else if (waits_for_repl && g->repl_promise != MOSAIC_PROMISE_KEPT)
		*result = GATE_NO_SLAVE;
	else if (now_ns < wait->deadline_ns)
		return false;
	else
		*result = g->flush_gates && wait->end > g->durable ? GATE_FLUSH_TIMEOUT
								   : GATE_SLAVE_TIMEOUT;
	return true;
}

/* Answers from the front whatever can be answered. now_ns 0: deadlines are not looked at. */
static void gate_release(struct gate *g, uint64_t now_ns)
{
	if (g->is_releasing)
		return;
	g->is_releasing = true;
	for (struct gate_wait *wait; (wait = gate_first(g)) != NULL;) {
		enum gate_result result = GATE_KEPT;
		if ((g->is_broken || !gate_is_open(g, wait->end)) &&
		    !gate_is_lost(g, wait, now_ns, &result))
			break;
		list_remove(&wait->link);
		g->n_waits--;
		wait->done(wait, result);
	}
	g->is_releasing = false;
}

/* Whoever comes to a gate that cannot keep its promise is told so from the loop, not inside
 * gate_add. */
static void gate_arm(struct gate *g)
{
	struct gate_wait *wait = gate_first(g);
	if (!wait)
		return;
	uint64_t now_ns = host_now_ns(g->host);
	enum gate_result result;
	bool is_due = gate_is_open(g, wait->end) || gate_is_lost(g, wait, now_ns, &result);
	if (is_due || g->timer.due_ns == 0)
		g->host->timer_start(g->host, &g->timer, is_due ? 0 : wait->deadline_ns - now_ns);
}

static void gate_expire(struct mosaic_timer *timer)
{
	struct gate *g = timer->data;
	gate_release(g, host_now_ns(g->host));
	gate_arm(g);
}

void gate_add(struct gate *g, struct gate_wait *wait, uint64_t end)
{
	ASSERT(list_empty(&g->waits) ||
	       LIST_ENTRY(g->waits.prev, struct gate_wait, link)->end <= end);
	wait->end = end;
	wait->deadline_ns = host_now_ns(g->host) + g->timeout_ns;
	list_add_tail(&g->waits, &wait->link);
	g->n_waits++;
	if (UNLIKELY(g->timer.due_ns == 0 || g->is_broken || gate_is_open(g, end) ||
		     g->repl_promise != MOSAIC_PROMISE_KEPT))
		gate_arm(g);
}

void gate_set_durable(struct gate *g, uint64_t upto)
{
	if (upto <= g->durable || g->is_broken)
		return;
	g->durable = upto;
	gate_release(g, 0);
}

void gate_set_ackable(struct gate *g, uint64_t upto)
{
	if (upto <= g->ackable || g->is_broken)
		return;
	g->ackable = upto;
	gate_release(g, 0);
}

void gate_set_repl_promise(struct gate *g, uint32_t state)
{
	g->repl_promise = state;
	gate_release(g, 0);
}

void gate_break(struct gate *g)
{
	g->is_broken = true;
	gate_release(g, 0);
}

void gate_fini(struct gate *g)
{
	ASSERT(list_empty(&g->waits));
	g->host->timer_stop(g->host, &g->timer);
}
