/*
 * mosaic/draft/network.h - extension "mosaic.network.draft/1": a network without sockets.
 *
 * The host carries bytes between endpoints that are named "ip:port" and decides all that a real
 * network decides: how long bytes are under way, in what pieces they arrive, which links are cut
 * and when a connection breaks. Each direction of a connection is a stream as TCP's: bytes arrive
 * in order or the connection ends. The host owns what is under way, so that a node may die while
 * its last bytes still travel. Everything is [core].
 */
#ifndef MOSAIC_DRAFT_NETWORK_H
#define MOSAIC_DRAFT_NETWORK_H

#include <mosaic/transport.h>

#define MOSAIC_EXT_NETWORK "mosaic.network.draft/1"

#ifdef __cplusplus
extern "C" {
#endif

struct mosaic_net_end; /* one end of a connection; the network's */

/* What the owner of an end hears; none of it runs inside a call of the owner. */
struct mosaic_net_events {
	/* Writable, valid until the call returns; cut as the network likes. */
	void (*received)(void *user, uint8_t *bytes, uint32_t len);
	/* So many bytes more have reached the other side. */
	void (*sent)(void *user, uint32_t len);
	/* Exactly once, last of all, also after close(): the end is dead when it returns. */
	void (*ended)(void *user, int32_t status, const char *why);
};

/* Storage is the caller's until unlisten(). */
struct mosaic_net_listener {
	const char *address; /* "0.0.0.0:10911"; port 0: any free one */
	uint32_t port;       /* out */
	uint32_t reserved0;
	void *user;
	/* Set *events and *end_user, or return negative to refuse: nothing more is heard of it. */
	int32_t (*accepted)(void *user, struct mosaic_net_end *end,
			    const struct mosaic_address *peer,
			    const struct mosaic_net_events **events, void **end_user);
	void *reserved1; /* the network's */
};

/* An attempt to connect. Storage is the caller's until done() or cancel(). There is no time limit:
 * a network that is cut never answers. */
struct mosaic_net_dial {
	struct mosaic_req req;
	const char *address;
	const struct mosaic_net_events *events;
	void *user;
	struct mosaic_net_end *end; /* out, when status is 0 */
	struct mosaic_address peer; /* out */
	const char *why;            /* out, when it is not; static text */
	void *reserved0;            /* the network's */
};

/* What host->extension() returns. */
struct mosaic_ext_network {
	uint32_t struct_size;
	uint32_t reserved0;
	void *ctx;
	int32_t (*listen)(void *ctx, struct mosaic_net_listener *listener);
	void (*unlisten)(void *ctx, struct mosaic_net_listener *listener);
	/* MOSAIC_PENDING, or E_INVAL: no address. */
	int32_t (*dial)(void *ctx, struct mosaic_net_dial *dial);
	/* done() does not run any more. */
	void (*cancel)(void *ctx, struct mosaic_net_dial *dial);
	/* Memory for send(); NULL: none is left. */
	uint8_t *(*buffer)(void *ctx, uint32_t len);
	/* Takes the buffer in any case. Bytes sent on an end that is ending are lost. */
	void (*send)(struct mosaic_net_end *end, uint8_t *buffer, uint32_t len);
	/* While paused nothing is received: the other side's `sent` stays away. */
	void (*pause)(struct mosaic_net_end *end, int32_t paused);
	/* Bytes that were sent still arrive, then the other side ends. */
	void (*close)(struct mosaic_net_end *end);
};

#ifdef __cplusplus
}
#endif
#endif
