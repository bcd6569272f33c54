/*
 * Writing of JSON as fastjson 1.2 writes it, on one line or in its PrettyFormat: TABs, each member
 * with a text key and each element of an array on a line of its own; a bare or object key follows
 * without a line break.
 */
#include "wire/escape.h"
#include "wire/json.h"

void jw_init(struct json_writer *w, struct buf *out)
{
	*w = (struct json_writer){ .out = out, .indent = -1 };
}

void jw_init_pretty(struct json_writer *w, struct buf *out)
{
	*w = (struct json_writer){ .out = out, .indent = 0 };
}

static void new_line(struct json_writer *w)
{
	if (w->indent < 0 || w->is_flat)
		return;
	buf_append_byte(w->out, '\n');
	for (int i = 0; i < w->indent; i++)
		buf_append_byte(w->out, '\t');
}

static bool last_is(const struct json_writer *w, char c)
{
	return w->out->len != 0 && w->out->data[w->out->len - 1] == (uint8_t)c;
}

/* A value that follows another or an opening bracket is an element of an array. */
static void before_value(struct json_writer *w)
{
	if (w->comma) {
		buf_append_byte(w->out, ',');
		new_line(w);
	} else if (last_is(w, '[')) {
		new_line(w);
	}
	w->comma = true;
}

static void open_bracket(struct json_writer *w, char c)
{
	before_value(w);
	buf_append_byte(w->out, (uint8_t)c);
	w->comma = false;
	if (w->indent >= 0)
		w->indent++;
}

static void close_bracket(struct json_writer *w, char open, char close)
{
	if (w->indent >= 0)
		w->indent--;
	if (!last_is(w, open))
		new_line(w);
	buf_append_byte(w->out, (uint8_t)close);
	w->comma = true;
	w->is_flat = false;
}

void jw_object(struct json_writer *w) { open_bracket(w, '{'); }
void jw_object_end(struct json_writer *w) { close_bracket(w, '{', '}'); }
void jw_array(struct json_writer *w) { open_bracket(w, '['); }

void jw_flat_array(struct json_writer *w)
{
	open_bracket(w, '[');
	w->is_flat = true;
}

void jw_array_end(struct json_writer *w) { close_bracket(w, '[', ']'); }

static void put_text(struct json_writer *w, struct mosaic_slice text)
{
	size_t n = escape_len(text);

	buf_append_byte(w->out, '"');
	escape_put(buf_room(w->out, n), text);
	w->out->len += n;
	buf_append_byte(w->out, '"');
}

static void before_key(struct json_writer *w)
{
	if (w->comma)
		buf_append_byte(w->out, ',');
	w->comma = false;
}

void jw_key_slice(struct json_writer *w, struct mosaic_slice key)
{
	before_key(w);
	new_line(w);
	put_text(w, key);
	buf_append_byte(w->out, ':');
}

void jw_key(struct json_writer *w, const char *key)
{
	jw_key_slice(w, slice_str(key));
}

void jw_key_int(struct json_writer *w, int64_t key)
{
	before_key(w);
	if (w->quote_int_keys)
		buf_append_byte(w->out, '"');
	buf_append_i64(w->out, key);
	if (w->quote_int_keys)
		buf_append_byte(w->out, '"');
	buf_append_byte(w->out, ':');
}

void jw_key_raw(struct json_writer *w, struct mosaic_slice json)
{
	before_key(w);
	buf_append_slice(w->out, json);
	buf_append_byte(w->out, ':');
}

void jw_str(struct json_writer *w, struct mosaic_slice value)
{
	before_value(w);
	if (value.ptr)
		put_text(w, value);
	else
		buf_append_str(w->out, "null");
}

void jw_cstr(struct json_writer *w, const char *value)
{
	jw_str(w, slice_str(value));
}

void jw_i64(struct json_writer *w, int64_t value)
{
	before_value(w);
	buf_append_i64(w->out, value);
}

void jw_bool(struct json_writer *w, bool value)
{
	before_value(w);
	buf_append_str(w->out, value ? "true" : "false");
}

void jw_raw(struct json_writer *w, struct mosaic_slice json)
{
	before_value(w);
	buf_append_slice(w->out, json);
}

void jw_put_str(struct json_writer *w, const char *key, struct mosaic_slice value)
{
	if (!value.ptr)
		return;
	jw_key(w, key);
	jw_str(w, value);
}

void jw_put_cstr(struct json_writer *w, const char *key, const char *value)
{
	jw_put_str(w, key, slice_str(value));
}

void jw_put_i64(struct json_writer *w, const char *key, int64_t value)
{
	jw_key(w, key);
	jw_i64(w, value);
}

void jw_put_bool(struct json_writer *w, const char *key, bool value)
{
	jw_key(w, key);
	jw_bool(w, value);
}
