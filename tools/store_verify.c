/*
 * mosaic store verify: one walk over the log, each record against its unit and its index entries;
 * then each unit against its record; then the small files.
 */
#include "store.h"
#include "base/err.h"
#include "base/mem.h"
#include "log/delay.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LMQ_PREFIX "%LMQ%"

struct verify {
	struct store_dir *dir;
	struct report *report;
	struct store_checks *checks;
	struct index_check index;
	json_t *topics; /* topicConfigTable, NULL: not readable */
	int64_t newest_ms; /* store time of the last whole record so far */
};

/* ---- segments ---- */

static void verify_segments(struct store_dir *d, struct report *r, struct store_checks *checks)
{
	for (uint32_t i = 0; i < d->log.n; i++) {
		const struct store_file *file = &d->log.files[i];
		const struct store_file *before = i > 0 ? &d->log.files[i - 1] : NULL;
		if (file->size == 0 && before && i + 1 == d->log.n) {
			report_add(r, &(struct finding){
				.is_note = true,
				.file = file->path,
				.at = -1,
				.what = "the last segment is empty",
				.cost = "Nothing: it had only been made",
				.action = "The next start removes it" });
		} else if (file->size != d->log.file_bytes) {
			checks->log = true;
			report_add(r, &(struct finding){
				.file = file->path,
				.at = -1,
				.what = report_text(r, "the segment has %" PRIu64 " bytes, the "
						    "others have %" PRIu64,
						    file->size, d->log.file_bytes),
				.cost = "No broker opens the directory like this; records behind "
					"its end are lost",
				.action = "repair gives it its size back, with zeros" });
		}
		if (before && file->start != before->start + d->log.file_bytes) {
			checks->log = true;
			checks->n_missing_segments++;
			report_add(r, &(struct finding){
				.file = file->path,
				.at = -1,
				.what = "the segment before it is missing",
				.cost = "Its records are lost, and no broker opens the directory",
				.action = "Bring the file back, from a backup or a slave; repair "
					  "cannot make it" });
		}
	}
}

void store_verify_odd(const struct store_dir *d, struct report *r)
{
	for (uint32_t i = 0; i < d->n_odd; i++)
		report_add(r, &(struct finding){
			.file = d->odd[i].path,
			.at = -1,
			.what = report_text(r, "it cannot be looked at: %s", d->odd[i].what),
			.cost = "What it holds is not seen, here and by a broker, which may not "
				"start",
			.action = "Make it readable, or bring it back from a copy: repair does "
				  "nothing before" });
}

static const char *log_path(struct store_dir *d, uint64_t at, uint64_t *in_file)
{
	for (uint32_t i = d->log.n; i > 0; i--) {
		const struct store_file *file = &d->log.files[i - 1];
		*in_file = at - file->start;
		if (file->start <= at)
			return file->path;
	}
	return "commitlog";
}

/* What a crash leaves: the write of the last record had only begun. It is damage where the
 * checkpoint knows of newer records that were durable. */
static bool is_torn_by_crash(const struct verify *v)
{
	const struct store_dir *d = v->dir;
	int64_t durable_ms = d->checkpoint_bytes >= 8 ? (int64_t)get_be64(d->checkpoint) : 0;
	return d->is_crashed && v->newest_ms >= durable_ms;
}

static void verify_damage(struct verify *v, const struct walk_item *item)
{
	uint64_t in_file = 0;
	const char *path = log_path(v->dir, item->at, &in_file);
	bool is_tail = item->kind == WALK_TAIL;
	struct report *r = v->report;
	char cost[512];
	v->checks->log = true;
	if (is_tail)
		snprintf(cost, sizeof(cost), "A broker cuts it off at its next start, with the "
			 "message that it was to be");
	else if (item->has_message)
		snprintf(cost, sizeof(cost), "One message, offset %" PRId64 " of queue %d of topic "
			 "%.*s, which is skipped; Apache's broker cuts off everything behind it "
			 "when it recovers over it",
			 item->m.queue_offset, item->m.queue_id, SLICE_ARG(item->m.topic));
	else
		snprintf(cost, sizeof(cost), "The message that was here, or the few that were; "
			 "Apache's broker cuts off everything behind it when it recovers over it");
	report_add(r, &(struct finding){
		.is_note = is_tail && is_torn_by_crash(v),
		.file = path,
		.at = (int64_t)in_file,
		.what = report_text(r, "%" PRIu64 " bytes are no whole record: %s", item->len,
				    item->what),
		.cost = cost,
		.action = is_tail ? "repair puts zeros there"
				  : "repair takes it out and keeps what follows; the queue keeps "
				    "its offset free" });
}

/* ---- records against units ---- */

static bool has_unit(int32_t sys_flag)
{
	int32_t transaction = sys_flag & SYS_TRANSACTION_MASK;
	return (transaction == 0 || transaction == SYS_TRANSACTION_COMMIT) &&
	       !(sys_flag & SYS_INNER_BATCH);
}

bool store_unit_of(const struct message *m, uint64_t len, struct queue_unit *unit)
{
	if (!has_unit(m->sys_flag) || m->queue_offset < 0 ||
	    m->queue_offset >= INT64_MAX / QUEUE_UNIT_BYTES)
		return false;
	struct mosaic_slice tags = props_find(m->props, PROP_TAGS);
	*unit = (struct queue_unit){ (uint64_t)m->phys_offset, (uint32_t)len,
				     tags.len ? message_tags_code(tags) : 0 };
	if (slice_is(m->topic, DELAY_TOPIC))
		unit->tags_code = m->store_ms + delay_level_ms((int64_t)m->queue_id + 1);
	return true;
}

static bool unit_is_zero(const struct queue_unit *unit)
{
	return unit->size == 0 || unit->size == QUEUE_FILLER_SIZE;
}

/* The tags of a unit: other delays, and extended units, are none of our business. */
static bool tags_fit(const struct message *m, const struct queue_unit *is,
		     const struct queue_unit *should)
{
	return is->tags_code == should->tags_code || is->tags_code <= QUEUE_EXT_ADDRESS_MAX ||
	       (slice_is(m->topic, DELAY_TOPIC) && is->tags_code >= m->store_ms);
}

bool store_unit_has_record(struct store_dir *d, const struct store_queue *q, int64_t index,
			   const struct queue_unit *unit)
{
	if (d->log.file_bytes == 0 || unit->size < RECORD_FIXED_BYTES)
		return false;
	for (uint32_t i = 0; i < d->log.n; i++) {
		struct store_file *file = &d->log.files[i];
		if (unit->phys_offset < file->start ||
		    unit->phys_offset - file->start + unit->size > file->size)
			continue;
		const uint8_t *map = store_file_map(d, file);
		const uint8_t *p = map ? map + (unit->phys_offset - file->start) : NULL;
		if (!p || get_be32(p) != unit->size ||
		    get_be64(p + RECORD_AT_PHYS_OFFSET) != unit->phys_offset ||
		    !has_unit((int32_t)get_be32(p + RECORD_AT_SYS_FLAG)))
			return false;
		if (slice_has_prefix(slice_str(q->topic), LMQ_PREFIX))
			return true;
		struct message m;
		uint32_t len;
		return get_be64(p + RECORD_AT_QUEUE_OFFSET) == (uint64_t)index &&
		       get_be32(p + RECORD_AT_QUEUE_ID) == (uint32_t)q->queue_id &&
		       record_decode(p, unit->size, false, &m, &len) == RECORD_MESSAGE &&
		       slice_is(m.topic, q->topic);
	}
	return false;
}

static const json_t *topic_of(const struct verify *v, struct mosaic_slice topic)
{
	char name[256];
	if (topic.len >= sizeof(name) || !v->topics)
		return NULL;
	memcpy(name, topic.ptr, topic.len);
	name[topic.len] = '\0';
	return json_object_get(v->topics, name);
}

/* A topic that is not in topics.json was deleted: its records have no queue any more. */
static bool topic_is_there(const struct verify *v, struct mosaic_slice topic)
{
	return topic_of(v, topic) != NULL;
}

/* Units of a topic with a time of its own go before the records do. */
static bool may_be_expired(const struct verify *v, const struct store_queue *q,
			   const struct message *m)
{
	const json_t *attributes = json_object_get(topic_of(v, m->topic), "attributes");
	return m->queue_offset < q->begin && json_object_get(attributes, "reserve.time") != NULL;
}

/* A topic of batch queues (queue.type=BatchCQ) has units of another shape, elsewhere. */
static bool has_batch_queues(const struct verify *v, struct mosaic_slice topic)
{
	char path[300];
	if (!v->dir->has_batch_queues || topic.len > 255)
		return false;
	snprintf(path, sizeof(path), "batchconsumequeue/%.*s", SLICE_ARG(topic));
	return faccessat(v->dir->fd, path, F_OK, 0) == 0;
}

static void restart(struct store_queue *q)
{
	q->next = 0;
	q->n_missing = q->n_wrong = 0;
}

static void verify_unit(struct verify *v, const struct message *m, uint64_t len)
{
	struct queue_unit should, unit;
	if (!store_unit_of(m, len, &should) || has_batch_queues(v, m->topic))
		return;
	struct store_queue *q = store_queue_find(v->dir, m->topic, m->queue_id);
	if (!q && topic_is_there(v, m->topic))
		q = store_queue_add(v->dir, m->topic, m->queue_id);
	if (!q)
		return;
	bool is_there = store_unit_at(v->dir, q, m->queue_offset, &unit) && !unit_is_zero(&unit);
	bool is_right = is_there && unit.phys_offset == should.phys_offset &&
			unit.size == should.size && tags_fit(m, &unit, &should);
	/* Where the queue begins: records before it are of a topic that was deleted since. */
	if (is_right && m->queue_offset == 0)
		restart(q);
	if (m->queue_offset >= q->next)
		q->next = m->queue_offset + 1;
	if (is_right || may_be_expired(v, q, m))
		return;
	/* The topic was made again since, and this record is of the time before. */
	if (is_there && unit.phys_offset > should.phys_offset &&
	    store_unit_has_record(v->dir, q, m->queue_offset, &unit))
		return;
	if (q->n_missing + q->n_wrong == 0) {
		q->first_bad = (uint64_t)m->queue_offset;
		q->first_bad_ms = m->store_ms;
	}
	*(is_there ? &q->n_wrong : &q->n_missing) += 1;
}

static void see(void *ctx, const struct walk_item *item)
{
	struct verify *v = ctx;
	if (item->kind != WALK_RECORD) {
		verify_damage(v, item);
		return;
	}
	v->checks->n_records++;
	v->newest_ms = item->m.store_ms;
	verify_unit(v, &item->m, item->len);
	index_check_record(&v->index, &item->m);
}

/* ---- units against records ---- */

/* logicsMsgTimestamp: units of older records are on the disk. */
static int64_t units_durable_ms(const struct store_dir *d)
{
	return d->checkpoint_bytes >= 16 ? (int64_t)get_be64(d->checkpoint + 8) : 0;
}

struct lost_units {
	uint64_t n;
	int64_t first;
};

/* Units that begin in [from, end) of a file and point to no record. */
static void find_lost(struct verify *v, struct store_queue *q, struct store_file *file,
		      uint64_t from, uint64_t end, struct lost_units *lost)
{
	for (; from < end && !store_hole_follows(v->dir, file, from, end);
	     from += QUEUE_UNIT_BYTES) {
		int64_t i = (int64_t)((file->start + from) / QUEUE_UNIT_BYTES);
		struct queue_unit unit;
		if (i < q->begin || !store_unit_at(v->dir, q, i, &unit) || unit_is_zero(&unit) ||
		    unit.phys_offset < store_log_begin(v->dir) ||
		    store_unit_has_record(v->dir, q, i, &unit))
			continue;
		if (lost->n++ == 0)
			lost->first = i;
	}
}

/* File by file, and holes are left out: names may be far apart. */
static struct lost_units lost_units_of(struct verify *v, struct store_queue *q)
{
	struct lost_units lost = { 0, -1 };
	for (uint32_t i = 0; i < q->list.n; i++) {
		struct store_file *file = &q->list.files[i];
		int fd = store_open(v->dir, file->path, O_RDONLY);
		for (uint64_t at = 0, end; at < file->size; at = end) {
			uint64_t data = store_next_data(fd, at, file->size, &end);
			if (data == end)
				break;
			data -= data % QUEUE_UNIT_BYTES;
			find_lost(v, q, file, data, end, &lost);
		}
		if (fd >= 0)
			close(fd);
	}
	return lost;
}

static void verify_queue(struct verify *v, struct store_queue *q)
{
	struct lost_units lost = lost_units_of(v, q);
	uint64_t n_lost = lost.n;
	int64_t first_lost = lost.first;
	char path[512];
	struct report *r = v->report;
	snprintf(path, sizeof(path), "consumequeue/%s/%d", q->topic, q->queue_id);
	if (n_lost > 0)
		report_add(r, &(struct finding){
			.is_note = v->dir->is_crashed && (uint64_t)first_lost >= (uint64_t)q->next,
			.file = path,
			.at = first_lost * QUEUE_UNIT_BYTES,
			.what = report_text(r, "%" PRIu64 " units, the first of offset %" PRId64
					    ", point to no record of this queue",
					    n_lost, first_lost),
			.cost = "Consumers get nothing for these offsets, or a message that is not "
				"theirs",
			.action = "repair makes the queue again from the log" });
	uint64_t n_bad = q->n_missing + q->n_wrong;
	/* Units that the checkpoint takes for durable are not what a crash explains. */
	bool is_tail = q->n_wrong == 0 && (int64_t)q->first_bad >= q->end &&
		       q->first_bad_ms >= units_durable_ms(v->dir);
	bool has_none = v->dir->queue_file_bytes == 0;
	bool is_note = has_none || (v->dir->is_crashed && is_tail);
	if (n_bad > 0)
		report_add(r, &(struct finding){
			.is_note = is_note,
			.file = path,
			.at = (int64_t)q->first_bad * QUEUE_UNIT_BYTES,
			.what = report_text(r, "%" PRIu64 " records of the log, the first of offset"
					    " %" PRIu64 ", have no unit or a wrong one",
					    n_bad, q->first_bad),
			.cost = "Their messages are stored and not delivered",
			.action = has_none ? "There are no queues at all: the next start makes them"
				  : is_note ? "The next start makes them, as after any crash"
					    : "repair makes the queue again from the log" });
	q->n_wrong += n_lost;
	v->checks->queues |= !has_none && q->n_wrong + q->n_missing > 0;
	for (uint32_t i = 0; i < q->list.n; i++) {
		const struct store_file *file = &q->list.files[i];
		if (file->size == v->dir->queue_file_bytes ||
		    (file->size == 0 && i + 1 == q->list.n))
			continue;
		q->n_wrong++;
		v->checks->queues = true;
		report_add(r, &(struct finding){
			.file = file->path,
			.at = -1,
			.what = report_text(r, "the file has %" PRIu64 " bytes, others have %"
					    PRIu64, file->size, v->dir->queue_file_bytes),
			.cost = "No broker opens the directory like this",
			.action = "repair makes the queue again from the log" });
	}
}

static bool is_made_by_brokers(const char *topic)
{
	static const char *const prefixes[] = { "%", "RMQ_SYS_", "rmq_sys_", DELAY_TOPIC,
						"TRANS_CHECK_MAX_TIME_TOPIC" };
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (slice_has_prefix(slice_str(topic), prefixes[i]))
			return true;
	return false;
}

/* Queues of a topic that nobody knows of: topics.json was lost, or is an old one. */
static void verify_topics(const struct verify *v)
{
	const char *before = "";
	for (uint32_t i = 0; i < v->dir->n_queues; i++) {
		const struct store_queue *q = v->dir->queues[i];
		if (q->end == q->begin || strcmp(q->topic, before) == 0 ||
		    is_made_by_brokers(q->topic) || topic_is_there(v, slice_str(q->topic)))
			continue;
		before = q->topic;
		report_add(v->report, &(struct finding){
			.is_note = true,
			.file = "config/topics.json",
			.at = -1,
			.what = report_text(v->report, "it does not name the topic %s, of which "
					    "there are messages", q->topic),
			.cost = "Nobody can consume them",
			.action = "Create the topic again, with as many queues, and they are there"
		});
	}
}

static json_t *load_topics(struct store_dir *d)
{
	static const char *const names[] = { "config/topics.json", "config/topics.json.bak" };
	struct buf text = BUF_INIT;
	struct mosaic_error err = ERR_INIT;
	json_t *root = NULL;
	for (int i = 0; i < 2 && !json_is_object(root); i++) {
		json_decref(root);
		root = NULL;
		if (store_read_small(d, names[i], &text) && text.len > 0)
			root = json_read(buf_slice(&text), &err);
	}
	json_t *table = json_incref(json_object_get(root, "topicConfigTable"));
	json_decref(root);
	buf_free(&text);
	return table;
}

void store_verify(struct store_dir *d, struct report *r, struct store_checks *checks)
{
	struct verify v = { .dir = d, .report = r, .checks = checks, .topics = load_topics(d) };
	for (uint32_t i = 0; i < d->n_queues; i++) {
		struct store_queue *q = d->queues[i];
		q->next = 0;
		q->n_missing = q->n_wrong = 0;
	}
	if (d->is_crashed)
		report_add(r, &(struct finding){
			.is_note = true,
			.file = "abort",
			.at = -1,
			.what = "the broker that used this directory was not stopped properly",
			.cost = "What is not in queues and index yet is made at the next start",
			.action = "Nothing to do" });
	verify_segments(d, r, checks);
	index_check_begin(&v.index, d, r, checks);
	checks->end = store_walk(d, 0, see, &v);
	index_check_end(&v.index, r, checks);
	for (uint32_t i = 0; i < d->n_queues; i++)
		verify_queue(&v, d->queues[i]);
	verify_topics(&v);
	store_verify_small(d, r, checks);
	store_verify_odd(d, r);
	json_decref(v.topics);
}
