/* "retention" of a broker. */
#include "base/num.h"
#include "config/load.h"

/* "04;14" as bits. False: it is none. */
static bool parse_hours(const char *text, uint32_t *hours)
{
	*hours = 0;
	if (strcmp(text, "*") == 0) {
		*hours = (1u << 24) - 1;
		return true;
	}
	for (const char *at = text;;) {
		size_t len = strcspn(at, ";");
		int64_t hour;

		if (len > 2 || num_parse_i64(slice(at, len), &hour) != 0 || hour < 0 || hour > 23)
			return false;
		*hours |= 1u << hour;
		if (at[len] == '\0')
			return true;
		at += len + 1;
	}
}

void load_retention(struct load *l, struct config_retention *r, const json_t *object,
		    const char *path)
{
	char at[PATH_BYTES], key[PATH_BYTES + 16];

	path_at(at, sizeof(at), "%s.retention", path);
	load_defaults(&config_retention_table, r);
	if (object)
		load_table(l, &config_retention_table, r, object, at);
	path_at(key, sizeof(key), "%s.at", at);
	if (!parse_hours(r->at, &r->hours))
		problems_add(l->problems, key, "must be hours of the day such as \"04\" or "
			     "\"02;14\", or \"*\", not \"%s\"", r->at);
	if (r->disk_stop > 0 && r->disk_force > r->disk_stop)
		problems_add(l->problems, at, "\"diskForce\" (%lld) above \"diskStop\" (%lld) "
			     "would refuse messages before it makes room",
			     (long long)r->disk_force, (long long)r->disk_stop);
}
