#include "plugin/kind.h"
#include "plugin/loaded.h"

#define STORE(m) { #m, offsetof(struct mosaic_store_ops, m) }
#define FLUSH(m) { #m, offsetof(struct mosaic_flush_ops, m) }
#define REPL(m) { #m, offsetof(struct mosaic_replication_ops, m) }
#define BALANCE(m) { #m, offsetof(struct mosaic_balance_ops, m) }
#define TRANSPORT(m) { #m, offsetof(struct mosaic_transport_ops, m) }

static const struct kind_member store_members[] = {
	STORE(create), STORE(open), STORE(close), STORE(destroy), STORE(stream_at),
	STORE(stream_open), STORE(stream_info), STORE(stream_drop), STORE(reserve), STORE(commit),
	STORE(room), STORE(start_at), STORE(read), STORE(unpin), STORE(sync), STORE(sync_queues),
	STORE(truncate), STORE(trim), STORE(doc_load), STORE(doc_release), STORE(doc_save),
};

static const struct kind_member flush_members[] = {
	FLUSH(create), FLUSH(open), FLUSH(appended), FLUSH(close), FLUSH(destroy),
};

static const struct kind_member replication_members[] = {
	REPL(create), REPL(open), REPL(appended), REPL(role_changed), REPL(close), REPL(destroy),
};

static const struct kind_member balance_members[] = {
	BALANCE(create), BALANCE(destroy), BALANCE(pick), BALANCE(allocate),
};

static const struct kind_member transport_members[] = {
	TRANSPORT(create), TRANSPORT(listen), TRANSPORT(unlisten), TRANSPORT(connect),
	TRANSPORT(close), TRANSPORT(destroy), TRANSPORT(reserve), TRANSPORT(commit),
	TRANSPORT(send_span), TRANSPORT(pending), TRANSPORT(conn_close),
};

static const struct kind_cap store_caps[] = {
	{ MOSAIC_STORE_CAP_SYNC, "SYNC", "what was synced survives power loss" },
	{ MOSAIC_STORE_CAP_CRASH, "CRASH", "what was committed survives kill -9" },
	{ MOSAIC_STORE_CAP_PIN, "PIN", "reads lend memory of the store" },
	{ MOSAIC_STORE_CAP_TRUNCATE, "TRUNCATE", "the log can be cut back" },
	{ MOSAIC_STORE_CAP_TRIM, "TRIM", "old segments can be deleted" },
	{ MOSAIC_STORE_CAP_PREALLOC, "PREALLOC", "a full disk is met before bytes are lent" },
	{ MOSAIC_STORE_CAP_DIRECT, "DIRECT", "bypasses the page cache" },
};

static const struct kind_cap flush_caps[] = {
	{ MOSAIC_FLUSH_CAP_GATES, "GATES", "acknowledgements wait for the disk" },
};

static const struct kind_cap replication_caps[] = {
	{ MOSAIC_REPLICATION_CAP_ACKABLE, "ACKABLE", "acknowledgements wait for another node" },
	{ MOSAIC_REPLICATION_CAP_VISIBLE, "VISIBLE", "consumers read only what other nodes have" },
};

static const struct kind_cap balance_caps[] = {
	{ MOSAIC_BALANCE_CAP_KEYED, "KEYED", "one key stays on one queue" },
};

static const struct kind_cap transport_caps[] = {
	{ MOSAIC_TRANSPORT_CAP_REMOTE, "REMOTE", "reaches other machines" },
};

#define ROW(id, KIND, of)                                                                         \
	.name = #id, .major = MOSAIC_##KIND##_MAJOR, .minor = MOSAIC_##KIND##_MINOR,              \
	.wants_of = (of), .ops_bytes = sizeof(struct mosaic_##id##_ops), .members = id##_members, \
	.n_members = ARRAY_LEN(id##_members), .caps = id##_caps, .n_caps = ARRAY_LEN(id##_caps)

static const struct kind kinds[] = {
	[MOSAIC_STORE] = { ROW(store, STORE, 0) },
	[MOSAIC_FLUSH] = { ROW(flush, FLUSH, MOSAIC_STORE) },
	[MOSAIC_REPLICATION] = { ROW(replication, REPLICATION, MOSAIC_STORE) },
	[MOSAIC_BALANCE] = { ROW(balance, BALANCE, 0) },
	[MOSAIC_TRANSPORT] = { ROW(transport, TRANSPORT, 0) },
};

_Static_assert(ARRAY_LEN(kinds) == MOSAIC_KIND_MAX + 1, "every kind has its row");

const struct kind *kind_of(uint32_t kind)
{
	return kind >= 1 && kind <= MOSAIC_KIND_MAX ? &kinds[kind] : NULL;
}

const char *plugin_kind_name(uint32_t kind)
{
	const struct kind *k = kind_of(kind);

	return k ? k->name : NULL;
}

void plugin_kind_version(uint32_t kind, uint32_t *major, uint32_t *minor)
{
	const struct kind *k = kind_of(kind);

	*major = k ? k->major : 0;
	*minor = k ? k->minor : 0;
}

static const struct kind_cap *find_cap(uint32_t kind, uint64_t bit)
{
	static const struct kind_cap threads = { MOSAIC_CAP_THREADS, "THREADS", "owns threads" };
	const struct kind *k = kind_of(kind);

	for (uint32_t i = 0; k && i < k->n_caps; i++)
		if (k->caps[i].bit == bit)
			return &k->caps[i];
	return bit == MOSAIC_CAP_THREADS ? &threads : NULL;
}

const char *plugin_cap_name(uint32_t kind, uint64_t bit)
{
	const struct kind_cap *cap = find_cap(kind, bit);

	return cap ? cap->name : NULL;
}

const char *plugin_cap_text(uint32_t kind, uint64_t bit)
{
	const struct kind_cap *cap = find_cap(kind, bit);

	return cap ? cap->text : NULL;
}
