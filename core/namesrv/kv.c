/*
 * Happy path: kv_change -> queued -> batch_start: document with the batch -> save -> batch_saved:
 * the batch becomes visible, its tickets are answered -> the next batch.
 * Failure modes: a bound, or a save that fails: code 1 with the reason.
 */
#include "namesrv/kv.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"
#include "wire/codes.h"
#include <stdlib.h>

struct kv_change {
	struct list link;
	struct ticket ticket;
	char *ns, *key;
	char *value; /* NULL: remove. While applied: what was there before */
	uint32_t weight;
	bool made_namespace;
};

struct kv {
	const struct mosaic_host *host;
	struct namesrv_docs docs;
	struct map namespaces;     /* name -> struct map of key -> value */
	uint64_t bytes;            /* weight of what is visible */
	uint64_t pending_bytes;    /* weight of the changes that wait */
	struct list queued, batch; /* struct kv_change */
	uint32_t n_queued;
	bool is_saving, is_stopping;
	struct mosaic_req saved;
	struct mosaic_req *stopped; /* the caller's of kv_stop */
};

/* ---- the table ---- */

const struct map *kv_namespace(const struct kv *kv, struct mosaic_slice ns)
{
	return ns.ptr ? map_get(&kv->namespaces, ns) : NULL;
}

struct mosaic_slice kv_get(const struct kv *kv, struct mosaic_slice ns, struct mosaic_slice key)
{
	const struct map *table = kv_namespace(kv, ns);

	return slice_str(table && key.ptr ? map_get(table, key) : NULL);
}

/* What an entry counts against KV_BYTES_MAX. */
static uint64_t weigh(size_t ns_len, size_t key_len, size_t value_len)
{
	return 64 + ns_len + key_len + value_len; /* 64: the tables' own share */
}

static uint64_t weigh_text(const struct kv_change *c, const char *value)
{
	return value ? weigh(strlen(c->ns), strlen(c->key), strlen(value)) : 0;
}

/* Exchanges the change's value with the table's: applied twice it undoes itself, except for the
 * namespace. */
static void change_swap(struct kv *kv, struct kv_change *c)
{
	struct mosaic_slice key = slice_str(c->key);
	struct map *table = map_get(&kv->namespaces, slice_str(c->ns));
	char *old;

	if (table == NULL) {
		if (c->value == NULL)
			return; /* nothing to remove */
		table = mem_alloc(sizeof(*table));
		map_put(&kv->namespaces, slice_str(c->ns), table);
		c->made_namespace = true;
	}
	old = c->value ? map_put(table, key, c->value) : map_remove(table, key);
	kv->bytes += weigh_text(c, c->value);
	kv->bytes -= weigh_text(c, old);
	c->value = old;
}

static void change_undo(struct kv *kv, struct kv_change *c)
{
	change_swap(kv, c);
	if (c->made_namespace) {
		struct map *table = map_remove(&kv->namespaces, slice_str(c->ns));

		map_free(table);
		free(table);
		c->made_namespace = false;
	}
}

static void write_table(struct json_writer *w, const struct map *table)
{
	struct map_entry *e;

	jw_object(w);
	for (uint32_t pos = 0; (e = map_next(table, &pos)) != NULL;) {
		jw_key_slice(w, e->key);
		jw_cstr(w, e->value);
	}
	jw_object_end(w);
}

void kv_write_namespace(const struct map *table, struct buf *out)
{
	struct json_writer w;

	jw_init(&w, out);
	jw_object(&w);
	jw_key(&w, "table");
	write_table(&w, table);
	jw_object_end(&w);
}

static void write_document(const struct kv *kv, struct buf *out)
{
	struct json_writer w;
	struct map_entry *e;

	jw_init(&w, out);
	jw_object(&w);
	jw_key(&w, "configTable");
	jw_object(&w);
	for (uint32_t pos = 0; (e = map_next(&kv->namespaces, &pos)) != NULL;) {
		jw_key_slice(&w, e->key);
		write_table(&w, e->value);
	}
	jw_object_end(&w);
	jw_object_end(&w);
}

/* ---- saving ---- */

static void change_free(struct kv *kv, struct kv_change *c)
{
	kv->pending_bytes -= c->weight;
	ticket_drop(&c->ticket);
	free(c->ns);
	free(c->key);
	free(c->value);
	free(c);
}

static void batch_start(struct kv *kv);

static void stop_when_idle(struct kv *kv)
{
	struct mosaic_req *req = kv->stopped;

	if (req == NULL || kv->is_saving || kv->n_queued > 0)
		return;
	kv->stopped = NULL;
	req->status = MOSAIC_OK;
	kv->host->post(kv->host, req);
}

/* The batch is saved (0) or not. */
static void batch_end(struct kv *kv, int status)
{
	if (status != 0)
		LOG_ERROR(kv->host, "kv_save_failed", "status=%s", status_name(status));
	LIST_FOR_SAFE(it, &kv->batch) {
		struct kv_change *c = LIST_ENTRY(it, struct kv_change, link);

		list_remove(&c->link);
		if (status == 0) {
			change_swap(kv, c);
			reply_code(&c->ticket, RES_SUCCESS);
		} else {
			reply_remark(&c->ticket, RES_SYSTEM_ERROR,
				     "the KV config cannot be saved: %s", status_text(status));
		}
		change_free(kv, c);
	}
}

static void batch_saved(struct mosaic_req *req)
{
	struct kv *kv = req->data;

	kv->is_saving = false;
	batch_end(kv, req->status);
	batch_start(kv);
	stop_when_idle(kv);
}

/* Writes the document as it will be with the batch, and leaves the table as it was. */
static void batch_document(struct kv *kv, struct buf *out)
{
	LIST_FOR(it, &kv->batch)
		change_swap(kv, LIST_ENTRY(it, struct kv_change, link));
	write_document(kv, out);
	for (struct list *it = kv->batch.prev; it != &kv->batch; it = it->prev)
		change_undo(kv, LIST_ENTRY(it, struct kv_change, link));
}

static void batch_start(struct kv *kv)
{
	struct buf document = BUF_INIT;
	int rc;

	if (kv->is_saving || kv->n_queued == 0)
		return;
	while (!list_empty(&kv->queued)) {
		struct list *node = kv->queued.next;

		list_remove(node);
		list_add_tail(&kv->batch, node);
	}
	kv->n_queued = 0;
	if (kv->docs.save == NULL) {
		batch_end(kv, 0);
		return;
	}
	batch_document(kv, &document);
	kv->is_saving = true;
	kv->saved = (struct mosaic_req){ .done = batch_saved, .data = kv };
	rc = kv->docs.save(kv->docs.ctx, buf_slice(&document), &kv->saved);
	buf_free(&document);
	if (rc < 0) {
		kv->is_saving = false;
		batch_end(kv, rc);
	}
}

/* NULL, or why the change cannot be taken. */
static const char *refusal(const struct kv *kv, struct mosaic_slice ns, uint64_t weight,
			   bool is_put)
{
	if (kv->is_stopping)
		return "the NameServer is stopping";
	if (kv->n_queued >= KV_PENDING_MAX)
		return "too many changes of the KV config wait for the disk";
	if (kv->pending_bytes + weight + (is_put ? kv->bytes : 0) > KV_BYTES_MAX)
		return "the KV config is full";
	if (is_put && map_count(&kv->namespaces) >= KV_NAMESPACES_MAX &&
	    kv_namespace(kv, ns) == NULL)
		return "the KV config has too many namespaces";
	return NULL;
}

void kv_change(struct kv *kv, const struct ticket *ticket, struct mosaic_slice ns,
	       struct mosaic_slice key, struct mosaic_slice value)
{
	uint64_t weight = weigh(ns.len, key.len, value.len);
	const char *why = refusal(kv, ns, weight, value.ptr != NULL);
	struct kv_change *c;

	if (why) {
		peer_warn(ticket->peer, "kv_refused", "why=\"%s\" bytes=%llu", why,
			  (unsigned long long)kv->bytes);
		reply_remark(ticket, RES_SYSTEM_ERROR, "%s", why);
		return;
	}
	c = mem_alloc(sizeof(*c));
	c->ticket = ticket_keep(ticket);
	c->ns = slice_dup(ns);
	c->key = slice_dup(key);
	c->value = value.ptr ? slice_dup(value) : NULL;
	c->weight = (uint32_t)weight;
	kv->pending_bytes += weight;
	list_add_tail(&kv->queued, &c->link);
	kv->n_queued++;
	batch_start(kv);
}

/* ---- life ---- */

static int load(struct kv *kv, struct mosaic_slice text, struct mosaic_error *err)
{
	json_t *root, *spaces, *space, *value;
	const char *ns, *key;

	if (text.len == 0)
		return 0;
	root = json_read(text, err);
	if (root == NULL)
		return MOSAIC_E_CORRUPT;
	spaces = json_object_get(root, "configTable");
	if (!json_is_object(root) || (spaces && !json_is_object(spaces))) {
		json_decref(root);
		return err_set(err, MOSAIC_E_CORRUPT, "the KV config has no configTable");
	}
	json_object_foreach(spaces, ns, space) {
		struct map *table = mem_alloc(sizeof(*table));

		map_put(&kv->namespaces, slice_str(ns), table);
		json_object_foreach(space, key, value) {
			if (!json_is_string(value))
				continue; /* null: Java keeps it and answers as if absent */
			map_put(table, slice_str(key), mem_strdup(json_string_value(value)));
			kv->bytes += weigh(strlen(ns), strlen(key), json_string_length(value));
		}
	}
	json_decref(root);
	return 0;
}

struct kv *kv_create(const struct mosaic_host *host, const struct namesrv_docs *docs,
		     struct mosaic_error *err)
{
	struct kv *kv = mem_alloc(sizeof(*kv));

	kv->host = host;
	kv->docs = *docs;
	list_init(&kv->queued);
	list_init(&kv->batch);
	if (load(kv, docs->kv_config, err) != 0) {
		kv_destroy(kv);
		return NULL;
	}
	kv->docs.kv_config = slice(NULL, 0); /* borrowed until now */
	return kv;
}

void kv_stop(struct kv *kv, struct mosaic_req *req)
{
	kv->is_stopping = true;
	kv->stopped = req;
	stop_when_idle(kv);
}

void kv_destroy(struct kv *kv)
{
	struct map_entry *e, *v;

	ASSERT(!kv->is_saving);
	ASSERT(list_empty(&kv->queued));
	for (uint32_t pos = 0; (e = map_next(&kv->namespaces, &pos)) != NULL;) {
		struct map *table = e->value;

		for (uint32_t at = 0; (v = map_next(table, &at)) != NULL;)
			free(v->value);
		map_free(table);
		free(table);
	}
	map_free(&kv->namespaces);
	free(kv);
}
