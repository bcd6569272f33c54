#include "wire/frame.h"
#include "base/bytes.h"
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct header h;

static int decode(uint32_t header_word, const char *rest, struct mosaic_slice *body)
{
	uint32_t len = 4 + (uint32_t)strlen(rest);
	uint8_t *frame = malloc(len);

	put_be32(frame, header_word);
	memcpy(frame + 4, rest, len - 4);
	int rc = frame_decode(frame, len, &h, body);
	body->ptr = NULL; /* only the length outlives the frame */
	free(frame);
	return rc;
}

static void header_and_body_are_told_apart(void **state)
{
	struct mosaic_slice body;

	(void)state;
	assert_int_equal(decode(10, "{\"code\":3}hello", &body), 0);
	assert_int_equal(h.code, 3);
	assert_int_equal(h.serialize, SERIALIZE_JSON);
	assert_int_equal(body.len, 5);
	assert_int_equal(decode(2, "{}", &body), 0);
	assert_int_equal(body.len, 0);
}

static void lengths_that_lie_are_refused(void **state)
{
	struct mosaic_slice body;
	uint8_t tiny[4] = { 0 };

	(void)state;
	assert_int_equal(decode(100, "{}..", &body), MOSAIC_E_CORRUPT);
	assert_int_equal(decode(3, "{}", &body), MOSAIC_E_CORRUPT);
	assert_int_equal(decode(0xFFFFFF, "{}", &body), MOSAIC_E_CORRUPT);
	assert_int_equal(decode(0, "{}", &body), MOSAIC_E_CORRUPT);
	for (uint32_t len = 0; len <= 4; len++)
		assert_int_equal(frame_decode(tiny, len, &h, &body), MOSAIC_E_CORRUPT);
}

static void serialize_types_other_than_json_and_binary_are_refused(void **state)
{
	struct mosaic_slice body;

	(void)state;
	assert_int_equal(decode(5u << 24 | 2, "{}", &body), MOSAIC_E_CORRUPT);
	/* JSON that says it is binary */
	assert_int_equal(decode(1u << 24 | 2, "{}", &body), MOSAIC_E_CORRUPT);
}

static void the_largest_frame_is_accepted_and_one_more_byte_is_not(void **state)
{
	struct mosaic_slice body;
	uint8_t *frame = calloc(1, FRAME_MAX);

	(void)state;
	put_be32(frame, 2);
	memcpy(frame + 4, "{}", 2);
	assert_int_equal(frame_decode(frame, 16777212, &h, &body), 0);
	assert_int_equal(body.len, 16777212 - 6);
	assert_int_equal(frame_decode(frame, 16777213, &h, &body), MOSAIC_E_LIMIT);
	free(frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_and_body_are_told_apart),
		cmocka_unit_test(lengths_that_lie_are_refused),
		cmocka_unit_test(serialize_types_other_than_json_and_binary_are_refused),
		cmocka_unit_test(the_largest_frame_is_accepted_and_one_more_byte_is_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
