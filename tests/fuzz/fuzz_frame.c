/* frame_decode, and back: what was decoded is written in both encodings and says the same again. */
#include "fuzz/fuzz.h"
#include "wire/frame.h"

static bool same_text(const struct mosaic_slice *a, const struct mosaic_slice *b)
{
	return a && b ? slice_eq(*a, *b) : a == b;
}

static void check_same(const struct header *h, const struct header *again)
{
	ASSERT(h->code == again->code);
	ASSERT(h->flag == again->flag);
	ASSERT(h->opaque == again->opaque);
	ASSERT(h->language == again->language);
	for (uint32_t i = 0; i < h->n_fields; i++) {
		char *key = slice_dup(h->fields[i].key);
		const struct mosaic_slice *value = header_find(h, key);
		/* The binary form has no empty texts. */
		bool is_lost = key[0] == 0 || !value || value->len == 0;

		ASSERT(is_lost || same_text(value, header_find(again, key)));
		free(key);
	}
	ASSERT(h->remark.len == 0 || slice_eq(h->remark, again->remark));
}

static bool has_nul(struct mosaic_slice text)
{
	return text.len != 0 && memchr(text.ptr, 0, text.len) != NULL;
}

static void write_again(const struct header *h, uint8_t serialize)
{
	struct header_writer w;
	struct header again;
	struct mosaic_slice body;
	size_t room = HEADER_ROOM + HEADER_FIELD_ROOM(0, h->remark.len);

	for (uint32_t i = 0; i < h->n_fields; i++) {
		if (has_nul(h->fields[i].key))
			return; /* the writer takes C strings as keys */
		room += HEADER_FIELD_ROOM(6 * h->fields[i].key.len, h->fields[i].value.len);
	}
	uint8_t *out = malloc(room);
	ASSERT(out);
	header_begin(&w, out, room, serialize, h->code, h->opaque, h->flag, h->language, 479);
	for (uint32_t i = 0; i < h->n_fields; i++) {
		char *key = slice_dup(h->fields[i].key);

		if (h->fields[i].value.len != 0) /* an empty one would hide behind an older twin */
			header_put(&w, key, h->fields[i].value);
		free(key);
	}
	header_put_remark(&w, h->remark);
	uint32_t n = header_end(&w, 0);
	ASSERT(n != 0 || serialize == SERIALIZE_BINARY); /* a key may be too long for it */
	if (n != 0) {
		ASSERT(frame_decode(out + 4, n - 4, &again, &body) == 0);
		check_same(h, &again);
	}
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct header h;
	struct mosaic_slice body;
	uint8_t *frame = fuzz_copy(data, size);

	if (frame_decode(frame, (uint32_t)size, &h, &body) == 0) {
		ASSERT(fuzz_is_within(body, frame, size));
		write_again(&h, SERIALIZE_JSON);
		write_again(&h, SERIALIZE_BINARY);
	}
	free(frame);
	return 0;
}
