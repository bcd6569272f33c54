/* 100 PUT_KV_CONFIG, 101 GET_KV_CONFIG, 102 DELETE_KV_CONFIG, 219 GET_KVLIST_BY_NAMESPACE */
#include "namesrv/namesrv_priv.h"

static bool kv_names(struct request *req, struct mosaic_slice *ns, struct mosaic_slice *key)
{
	*ns = header_str(&req->header, "namespace");
	*key = header_str(&req->header, "key");
	if (ns->ptr && key->ptr)
		return true;
	reply_remark(&req->ticket, RES_SYSTEM_ERROR, "namespace or key is null");
	return false;
}

void on_put_kv(void *service, struct request *req)
{
	struct namesrv *n = service;
	struct mosaic_slice ns, key, value;

	if (kv_names(req, &ns, &key) && namesrv_need(req, "value", &value))
		kv_change(n->kv, &req->ticket, ns, key, value);
}

void on_delete_kv(void *service, struct request *req)
{
	struct namesrv *n = service;
	struct mosaic_slice ns, key;

	if (kv_names(req, &ns, &key))
		kv_change(n->kv, &req->ticket, ns, key, slice(NULL, 0));
}

void on_get_kv(void *service, struct request *req)
{
	struct namesrv *n = service;
	struct mosaic_slice ns = header_str(&req->header, "namespace");
	struct mosaic_slice key = header_str(&req->header, "key");
	struct mosaic_slice value = kv_get(n->kv, ns, key);
	struct reply r;

	if (value.ptr == NULL) {
		ns = or_null(ns);
		key = or_null(key);
		reply_remark(&req->ticket, RES_QUERY_NOT_FOUND,
			     "No config item, Namespace: %.*s Key: %.*s", SLICE_ARG(ns),
			     SLICE_ARG(key));
		return;
	}
	if (!reply_begin(&r, &req->ticket, RES_SUCCESS,
			 (uint32_t)(HEADER_ROOM + HEADER_FIELD_ROOM(5, value.len)), 0))
		return;
	header_put(&r.w, "value", value);
	reply_end(&r);
}

void on_get_kv_list(void *service, struct request *req)
{
	struct namesrv *n = service;
	struct mosaic_slice ns = header_str(&req->header, "namespace");
	const struct map *table = kv_namespace(n->kv, ns);

	if (table == NULL) {
		ns = or_null(ns);
		reply_remark(&req->ticket, RES_QUERY_NOT_FOUND, "No config item, Namespace: %.*s",
			     SLICE_ARG(ns));
		return;
	}
	buf_clear(&n->out);
	kv_write_namespace(table, &n->out);
	namesrv_answer_out(n, req);
}
