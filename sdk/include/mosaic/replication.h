/*
 * mosaic/replication.h - moves the bytes of the commit log to other nodes, in order, and publishes
 * ACKABLE and VISIBLE.
 *
 * A broker without a replication plugin is valid: both watermarks then follow the log's end, and
 * an acknowledgement promises nothing beyond this machine.
 *
 *   REPL-01 watermarks only grow and never pass the end that appended() told.
 *   REPL-02 VISIBLE never passes what the plugin could lose, where it promises that.
 *   REPL-03 when it cannot keep its promise (no slave) it says so with host->promise at once.
 *
 * Kind change log, newest first:
 *   0.1  first shape; no plugin of this kind is part of the tree yet
 */
#ifndef MOSAIC_REPLICATION_H
#define MOSAIC_REPLICATION_H

#include <mosaic/store.h>
#include <mosaic/transport.h>

#define MOSAIC_REPLICATION_MAJOR 0
#define MOSAIC_REPLICATION_MINOR 1
#define MOSAIC_KIND_REPLICATION                                                                   \
	.kind = MOSAIC_REPLICATION, .kind_major = MOSAIC_REPLICATION_MAJOR,                       \
	.kind_minor = MOSAIC_REPLICATION_MINOR

/* `wants` of a replication plugin are bits of the store. */
#define MOSAIC_REPLICATION_CAP_ACKABLE (UINT64_C(1) << 0) /* ACKABLE waits for other nodes */
#define MOSAIC_REPLICATION_CAP_VISIBLE (UINT64_C(1) << 1) /* VISIBLE waits for other nodes */

#ifdef __cplusplus
extern "C" {
#endif

struct mosaic_replication; /* the plugin's */

enum mosaic_role {
	MOSAIC_ROLE_MASTER = 1,
	MOSAIC_ROLE_SLAVE = 2
};

/* The narrow way to the log. Every call is [core]. */
struct mosaic_replication_port {
	uint32_t struct_size;
	uint32_t reserved0;
	void *ctx;
	/* as mosaic_store_ops.read on the commit log */
	int32_t (*read)(void *ctx, uint64_t offset, uint32_t len, struct mosaic_read *read);
	void (*unpin)(void *ctx, struct mosaic_read *read);
	/* slave: whole bytes of the master's log at exactly the end; E_INVAL when not at the end */
	int32_t (*append_raw)(void *ctx, uint64_t at, const uint8_t *bytes, uint32_t len);
	/* log, consume queues and counters back to `to`; asynchronous */
	int32_t (*truncate)(void *ctx, uint64_t to, struct mosaic_req *req);
	void (*range)(void *ctx, uint64_t *begin, uint64_t *end);
};

struct mosaic_replication_ops {
	uint32_t struct_size;
	uint32_t reserved0;
	/* [main] */
	int32_t (*create)(const struct mosaic_host *host, const void *options,
			  struct mosaic_replication **out, struct mosaic_error *error);
	/* [core] start in the given role; `master` is the master's address for a slave, else
	 * NULL */
	int32_t (*open)(struct mosaic_replication *repl, const struct mosaic_replication_port *port,
			uint32_t role, const char *master, struct mosaic_error *error);
	/* [core] once per run of appends: the log now ends at `end` */
	void (*appended)(struct mosaic_replication *repl, uint64_t end);
	/* [core] role or master changed at run time */
	int32_t (*role_changed)(struct mosaic_replication *repl, uint32_t role, const char *master);
	/* [core] asynchronous */
	int32_t (*close)(struct mosaic_replication *repl, struct mosaic_req *req);
	/* [main] */
	void (*destroy)(struct mosaic_replication *repl);
};

#ifdef __cplusplus
}
#endif
#endif
