/*
 * A table of results: for people with a heading and aligned columns, for programs as a JSON array
 * of objects whose keys are the columns' names.
 */
#ifndef TOOLS_TABLE_H
#define TOOLS_TABLE_H

#include "base/compiler.h"
#include "wire/json.h"
#include <stdint.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 12

struct table {
	const char *columns[TABLE_COLUMNS_MAX]; /* "last_update" is printed as LAST UPDATE */
	uint32_t n_columns;
	json_t *rows; /* array of arrays; a column that a row lacks is empty */
	json_t *row;  /* the present one, borrowed */
};

/* columns: names that outlive the table, NULL ends them. */
void table_init(struct table *t, const char *const *columns);
void table_free(struct table *t);
/* Begins a row; then its cells, in the order of the columns. */
void table_row(struct table *t);
void table_str(struct table *t, const char *text); /* NULL: unknown, "-" and null */
void table_i64(struct table *t, int64_t value);
void table_none(struct table *t);
/* Milliseconds since 1970 as local time; as a number in JSON. Below 1: none. */
void table_time(struct table *t, int64_t ms);
/* Rows in the order of their first cells (numbers within text as numbers). */
void table_sort(struct table *t);
void table_print(const struct table *t, FILE *to);
json_t *table_json(const struct table *t); /* the caller's */

/* "2026-11-22 21:05:09.123" */
void table_format_time(char out[32], int64_t ms);

#endif
