/*
 * mosaic store: looking at, checking and repairing the directory of a broker that does not run.
 */
#ifndef TOOLS_STORE_H
#define TOOLS_STORE_H

#include "store_files.h"
#include "wire/json.h"

/* What is wrong, where, what it costs and what to do: a sentence each. */
struct finding {
	bool is_note; /* as it should be after a crash, or worth knowing: no reason to fail */
	const char *file;
	int64_t at; /* -1: the file as a whole */
	const char *what, *cost, *action;
};

struct report {
	bool is_json, is_quiet;
	struct json_writer w; /* inside the array of findings, or of what is being listed */
	struct buf out, text;
	uint32_t n_errors, n_notes;
};

void report_begin(struct report *r, const char *path, bool is_json);
void report_findings(struct report *r); /* opens the list of findings */
void report_add(struct report *r, const struct finding *finding);
/* For texts that must be put together: valid until the next call. */
const char *report_text(struct report *r, const char *format, ...) PRINTF_LIKE(2, 3);
/* Prints; the number of errors. */
uint32_t report_end(struct report *r, const char *all_is_well);

struct store_checks {
	bool log, queues, index, small; /* something is wrong with it */
	uint64_t end;                   /* of the last record */
	uint64_t n_records;
	uint32_t n_missing_segments; /* which no repair brings back */
};

void store_inspect(struct store_dir *d, struct report *r);
void store_verify(struct store_dir *d, struct report *r, struct store_checks *checks);
/* What could not be looked at. */
void store_verify_odd(const struct store_dir *d, struct report *r);
/* False: something could not be repaired. What was done is in the report. */
bool store_repair(struct store_dir *d, struct report *r);

/* store_verify.c: the unit that a record must have; false: none */
bool store_unit_of(const struct message *m, uint64_t len, struct queue_unit *unit);
/* Whether the record that a unit points to says that it belongs there. */
bool store_unit_has_record(struct store_dir *d, const struct store_queue *q, int64_t index,
			   const struct queue_unit *unit);

/* store_small.c */
void store_verify_small(struct store_dir *d, struct report *r, struct store_checks *checks);
bool store_repair_small(struct store_dir *d, struct report *r);
/* Names of the files in config/, ended by NULL; freed by store_names_free. */
char **store_config_names(struct store_dir *d);
void store_names_free(char **names);

/* store_index.c: the index against the records, which are handed over in order of the log */
struct index_check {
	struct store_dir *dir;
	uint32_t file, entry; /* the next one */
	uint64_t n_missing, n_wrong, n_behind;
	uint64_t first_bad, before; /* offset of the record before */
	bool is_usable, has_begun;
};

void index_check_begin(struct index_check *c, struct store_dir *d, struct report *r,
		       struct store_checks *checks);
void index_check_record(struct index_check *c, const struct message *m);
void index_check_end(struct index_check *c, struct report *r, struct store_checks *checks);
/* Deletes the index and makes it from the log. */
bool store_rebuild_index(struct store_dir *d, struct report *r);

/* store_repair.c */
/* Writes the whole of a small file, through a new one beside it. */
bool store_write_small(struct store_dir *d, const char *path, struct mosaic_slice content);

#endif
