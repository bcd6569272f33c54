/*
 * mosaic store on directories that Apache's broker wrote, whole and damaged: what is wrong is
 * named, looking changes nothing, and what is repaired is what Apache's broker had written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "support/scratch.h"
#include "support/vectors.h"
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_BYTES (1 << 20)

struct world {
	char dir[SCRATCH_MAX];
	json_t *vector;
	char *output; /* of the last command */
};

/* ---- a directory made from a vector ---- */

static bool world_init(struct world *w, const char *name)
{
	w->vector = vectors_store(name);
	if (w->vector == NULL)
		return false;
	scratch_make(w->dir, "cli-store");
	vectors_unpack(w->dir, w->vector);
	w->output = malloc(OUTPUT_BYTES);
	return true;
}

static void world_fini(struct world *w)
{
	scratch_remove(w->dir);
	json_decref(w->vector);
	free(w->output);
}

/* ---- commands, damage, comparison ---- */

/* The exit status; what it printed is in w->output. */
static int run(struct world *w, const char *verb)
{
	char command[512];
	snprintf(command, sizeof(command), "%s store %s %s 2>&1", MOSAIC_PROGRAM, verb, w->dir);
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	size_t n = fread(w->output, 1, OUTPUT_BYTES - 1, pipe);
	w->output[n] = '\0';
	int status = pclose(pipe);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void expect(struct world *w, const char *verb, int status, const char *text)
{
	int is = run(w, verb);
	if (is != status || !strstr(w->output, text))
		fail_msg("%s: exit status %d, not %d, or no \"%s\" in:\n%s", verb, is, status, text,
			 w->output);
}

static void poke(struct world *w, const char *file, off_t at, const void *bytes, size_t n)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", w->dir, file);
	int fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, n, at), n);
	close(fd);
}

static void peek(struct world *w, const char *file, off_t at, void *bytes, size_t n)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", w->dir, file);
	int fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, bytes, n, at), n);
	close(fd);
}

/* The file is what the vector has; an index file may have another name. */
static void same_as_vector(struct world *w, const char *path, const char *now)
{
	size_t i;
	json_t *file;
	json_array_foreach(json_object_get(w->vector, "files"), i, file) {
		if (strcmp(json_string_value(json_object_get(file, "path")), path) != 0)
			continue;
		size_t size = (size_t)json_integer_value(json_object_get(file, "size"));
		uint8_t *theirs = vectors_content(file, size), *ours = malloc(size);
		peek(w, now, 0, ours, size);
		assert_memory_equal(ours, theirs, size);
		free(theirs);
		free(ours);
		return;
	}
	fail_msg("the vector has no %s", path);
}

static const char *const st1_queues[] = {
	"consumequeue/RMQ_SYS_TRANS_HALF_TOPIC/0/00000000000000000000",
	"consumequeue/RMQ_SYS_TRANS_OP_HALF_TOPIC/0/00000000000000000000",
	"consumequeue/SCHEDULE_TOPIC_XXXX/17/00000000000000000000",
	"consumequeue/StA/0/00000000000000000000",
	"consumequeue/StA/1/00000000000000000000",
};

/* ---- the tests ---- */

static void what_apache_wrote_is_well(void **state)
{
	static const char *const names[] = { "st1", "st1-running", "mixed-traffic-master",
					     "controller-mode-master" };
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct world w;
		if (!world_init(&w, names[i]))
			skip();
		expect(&w, "verify", 0, "all is well");
		expect(&w, "inspect", 0, "commit log: 0 to ");
		assert_int_equal(run(&w, "inspect --json"), 0);
		json_error_t error;
		json_t *root = json_loads(w.output, 0, &error);
		assert_non_null(root);
		assert_true(json_array_size(json_object_get(root, "queues")) > 0);
		json_decref(root);
		world_fini(&w);
	}
}

static void looking_changes_nothing(void **state)
{
	struct world w;
	(void)state;
	if (!world_init(&w, "st1"))
		skip();
	char path[128];
	struct stat before, after;
	snprintf(path, sizeof(path), "%s/lock", w.dir);
	(void)unlink(path);
	assert_int_equal(stat(w.dir, &before), 0);
	run(&w, "verify");
	run(&w, "inspect");
	assert_int_equal(stat(w.dir, &after), 0);
	assert_int_equal(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	assert_int_not_equal(access(path, F_OK), 0);
	world_fini(&w);
}

/* Queue 0 of StA, offset 0, is the first record: its body begins at 88. */
static void a_flipped_bit_costs_the_message_that_it_hits(void **state)
{
	struct world w;
	uint8_t byte, unit[20];
	static const uint8_t filler[20] = { [8] = 0x7f, 0xff, 0xff, 0xff };
	(void)state;
	if (!world_init(&w, "st1"))
		skip();
	peek(&w, "commitlog/00000000000000000000", 95, &byte, 1);
	byte ^= 0x10;
	poke(&w, "commitlog/00000000000000000000", 95, &byte, 1);
	expect(&w, "verify", 1, "the body does not fit to its checksum");
	expect(&w, "verify", 1, "offset 0 of queue 0 of topic StA");
	expect(&w, "verify --json", 1, "\"offset\":0");
	expect(&w, "repair", 0, "Repaired");
	expect(&w, "verify", 0, "51 records");
	peek(&w, st1_queues[3], 0, unit, sizeof(unit));
	assert_memory_equal(unit, filler, sizeof(unit));
	same_as_vector(&w, st1_queues[4], st1_queues[4]);
	expect(&w, "repair", 0, "Nothing to repair");
	world_fini(&w);
}

static void a_damaged_frame_costs_what_it_covered(void **state)
{
	struct world w;
	(void)state;
	if (!world_init(&w, "st1"))
		skip();
	poke(&w, "commitlog/00000000000000000000", 300, "garbage where a record begins", 29);
	poke(&w, "commitlog/00000000000000000000", 0, "\xff\xff\xff\xff", 4);
	expect(&w, "verify", 1, "are no whole record");
	expect(&w, "repair", 0, "Repaired");
	expect(&w, "verify", 0, "all is well");
	world_fini(&w);
}

static void a_torn_end_is_cut_off(void **state)
{
	struct world w;
	(void)state;
	if (!world_init(&w, "st1"))
		skip();
	/* 33688 is the end; half a record behind it. */
	poke(&w, "commitlog/00000000000000032768", 33688 - 32768,
	     "\0\0\1\15\xda\xa3\x20\xa7half", 12);
	expect(&w, "verify", 1, "at 920");
	expect(&w, "repair", 0, "the torn end is cut off");
	expect(&w, "verify", 0, "51 records");
	same_as_vector(&w, "commitlog/00000000000000032768", "commitlog/00000000000000032768");
	world_fini(&w);
}

static void a_torn_end_after_a_crash_is_no_error(void **state)
{
	struct world w;
	char path[SCRATCH_MAX + 8];
	(void)state;
	if (!world_init(&w, "st1"))
		skip();
	poke(&w, "commitlog/00000000000000032768", 33688 - 32768,
	     "\0\0\1\15\xda\xa3\x20\xa7half", 12);
	snprintf(path, sizeof(path), "%s/abort", w.dir);
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	expect(&w, "verify", 0, "note:  commitlog/00000000000000032768 at 920");
	/* What was durable, as the checkpoint says, is not torn by a crash. */
	poke(&w, "checkpoint", 0, "\x7f\xff\xff\xff\xff\xff\xff\xff", 8);
	expect(&w, "verify", 1, "ERROR: commitlog/00000000000000032768 at 920");
	world_fini(&w);
}

static void queues_are_made_again_as_they_were(void **state)
{
	struct world w;
	(void)state;
	if (!world_init(&w, "st1"))
		skip();
	scratch_remove_below(w.dir, "consumequeue/StA/1");
	poke(&w, st1_queues[3], 40, "a unit that is none!", 20);
	poke(&w, st1_queues[0], 0, "a unit that is none!", 20);
	expect(&w, "verify", 1, "consumequeue/StA/1");
	expect(&w, "repair", 0, "made again from the log");
	expect(&w, "verify", 0, "all is well");
	for (size_t i = 0; i < sizeof(st1_queues) / sizeof(st1_queues[0]); i++)
		same_as_vector(&w, st1_queues[i], st1_queues[i]);
	world_fini(&w);
}

/* It may not write a byte, and is killed where it tries. */
static void a_repair_that_is_killed_takes_no_queue_away(void **state)
{
	struct world w;
	char command[512];
	uint8_t before[40], after[40];
	(void)state;
	if (!world_init(&w, "st1"))
		skip();
	poke(&w, st1_queues[3], 40, "a unit that is none!", 20);
	peek(&w, st1_queues[3], 0, before, sizeof(before));
	snprintf(command, sizeof(command), "ulimit -f 0; %s store repair %s >/dev/null 2>&1",
		 MOSAIC_PROGRAM, w.dir);
	assert_true(system(command) != 0);
	peek(&w, st1_queues[3], 0, after, sizeof(after));
	assert_memory_equal(after, before, sizeof(before));
	expect(&w, "repair", 0, "made again from the log");
	expect(&w, "verify", 0, "all is well");
	same_as_vector(&w, st1_queues[3], st1_queues[3]);
	world_fini(&w);
}

/* The log still has the records of a longer queue, which the topic had before it was deleted. */
static void a_topic_made_again_is_no_damage(void **state)
{
	static const uint8_t zeros[400];
	struct world w;
	uint8_t unit[20], last[20];
	char segment[64];
	uint64_t at = 0;
	off_t n = 0;
	(void)state;
	if (!world_init(&w, "st1"))
		skip();
	for (peek(&w, st1_queues[3], 0, unit, 20); memcmp(unit, zeros, 20) != 0; n++) {
		memcpy(last, unit, 20);
		peek(&w, st1_queues[3], 20 * (n + 1), unit, 20);
	}
	assert_in_range(n, 3, sizeof(zeros) / 20);
	/* Its last message becomes the first one of the new queue. */
	for (int i = 0; i < 8; i++)
		at = at << 8 | last[i];
	snprintf(segment, sizeof(segment), "commitlog/%020d", (int)(at - at % 16384));
	poke(&w, segment, (off_t)(at % 16384) + 20, zeros, 8);
	poke(&w, st1_queues[3], 0, zeros, 20 * (size_t)n);
	poke(&w, st1_queues[3], 0, last, 20);
	expect(&w, "verify", 0, "all is well");
	expect(&w, "repair", 0, "Nothing to repair");
	world_fini(&w);
}

static void the_index_is_made_again_as_it_was(void **state)
{
	struct world w;
	(void)state;
	if (!world_init(&w, "st1"))
		skip();
	poke(&w, "index/20261122163906368", 44, "\0\0\0\7", 4);
	expect(&w, "verify", 1, "a slot does not lead to the newest entry");
	expect(&w, "repair --index 50:60", 0, "made again from the log");
	expect(&w, "verify", 0, "2 index files");
	/* Their names are those of their first records now. */
	assert_int_equal(run(&w, "inspect --json"), 0);
	json_error_t error;
	json_t *root = json_loads(w.output, 0, &error), *index = json_object_get(root, "index");
	assert_int_equal(json_array_size(index), 2);
	static const char *const files[] = { "index/20261122163906368", "index/20261122163906549" };
	for (size_t i = 0; i < 2; i++)
		same_as_vector(&w, files[i],
			       json_string_value(json_object_get(json_array_get(index, i),
								 "file")));
	json_decref(root);
	world_fini(&w);
}

static void make_file(const struct world *w, const char *name, off_t size)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	int fd = open(path, O_WRONLY | O_CREAT, 0644);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

/* Of 50 slots; the first entry lies behind them and the entry that nobody uses. */
static void an_entry_of_the_index_that_leads_to_itself_ends_its_chain(void **state)
{
	const off_t prev_at = 40 + 50 * 4 + 20 + 16;
	struct world w;
	uint8_t prev[4];
	(void)state;
	if (!world_init(&w, "st1"))
		skip();
	peek(&w, "index/20261122163906368", prev_at, prev, sizeof(prev));
	assert_memory_equal(prev, "\0\0\0\0", 4);
	poke(&w, "index/20261122163906368", prev_at, "\0\0\0\1", 4);
	expect(&w, "verify --index 50:60", 0, "all is well");
	poke(&w, "index/20261122163906368", prev_at, "\0\0\0\2", 4);
	expect(&w, "verify --index 50:60", 1, "a chain of entries is broken");
	world_fini(&w);
}

/* A crash while a full file was being written, and the next one had been made. */
static void index_files_that_a_crash_left_unfinished_are_no_error(void **state)
{
	static const uint8_t zeros[40];
	struct world w;
	(void)state;
	if (!world_init(&w, "st1"))
		skip();
	make_file(&w, "abort", 0);
	poke(&w, "index/20261122163906368", 0, zeros, sizeof(zeros));
	expect(&w, "verify --index 50:60", 1, "ERROR: index/20261122163906368");
	poke(&w, "index/20261122163906549", 0, zeros, sizeof(zeros));
	expect(&w, "verify --index 50:60", 0, "note:  index/20261122163906368");
	world_fini(&w);
}

static void documents_come_back_from_their_backups(void **state)
{
	struct world w;
	char path[128];
	(void)state;
	if (!world_init(&w, "st1"))
		skip();
	snprintf(path, sizeof(path), "%s/config/topics.json", w.dir);
	assert_int_equal(truncate(path, 100), 0);
	poke(&w, "checkpoint", 0, "\x7f garbage", 9);
	expect(&w, "verify", 1, "config/topics.json: the document is not JSON");
	expect(&w, "verify", 1, "checkpoint: a time in it lies in the future");
	expect(&w, "repair", 0, "replaced by its backup");
	expect(&w, "verify", 0, "all is well");
	same_as_vector(&w, "config/topics.json.bak", "config/topics.json");
	world_fini(&w);
}

/* Brokers search in the units for the first whose record is there. */
static void what_was_taken_out_leaves_the_units_in_order(void **state)
{
	struct world w;
	uint8_t at[8], byte, unit[20];
	(void)state;
	if (!world_init(&w, "st1"))
		skip();
	peek(&w, st1_queues[3], 9 * 20, at, sizeof(at));
	assert_true(at[6] >= 0x40 && at[6] < 0x80); /* in the second segment */
	off_t body = (at[6] << 8 | at[7]) - 16384 + 88;
	peek(&w, "commitlog/00000000000000016384", body, &byte, 1);
	byte ^= 1;
	poke(&w, "commitlog/00000000000000016384", body, &byte, 1);
	expect(&w, "repair", 0, "Repaired");
	peek(&w, st1_queues[3], 9 * 20, unit, sizeof(unit));
	/* Apache's broker goes on with the segment behind a unit that it cannot read. */
	assert_memory_equal(unit, "\0\0\0\0\0\0\0\0\x7f\xff\xff\xff", 12);
	expect(&w, "inspect", 0, "StA 0: offsets 0 to 18");
	expect(&w, "verify", 0, "all is well");
	world_fini(&w);
}

static void topics_that_nobody_knows_are_told_of(void **state)
{
	struct world w;
	(void)state;
	if (!world_init(&w, "st1"))
		skip();
	scratch_remove_below(w.dir, "config");
	expect(&w, "verify", 0, "it does not name the topic StA");
	expect(&w, "verify", 0, "all is well");
	world_fini(&w);
}

static off_t size_of(const struct world *w, const char *name)
{
	char path[256];
	struct stat st;
	snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	return stat(path, &st) == 0 ? st.st_size : -1;
}

/* Of two, the one that was cut does not say how large segments are. */
static void a_cut_segment_does_not_cut_the_other(void **state)
{
	struct world w;
	(void)state;
	if (!world_init(&w, "st1"))
		skip();
	scratch_remove_below(w.dir, "commitlog/00000000000000032768");
	make_file(&w, "commitlog/00000000000000000000", 4096);
	expect(&w, "verify", 1, "00000000000000000000: the segment has 4096 bytes");
	expect(&w, "repair", 0, "the segment has its size again");
	assert_int_equal(size_of(&w, "commitlog/00000000000000000000"), 16384);
	same_as_vector(&w, "commitlog/00000000000000016384", "commitlog/00000000000000016384");
	world_fini(&w);
}

/* reserve.time: the first files of its queues go, its records stay as long as all others. */
static void what_a_topic_no_longer_keeps_is_no_damage(void **state)
{
	struct world w;
	char command[1024];
	(void)state;
	if (!world_init(&w, "st1"))
		skip();
	snprintf(command, sizeof(command), "cd %s/consumequeue/StA/0 && rm 0* && "
		 "cp /dev/null %020d && truncate -s %ld 0*", w.dir,
		 (int)size_of(&w, st1_queues[3]), (long)size_of(&w, st1_queues[3]));
	assert_int_equal(system(command), 0);
	expect(&w, "verify", 1, "18 records of the log");
	snprintf(command, sizeof(command), "sed -i 's/\"attributes\": *{}/\"attributes\":"
		 "{\"reserve.time\":\"1\"}/' %s/config/topics.json", w.dir);
	assert_int_equal(system(command), 0);
	expect(&w, "verify", 0, "all is well");
	expect(&w, "repair", 0, "Nothing to repair");
	world_fini(&w);
}

/* Files are swapped: each unit points to a record of its offset and queue id, of another topic. */
static void queues_of_two_topics_that_were_swapped_are_made_again(void **state)
{
	struct world w;
	uint8_t a[400], b[400];
	(void)state;
	if (!world_init(&w, "st1"))
		skip();
	peek(&w, st1_queues[0], 0, a, sizeof(a));
	peek(&w, st1_queues[3], 0, b, sizeof(b));
	poke(&w, st1_queues[0], 0, b, sizeof(b));
	poke(&w, st1_queues[3], 0, a, sizeof(a));
	expect(&w, "verify", 1, "point to no record of this queue");
	expect(&w, "repair", 0, "made again from the log");
	expect(&w, "verify", 0, "all is well");
	world_fini(&w);
}

/* Sparse. A thread sanitizer leaves a program little more than a terabyte to map. */
#define HUGE_BYTES (INT64_C(64) << 30)

/* One file that has grown is that queue's trouble, not that of all others. */
static void a_queue_file_that_has_grown_does_not_speak_for_the_others(void **state)
{
	struct world w;
	(void)state;
	if (!world_init(&w, "st1"))
		skip();
	make_file(&w, st1_queues[3], HUGE_BYTES);
	expect(&w, "verify", 1, "StA/0/00000000000000000000: the file has 68719476736 bytes");
	assert_null(strstr(w.output, "consumequeue/StA/1"));
	expect(&w, "repair", 0, "made again from the log");
	expect(&w, "verify", 0, "all is well");
	same_as_vector(&w, st1_queues[3], st1_queues[3]);
	world_fini(&w);
}

/* What was never written is not read: 64 GiB of it take no time, and no disk when repaired. */
static void holes_are_not_read(void **state)
{
	static const char last[] = "commitlog/00000000000000032768";
	struct world w;
	struct stat st;
	char path[256];
	(void)state;
	if (!world_init(&w, "st1"))
		skip();
	make_file(&w, last, HUGE_BYTES);
	poke(&w, last, HUGE_BYTES - 100, "?", 1);
	make_file(&w, "consumequeue/StA/0/09223372036854775800", 2000);
	poke(&w, "consumequeue/StA/0/09223372036854775800", 0, "?", 1);
	expect(&w, "inspect", 0, "commit log: 0 to ");
	expect(&w, "verify", 1, "the segment has 68719476736 bytes");
	expect(&w, "repair", 0, "the segment has its size again");
	expect(&w, "verify", 0, "all is well");
	make_file(&w, last, 0);
	make_file(&w, last, 64 << 20);
	snprintf(path, sizeof(path), "%s/%s", w.dir, last);
	scratch_remove_below(w.dir, "commitlog/00000000000000000000");
	scratch_remove_below(w.dir, "commitlog/00000000000000016384");
	poke(&w, last, 32 << 20, "?", 1);
	expect(&w, "repair", 0, "the torn end is cut off");
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_blocks < (1 << 20) / 512);
	world_fini(&w);
}

/* Nobody waits for the other end of a FIFO, and nothing is written through a link. */
static void what_is_no_file_is_told_of(void **state)
{
	static const char *const fifos[] = { "lock", "checkpoint", "config/topics.json",
					     "config/odd.json", "checkpoint.tmp" };
	static const char segment[] = "commitlog/00000000000000016384";
	struct world w;
	char path[256], outside[256];
	(void)state;
	if (!world_init(&w, "st1"))
		skip();
	for (size_t i = 0; i < sizeof(fifos) / sizeof(fifos[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", w.dir, fifos[i]);
		(void)unlink(path);
		assert_int_equal(mkfifo(path, 0644), 0);
	}
	expect(&w, "inspect", 0, "commit log: 0 to ");
	expect(&w, "verify", 1, "it does not have 4096 bytes");
	expect(&w, "repair", 1, "checkpoint: could not be written");
	world_fini(&w);

	assert_true(world_init(&w, "st1"));
	snprintf(path, sizeof(path), "%s/%s", w.dir, segment);
	snprintf(outside, sizeof(outside), "%s/elsewhere", w.dir);
	assert_int_equal(rename(path, outside), 0);
	assert_int_equal(symlink("../elsewhere", path), 0);
	poke(&w, "elsewhere", 200, "????", 4);
	expect(&w, "verify", 1, "are no whole record");
	expect(&w, "repair", 1, "it is a symbolic link");
	poke(&w, "elsewhere", 200, "????", 4);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("00000000000000016384", path), 0); /* to itself */
	expect(&w, "verify", 1, "it cannot be looked at: Too many levels");
	expect(&w, "inspect", 0, "cannot be looked at");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	expect(&w, "verify", 1, "it is no regular file");
	expect(&w, "repair", 1, "it is no regular file");
	world_fini(&w);
}

static void files_of_others_are_left_alone(void **state)
{
	struct world w;
	(void)state;
	if (!world_init(&w, "st1"))
		skip();
	make_file(&w, "commitlog/123", 5);
	make_file(&w, "consumequeue/StA/0/40", 2000);
	make_file(&w, "index/7", 9);
	expect(&w, "verify", 0, "all is well");
	expect(&w, "repair", 0, "Nothing to repair");
	assert_int_equal(size_of(&w, "commitlog/123"), 5);
	make_file(&w, "commitlog/00000000000000049152", 0);
	expect(&w, "verify", 0, "the last segment is empty");
	world_fini(&w);
}

static void a_missing_segment_is_beyond_repair(void **state)
{
	struct world w;
	(void)state;
	if (!world_init(&w, "st1"))
		skip();
	scratch_remove_below(w.dir, "commitlog/00000000000000016384");
	expect(&w, "verify", 1, "the segment before it is missing");
	expect(&w, "repair", 1, "Bring the file back");
	world_fini(&w);
}

/* Their units lie elsewhere; and without any queue the next start makes all of them. */
static void queues_that_are_not_there_are_not_missed(void **state)
{
	struct world w;
	char path[256];
	(void)state;
	if (!world_init(&w, "st1"))
		skip();
	scratch_remove_below(w.dir, "consumequeue/StA");
	expect(&w, "verify", 1, "consumequeue/StA/0");
	snprintf(path, sizeof(path), "%s/batchconsumequeue", w.dir);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/batchconsumequeue/StA", w.dir);
	assert_int_equal(mkdir(path, 0755), 0);
	expect(&w, "verify", 0, "all is well");
	assert_int_equal(rmdir(path), 0);
	scratch_remove_below(w.dir, "consumequeue");
	expect(&w, "verify", 0, "There are no queues at all");
	expect(&w, "repair", 0, "Nothing to repair");
	world_fini(&w);
}

static void a_directory_in_use_is_refused(void **state)
{
	struct world w;
	char path[128];
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	(void)state;
	if (!world_init(&w, "st1"))
		skip();
	snprintf(path, sizeof(path), "%s/lock", w.dir);
	int fd = open(path, O_RDWR | O_CREAT, 0644);
	assert_int_equal(fcntl(fd, F_SETLK, &lock), 0); /* as Java's FileLock does */
	expect(&w, "verify", 1, "is in use by a broker");
	expect(&w, "inspect", 1, "is in use by a broker");
	expect(&w, "repair", 1, "is in use by a broker");
	close(fd);
	expect(&w, "verify", 0, "all is well");
	world_fini(&w);
}

static void other_directories_are_refused(void **state)
{
	struct world w;
	(void)state;
	if (!world_init(&w, "st1"))
		skip();
	scratch_remove_below(w.dir, "commitlog");
	scratch_remove_below(w.dir, "consumequeue");
	scratch_remove_below(w.dir, "checkpoint");
	expect(&w, "verify", 1, "is not the directory of a store");
	scratch_remove(w.dir);
	expect(&w, "verify", 1, "cannot open the directory");
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_apache_wrote_is_well),
		cmocka_unit_test(looking_changes_nothing),
		cmocka_unit_test(a_flipped_bit_costs_the_message_that_it_hits),
		cmocka_unit_test(a_damaged_frame_costs_what_it_covered),
		cmocka_unit_test(a_torn_end_is_cut_off),
		cmocka_unit_test(a_torn_end_after_a_crash_is_no_error),
		cmocka_unit_test(queues_are_made_again_as_they_were),
		cmocka_unit_test(a_repair_that_is_killed_takes_no_queue_away),
		cmocka_unit_test(a_topic_made_again_is_no_damage),
		cmocka_unit_test(what_a_topic_no_longer_keeps_is_no_damage),
		cmocka_unit_test(the_index_is_made_again_as_it_was),
		cmocka_unit_test(an_entry_of_the_index_that_leads_to_itself_ends_its_chain),
		cmocka_unit_test(index_files_that_a_crash_left_unfinished_are_no_error),
		cmocka_unit_test(documents_come_back_from_their_backups),
		cmocka_unit_test(what_was_taken_out_leaves_the_units_in_order),
		cmocka_unit_test(a_cut_segment_does_not_cut_the_other),
		cmocka_unit_test(topics_that_nobody_knows_are_told_of),
		cmocka_unit_test(queues_of_two_topics_that_were_swapped_are_made_again),
		cmocka_unit_test(a_queue_file_that_has_grown_does_not_speak_for_the_others),
		cmocka_unit_test(holes_are_not_read),
		cmocka_unit_test(what_is_no_file_is_told_of),
		cmocka_unit_test(files_of_others_are_left_alone),
		cmocka_unit_test(a_missing_segment_is_beyond_repair),
		cmocka_unit_test(queues_that_are_not_there_are_not_missed),
		cmocka_unit_test(a_directory_in_use_is_refused),
		cmocka_unit_test(other_directories_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
