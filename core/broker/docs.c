/*
 * The broker's documents.
 *
 *   docs_load    one after the other, in the order of enum doc_id; for one that is damaged its backup,
 *                as Apache's ConfigManager does; the first that has none ends it
 *   docs_dirty   remembers that a document differs from its file; topics and groups are saved in the
 *                next turn of the loop, offsets at the next tick
 *   save         the whole document is written into a buffer that stays untouched until saved()
 *   saved        tells those who wait for this state (or a later one), and saves again when the
 *                document has changed meanwhile
 *
 * A save that fails is told to everybody who waits for it, logged once, and repeated at each tick.
 */
#include "broker/docs.h"
#include "base/err.h"
#include "base/mem.h"
#include "broker/groups.h"
#include "broker/offsets.h"
#include "broker/schedule.h"
#include "broker/topics.h"
#include <stdlib.h>

/* Documents above this are not written for each single change but after a pause, unless somebody
 * waits: writing 200,000 topics takes the core thread about a tenth of a second. */
#define LARGE_BYTES (UINT64_C(1) << 20)
#define LARGE_PAUSE_NS SECOND_NS

struct doc_state {
	struct docs *docs;
	enum doc_id id;
	uint64_t changes;  /* how often it was changed */
	uint64_t saving;   /* the number of changes that the save under way covers */
	uint64_t on_disk;  /* the number of changes that the file covers */
	bool is_saving, has_failed;
	struct buf content;
	struct mosaic_doc doc;
	struct mosaic_req *waits;      /* told when the save under way, or else the next, ends */
	struct mosaic_req *waits_next; /* came after the save under way had begun: the one after */
	struct mosaic_timer soon;
};

struct docs {
	struct broker *broker;
	struct doc_state states[DOC_COUNT];
	struct mosaic_timer tick;
	bool is_started;

	struct docs_load_req *load;
	struct mosaic_doc load_doc;
	uint32_t load_at;
	bool is_backup; /* the document itself is damaged */

	struct mosaic_req *flush;
	struct mosaic_req flush_waits[DOC_COUNT];
	uint32_t flush_left;
	int32_t flush_status;
};

static const struct {
	const char *name, *backup;
	bool is_lazy; /* offsets may be a few seconds old after a power loss, as Apache's */
} kinds[DOC_COUNT] = {
#define NAMES(name) name, name ".bak"
	[DOC_TOPICS] = { NAMES("config/topics.json"), false },
	[DOC_GROUPS] = { NAMES("config/subscriptionGroup.json"), false },
	[DOC_OFFSETS] = { NAMES("config/consumerOffset.json"), true },
	[DOC_DELAY_OFFSETS] = { NAMES("config/delayOffset.json"), true },
};

static void save_soon(struct mosaic_timer *timer);
static void tick(struct mosaic_timer *timer);

struct docs *docs_create(struct broker *b)
{
	struct docs *d = mem_alloc(sizeof(*d));

	d->broker = b;
	d->tick.fire = tick;
	d->tick.data = d;
	for (int id = 0; id < DOC_COUNT; id++) {
		struct doc_state *s = &d->states[id];

		s->docs = d;
		s->id = (enum doc_id)id;
		s->soon.fire = save_soon;
		s->soon.data = s;
	}
	return d;
}

static void stop_timers(struct docs *d)
{
	d->broker->host->timer_stop(d->broker->host, &d->tick);
	for (int id = 0; id < DOC_COUNT; id++)
		d->broker->host->timer_stop(d->broker->host, &d->states[id].soon);
	d->is_started = false;
}

void docs_destroy(struct docs *d)
{
	stop_timers(d);
	for (int id = 0; id < DOC_COUNT; id++)
		buf_free(&d->states[id].content);
	free(d);
}

/* ---- loading ---------------------------------------------------------------------------- */

static int parse(struct docs *d, enum doc_id id, struct mosaic_slice text, struct mosaic_error *err)
{
	switch (id) {
	case DOC_TOPICS:
		return topics_load(d->broker->topics, text, err);
	case DOC_GROUPS:
		return groups_load(d->broker->groups, text, err);
	case DOC_OFFSETS:
		return offsets_load(d->broker->offsets, text, err);
	case DOC_DELAY_OFFSETS:
		return schedule_load(d->broker->schedule, text, err);
	case DOC_COUNT:
		break;
	}
	return MOSAIC_E_INVAL;
}

static void loaded(struct mosaic_req *req);

static int load_next(struct docs *d)
{
	d->load_doc = (struct mosaic_doc){ .req = { .done = loaded, .data = d },
					   .name = d->is_backup ? kinds[d->load_at].backup
								: kinds[d->load_at].name };
	return log_doc_load(d->broker->log, &d->load_doc);
}

static int take_loaded(struct docs *d, int32_t status)
{
	struct mosaic_error why = ERR_INIT;
	const char *name = kinds[d->load_at].name;
	int rc = 0;

	if (status == MOSAIC_E_NOTFOUND && d->is_backup)
		return d->load->err.code;
	if (status == MOSAIC_E_NOTFOUND)
		return 0;
	if (status != 0)
		return err_set(&d->load->err, status, "cannot read %s: %s", name,
			       status_text(status));
	if (d->load_doc.len > 0)
		rc = parse(d, (enum doc_id)d->load_at,
			   slice(d->load_doc.content, d->load_doc.len), &why);
	log_doc_release(d->broker->log, &d->load_doc);
	if (rc != 0 && !d->is_backup)
		return err_set(&d->load->err, rc, "%s: %s: repair it or take it away", name,
			       why.text);
	if (d->is_backup && rc == 0)
		LOG_WARN(d->broker->host, "document_damaged",
			 "name=%s text=\"its backup is used; what changed last is forgotten\"",
			 name);
	return rc;
}

/* The next document to load: the backup of one that is damaged, or else the next one. False: that
 * was all, *rc tells how it went. */
static bool load_on(struct docs *d, int *rc)
{
	if (*rc == MOSAIC_E_CORRUPT && !d->is_backup) {
		d->is_backup = true;
		return true;
	}
	d->is_backup = false;
	return *rc == 0 && ++d->load_at < DOC_COUNT;
}

static void loaded(struct mosaic_req *req)
{
	struct docs *d = req->data;
	struct docs_load_req *load = d->load;
	int rc = take_loaded(d, req->status);

	while (load_on(d, &rc)) {
		rc = load_next(d);
		if (rc >= 0)
			return;
		rc = take_loaded(d, rc);
	}
	d->load = NULL;
	load->req.status = rc;
	load->req.done(&load->req);
}

int docs_load(struct docs *d, struct docs_load_req *req)
{
	int rc;

	ASSERT(!d->load);
	d->load = req;
	d->load_at = 0;
	d->is_backup = false;
	rc = load_next(d);
	if (rc < 0) {
		d->load = NULL;
		return err_set(&req->err, rc, "cannot read %s: %s", kinds[0].name, status_text(rc));
	}
	return 0;
}

/* ---- saving ----------------------------------------------------------------------------- */

static void write_doc(struct docs *d, enum doc_id id, struct buf *out)
{
	buf_clear(out);
	switch (id) {
	case DOC_TOPICS:
		topics_save(d->broker->topics, out);
		break;
	case DOC_GROUPS:
		groups_save(d->broker->groups, out);
		break;
	case DOC_OFFSETS:
		offsets_save(d->broker->offsets, out);
		break;
	case DOC_DELAY_OFFSETS:
		schedule_save(d->broker->schedule, out);
		break;
	case DOC_COUNT:
		break;
	}
}

static void finish(struct mosaic_req *waits, int32_t status)
{
	while (waits) {
		struct mosaic_req *next = waits->next;

		waits->status = status;
		waits->done(waits);
		waits = next;
	}
}

static void wait_add(struct mosaic_req **list, struct mosaic_req *req)
{
	req->next = NULL;
	while (*list)
		list = &(*list)->next;
	*list = req;
}

static void ended(struct doc_state *s, int32_t status)
{
	const struct mosaic_host *host = s->docs->broker->host;
	struct mosaic_req *waits = s->waits;

	s->is_saving = false;
	s->waits = s->waits_next;
	s->waits_next = NULL;
	if (status == 0)
		s->on_disk = s->saving;
	if (status != 0 && !s->has_failed)
		LOG_ERROR(host, "document_not_saved", "name=%s error=%s", kinds[s->id].name,
			  status_name(status));
	else if (status == 0 && s->has_failed)
		LOG_INFO(host, "document_saved_again", "name=%s", kinds[s->id].name);
	s->has_failed = status != 0;
	finish(waits, status);
}

static void save(struct doc_state *s);
static void plan(struct doc_state *s);

static void saved(struct mosaic_req *req)
{
	struct doc_state *s = req->data;

	ended(s, req->status);
	/* Those who came meanwhile wait for a save of their own. */
	if (s->waits && !s->is_saving)
		save(s);
	else if (s->docs->is_started && !s->has_failed)
		plan(s);
}

static void save(struct doc_state *s)
{
	struct docs *d = s->docs;
	int rc;

	ASSERT(!s->is_saving);
	d->broker->host->timer_stop(d->broker->host, &s->soon);
	s->saving = s->changes; /* writing may find that there will be more to save */
	write_doc(d, s->id, &s->content);
	s->is_saving = true;
	s->doc = (struct mosaic_doc){
		.req = { .done = saved, .data = s },
		.name = kinds[s->id].name,
		.content = s->content.data,
		.len = s->content.len,
		.flags = MOSAIC_DOC_BACKUP |
			 (kinds[s->id].is_lazy && !d->flush ? MOSAIC_DOC_LAZY : 0),
	};
	rc = log_doc_save(d->broker->log, &s->doc);
	if (rc < 0)
		ended(s, rc);
}

static void save_soon(struct mosaic_timer *timer)
{
	struct doc_state *s = timer->data;

	if (!s->is_saving && s->changes != s->on_disk)
		save(s);
}

/* Topics and groups are saved in the next turn, so that a burst of changes makes one save. */
static void plan(struct doc_state *s)
{
	const struct mosaic_host *host = s->docs->broker->host;
	bool is_large = s->content.len > LARGE_BYTES && !s->waits;

	if (kinds[s->id].is_lazy || s->is_saving || s->changes == s->on_disk)
		return;
	if (s->soon.due_ns == 0 || !is_large)
		host->timer_start(host, &s->soon, is_large ? LARGE_PAUSE_NS : 0);
}

void docs_dirty(struct docs *d, enum doc_id id)
{
	d->states[id].changes++;
	if (d->is_started)
		plan(&d->states[id]);
}

static void tick(struct mosaic_timer *timer)
{
	struct docs *d = timer->data;

	for (int id = 0; id < DOC_COUNT; id++) {
		struct doc_state *s = &d->states[id];

		if (!s->is_saving && s->changes != s->on_disk)
			save(s);
	}
	d->broker->host->timer_start(d->broker->host, &d->tick, OFFSETS_SAVE_MS * MS_NS);
}

void docs_start(struct docs *d)
{
	d->is_started = true;
	for (int id = 0; id < DOC_COUNT; id++)
		plan(&d->states[id]);
	d->broker->host->timer_start(d->broker->host, &d->tick, OFFSETS_SAVE_MS * MS_NS);
}

int docs_saved(struct docs *d, enum doc_id id, struct mosaic_req *req)
{
	struct doc_state *s = &d->states[id];

	if (s->changes == s->on_disk && !s->has_failed) {
		req->status = 0;
		d->broker->host->post(d->broker->host, req);
		return 0;
	}
	if (s->is_saving && s->saving != s->changes) {
		wait_add(&s->waits_next, req);
		return 0;
	}
	wait_add(&s->waits, req);
	if (!s->is_saving)
		d->broker->host->timer_start(d->broker->host, &s->soon, 0);
	return 0;
}

static void flushed_one(struct mosaic_req *req)
{
	struct docs *d = req->data;
	struct mosaic_req *flush = d->flush;

	if (req->status != 0)
		d->flush_status = req->status;
	if (--d->flush_left > 0)
		return;
	d->flush = NULL;
	flush->status = d->flush_status;
	flush->done(flush);
}

int docs_flush(struct docs *d, struct mosaic_req *req)
{
	ASSERT(!d->flush);
	stop_timers(d);
	d->flush = req;
	d->flush_left = DOC_COUNT;
	d->flush_status = 0;
	for (int id = 0; id < DOC_COUNT; id++) {
		struct mosaic_req *wait = &d->flush_waits[id];

		*wait = (struct mosaic_req){ .done = flushed_one, .data = d };
		docs_saved(d, (enum doc_id)id, wait);
	}
	return 0;
}
