#include "fuzz/header_oracle.h"
#include "base/buf.h"
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/*
 * Random headers from fixed seeds, strict JSON but odd in every way that JSON allows, then the same
 * with a few bytes changed; jansson is the judge.
 */

struct gen {
	struct buf out;
	uint64_t seed;
};

static uint32_t pick(struct gen *g, uint32_t n)
{
	g->seed = g->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(g->seed >> 33) % n;
}

static void put_blanks(struct gen *g)
{
	while (pick(g, 6) == 0)
		buf_append_byte(&g->out, (uint8_t)" \t\n\r"[pick(g, 4)]);
}

static void put_string(struct gen *g)
{
	static const char *const pieces[] = {
		"a", "B", "0", " ", "plain text of some length", "\\\"", "\\\\", "\\/", "\\n",
		"\\t", "\\b", "\\f", "\\r", "\\u0001", "\\u0002", "\\u00e9",
		"\\u4E2D", "\\ud83d\\ude00",
		"\xc3\xa9", "\xe4\xb8\xad", "\xf0\x9f\x98\x80", "'", "{", "}", "[", ",", ":", "\x7f"
	};
	uint32_t n = pick(g, 4) == 0 ? pick(g, 40) : pick(g, 4);

	buf_append_byte(&g->out, '"');
	for (uint32_t i = 0; i < n; i++)
		buf_append_str(&g->out, pieces[pick(g, ARRAY_LEN(pieces))]);
	buf_append_byte(&g->out, '"');
}

static void put_value(struct gen *g, uint32_t depth)
{
	static const char *const words[] = { "true", "false", "null", "0", "-1", "12345678901",
					     "1.5", "-2E-3", "[]", "{}", "-0", "1e5" };
	uint32_t kind = pick(g, depth < 4 ? 12 : 10), n = pick(g, 4);

	put_blanks(g);
	if (kind < 7) {
		put_string(g);
	} else if (kind < 10) {
		buf_append_str(&g->out, words[pick(g, ARRAY_LEN(words))]);
	} else {
		buf_append_byte(&g->out, kind == 10 ? '[' : '{');
		for (uint32_t i = 0; i < n; i++) {
			if (i != 0)
				buf_append_byte(&g->out, ',');
			if (kind == 11)
				buf_printf(&g->out, "\"%u-%u\":", i, pick(g, 100));
			put_value(g, depth + 1);
		}
		buf_append_byte(&g->out, kind == 10 ? ']' : '}');
	}
	put_blanks(g);
}

static void put_fields(struct gen *g)
{
	uint32_t n = pick(g, 8) == 0 ? pick(g, HEADER_MAX_FIELDS + 1) : pick(g, 16);

	put_blanks(g);
	buf_append_byte(&g->out, '{');
	for (uint32_t i = 0; i < n; i++) {
		if (i != 0)
			buf_append_byte(&g->out, ',');
		put_blanks(g);
		if (i < 26)
			buf_printf(&g->out, "\"%c\"", 'a' + i);
		else
			buf_printf(&g->out, "\"\\u006bey%u\"", i);
		put_blanks(g);
		buf_append_byte(&g->out, ':');
		put_value(g, 2);
	}
	buf_append_byte(&g->out, '}');
	put_blanks(g);
}

/* Members in random order, each there or not. */
static void put_header(struct gen *g)
{
	static const char *const names[] = { "code", "flag", "opaque", "version", "language",
					     "remark", "extFields", "serializeTypeCurrentRPC", "x",
					     "y" };
	uint32_t start = pick(g, ARRAY_LEN(names));
	bool is_first = true;

	buf_clear(&g->out);
	put_blanks(g);
	buf_append_byte(&g->out, '{');
	for (uint32_t i = 0; i < ARRAY_LEN(names); i++) {
		uint32_t which = (start + 3 * i) % ARRAY_LEN(names);

		if (pick(g, 5) == 0)
			continue;
		if (!is_first)
			buf_append_byte(&g->out, ',');
		is_first = false;
		put_blanks(g);
		buf_printf(&g->out, "\"%s\"", names[which]);
		put_blanks(g);
		buf_append_byte(&g->out, ':');
		if (which < 4)
			buf_printf(&g->out, "%d", (int32_t)(pick(g, 1u << 31) << 1) >> pick(g, 32));
		else if (which == 6)
			put_fields(g);
		else
			put_value(g, 1);
	}
	put_blanks(g);
	buf_append_byte(&g->out, '}');
	put_blanks(g);
}

static void check(struct gen *g)
{
	const char *wrong = oracle_check(g->out.data, g->out.len);

	if (wrong)
		fail_msg("%s: %.*s", wrong, SLICE_ARG(buf_slice(&g->out)));
}

static void random_headers_are_read_as_jansson_reads_them(void **state)
{
	struct gen g = { BUF_INIT, 1 };
	uint32_t accepted = 0;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		put_header(&g);
		json_t *json = json_loadb((char *)g.out.data, g.out.len, 0, NULL);
		assert_non_null(json); /* the generator writes strict JSON */
		accepted += oracle_must_accept(json, g.out.data, g.out.len);
		json_decref(json);
		check(&g);
	}
	assert_true(accepted > 4000);
	buf_free(&g.out);
}

static void changed_headers_are_accepted_only_with_the_same_meaning(void **state)
{
	struct gen g = { BUF_INIT, 2 };

	(void)state;
	for (int i = 0; i < 20000; i++) {
		put_header(&g);
		for (uint32_t n = 1 + pick(&g, 3); n != 0; n--) {
			uint32_t at = pick(&g, (uint32_t)g.out.len);

			if (pick(&g, 4) == 0)
				g.out.len = at;
			else
				g.out.data[at] = (uint8_t)"{}[]\",:\\u0'x e.-"[pick(&g, 16)];
			if (g.out.len == 0)
				break;
		}
		check(&g);
	}
	buf_free(&g.out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_headers_are_read_as_jansson_reads_them),
		cmocka_unit_test(changed_headers_are_accepted_only_with_the_same_meaning),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
