#include "plugin/nearest.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

static uint32_t min3(uint32_t a, uint32_t b, uint32_t c)
{
	uint32_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Edits (insert, delete, replace, swap of neighbours) that turn a into b; case counts for
 * nothing. */
static uint32_t edit_distance(const char *a, size_t na, const char *b, size_t nb)
{
	uint32_t rows[3][NEAREST_MAX_BYTES + 1]; /* the row before last, the last, this one */
	uint32_t *before = rows[0], *last = rows[1], *row = rows[2], *spare;

	for (uint32_t j = 0; j <= nb; j++)
		last[j] = j;
	for (uint32_t i = 1; i <= na; i++) {
		row[0] = i;
		for (uint32_t j = 1; j <= nb; j++) {
			bool same = strncasecmp(&a[i - 1], &b[j - 1], 1) == 0;

			row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[nb];
}

void nearest_init(struct nearest *n, const char *wanted)
{
	size_t len = strlen(wanted);

	/* A third of the letters wrong is still a typing error, more is another word. */
	*n = (struct nearest){ .wanted = wanted, .distance = (uint32_t)(len / 3 + 2) };
}

void nearest_try(struct nearest *n, const char *candidate)
{
	size_t na = strlen(n->wanted), nb = strlen(candidate);
	uint32_t distance;

	if (na > NEAREST_MAX_BYTES || nb > NEAREST_MAX_BYTES)
		return;
	distance = edit_distance(n->wanted, na, candidate, nb);
	if (distance >= n->distance)
		return;
	n->distance = distance;
	memcpy(n->name, candidate, nb + 1);
}

const char *nearest_hint(const struct nearest *n, char *out, size_t cap)
{
	if (n->name[0] != '\0')
		snprintf(out, cap, ", did you mean \"%s\"?", n->name);
	else
		snprintf(out, cap, "%s", "");
	return out;
}
