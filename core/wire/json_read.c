/*
 * Reading of JSON bodies and files: json_relax makes strict JSON of what fastjson writes and takes,
 * jansson does the rest. Line breaks are kept, so that the lines in jansson's errors are right.
 */
#include "base/err.h"
#include "base/num.h"
#include "base/utf8.h"
#include "wire/json.h"

struct relax {
	const uint8_t *start, *at, *end;
	struct buf *out;
	const char *expected; /* set by what fails: what should have stood at `at` */
};

static bool fail(struct relax *r, const char *expected)
{
	if (!r->expected)
		r->expected = expected;
	return false;
}

/* The next byte that is not blank, without taking it; 0 at the end. */
static uint8_t peek(struct relax *r)
{
	for (; r->at != r->end; r->at++) {
		uint8_t c = *r->at;

		if (c == '\n')
			buf_append_byte(r->out, c);
		else if (c != ' ' && c != '\t' && c != '\r' && c != '\f' && c != '\b')
			return c;
	}
	return 0;
}

/* One character into the inside of a strict string. */
static void put_char(struct buf *out, uint32_t point)
{
	if (point < 0x20) {
		buf_printf(out, "\\u%04x", point);
		return;
	}
	if (point == '"' || point == '\\')
		buf_append_byte(out, '\\');
	out->len += utf8_put(buf_room(out, 4), point);
}

/* n hex digits, or -1. */
static int32_t take_hex(struct relax *r, unsigned n)
{
	int32_t value = 0;

	for (; n != 0; n--) {
		if (r->at == r->end)
			return -1;
		uint8_t c = *r->at;
		uint8_t digit = (uint8_t)(c - '0'), letter = (uint8_t)((c | 0x20) - 'a');

		if (digit > 9 && letter > 5)
			return -1;
		value = value << 4 | (digit <= 9 ? digit : letter + 10);
		r->at++;
	}
	return value;
}

/* Behind \u. Half of a surrogate pair is '?', as when Java writes it as UTF-8. */
static bool take_unit(struct relax *r)
{
	int32_t point = take_hex(r, 4);

	if (point < 0)
		return fail(r, "four hex digits");
	if (point >= 0xD800 && point < 0xE000) {
		const uint8_t *behind = r->at;
		int32_t low = -1;

		if (point < 0xDC00 && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u') {
			r->at += 2;
			low = take_hex(r, 4);
		}
		if (low >= 0xDC00 && low < 0xE000) {
			point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
		} else {
			point = '?';
			r->at = behind;
		}
	}
	put_char(r->out, (uint32_t)point);
	return true;
}

/* Behind a backslash. */
static bool take_escape(struct relax *r)
{
	static const char letters[] = "bfFnrtv/'\"\\", means[] = "\b\f\f\n\r\t\v/'\"\\";
	uint8_t c = r->at != r->end ? *r->at : 0;

	if (c == 0)
		return fail(r, "an escape");
	r->at++;
	if (c == 'u')
		return take_unit(r);
	if (c == 'x') {
		int32_t point = take_hex(r, 2);

		if (point < 0)
			return fail(r, "two hex digits");
		put_char(r->out, (uint32_t)point);
		return true;
	}
	if (c >= '0' && c <= '7') {
		put_char(r->out, (uint32_t)(c - '0'));
		return true;
	}
	const char *letter = strchr(letters, c);
	if (!letter)
		return fail(r, "an escape");
	put_char(r->out, (uint8_t)means[letter - letters]);
	return true;
}

/* A string in quotes of either kind, at its opening quote. */
static bool take_string(struct relax *r)
{
	uint8_t quote = *r->at++;

	buf_append_byte(r->out, '"');
	while (r->at != r->end && *r->at != quote) {
		if (*r->at == '\\') {
			r->at++;
			if (!take_escape(r))
				return false;
		} else {
			put_char(r->out, utf8_next(&r->at, r->end));
		}
	}
	if (r->at == r->end)
		return fail(r, "the end of a string");
	r->at++;
	buf_append_byte(r->out, '"');
	return true;
}

/* Characters of a name, a number or a word. */
static struct mosaic_slice take_bare(struct relax *r)
{
	const uint8_t *start = r->at;

	for (; r->at != r->end; r->at++) {
		uint8_t c = *r->at;

		if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
		      c == '_' || c == '$' || c == '-' || c == '+' || c == '.' || c >= 0x80))
			break;
	}
	return slice(start, (size_t)(r->at - start));
}

static bool take_value(struct relax *r, unsigned depth);

/* Takes [at, at + n) of the input as the inside of a strict string. */
static void put_quoted(struct relax *r, struct mosaic_slice text)
{
	const uint8_t *p = text.ptr, *end = p + text.len;

	buf_append_byte(r->out, '"');
	while (p != end)
		put_char(r->out, utf8_next(&p, end));
	buf_append_byte(r->out, '"');
}

/* A key that is an object or array: checked like any value, then its own text. */
static bool take_deep_key(struct relax *r, unsigned depth)
{
	const uint8_t *start = r->at;
	size_t written = r->out->len;

	if (!take_value(r, depth))
		return false;
	r->out->len = written;
	put_quoted(r, slice(start, (size_t)(r->at - start)));
	return true;
}

static bool take_key(struct relax *r, unsigned depth)
{
	uint8_t c = peek(r);

	if (c == '"' || c == '\'') {
		if (!take_string(r))
			return false;
	} else if (c == '{' || c == '[') {
		if (!take_deep_key(r, depth))
			return false;
	} else {
		struct mosaic_slice name = take_bare(r);

		if (name.len == 0)
			return fail(r, "a key");
		put_quoted(r, name);
	}
	if (peek(r) != ':')
		return fail(r, "':'");
	r->at++;
	buf_append_byte(r->out, ':');
	return true;
}

/* Members or elements, at the opening bracket; commas too many are left out. */
static bool take_list(struct relax *r, uint8_t close, unsigned depth)
{
	bool is_first = true, has_comma = true;

	if (depth == JSON_DEPTH_MAX)
		return fail(r, "less nesting");
	buf_append_byte(r->out, *r->at++);
	for (;;) {
		uint8_t c = peek(r);

		if (c == close)
			break;
		if (c == ',') {
			r->at++;
			has_comma = true;
			continue;
		}
		if (!has_comma)
			return fail(r, close == '}' ? "',' or '}'" : "',' or ']'");
		if (!is_first)
			buf_append_byte(r->out, ',');
		is_first = has_comma = false;
		if (close == '}' && !take_key(r, depth + 1))
			return false;
		if (!take_value(r, depth + 1))
			return false;
	}
	r->at++;
	buf_append_byte(r->out, close);
	return true;
}

static bool take_value(struct relax *r, unsigned depth)
{
	uint8_t c = peek(r);

	if (c == '"' || c == '\'')
		return take_string(r);
	if (c == '{' || c == '[')
		return take_list(r, c == '{' ? '}' : ']', depth);
	struct mosaic_slice word = take_bare(r);
	if (word.len == 0)
		return fail(r, "a value");
	buf_append_slice(r->out, word);
	return true;
}

static bool relax(struct relax *r)
{
	if (!take_value(r, 0))
		return false;
	peek(r);
	return r->at == r->end || fail(r, "the end");
}

static struct relax relax_start(struct mosaic_slice text, struct buf *out)
{
	const uint8_t *end = text.len != 0 ? text.ptr + text.len : text.ptr;

	return (struct relax){ text.ptr, text.ptr, end, out, NULL };
}

int json_relax(struct mosaic_slice text, struct buf *out)
{
	struct relax r = relax_start(text, out);

	return relax(&r) ? 0 : MOSAIC_E_CORRUPT;
}

static int line_of(const struct relax *r)
{
	int line = 1;

	for (const uint8_t *p = r->start; p != r->at; p++)
		line += *p == '\n';
	return line;
}

json_t *json_read(struct mosaic_slice text, struct mosaic_error *err)
{
	struct buf strict = BUF_INIT;
	struct relax r = relax_start(text, &strict);
	json_t *json = NULL;
	json_error_t why;

	if (!relax(&r)) {
		err_set(err, MOSAIC_E_CORRUPT, "line %d: %s expected", line_of(&r), r.expected);
	} else {
		json = json_loadb((char *)strict.data, strict.len, JSON_ALLOW_NUL, &why);
		if (!json)
			err_set(err, MOSAIC_E_CORRUPT, "line %d: %s", why.line, why.text);
	}
	buf_free(&strict);
	return json;
}

int64_t json_get_i64(const json_t *object, const char *key, int64_t fallback)
{
	const json_t *value = json_object_get(object, key);
	int64_t number;

	if (json_is_integer(value))
		return json_integer_value(value);
	if (json_is_string(value) &&
	    num_parse_i64(slice(json_string_value(value), json_string_length(value)), &number) == 0)
		return number;
	return fallback;
}

bool json_get_bool(const json_t *object, const char *key, bool fallback)
{
	const json_t *value = json_object_get(object, key);

	if (json_is_boolean(value))
		return json_is_true(value);
	if (json_is_integer(value))
		return json_integer_value(value) == 1;
	if (json_is_string(value))
		return num_parse_bool(slice(json_string_value(value), json_string_length(value)));
	return fallback;
}

struct mosaic_slice json_get_str(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_string(value) ? slice(json_string_value(value), json_string_length(value))
				     : slice(NULL, 0);
}
