#include "log_fixture.h"

#define MAX_SENT 4000

struct sent {
	char topic[8];
	char body[64];
	int32_t queue_id;
	int64_t index;
	uint64_t at, end;
};

struct world {
	struct fixture f;
	struct sent sent[MAX_SENT];
	int n;
};

static struct world *world_create(void)
{
	struct world *w = calloc(1, sizeof(*w));
	fixture_init(&w->f);
	assert_int_equal(fixture_open(&w->f), 0);
	return w;
}

static void world_destroy(struct world *w)
{
	fixture_fini(&w->f);
	free(w);
}

static void send(struct world *w, const char *topic, int32_t queue_id)
{
	struct sent *s = &w->sent[w->n];
	assert_true(w->n < MAX_SENT);
	snprintf(s->topic, sizeof(s->topic), "%s", topic);
	snprintf(s->body, sizeof(s->body), "message %d of %s %d at %" PRIu64, w->n, topic, queue_id,
		 w->f.h.now_ns / MS_NS);
	s->queue_id = queue_id;
	const char *tags = w->n % 3 ? "TagA" : NULL;
	assert_int_equal(fixture_send(&w->f, topic, queue_id, s->body, tags), 0);
	s->index = fixture_queue(&w->f, topic, queue_id)->max_offset - 1;
	s->end = w->f.end;
	w->n++;
}

static void send_some(struct world *w, int n)
{
	for (int i = 0; i < n; i++) {
		static const char *const topics[] = { "A", "B", "C" };
		send(w, topics[w->n % 3], w->n / 3 % 2);
		fake_host_advance_ms(&w->f.h, 7);
	}
}

/* What is in the log must be in the queues, in order, each index once; what is not in the log is
 * in no queue. Forgets the messages that are gone. */
static void check(struct world *w)
{
	struct fixture *f = &w->f;
	while (w->n > 0 && w->sent[w->n - 1].end > f->log->end)
		w->n--;
	struct map_entry *entry;
	int64_t units = 0;
	for (uint32_t pos = 0; (entry = map_next(&f->log->queues, &pos)) != NULL;) {
		struct queue *q = entry->value;
		units += q->max_offset - q->min_offset;
		assert_int_equal(q->visible, q->max_offset);
	}
	assert_int_equal(units, w->n);
	for (int i = 0; i < w->n; i++)
		fixture_expect(f, w->sent[i].topic, w->sent[i].queue_id, w->sent[i].index,
			       w->sent[i].body);
}

/* A copy of what is on the disk, to be damaged again and again. */
struct image {
	struct mosaic_store disk;
	uint8_t *bytes[MAX_STREAMS];
	uint8_t checkpoint[CHECKPOINT_BYTES];
};

static void image_take(struct image *image, struct world *w)
{
	image->disk = w->f.disk;
	for (uint32_t i = 0; i < w->f.disk.n_streams; i++) {
		image->bytes[i] = malloc(w->f.disk.streams[i].end + 1);
		memcpy(image->bytes[i], w->f.disk.streams[i].bytes, w->f.disk.streams[i].end);
	}
	if (image->disk.checkpoint)
		memcpy(image->checkpoint, image->disk.checkpoint, CHECKPOINT_BYTES);
}

static void image_put(const struct image *image, struct world *w)
{
	struct mosaic_store *disk = &w->f.disk;
	for (uint32_t i = image->disk.n_streams; i < disk->n_streams; i++)
		free(disk->streams[i].bytes);
	free(disk->checkpoint);
	*disk = image->disk;
	disk->host = &w->f.h.host;
	for (uint32_t i = 0; i < disk->n_streams; i++) {
		struct mosaic_stream *st = &disk->streams[i];
		memset(st->bytes, 0, disk_capacity(st));
		memcpy(st->bytes, image->bytes[i], st->end);
	}
	if (disk->checkpoint) {
		disk->checkpoint = malloc(CHECKPOINT_BYTES);
		memcpy(disk->checkpoint, image->checkpoint, CHECKPOINT_BYTES);
	}
}

static void image_free(struct image *image)
{
	for (uint32_t i = 0; i < image->disk.n_streams; i++)
		free(image->bytes[i]);
}

static void lose_checkpoint(struct world *w)
{
	free(w->f.disk.checkpoint);
	w->f.disk.checkpoint = NULL;
	w->f.disk.checkpoint_len = 0;
}

static void zero(struct mosaic_stream *st, uint64_t from)
{
	memset(st->bytes + from, 0, disk_capacity(st) - from);
}

/* ---- after a clean stop ---- */

static void clean_stop_needs_no_scan(void **state)
{
	(void)state;
	struct world *w = world_create();
	send_some(w, 200);
	int64_t last_store_ms = w->f.log->last_store_ms;
	fixture_stop(&w->f, CLEAN);
	assert_int_equal(fixture_open(&w->f), 0);
	assert_true(w->f.log->stats.scanned_bytes < 256);
	assert_int_equal(w->f.log->last_store_ms, last_store_ms);
	check(w);
	send_some(w, 20);
	check(w);
	assert_int_equal(w->n, 220);
	world_destroy(w);
}

static void clean_stop_without_checkpoint_scans_the_last_segment(void **state)
{
	(void)state;
	struct world *w = world_create();
	send_some(w, 200);
	fixture_stop(&w->f, CLEAN);
	lose_checkpoint(w);
	assert_int_equal(fixture_open(&w->f), 0);
	assert_true(w->f.log->stats.scanned_bytes <= 4096);
	assert_int_equal(w->f.log->stats.recovered, 0);
	check(w);
	assert_int_equal(w->n, 200);
	world_destroy(w);
}

static void new_store_opens_empty(void **state)
{
	(void)state;
	struct world *w = world_create();
	assert_int_equal(w->f.log->end, 0);
	fixture_stop(&w->f, CLEAN);
	assert_int_equal(fixture_open(&w->f), 0);
	check(w);
	fixture_stop(&w->f, CRASH);
	assert_int_equal(fixture_open(&w->f), 0);
	send_some(w, 3);
	check(w);
	world_destroy(w);
}

static void records_without_units_get_them_even_after_a_clean_stop(void **state)
{
	(void)state;
	struct world *w = world_create();
	send_some(w, 100);
	fixture_stop(&w->f, CLEAN);
	/* Apache's broker removes queues when somebody wants them to be built again. */
	lose_checkpoint(w);
	for (uint32_t i = 0; i < w->f.disk.n_streams; i++)
		if (w->f.disk.streams[i].kind == MOSAIC_CONSUME_QUEUE)
			zero(&w->f.disk.streams[i], 0);
	assert_int_equal(fixture_open(&w->f), 0);
	assert_int_equal(w->f.log->stats.recovered, 100);
	check(w);
	assert_int_equal(w->n, 100);
	world_destroy(w);
}

static void units_behind_the_log_are_cut_even_after_a_clean_stop(void **state)
{
	(void)state;
	struct world *w = world_create();
	send_some(w, 100);
	fixture_stop(&w->f, CLEAN);
	zero(fixture_disk_log(&w->f), w->sent[60].end);
	assert_int_equal(fixture_open(&w->f), 0);
	assert_true(fake_host_logged(&w->f.h, "recovery_from_begin"));
	check(w);
	assert_int_equal(w->n, 61);
	send_some(w, 10);
	check(w);
	world_destroy(w);
}

/* It costs the message that it is of, not the rest of its queue. */
static void damaged_unit_cuts_no_queue_after_a_clean_stop(void **state)
{
	(void)state;
	struct world *w = world_create();
	send_some(w, 100);
	fixture_stop(&w->f, CLEAN);
	struct image image;
	image_take(&image, w);
	for (int64_t i = 0; i < 15; i++) {
		image_put(&image, w);
		w->f.disk.pends = i & 1;
		if (i & 2) /* as Apache's broker leaves it */
			lose_checkpoint(w);
		fixture_disk_queue(&w->f, "B", 1)->bytes[i * QUEUE_UNIT_BYTES + 3] ^= 1;
		assert_int_equal(fixture_open(&w->f), 0);
		assert_int_equal(fixture_queue(&w->f, "B", 1)->max_offset, 16);
		assert_int_equal(w->f.log->stats.recovered, 0);
		fixture_stop(&w->f, CLEAN);
	}
	image_free(&image);
	w->f.disk.pends = false;
	assert_int_equal(fixture_open(&w->f), 0);
	world_destroy(w);
}

/* A queue whose end is gone looks like a shorter one: the checkpoint knows how many there were. */
static void lost_ends_of_queues_are_noticed(void **state)
{
	(void)state;
	struct world *w = world_create();
	send_some(w, 100);
	flush_sync(&w->f.flush);
	fake_host_advance_ms(&w->f.h, 20000);
	struct image image;
	for (int crash = 0; crash < 2; crash++) {
		fixture_stop(&w->f, crash ? CRASH : CLEAN);
		image_take(&image, w);
		for (uint64_t keep = 0; keep < 16; keep++) {
			image_put(&image, w);
			w->f.disk.pends = keep & 1;
			/* That of the newest record, which the checkpoint names, or another. */
			zero(fixture_disk_queue(&w->f, keep & 2 ? "A" : "B", 1),
			     keep * QUEUE_UNIT_BYTES + 7 * crash);
			assert_int_equal(fixture_open(&w->f), 0);
			check(w);
			assert_int_equal(w->n, 100);
			fixture_stop(&w->f, crash ? CRASH : CLEAN);
			assert_int_equal(fixture_open(&w->f), 0); /* once is enough */
			assert_true(w->f.log->stats.scanned_bytes < 4096 || crash);
			fixture_stop(&w->f, crash ? CRASH : CLEAN);
		}
		image_put(&image, w);
		image_free(&image);
		w->f.disk.pends = false;
		assert_int_equal(fixture_open(&w->f), 0);
		check(w);
	}
	world_destroy(w);
}

static void queues_without_a_log_are_dropped(void **state)
{
	(void)state;
	struct world *w = world_create();
	send_some(w, 10);
	fixture_stop(&w->f, CLEAN);
	struct mosaic_stream *log = fixture_disk_log(&w->f);
	zero(log, 0);
	log->end = 0;
	assert_int_equal(fixture_open(&w->f), 0);
	assert_int_equal(map_count(&w->f.log->queues), 0);
	w->n = 0;
	send_some(w, 10);
	check(w);
	assert_int_equal(w->sent[0].index, 0);
	world_destroy(w);
}

/* ---- after a crash ---- */

/* For every length that may be left of the last record: it is there as a whole or gone. */
static void torn_record_at_every_byte(bool pends, bool with_properties)
{
	struct world *w = world_create();
	send_some(w, with_properties ? 99 : 100); /* the 100th has no properties */
	fixture_stop(&w->f, CRASH);
	struct image image;
	image_take(&image, w);
	uint64_t last = w->sent[w->n - 2].end, end = w->sent[w->n - 1].end;
	int n = w->n;
	const struct sent torn = w->sent[n - 1];
	for (uint64_t cut = last; cut <= end; cut++) {
		image_put(&image, w);
		w->n = n;
		w->sent[n - 1] = torn;
		w->f.disk.pends = pends;
		zero(fixture_disk_log(&w->f), cut);
		assert_int_equal(fixture_open(&w->f), 0);
		check(w);
		/* The empty property text of a record is zeros either way. */
		uint64_t whole = with_properties ? end : end - 2;
		assert_int_equal(w->n, cut >= whole ? n : n - 1);
		assert_int_equal(w->f.log->end, cut >= whole ? end : last);
		/* The index of what is gone is given again. */
		send(w, torn.topic, torn.queue_id);
		assert_int_equal(w->sent[w->n - 1].index, torn.index + (cut >= whole));
		check(w);
		fixture_stop(&w->f, CRASH);
		assert_int_equal(fixture_open(&w->f), 0);
		check(w);
		fixture_stop(&w->f, CRASH);
	}
	image_free(&image);
	assert_int_equal(fixture_open(&w->f), 0);
	w->f.disk.pends = false;
	world_destroy(w);
}

static void torn_record_is_whole_or_gone(void **state)
{
	(void)state;
	torn_record_at_every_byte(false, true);
	torn_record_at_every_byte(false, false);
}

static void torn_record_is_whole_or_gone_when_reads_are_cold(void **state)
{
	(void)state;
	torn_record_at_every_byte(true, true);
}

/* Every queue keeps an arbitrary prefix, and one has its last unit torn at every byte. */
static void lost_and_torn_units_come_back(void **state)
{
	(void)state;
	struct world *w = world_create();
	send_some(w, 100);
	fixture_stop(&w->f, CRASH);
	struct image image;
	image_take(&image, w);
	for (int round = 0; round < 60; round++) {
		image_put(&image, w);
		w->f.disk.pends = round & 1;
		for (uint32_t i = 0; i < w->f.disk.n_streams; i++) {
			struct mosaic_stream *st = &w->f.disk.streams[i];
			if (st->kind == MOSAIC_CONSUME_QUEUE)
				zero(st, (uint64_t)(round * 7 + i * 3) % (st->end + 1));
		}
		assert_int_equal(fixture_open(&w->f), 0);
		check(w);
		assert_int_equal(w->n, 100);
		fixture_stop(&w->f, CRASH);
		for (uint32_t i = 0; i < w->f.disk.n_streams; i++) /* as if nothing had happened */
			assert_memory_equal(w->f.disk.streams[i].bytes, image.bytes[i],
					    image.disk.streams[i].end);
	}
	image_free(&image);
	w->f.disk.pends = false;
	assert_int_equal(fixture_open(&w->f), 0);
	world_destroy(w);
}

/* A power cut may keep later pages of a queue and lose earlier ones. */
static void holes_in_a_queue_are_closed(void **state)
{
	(void)state;
	struct world *w = world_create();
	send_some(w, 120);
	fixture_stop(&w->f, CRASH);
	struct image image;
	image_take(&image, w);
	for (int64_t from = 0; from < 20; from++) {
		for (int kind = 0; kind < 3; kind++) {
			image_put(&image, w);
			w->f.disk.pends = kind == 1;
			struct mosaic_stream *st = fixture_disk_queue(&w->f, "B", 1);
			if (kind == 2) { /* a page ends inside a unit: its first half is zero */
				memset(st->bytes + from * 20, 0, 6);
			} else {
				memset(st->bytes + from * 20, 0, 5 * 20);
			}
			assert_int_equal(fixture_open(&w->f), 0);
			check(w);
			assert_int_equal(w->n, 120);
			fixture_stop(&w->f, CRASH);
			assert_memory_equal(st->bytes, image.bytes[st - w->f.disk.streams], 400);
		}
	}
	image_free(&image);
	w->f.disk.pends = false;
	assert_int_equal(fixture_open(&w->f), 0);
	world_destroy(w);
}

/* What a power cut leaves of a sector that was not written again when the log grew over `from`. */
static void lose_sector(struct world *w, uint64_t from)
{
	memset(fixture_disk_log(&w->f)->bytes + from, 0, 512 - from % 512);
}

/* The 10th of 30 is hit; the others are there, under the offsets that they had. */
static void check_but(struct world *w, int hit)
{
	for (int i = 0; i < w->n; i++)
		if (i != hit)
			fixture_expect(&w->f, w->sent[i].topic, w->sent[i].queue_id,
				       w->sent[i].index, w->sent[i].body);
	assert_int_equal(w->f.log->end, w->sent[w->n - 1].end);
}

static void lose_queues(struct world *w)
{
	for (uint32_t i = 0; i < w->f.disk.n_streams; i++) {
		struct mosaic_stream *st = &w->f.disk.streams[i];
		if (st->kind != MOSAIC_CONSUME_QUEUE)
			continue;
		zero(st, 0);
		st->end = 0;
	}
}

/* Size, magic, checksum, log offset, system flag, body's length, body, what follows it. */
static const uint32_t hits[] = { 0, 3, 4, 9, 35, 39, 87, 95, 130, 15, 27 };
#define HITS_ARE_SEEN 9 /* of queue id and queue offset only the queues know better */

static void damage_is_passed_over(enum stop how, bool has_units)
{
	for (size_t i = 0; i < (has_units ? ARRAY_LEN(hits) : HITS_ARE_SEEN); i++) {
		struct world *w = world_create();
		send_some(w, 30);
		fixture_stop(&w->f, how);
		lose_checkpoint(w); /* else the scan would not come there */
		if (!has_units)
			lose_queues(w);
		fixture_disk_log(&w->f)->bytes[w->sent[9].end + hits[i]] ^= 0x41;
		assert_int_equal(fixture_open(&w->f), 0);
		check_but(w, 10);
		send_some(w, 6);
		check_but(w, 10);
		fixture_stop(&w->f, how);
		assert_int_equal(fixture_open(&w->f), 0);
		check_but(w, 10);
		world_destroy(w);
	}
}

static void damage_after_a_crash_costs_one_message(void **state)
{
	(void)state;
	damage_is_passed_over(CRASH, true);
}

static void damage_costs_one_message_when_queues_are_made_again(void **state)
{
	(void)state;
	damage_is_passed_over(CRASH, false);
	damage_is_passed_over(CLEAN, false);
}

/* Zeros may be lost sectors: they are passed over only where the checkpoint knows better. */
static void a_hole_in_what_was_durable_is_damage_and_told(void **state)
{
	(void)state;
	struct world *w = world_create();
	send_some(w, 30);
	flush_sync(&w->f.flush);
	fake_host_run(&w->f.h);
	for (int i = 0; i < 3; i++)
		fake_host_advance_ms(&w->f.h, 1000);
	send_some(w, 3);
	fixture_stop(&w->f, CRASH);
	put_be64(w->f.disk.checkpoint + 64, 0); /* the scan begins where Apache's would */
	lose_sector(w, w->sent[9].end);
	assert_int_equal(fixture_open(&w->f), 0);
	assert_int_equal(w->f.log->end, w->sent[w->n - 1].end);
	fixture_expect(&w->f, w->sent[20].topic, w->sent[20].queue_id, w->sent[20].index,
		       w->sent[20].body);
	assert_true(fake_host_logged(&w->f.h, "log_damaged"));
	world_destroy(w);
}

/* The disk said that it had written, and has not: the log ends before what the checkpoint knows. */
static void a_disk_that_lied_is_found_out(void **state)
{
	(void)state;
	struct world *w = world_create();
	send_some(w, 30);
	flush_sync(&w->f.flush);
	fake_host_run(&w->f.h);
	for (int i = 0; i < 3; i++)
		fake_host_advance_ms(&w->f.h, 1000);
	fixture_stop(&w->f, CRASH);
	zero(fixture_disk_log(&w->f), w->sent[19].end);
	assert_int_equal(fixture_open(&w->f), 0);
	check(w);
	assert_int_equal(w->n, 20);
	assert_true(fake_host_logged(&w->f.h, "log_lost"));
	assert_true(fake_host_logged(&w->f.h, "missing_messages=10"));
	world_destroy(w);
}

static void stale_bytes_behind_the_end_never_come_back(void **state)
{
	(void)state;
	struct world *w = world_create();
	send_some(w, 30);
	fixture_stop(&w->f, CRASH);
	/* A hole in the middle: what follows it is gone for good. */
	lose_sector(w, w->sent[9].end);
	assert_int_equal(fixture_open(&w->f), 0);
	check(w);
	assert_int_equal(w->n, 10);
	send_some(w, 1);
	fixture_stop(&w->f, CRASH);
	assert_int_equal(fixture_open(&w->f), 0);
	check(w);
	assert_int_equal(w->n, 11);
	world_destroy(w);
}

/* ---- the checkpoint ---- */

static void run_seconds(struct world *w, int n)
{
	for (int i = 0; i < n; i++) {
		flush_sync(&w->f.flush);
		fake_host_run(&w->f.h);
		fake_host_advance_ms(&w->f.h, 1000);
	}
}

static void checkpoint_bounds_the_scan_after_a_crash(void **state)
{
	(void)state;
	struct world *w = world_create();
	send_some(w, 300);
	run_seconds(w, 8);
	assert_int_equal(w->f.disk.n_queue_syncs, 1);
	send_some(w, 5);
	uint64_t end = w->f.log->end;
	fixture_stop(&w->f, CRASH);
	for (uint32_t i = 0; i < w->f.disk.n_streams; i++)
		if (w->f.disk.streams[i].kind == MOSAIC_CONSUME_QUEUE)
			zero(&w->f.disk.streams[i], w->f.disk.streams[i].synced);
	assert_int_equal(fixture_open(&w->f), 0);
	assert_true(w->f.log->stats.scanned_bytes < 6 * 200);
	assert_int_equal(w->f.log->stats.recovered, 5);
	assert_int_equal(w->f.log->end, end);
	check(w);
	assert_int_equal(w->n, 305);
	world_destroy(w);
}

static void checkpoint_is_absent_or_garbage(void **state)
{
	(void)state;
	struct world *w = world_create();
	send_some(w, 100);
	run_seconds(w, 8);
	send_some(w, 5);
	fixture_stop(&w->f, CRASH);
	struct image image;
	image_take(&image, w);
	for (int kind = 0; kind < 6; kind++) {
		image_put(&image, w);
		struct mosaic_store *disk = &w->f.disk;
		if (kind == 0)
			lose_checkpoint(w);
		else if (kind == 1)
			disk->checkpoint_len = 100;
		else if (kind == 2)
			memset(disk->checkpoint, 0xff, CHECKPOINT_BYTES);
		else if (kind == 3)
			memset(disk->checkpoint, 0x11, CHECKPOINT_BYTES);
		else if (kind == 4)
			memset(disk->checkpoint, 0, CHECKPOINT_BYTES);
		else
			disk->checkpoint_len = 0;
		for (uint32_t i = 0; i < disk->n_streams; i++)
			if (disk->streams[i].kind == MOSAIC_CONSUME_QUEUE)
				zero(&disk->streams[i], 60);
		assert_int_equal(fixture_open(&w->f), 0);
		check(w);
		assert_int_equal(w->n, 105);
		assert_int_equal(w->f.log->stats.scanned_bytes, /* all but the blanks' rest */
				 w->f.log->end);
		fixture_stop(&w->f, CRASH);
	}
	image_free(&image);
	assert_int_equal(fixture_open(&w->f), 0);
	world_destroy(w);
}

/* Apache's broker keeps our bytes in the checkpoint while the log under them becomes another
 * one. */
static void resume_hint_of_another_log_is_refused(void **state)
{
	(void)state;
	struct world *w = world_create();
	send_some(w, 100);
	run_seconds(w, 8);
	fixture_stop(&w->f, CLEAN);
	struct image old;
	image_take(&old, w);
	/* Another log of about the same shape. */
	for (uint32_t i = 0; i < w->f.disk.n_streams; i++) {
		zero(&w->f.disk.streams[i], 0);
		w->f.disk.streams[i].end = 0;
	}
	assert_int_equal(fixture_open(&w->f), 0);
	w->n = 0;
	fake_host_advance_ms(&w->f.h, 60000);
	send_some(w, 100);
	fixture_stop(&w->f, CRASH);
	/* With the hint of the first, and the units lost. */
	memset(w->f.disk.checkpoint, 0, 40);
	memcpy(w->f.disk.checkpoint + 64, old.checkpoint + 64, 28);
	for (uint32_t i = 0; i < w->f.disk.n_streams; i++)
		if (w->f.disk.streams[i].kind == MOSAIC_CONSUME_QUEUE)
			zero(&w->f.disk.streams[i], 20);
	assert_int_equal(fixture_open(&w->f), 0);
	assert_true(fake_host_logged(&w->f.h, "checkpoint_outdated"));
	check(w);
	assert_int_equal(w->n, 100);
	image_free(&old);
	world_destroy(w);
}

/* Apache's rule: from the last segment that begins 3 s before the checkpoint's times. */
static void crash_without_hint_scans_from_an_old_segment(void **state)
{
	(void)state;
	struct world *w = world_create();
	for (int i = 0; i < 40; i++) {
		send_some(w, 10);
		fake_host_advance_ms(&w->f.h, 1000);
	}
	run_seconds(w, 8);
	fixture_stop(&w->f, CRASH);
	memset(w->f.disk.checkpoint + 64, 0, 28);
	uint64_t synced = get_be64(w->f.disk.checkpoint + 8);
	assert_true(synced > FAKE_WALL_MS);
	assert_int_equal(fixture_open(&w->f), 0);
	uint64_t scanned = w->f.log->stats.scanned_bytes;
	assert_true(scanned < 3 * 4096);
	assert_true(scanned > 3 * 10 * 100); /* three seconds are 30 messages */
	check(w);
	assert_int_equal(w->n, 400);
	world_destroy(w);
}

/* A checkpoint that says more than is true: units before the scan's start are missing. */
static void lying_checkpoint_leads_to_a_whole_scan(void **state)
{
	(void)state;
	struct world *w = world_create();
	send_some(w, 300);
	run_seconds(w, 8);
	fixture_stop(&w->f, CRASH);
	memset(w->f.disk.checkpoint + 64, 0, 28);
	put_be64(w->f.disk.checkpoint, FAKE_WALL_MS + 3600 * 1000);
	put_be64(w->f.disk.checkpoint + 8, FAKE_WALL_MS + 3600 * 1000);
	zero(fixture_disk_queue(&w->f, "A", 0), 20 * 3);
	assert_int_equal(fixture_open(&w->f), 0);
	assert_true(fake_host_logged(&w->f.h, "recovery_from_begin"));
	check(w);
	assert_int_equal(w->n, 300);
	world_destroy(w);
}

/* ---- queues and topics that come and go ---- */

static void queue_whose_first_records_are_gone_starts_in_the_middle(void **state)
{
	(void)state;
	struct world *w = world_create();
	w->f.disk.log_bytes = 1u << 20; /* larger than what is allocated now: reopened below */
	fixture_stop(&w->f, CLEAN);
	struct mosaic_stream *log = fixture_disk_log(&w->f);
	log->bytes = realloc(log->bytes, w->f.disk.log_bytes);
	memset(log->bytes, 0, w->f.disk.log_bytes);
	assert_int_equal(fixture_open(&w->f), 0);
	send_some(w, 1500); /* 250 per queue: its third file */
	fixture_stop(&w->f, CRASH);
	/* Trimmed to the segment that follows message 1399; the queues are lost. */
	uint64_t begin = (w->sent[1399].end / 4096 + 1) * 4096;
	log->begin = begin;
	lose_checkpoint(w);
	for (uint32_t i = 0; i < w->f.disk.n_streams; i++)
		if (w->f.disk.streams[i].kind == MOSAIC_CONSUME_QUEUE) {
			zero(&w->f.disk.streams[i], 0);
			w->f.disk.streams[i].end = 0;
		}
	int gone = 0;
	while (w->sent[gone].end <= begin)
		gone++;
	memmove(w->sent, w->sent + gone, (size_t)(w->n - gone) * sizeof(w->sent[0]));
	w->n -= gone;
	assert_int_equal(fixture_open(&w->f), 0);
	check(w);
	struct queue *q = fixture_queue(&w->f, "A", 0);
	assert_int_equal(q->max_offset, 250);
	assert_true(q->min_offset > 230);
	/* Slots before the first one are as Apache's broker fills them. */
	struct mosaic_stream *st = fixture_disk_queue(&w->f, "A", 0);
	assert_int_equal(st->begin, 200 * 20);
	assert_int_equal(get_be32(st->bytes + 200 * 20 + 8), 0x7fffffff);
	send_some(w, 12);
	check(w);
	fixture_stop(&w->f, CLEAN);
	assert_int_equal(fixture_open(&w->f), 0);
	check(w);
	world_destroy(w);
}

static void topic_made_again_does_not_lose_its_new_messages(void **state)
{
	(void)state;
	struct world *w = world_create();
	send_some(w, 60);
	log_drop_topic(w->f.log, slice_str("A"));
	for (int i = 0; i < 5; i++)
		send(w, "A", 0);
	struct sent *kept = w->sent + 60;
	fixture_stop(&w->f, CRASH);
	lose_checkpoint(w); /* so that the scan sees both lives */
	assert_int_equal(fixture_open(&w->f), 0);
	struct queue *q = fixture_queue(&w->f, "A", 0);
	assert_int_equal(q->max_offset, 5);
	for (int i = 0; i < 5; i++)
		fixture_expect(&w->f, "A", 0, i, kept[i].body);
	world_destroy(w);
}

static void topic_made_again_without_a_file_does_not_lose_its_new_messages(void **state)
{
	(void)state;
	struct world *w = world_create();
	send_some(w, 60);
	flush_sync(&w->f.flush);
	fake_host_advance_ms(&w->f.h, 20000);
	uint8_t checkpoint[CHECKPOINT_BYTES]; /* it knows of all units */
	memcpy(checkpoint, w->f.disk.checkpoint, sizeof(checkpoint));
	log_drop_topic(w->f.log, slice_str("A"));
	for (int i = 0; i < 5; i++)
		send(w, "A", 0);
	const struct sent *kept = w->sent + 60;
	fixture_stop(&w->f, CRASH);
	/* Neither a new checkpoint nor the new queue has come to the disk. */
	memcpy(w->f.disk.checkpoint, checkpoint, sizeof(checkpoint));
	disk_stream(&w->f.disk, MOSAIC_CONSUME_QUEUE, "A", 0)->is_dropped = true;
	assert_int_equal(fixture_open(&w->f), 0);
	assert_true(fake_host_logged(&w->f.h, "recovery_from_begin"));
	assert_int_equal(fixture_queue(&w->f, "A", 0)->max_offset, 5);
	assert_null(fixture_queue(&w->f, "A", 1));
	for (int i = 0; i < 5; i++)
		fixture_expect(&w->f, "A", 0, i, kept[i].body);
	world_destroy(w);
}

static void deleted_topic_stays_away_after_a_crash(void **state)
{
	(void)state;
	struct world *w = world_create();
	send_some(w, 60);
	flush_sync(&w->f.flush);
	fake_host_run(&w->f.h);
	log_drop_topic(w->f.log, slice_str(w->sent[59].topic)); /* the last record's */
	fake_host_advance_ms(&w->f.h, 2500);
	fixture_stop(&w->f, CRASH);
	assert_int_equal(fixture_open(&w->f), 0);
	assert_null(fixture_queue(&w->f, w->sent[59].topic, w->sent[59].queue_id));
	assert_int_equal(map_count(&w->f.log->queues), 4);
	assert_int_equal(fixture_queue(&w->f, "A", 0)->max_offset, 10);
	world_destroy(w);
}

/* ---- the store says no ---- */

static void failing_read_fails_the_open_and_cuts_nothing(void **state)
{
	(void)state;
	struct world *w = world_create();
	send_some(w, 100);
	fixture_stop(&w->f, CRASH);
	struct image image;
	image_take(&image, w);
	bool opened = false;
	for (int n = 0; n < 200 && !opened; n++) {
		image_put(&image, w);
		lose_checkpoint(w);
		w->f.disk.pends = n & 1;
		w->f.disk.fail_read = MOSAIC_E_IO;
		w->f.disk.fail_read_after = n;
		int rc = fixture_open(&w->f);
		opened = rc == 0;
		w->f.disk.fail_read = 0;
		if (!opened) {
			assert_int_equal(rc, MOSAIC_E_IO);
			assert_true(strlen(w->f.open.err.text) > 0);
			assert_false(w->f.disk.is_open);
			assert_memory_equal(fixture_disk_log(&w->f)->bytes, image.bytes[0],
					    image.disk.streams[0].end);
			assert_int_equal(w->f.disk.n_pins, 0);
			log_destroy(w->f.log);
			w->f.log = NULL;
		}
	}
	assert_true(opened);
	check(w);
	assert_int_equal(w->n, 100);
	image_free(&image);
	w->f.disk.pends = false;
	world_destroy(w);
}

static void recovery_waits_for_room_in_a_queue(void **state)
{
	(void)state;
	struct world *w = world_create();
	send_some(w, 20);
	fixture_stop(&w->f, CRASH);
	zero(fixture_disk_queue(&w->f, "B", 0), 0);
	w->f.disk.fail_queue_reserve = MOSAIC_E_AGAIN;
	struct fixture *f = &w->f;
	struct log_config config = { .host = &f->h.host,
				     .store_ops = &disk_ops,
				     .store = &f->disk,
				     .flush_ops = &flush_ops,
				     .flush = &f->flush,
				     .max_record_bytes = 1u << 20 };
	f->log = log_create(&config);
	f->is_opened = false;
	f->open = (struct log_open_req){ .req = { .done = fixture_opened, .data = f } };
	assert_int_equal(log_open(f->log, &f->open), MOSAIC_PENDING);
	fake_host_run(&f->h);
	assert_false(f->is_opened);
	f->disk.fail_queue_reserve = 0;
	struct mosaic_req *room = fixture_disk_queue(f, "B", 0)->room;
	assert_non_null(room);
	room->status = 0;
	room->done(room);
	fake_host_run(&f->h);
	assert_true(f->is_opened);
	check(w);
	assert_int_equal(w->n, 20);
	world_destroy(w);
}

static void long_scan_lets_others_run(void **state)
{
	(void)state;
	struct world *w = world_create();
	fixture_stop(&w->f, CLEAN);
	w->f.disk.log_bytes = 20u << 20;
	w->f.disk.segment_bytes = 4u << 20;
	struct mosaic_stream *log = fixture_disk_log(&w->f);
	free(log->bytes);
	log->bytes = calloc(1, w->f.disk.log_bytes);
	log->end = 0;
	assert_int_equal(fixture_open(&w->f), 0);
	char *body = malloc((1 << 20) + 1); /* longer than the window of the scan */
	memset(body, 'x', 1 << 20);
	body[1 << 20] = 0;
	w->f.log->config.max_record_bytes = 2u << 20;
	for (int i = 0; i < 12; i++)
		assert_int_equal(fixture_send(&w->f, "T", 0, body, "TagA"), 0);
	uint64_t end = w->f.log->end;
	fixture_stop(&w->f, CRASH);
	zero(fixture_disk_queue(&w->f, "T", 0), 0);
	assert_int_equal(fixture_open(&w->f), 0);
	assert_int_equal(w->f.log->end, end);
	fixture_expect(&w->f, "T", 0, 11, body);
	free(body);
	world_destroy(w);
}

/* ---- many crashes ---- */

static uint64_t draw(struct world *w)
{
	return w->f.h.host.random(&w->f.h.host);
}

/* A power cut: of what is not synced a prefix stays. */
static void power_cut(struct world *w)
{
	for (uint32_t i = 0; i < w->f.disk.n_streams; i++) {
		struct mosaic_stream *st = &w->f.disk.streams[i];
		uint64_t unsynced = st->end - (st->synced < st->end ? st->synced : st->end);
		if (unsynced > 0)
			zero(st, st->end - draw(w) % (unsynced + 1));
	}
}

static void offsets_stay_dense_over_any_number_of_crashes(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world *w = world_create();
		w->f.h.seed = seed;
		uint64_t durable = 0;
		for (int round = 0; round < 25; round++) {
			send_some(w, (int)(draw(w) % 20));
			if (draw(w) % 2)
				run_seconds(w, (int)(draw(w) % 8));
			send_some(w, (int)(draw(w) % 5));
			durable = w->f.log->durable;
			bool is_clean = draw(w) % 4 == 0;
			fixture_stop(&w->f, is_clean ? CLEAN : CRASH);
			if (!is_clean)
				power_cut(w);
			w->f.disk.pends = draw(w) & 1;
			assert_int_equal(fixture_open(&w->f), 0);
			w->f.disk.pends = false;
			assert_true(w->f.log->end >= durable);
			check(w);
		}
		world_destroy(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clean_stop_needs_no_scan),
		cmocka_unit_test(clean_stop_without_checkpoint_scans_the_last_segment),
		cmocka_unit_test(new_store_opens_empty),
		cmocka_unit_test(records_without_units_get_them_even_after_a_clean_stop),
		cmocka_unit_test(units_behind_the_log_are_cut_even_after_a_clean_stop),
		cmocka_unit_test(damaged_unit_cuts_no_queue_after_a_clean_stop),
		cmocka_unit_test(lost_ends_of_queues_are_noticed),
		cmocka_unit_test(queues_without_a_log_are_dropped),
		cmocka_unit_test(torn_record_is_whole_or_gone),
		cmocka_unit_test(torn_record_is_whole_or_gone_when_reads_are_cold),
		cmocka_unit_test(lost_and_torn_units_come_back),
		cmocka_unit_test(holes_in_a_queue_are_closed),
		cmocka_unit_test(stale_bytes_behind_the_end_never_come_back),
		cmocka_unit_test(damage_after_a_crash_costs_one_message),
		cmocka_unit_test(damage_costs_one_message_when_queues_are_made_again),
		cmocka_unit_test(a_hole_in_what_was_durable_is_damage_and_told),
		cmocka_unit_test(a_disk_that_lied_is_found_out),
		cmocka_unit_test(checkpoint_bounds_the_scan_after_a_crash),
		cmocka_unit_test(checkpoint_is_absent_or_garbage),
		cmocka_unit_test(resume_hint_of_another_log_is_refused),
		cmocka_unit_test(crash_without_hint_scans_from_an_old_segment),
		cmocka_unit_test(lying_checkpoint_leads_to_a_whole_scan),
		cmocka_unit_test(queue_whose_first_records_are_gone_starts_in_the_middle),
		cmocka_unit_test(topic_made_again_does_not_lose_its_new_messages),
		cmocka_unit_test(topic_made_again_without_a_file_does_not_lose_its_new_messages),
		cmocka_unit_test(deleted_topic_stays_away_after_a_crash),
		cmocka_unit_test(failing_read_fails_the_open_and_cuts_nothing),
		cmocka_unit_test(recovery_waits_for_room_in_a_queue),
		cmocka_unit_test(long_scan_lets_others_run),
		cmocka_unit_test(offsets_stay_dense_over_any_number_of_crashes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
