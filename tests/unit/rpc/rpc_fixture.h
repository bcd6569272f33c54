/* One listening service on the fake net whose handler a test sets. */
#ifndef RPC_FIXTURE_H
#define RPC_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "rpc/call.h"
#include "rpc/request.h"
#include "support/fake_net.h"
#include "wire/codes.h"
#include "wire/frame.h"
#include <stdio.h>
#include <stdlib.h>

struct fixture {
	struct fake_host host;
	struct fake_net *net;
	struct peer_listener pl;
	struct peer_handler handler;
	void (*on_request)(struct fixture *f, struct request *req);
	struct kept_request *kept;
	struct ticket ticket;
	struct peer *last_peer; /* borrowed */
	uint32_t n_requests, n_bursts, n_closed;
};

static inline void fixture_request(void *ctx, struct request *req)
{
	struct fixture *f = ctx;

	f->n_requests++;
	f->last_peer = req->ticket.peer;
	if (f->on_request)
		f->on_request(f, req);
}

static inline void fixture_burst_end(void *ctx, struct peer *peer)
{
	(void)peer;
	((struct fixture *)ctx)->n_bursts++;
}

static inline void fixture_closed(void *ctx, struct peer *peer)
{
	(void)peer;
	((struct fixture *)ctx)->n_closed++;
}

static inline void setup(struct fixture *f)
{
	*f = (struct fixture){ 0 };
	fake_host_init(&f->host);
	f->net = fake_net_create(&f->host);
	f->handler = (struct peer_handler){ .ctx = f,
					    .request = fixture_request,
					    .burst_end = fixture_burst_end,
					    .closed = fixture_closed };
	f->pl = (struct peer_listener){ .listener = { .address = "here:1", .max_frame = FRAME_MAX },
					.host = &f->host.host,
					.ops = &fake_net_ops,
					.handler = &f->handler,
					.max_peers = 3 };
	assert_int_equal(peer_listen(&f->pl, fake_net_transport(f->net), NULL), 0);
}

static inline void teardown(struct fixture *f)
{
	fake_net_destroy(f->net);
	assert_int_equal(fake_host_timers(&f->host), 0);
	fake_host_fini(&f->host);
}

#endif
