/*
 * A transport in memory. The code under test is one end of every connection, the test plays the
 * other: it sends frames, which arrive inside the call, and reads the frames that the code wrote.
 *
 *   struct fake_net *net = fake_net_create(&host);
 *   pl.listener.address = "ns:9876"; pl.ops = &fake_net_ops; ...
 *   peer_listen(&pl, fake_net_transport(net), NULL);
 *   struct mosaic_conn *c = fake_net_dial(net, "ns:9876");
 *   fake_conn_request(c, REQ_GET_ROUTEINFO_BY_TOPIC, NO_BODY, "topic", "T", NULL);
 *   struct fake_frame f;
 *   assert_true(fake_conn_next(c, &f));
 *   assert_int_equal(f.header.code, 17);
 *
 * Connections that the code makes wait until the test accepts or refuses them (or their time is
 * over).
 */
#ifndef SUPPORT_FAKE_NET_H
#define SUPPORT_FAKE_NET_H

#include "support/fake_host.h"
#include "wire/header.h"
#include <mosaic/transport.h>

struct fake_net;

extern const struct mosaic_transport_ops fake_net_ops;

struct fake_net *fake_net_create(struct fake_host *host);
/* After what is under test has ended its use. Closes what is open (closed() runs inside). */
void fake_net_destroy(struct fake_net *net);
struct mosaic_transport *fake_net_transport(struct fake_net *net);

/* Connects to a listener of the code; NULL: nobody listens there, or it refused. Connections stay
 * valid for the test until the net is destroyed. */
struct mosaic_conn *fake_net_dial(struct fake_net *net, const char *address);
/* Completes the oldest attempt of the code to connect to address, and runs the host. NULL: none. */
struct mosaic_conn *fake_net_accept(struct fake_net *net, const char *address);
bool fake_net_refuse(struct fake_net *net, const char *address, const char *why);
/* How often the code has tried to connect to address. */
uint32_t fake_net_attempts(const struct fake_net *net, const char *address);

/* A frame that the code wrote, decoded. Memory stays until the net is destroyed. */
struct fake_frame {
	struct header header;
	struct mosaic_slice body;
};
bool fake_conn_next(struct mosaic_conn *conn, struct fake_frame *frame);

#define NO_BODY ((struct mosaic_slice){ NULL, 0 })

/* A request with fields "key", "value", ..., NULL; returns its opaque. Version 479 unless
 * fake_conn_version sets another. */
int32_t fake_conn_request(struct mosaic_conn *conn, int32_t code, struct mosaic_slice body, ...)
	__attribute__((sentinel));
void fake_conn_oneway(struct mosaic_conn *conn, int32_t code, struct mosaic_slice body, ...)
	__attribute__((sentinel));
/* The answer to a request of the code. */
void fake_conn_respond(struct mosaic_conn *conn, int32_t opaque, int32_t code,
		       struct mosaic_slice body, ...) __attribute__((sentinel));
/* Any bytes as a frame (what follows the length word). */
void fake_conn_raw(struct mosaic_conn *conn, const void *bytes, uint32_t len);
void fake_conn_version(struct mosaic_conn *conn, int32_t version);
/* While blocked, reserve() and send_span() refuse; unblocking calls writable(). */
void fake_conn_block(struct mosaic_conn *conn, bool blocked);
/* The far end is gone: closed() runs at the next fake_host_run. */
void fake_conn_close(struct mosaic_conn *conn);
/* Whether the code has closed it or closed() has run; why, when it has. */
bool fake_conn_is_closed(const struct mosaic_conn *conn);
const char *fake_conn_why(const struct mosaic_conn *conn);

#endif
