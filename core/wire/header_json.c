/*
 * The JSON form of a header, decoded in place.
 *
 * What it takes is JSON plus what fastjson 1.2 takes beside it: single quotes, bare keys, commas
 * too many, \x41 and \v in strings, numbers as strings. Text is unescaped where it stands (an
 * escape is never shorter than what it means), so every slice points into the frame.
 *
 * What fails: text that is no object, anything behind it, a string without end, an integer member
 * that is no 32-bit integer, nesting deeper than SKIP_DEPTH_MAX.
 */
#include "base/num.h"
#include "base/utf8.h"
#include "wire/header_priv.h"
#include "wire/swar.h"

#define SKIP_DEPTH_MAX 64

struct scan {
	uint8_t *at, *end;
};

static uint8_t skip_blanks(struct scan *s)
{
	for (; s->at != s->end; s->at++) {
		uint8_t c = *s->at;

		if (!(c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\b'))
			return c;
	}
	return 0;
}

/* The next byte that is not blank, without taking it; 0, which no JSON syntax is, at the end. */
static inline uint8_t peek(struct scan *s)
{
	if (LIKELY(s->at != s->end && *s->at > ' '))
		return *s->at;
	return skip_blanks(s);
}

static inline bool take(struct scan *s, uint8_t wanted)
{
	if (peek(s) != wanted)
		return false;
	s->at++;
	return true;
}

/* First quote or backslash, or `end`. */
static inline uint8_t *find_special(uint8_t *p, uint8_t *end, uint8_t quote)
{
	for (; end - p >= 8; p += 8) {
		uint64_t word = swar_load(p);
		uint64_t found = swar_equal(word, quote) | swar_equal(word, '\\');

		if (found != 0)
			return p + (__builtin_ctzll(found) >> 3);
	}
	while (p != end && *p != quote && *p != '\\')
		p++;
	return p;
}

/* n hex digits at p, or -1. */
static int32_t hex_number(const uint8_t *p, const uint8_t *end, unsigned n)
{
	int32_t value = 0;

	if (end - p < (int64_t)n)
		return -1;
	for (unsigned i = 0; i < n; i++) {
		uint8_t digit = (uint8_t)(p[i] - '0'), letter = (uint8_t)((p[i] | 0x20) - 'a');

		if (digit > 9 && letter > 5)
			return -1;
		value = value << 4 | (digit <= 9 ? digit : letter + 10);
	}
	return value;
}

/* \uXXXX, p behind the u. Half of a surrogate pair becomes '?', as when Java writes it as UTF-8. */
static uint8_t *unescape_unit(uint8_t **out, uint8_t *p, const uint8_t *end)
{
	int32_t point = hex_number(p, end, 4);

	if (point < 0)
		return NULL;
	p += 4;
	if (point >= 0xD800 && point < 0xE000) {
		int32_t low = -1;

		if (point < 0xDC00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u')
			low = hex_number(p + 2, end, 4);
		if (low >= 0xDC00 && low < 0xE000) {
			point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
			p += 6;
		} else {
			point = '?';
		}
	}
	*out += utf8_put(*out, (uint32_t)point);
	return p;
}

/* One escape, p behind the backslash; returns what follows it, NULL when it is none. */
static uint8_t *unescape_one(uint8_t **out, uint8_t *p, const uint8_t *end)
{
	static const uint8_t plain[128] = {
		['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['\''] = '\'', ['b'] = '\b',
		['f'] = '\f', ['F'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t', ['v'] = '\v'
	};
	if (p == end)
		return NULL;
	uint8_t c = *p++;

	if (c == 'u')
		return unescape_unit(out, p, end);
	if (c == 'x') {
		int32_t point = hex_number(p, end, 2);

		if (point < 0)
			return NULL;
		*out += utf8_put(*out, (uint32_t)point);
		return p + 2;
	}
	if (c >= '0' && c <= '7') { /* fastjson: one digit, a number and not a character */
		*(*out)++ = (uint8_t)(c - '0');
		return p;
	}
	if (c >= 128 || plain[c] == 0)
		return NULL;
	*(*out)++ = plain[c];
	return p;
}

/* The rest of a string from its first backslash on. */
static bool unescape(struct scan *s, uint8_t quote, uint8_t *p, struct mosaic_slice *text)
{
	uint8_t *out = p;

	while (p != s->end && *p != quote) {
		p = unescape_one(&out, p + 1, s->end);
		if (!p)
			return false;
		/* Up to the next special byte; a whole word may be stored because out lies at
		 * least one byte before p and the word was read before. */
		while (s->end - p >= 8) {
			uint64_t word = swar_load(p);

			if ((swar_equal(word, quote) | swar_equal(word, '\\')) != 0)
				break;
			memcpy(out, &word, sizeof(word));
			out += 8;
			p += 8;
		}
		while (p != s->end && *p != quote && *p != '\\')
			*out++ = *p++;
	}
	if (p == s->end)
		return false;
	text->len = (size_t)(out - text->ptr);
	s->at = p + 1;
	return true;
}

/* A string whose opening quote is at s->at. */
static inline bool take_string(struct scan *s, struct mosaic_slice *text)
{
	uint8_t quote = *s->at++;
	uint8_t *p = s->at;

	/* Most keys and many values are one letter: a guess that the processor's predictor learns,
	 * while the result of a search would have to be waited for. */
	if (s->end - p >= 2 && p[1] == quote && p[0] != '\\' && p[0] != quote)
		p++;
	else
		p = find_special(p, s->end, quote);
	if (p == s->end)
		return false;
	*text = slice(s->at, (size_t)(p - s->at));
	if (UNLIKELY(*p == '\\'))
		return unescape(s, quote, p, text);
	s->at = p + 1;
	return true;
}

/* A key or value without quotes: name, number, true, null. */
static bool take_bare(struct scan *s, struct mosaic_slice *text)
{
	uint8_t *start = s->at;

	for (; s->at != s->end; s->at++) {
		uint8_t c = *s->at;

		if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
		      c == '_' || c == '$' || c == '-' || c == '+' || c == '.' || c >= 0x80))
			break;
	}
	*text = slice(start, (size_t)(s->at - start));
	return text->len != 0;
}

/* A value without quotes: a number by its looks, or one of the three words. */
static bool take_literal(struct scan *s)
{
	struct mosaic_slice text;

	if (!take_bare(s, &text))
		return false;
	uint8_t c = text.ptr[0];
	return c == '-' || (c >= '0' && c <= '9') || slice_is(text, "null") ||
	       slice_is(text, "true") || slice_is(text, "false");
}

static inline bool take_key(struct scan *s, struct mosaic_slice *key)
{
	uint8_t c = peek(s);

	if (!(c == '"' || c == '\'' ? take_string(s, key) : take_bare(s, key)))
		return false;
	return take(s, ':');
}

/* Behind a member or element: 1 when another follows, 0 at the end, which is taken, else -1. Commas
 * too many are skipped as fastjson does. */
static inline int next_member(struct scan *s, uint8_t close)
{
	uint8_t c = peek(s);

	if (c == ',') {
		do
			s->at++;
		while ((c = peek(s)) == ',');
		if (c != close)
			return c != 0 ? 1 : -1;
	}
	if (c != close)
		return -1;
	s->at++;
	return 0;
}

/* The opening bracket is at s->at: like next_member for the first one. */
static inline int first_member(struct scan *s, uint8_t close)
{
	s->at++;
	uint8_t c = peek(s);
	if (c == close || c == ',')
		return next_member(s, close);
	return c != 0 ? 1 : -1;
}

/* As take_string, but leaves the text as it is. */
static bool skip_string(struct scan *s)
{
	uint8_t quote = *s->at++, *p = s->at;

	while ((p = find_special(p, s->end, quote)) != s->end && *p == '\\') {
		if (s->end - p < 2)
			return false;
		p += 2;
	}
	if (p == s->end)
		return false;
	s->at = p + 1;
	return true;
}

/* Takes a value of any kind and leaves its text as it is. */
static bool skip_value(struct scan *s, unsigned depth)
{
	uint8_t c = peek(s), close = c == '{' ? '}' : ']';
	struct mosaic_slice name;

	if (c == '"' || c == '\'')
		return skip_string(s);
	if (c != '{' && c != '[')
		return take_literal(s);
	if (depth == SKIP_DEPTH_MAX)
		return false;
	int more = first_member(s, close);
	for (; more > 0; more = next_member(s, close)) {
		if (c == '{') {
			uint8_t k = peek(s);

			if (!(k == '"' || k == '\'' ? skip_string(s) : take_bare(s, &name)) ||
			    !take(s, ':'))
				return false;
		}
		if (!skip_value(s, depth + 1))
			return false;
	}
	return more == 0;
}

/* A value as text: null has ptr NULL, an object or array is its own JSON. */
static inline bool take_text(struct scan *s, struct mosaic_slice *text)
{
	uint8_t c = peek(s);

	if (LIKELY(c == '"' || c == '\''))
		return take_string(s, text);
	uint8_t *start = s->at;
	if (!skip_value(s, 0))
		return false;
	*text = slice(start, (size_t)(s->at - start));
	if (slice_is(*text, "null"))
		*text = slice(NULL, 0);
	return true;
}

/* An integer, also one in quotes; null is 0 as in a Java int. */
static bool take_i32(struct scan *s, int32_t *out)
{
	struct mosaic_slice text;
	uint8_t *p = (peek(s), s->at);
	int32_t value = 0;

	/* Up to 9 digits with a comma or brace behind need no check of their size. */
	while (p != s->end && p - s->at < 9 && (uint8_t)(*p - '0') <= 9)
		value = 10 * value + (*p++ - '0');
	if (p != s->at && p != s->end && (*p == ',' || *p == '}')) {
		*out = value;
		s->at = p;
		return true;
	}
	if (!take_text(s, &text))
		return false;
	*out = 0;
	return !text.ptr || num_parse_i32(text, out) == 0;
}

static bool take_language(struct scan *s, uint8_t *out)
{
	struct mosaic_slice text;
	int32_t number;

	if (!take_text(s, &text))
		return false;
	if (num_parse_i32(text, &number) == 0)
		*out = (uint8_t)(number >= 0 && number < LANGUAGE_COUNT ? number : LANGUAGE_OTHER);
	else
		*out = language_of_name(text);
	return true;
}

static int take_fields(struct scan *s, struct header *out)
{
	struct field *f = out->fields, *limit = f + HEADER_MAX_FIELDS;
	struct mosaic_slice null;
	uint8_t c = peek(s);

	out->n_fields = 0;
	if (c != '{')
		return c == 'n' && take_text(s, &null) && !null.ptr ? 0 : MOSAIC_E_CORRUPT;
	int more = first_member(s, '}');
	for (; more > 0; more = next_member(s, '}')) {
		if (f == limit)
			return MOSAIC_E_LIMIT;
		if (!take_key(s, &f->key) || !take_text(s, &f->value))
			return MOSAIC_E_CORRUPT;
		f++;
	}
	out->n_fields = (uint16_t)(f - out->fields);
	return more == 0 ? 0 : MOSAIC_E_CORRUPT;
}

static inline bool key_is(struct mosaic_slice key, const char *name, size_t len)
{
	return key.len == len && memcmp(key.ptr, name, len) == 0;
}

#define KEY_IS(key, name) key_is(key, name, sizeof(name) - 1)

static int take_member(struct scan *s, struct mosaic_slice key, struct header *out)
{
	bool ok;

	if (KEY_IS(key, "extFields"))
		return take_fields(s, out);
	if (KEY_IS(key, "code"))
		ok = take_i32(s, &out->code);
	else if (KEY_IS(key, "flag"))
		ok = take_i32(s, &out->flag);
	else if (KEY_IS(key, "opaque"))
		ok = take_i32(s, &out->opaque);
	else if (KEY_IS(key, "version"))
		ok = take_i32(s, &out->version);
	else if (KEY_IS(key, "language"))
		ok = take_language(s, &out->language);
	else if (KEY_IS(key, "remark"))
		ok = take_text(s, &out->remark);
	else
		ok = skip_value(s, 0);
	return ok ? 0 : MOSAIC_E_CORRUPT;
}

int header_decode_json(uint8_t *bytes, uint32_t len, struct header *out)
{
	struct scan s = { bytes, bytes + len };
	struct mosaic_slice key;
	int more = peek(&s) == '{' ? first_member(&s, '}') : -1;

	for (; more > 0; more = next_member(&s, '}')) {
		if (!take_key(&s, &key))
			return MOSAIC_E_CORRUPT;
		int rc = take_member(&s, key, out);
		if (rc != 0)
			return rc;
	}
	if (more != 0 || (peek(&s), s.at != s.end))
		return MOSAIC_E_CORRUPT;
	return 0;
}
