/* A balance plugin with exactly one thing wrong, chosen by the build; see CMakeLists.txt. */
#include <mosaic/balance.h>
#include <stdlib.h>

struct mosaic_balance {
	int unused;
};

struct options {
	uint64_t size;
	int64_t number;
};

static const struct mosaic_option options[] = {
	{ "size", MOSAIC_T_SIZE, 0, offsetof(struct options, size), "64KiB", "1", "1MiB", NULL,
	  "" },
#if defined(BAD_DEFAULT)
	{ "number", MOSAIC_T_INT, 0, offsetof(struct options, number), "12", "1", "10", NULL, "" },
#elif defined(OUTSIDE_OPTION)
	{ "number", MOSAIC_T_INT, 0, sizeof(struct options) - 4, "1", "1", "10", NULL, "" },
#elif defined(UNKNOWN_TYPE)
	{ "number", 99, 0, offsetof(struct options, number), "1", NULL, NULL, NULL, "" },
#else
	{ "number", MOSAIC_T_INT, 0, offsetof(struct options, number), "1", "1", "10", NULL, "" },
#endif
};

#if defined(UNDEFINED)
int mosaic_test_nowhere(void);
#endif

#if defined(CRASHES) || defined(EXITS)
__attribute__((constructor)) static void at_load(void)
{
#if defined(CRASHES)
	abort();
#else
	_Exit(7);
#endif
}
#endif

static int32_t create(const struct mosaic_host *host, const void *opts, struct mosaic_balance **out,
		      struct mosaic_error *error)
{
	(void)host;
	(void)opts;
	(void)out;
	(void)error;
#if defined(UNDEFINED)
	return mosaic_test_nowhere();
#else
	return MOSAIC_E_UNSUPPORTED;
#endif
}

static void destroy(struct mosaic_balance *b)
{
	(void)b;
}

static uint32_t pick(const struct mosaic_balance *b, struct mosaic_slice key, uint64_t sequence,
		     uint32_t n_queues)
{
	(void)b;
	(void)key;
	return (uint32_t)(sequence % n_queues);
}

static void allocate(const struct mosaic_balance *b, uint32_t n_queues,
		     const struct mosaic_slice *members, uint32_t n_members, uint32_t *owners)
{
	(void)b;
	(void)members;
	for (uint32_t i = 0; i < n_queues; i++)
		owners[i] = i % n_members;
}

/* A later host's table: this host must take what it knows and leave the rest. */
static const struct {
	struct mosaic_balance_ops known;
	void (*later)(void);
} ops = {
	.known = {
#if defined(NEWER)
		.struct_size = sizeof(ops),
#elif defined(LACKS_OPERATION)
		.struct_size = offsetof(struct mosaic_balance_ops, allocate),
#else
		.struct_size = sizeof(struct mosaic_balance_ops),
#endif
		.create = create, .destroy = destroy, .pick = pick, .allocate = allocate,
	},
};

#if defined(NO_SYMBOL)
#undef MOSAIC_PLUGIN_SYMBOL
#define MOSAIC_PLUGIN_SYMBOL other_symbol
#endif

MOSAIC_PLUGIN(
#if defined(WRONG_NAME)
	.name = "something-else",
#else
	.name = VARIANT,
#endif
	.version = "1.2.3", .summary = "For tests",
#if !defined(NO_LICENSE)
	.license = "Apache-2.0",
#endif
#if defined(WRONG_KIND)
	.kind = 77,
#else
	.kind = MOSAIC_BALANCE,
#endif
#if defined(UNKNOWN_FLAGS)
	.flags = 0x10,
#endif
#if defined(NEWER_NEEDED)
	.abi_minor_needed = 40,
#endif
#if defined(NEWER_KIND_NEEDED)
	.kind_minor_needed = 50,
#endif
#if defined(WRONG_KIND_MAJOR)
	.kind_major = MOSAIC_BALANCE_MAJOR + 6, .kind_minor = 2,
#else
	.kind_major = MOSAIC_BALANCE_MAJOR,
#if defined(NEWER)
	.kind_minor = 90,
#else
	.kind_minor = MOSAIC_BALANCE_MINOR,
#endif
#endif
	MOSAIC_OPTIONS(struct options, options), .ops = &ops
	/* the later of two initialisers counts: the macro has written this host's numbers */
#if defined(WRONG_MAJOR)
	, .abi_major = MOSAIC_ABI_MAJOR + 3, .abi_minor = 4
#elif defined(NEWER)
	, .abi_minor = 80
#endif
);
