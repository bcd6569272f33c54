/*
 * Bodies of REGISTER_BROKER: what is accepted has names within bounds that lie in the decoder's
 * memory, and a registration with it leaves tables that can be taken down again.
 * First byte: 0 JSON, 1 JSON of an old sender, 2 zlib stream, else the plain text of a zlib stream.
 */
#include "base/err.h"
#include "fuzz/fuzz.h"
#include "namesrv/routes.h"
#include "support/fake_host.h"
#include <zlib.h>

static void register_it(const struct register_body *body)
{
	struct registration reg = { .cluster = slice_str("C"),
				    .name = slice_str("b"),
				    .addr = slice_str("h:1"),
				    .ha_addr = slice_str("h:2"),
				    .timeout_ns = SECOND_NS };
	struct fake_host host;
	struct routes routes;
	struct broker *b;

	fake_host_init(&host);
	routes_init(&routes, &host.host, 100, 10);
	if (routes_register(&routes, &reg, body, &b, NULL) == 0) {
		ASSERT(b != NULL);
		for (uint32_t i = 0; i < body->n_topics; i++)
			ASSERT(map_get(&routes.topics, body->topics[i].name) != NULL);
		routes_unregister(&routes, b);
		ASSERT(map_count(&routes.topics) == 0);
	}
	routes_fini(&routes);
	fake_host_fini(&host);
}

static void decode(struct mosaic_slice bytes, bool compressed, int32_t version)
{
	struct mosaic_error err = ERR_INIT;
	struct register_body body;

	if (register_body_decode(&body, bytes, compressed, version, &err) != 0) {
		ASSERT(err.text[0] != 0);
		return;
	}
	for (uint32_t i = 0; i < body.n_topics; i++) {
		ASSERT(body.topics[i].name.len > 0);
		ASSERT(body.topics[i].name.len <= TOPIC_NAME_MAX);
	}
	register_it(&body);
	register_body_free(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;

	if (size == 0)
		return 0;
	copy = fuzz_copy(data + 1, size - 1);
	if (data[0] <= 2) {
		decode(slice(copy, size - 1), data[0] == 2, data[0] == 1 ? 36 : 479);
	} else {
		uLongf len = compressBound(size - 1);
		uint8_t *packed = malloc(len);

		ASSERT(compress(packed, &len, copy, size - 1) == Z_OK);
		decode(slice(packed, len), true, 479);
		free(packed);
	}
	free(copy);
	return 0;
}
