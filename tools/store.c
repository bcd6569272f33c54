/* mosaic store inspect|verify|repair DIR. */
#include "store.h"
#include "base/err.h"
#include "command.h"
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
	"usage: mosaic store inspect|verify|repair DIR [options]\n"
	"The files of a broker, of Mosaic or of Apache RocketMQ, while it does not run.\n"
	"  inspect   what is there: segments, queues and their offsets, index, documents\n"
	"  verify    every record, unit, index entry and document: says what is wrong, what it\n"
	"            costs and what to do\n"
	"  repair    cuts a torn end, takes damaged records out, makes queues and index again\n"
	"            from the log, broken documents from their backup; the others do not write\n"
	"  --json           the same for a program\n"
	"  --index SLOTS:ENTRIES   shape of index files, when it cannot be found out\n"
	"Exit status: 0 nothing is wrong (after repair: any more), 1 something is,\n"
	"2 wrong command line.\n";

/* ---- the report ---- */

void report_begin(struct report *r, const char *path, bool is_json)
{
	*r = (struct report){ .is_json = is_json };
	if (!is_json)
		return;
	jw_init(&r->w, &r->out);
	jw_object(&r->w);
	jw_put_cstr(&r->w, "directory", path);
}

void report_findings(struct report *r)
{
	if (!r->is_json)
		return;
	jw_key(&r->w, "findings");
	jw_array(&r->w);
}

const char *report_text(struct report *r, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	buf_clear(&r->text);
	buf_append_str(&r->text, text);
	return buf_cstr(&r->text);
}

void report_add(struct report *r, const struct finding *f)
{
	*(f->is_note ? &r->n_notes : &r->n_errors) += 1;
	if (r->is_quiet || r->n_errors + r->n_notes > 1000)
		return;
	if (!r->is_json) {
		buf_printf(&r->out, "%s %s", f->is_note ? "note: " : "ERROR:", f->file);
		if (f->at >= 0)
			buf_printf(&r->out, " at %" PRId64, f->at);
		buf_printf(&r->out, ": %s.\n       %s. %s.\n", f->what, f->cost, f->action);
		return;
	}
	jw_object(&r->w);
	jw_put_cstr(&r->w, "severity", f->is_note ? "note" : "error");
	jw_put_cstr(&r->w, "file", f->file);
	if (f->at >= 0)
		jw_put_i64(&r->w, "offset", f->at);
	jw_put_cstr(&r->w, "what", f->what);
	jw_put_cstr(&r->w, "cost", f->cost);
	jw_put_cstr(&r->w, "action", f->action);
	jw_object_end(&r->w);
}

uint32_t report_end(struct report *r, const char *all_is_well)
{
	uint32_t n_errors = r->n_errors;
	if (r->is_json) {
		jw_array_end(&r->w);
		jw_put_i64(&r->w, "errors", n_errors);
		jw_put_i64(&r->w, "notes", r->n_notes);
		jw_object_end(&r->w);
		buf_append_byte(&r->out, '\n');
	} else if (n_errors + r->n_notes > 1000) {
		buf_printf(&r->out, "... and %u more.\n", n_errors + r->n_notes - 1000);
	}
	if (!r->is_json && n_errors == 0)
		buf_printf(&r->out, "%s\n", all_is_well);
	else if (!r->is_json)
		buf_printf(&r->out, "%u error%s.\n", n_errors, n_errors == 1 ? "" : "s");
	fwrite(r->out.data, 1, r->out.len, stdout);
	buf_free(&r->out);
	buf_free(&r->text);
	return n_errors;
}

/* ---- the command ---- */

static int run_inspect(struct store_dir *d, bool is_json)
{
	struct report r;
	report_begin(&r, d->path, is_json);
	store_inspect(d, &r);
	report_findings(&r);
	report_end(&r, "`mosaic store verify` looks into all of it.");
	return 0;
}

static const char *s_of(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static int run_verify(struct store_dir *d, bool is_json)
{
	struct store_checks checks = { 0 };
	struct report r;
	report_begin(&r, d->path, is_json);
	report_findings(&r);
	store_verify(d, &r, &checks);
	char well[128];
	snprintf(well, sizeof(well),
		 "%" PRIu64 " record%s, %u queue%s, %u index file%s: all is well.",
		 checks.n_records, s_of(checks.n_records), d->n_queues, s_of(d->n_queues),
		 d->index.n, s_of(d->index.n));
	return report_end(&r, well) == 0 ? 0 : 1;
}

static int run_repair(struct store_dir *d, bool is_json)
{
	struct report r;
	report_begin(&r, d->path, is_json);
	report_findings(&r);
	bool is_done = store_repair(d, &r);
	uint32_t n = r.n_errors + r.n_notes;
	report_end(&r, n == 0 ? "Nothing to repair." : "Repaired.");
	return is_done && r.n_errors == 0 ? 0 : 1;
}

static bool parse_shape(const char *text, struct index_shape *shape)
{
	char rest;
	return sscanf(text, "%" SCNu32 ":%" SCNu32 "%c", &shape->slots, &shape->entries, &rest) ==
		       2 && shape->slots > 0 && shape->entries > 1 &&
	       index_bytes(shape) <= INT32_MAX;
}

int cmd_store(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
						 { "index", required_argument, NULL, 'i' },
						 { "help", no_argument, NULL, 'h' },
						 { NULL, 0, NULL, 0 } };
	static const struct {
		const char *name;
		int (*run)(struct store_dir *d, bool is_json);
		bool writes;
	} verbs[] = { { "inspect", run_inspect, false },
		      { "verify", run_verify, false },
		      { "repair", run_repair, true } };
	struct mosaic_error err = ERR_INIT;
	struct index_shape shape = { 0, 0 };
	struct store_dir d;
	bool is_json = false;
	int o;
	while ((o = getopt_long(argc, argv, "ji:h", options, NULL)) != -1) {
		if (o == 'h') {
			fputs(usage, stdout);
			return 0;
		}
		if (o == 'i' && !parse_shape(optarg, &shape))
			return usage_error(argv[0], "--index must be SLOTS:ENTRIES, not \"%s\"",
					   optarg);
		if (o == '?')
			return usage_error(argv[0], NULL);
		is_json |= o == 'j';
	}
	uint32_t verb = 0;
	while (verb < ARRAY_LEN(verbs) && (!argv[optind] || strcmp(argv[optind], verbs[verb].name)))
		verb++;
	if (verb == ARRAY_LEN(verbs) || argc - optind != 2)
		return usage_error(argv[0],
				   "say one of inspect, verify, repair, and one directory");
	int status = 1;
	if (store_dir_open(&d, argv[optind + 1], verbs[verb].writes, &err) != 0) {
		fprintf(stderr, "%s: %s\n", argv[0], err.text);
	} else {
		if (shape.slots > 0) {
			d.shape = shape;
			d.has_shape = true;
		}
		status = verbs[verb].run(&d, is_json);
	}
	store_dir_close(&d);
	return status;
}
