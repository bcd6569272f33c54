/*
 * The KV config (KVConfigManager of 5.3.3): namespace -> key -> value, the only state of a
 * NameServer that is on disk, as {"configTable":{"NS":{"key":"value"}}}.
 *
 * A change is visible and answered when it is saved. One save is under way at most; changes that
 * come meanwhile are saved together afterwards. When a save fails its changes are answered with the
 * reason and never become visible.
 */
#ifndef NAMESRV_KV_H
#define NAMESRV_KV_H

#include "base/map.h"
#include "namesrv/namesrv.h"
#include "wire/json.h"

#define KV_BYTES_MAX (8u * 1024 * 1024) /* of all entries, with the changes that wait */
#define KV_NAMESPACES_MAX 10000         /* an emptied one stays, as in Java */
#define KV_PENDING_MAX 1000             /* changes that wait for a save */

struct kv;

/* NULL and *err when the document is there and cannot be read. */
struct kv *kv_create(const struct mosaic_host *host, const struct namesrv_docs *docs,
		     struct mosaic_error *err);
void kv_destroy(struct kv *kv); /* after kv_stop completed, or without any change before */
/* Refuses changes from now on; done when those that were accepted have been answered. */
void kv_stop(struct kv *kv, struct mosaic_req *req);

/* ptr NULL when absent. */
struct mosaic_slice kv_get(const struct kv *kv, struct mosaic_slice ns, struct mosaic_slice key);
/* key -> NUL-terminated value; NULL: there is no such namespace. */
const struct map *kv_namespace(const struct kv *kv, struct mosaic_slice ns);
/* {"table":{"key":"value"}} */
void kv_write_namespace(const struct map *table, struct buf *out);
/* Puts (or, with value.ptr NULL, removes) and answers the ticket when that is saved or refused. */
void kv_change(struct kv *kv, const struct ticket *ticket, struct mosaic_slice ns,
	       struct mosaic_slice key, struct mosaic_slice value);

#endif
