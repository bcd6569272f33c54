#include "table.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GAP 2
#define TIME_KEY "ms" /* a cell that is a time is an object with this one member */

void table_init(struct table *t, const char *const *columns)
{
	memset(t, 0, sizeof(*t));
	while (columns[t->n_columns] != NULL && t->n_columns < TABLE_COLUMNS_MAX) {
		t->columns[t->n_columns] = columns[t->n_columns];
		t->n_columns++;
	}
	t->rows = json_array();
}

void table_free(struct table *t)
{
	json_decref(t->rows);
}

void table_row(struct table *t)
{
	t->row = json_array();
	json_array_append_new(t->rows, t->row);
}

void table_str(struct table *t, const char *text)
{
	json_t *cell = text != NULL ? json_string(text) : json_null();
	json_array_append_new(t->row, cell != NULL ? cell : json_string("(not UTF-8)"));
}

void table_i64(struct table *t, int64_t value)
{
	json_array_append_new(t->row, json_integer(value));
}

void table_none(struct table *t)
{
	json_array_append_new(t->row, json_null());
}

void table_time(struct table *t, int64_t ms)
{
	if (ms < 1)
		table_none(t);
	else
		json_array_append_new(t->row, json_pack("{sI}", TIME_KEY, (json_int_t)ms));
}

void table_format_time(char out[32], int64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	size_t n;

	localtime_r(&seconds, &tm);
	n = strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(out + n, 32 - n, ".%03d", (int)(ms % 1000));
}

/* ---- order ---- */

static int by_first(const void *a, const void *b)
{
	const json_t *x = json_array_get(*(json_t *const *)a, 0);
	const json_t *y = json_array_get(*(json_t *const *)b, 0);

	if (json_is_string(x) && json_is_string(y))
		return strverscmp(json_string_value(x), json_string_value(y));
	return (json_integer_value(x) > json_integer_value(y)) -
	       (json_integer_value(x) < json_integer_value(y));
}

void table_sort(struct table *t)
{
	size_t n = json_array_size(t->rows);
	json_t **rows = calloc(n + 1, sizeof(json_t *));
	json_t *sorted = json_array();

	if (rows == NULL) {
		json_decref(sorted);
		return; /* in the order they came */
	}
	for (size_t i = 0; i < n; i++)
		rows[i] = json_array_get(t->rows, i);
	qsort(rows, n, sizeof(*rows), by_first);
	for (size_t i = 0; i < n; i++)
		json_array_append(sorted, rows[i]);
	free(rows);
	json_decref(t->rows);
	t->rows = sorted;
}

/* ---- for people ---- */

/* Returns the cell's text, in buf or borrowed. */
static const char *cell_text(const json_t *cell, char buf[32])
{
	if (json_is_string(cell))
		return json_string_value(cell);
	if (json_is_integer(cell)) {
		snprintf(buf, 32, "%" JSON_INTEGER_FORMAT, json_integer_value(cell));
		return buf;
	}
	if (json_is_object(cell)) {
		table_format_time(buf, json_integer_value(json_object_get(cell, TIME_KEY)));
		return buf;
	}
	return "-";
}

static size_t column_width(const struct table *t, uint32_t column)
{
	size_t width = strlen(t->columns[column]), i;
	json_t *row;
	char buf[32];

	json_array_foreach(t->rows, i, row) {
		size_t n = strlen(cell_text(json_array_get(row, column), buf));
		width = n > width ? n : width;
	}
	return width;
}

static void print_heading(const struct table *t, const size_t *width, FILE *to)
{
	for (uint32_t c = 0; c < t->n_columns; c++) {
		size_t n = strlen(t->columns[c]);
		for (size_t i = 0; i < n; i++) {
			char ch = t->columns[c][i];
			fputc(ch == '_' ? ' ' : ch >= 'a' && ch <= 'z' ? ch - 32 : ch, to);
		}
		if (c + 1 < t->n_columns)
			fprintf(to, "%*s", (int)(width[c] - n + GAP), "");
	}
	fputc('\n', to);
}

void table_print(const struct table *t, FILE *to)
{
	size_t width[TABLE_COLUMNS_MAX], i;
	json_t *row;
	char buf[32];

	for (uint32_t c = 0; c < t->n_columns; c++)
		width[c] = column_width(t, c);
	print_heading(t, width, to);
	json_array_foreach(t->rows, i, row) {
		for (uint32_t c = 0; c < t->n_columns; c++) {
			const json_t *cell = json_array_get(row, c);
			const char *text = cell_text(cell, buf);
			int pad = (int)(width[c] - strlen(text));
			bool is_last = c + 1 == t->n_columns;
			if (json_is_integer(cell)) /* numbers to the right */
				fprintf(to, "%*s%s%*s", pad, "", text, is_last ? 0 : GAP, "");
			else
				fprintf(to, "%s%*s", text, is_last ? 0 : pad + GAP, "");
		}
		fputc('\n', to);
	}
}

/* ---- for programs ---- */

json_t *table_json(const struct table *t)
{
	json_t *all = json_array(), *row;
	size_t i;

	json_array_foreach(t->rows, i, row) {
		json_t *object = json_object();
		for (uint32_t c = 0; c < t->n_columns; c++) {
			json_t *cell = json_array_get(row, c);
			json_t *ms = json_is_object(cell) ? json_object_get(cell, TIME_KEY) : cell;
			if (ms == NULL)
				json_object_set_new(object, t->columns[c], json_null());
			else
				json_object_set(object, t->columns[c], ms);
		}
		json_array_append_new(all, object);
	}
	return all;
}
