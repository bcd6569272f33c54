/* Saving and loading of the broker's documents. */
#include "broker/docs.h"
#include "broker/groups.h"
#include "broker/offsets.h"
#include "control_rig.h"

/* A store between the broker and store-memory: documents are kept here, saves end when the test
 * says. */
struct shelf {
	struct mosaic_doc *saving[DOC_COUNT * 2];
	uint32_t n_saving, n_saves;
	bool holds;
	int32_t fail;
};

static struct shelf shelf;
static const struct mosaic_store_ops *real;

static int32_t shelf_save(struct mosaic_store *store, struct mosaic_doc *doc)
{
	shelf.n_saves++;
	if (shelf.fail)
		return shelf.fail;
	if (!shelf.holds)
		return real->doc_save(store, doc);
	shelf.saving[shelf.n_saving++] = doc;
	return MOSAIC_PENDING;
}

static void shelf_release(int32_t status)
{
	uint32_t n = shelf.n_saving;
	struct mosaic_doc *docs[ARRAY_LEN(shelf.saving)];

	memcpy(docs, shelf.saving, sizeof(docs));
	shelf.n_saving = 0;
	for (uint32_t i = 0; i < n; i++) {
		docs[i]->req.status = status;
		docs[i]->req.done(&docs[i]->req);
	}
}

static struct mosaic_store_ops shelf_ops;

static void shelf_open(struct rig *r)
{
	rig_open(r, NULL);
	fake_host_advance_ms(&r->host, 6000); /* what the boot has changed is saved */
	memset(&shelf, 0, sizeof(shelf));
	real = r->store_ops;
	shelf_ops = *real;
	shelf_ops.doc_save = shelf_save;
	r->log->config.store_ops = &shelf_ops;
}

static void topics_are_saved_at_once_offsets_each_five_seconds(void **state)
{
	struct rig r;
	(void)state;
	shelf_open(&r);
	topics_add(r.broker->topics, slice_str("A"), 1, 6, false);
	topics_add(r.broker->topics, slice_str("B"), 1, 6, false);
	fake_host_run(&r.host);
	assert_int_equal(shelf.n_saves, 1); /* together */
	offsets_commit(r.broker->offsets, slice_str("A"), slice_str("G"), 0, 1);
	fake_host_run(&r.host);
	assert_int_equal(shelf.n_saves, 1);
	fake_host_advance_ms(&r.host, 5000);
	assert_int_equal(shelf.n_saves, 2);
	fake_host_advance_ms(&r.host, 20000); /* nothing has changed */
	assert_int_equal(shelf.n_saves, 2);
	rig_close(&r);
}

static void change_during_a_save_makes_one_more(void **state)
{
	struct rig r;
	(void)state;
	shelf_open(&r);
	shelf.holds = true;
	topics_add(r.broker->topics, slice_str("A"), 1, 6, false);
	fake_host_run(&r.host);
	assert_int_equal(shelf.n_saves, 1);
	topics_add(r.broker->topics, slice_str("B"), 1, 6, false);
	topics_add(r.broker->topics, slice_str("C"), 1, 6, false);
	fake_host_advance_ms(&r.host, 100);
	assert_int_equal(shelf.n_saves, 1); /* one at a time */
	shelf_release(0);
	fake_host_run(&r.host);
	assert_int_equal(shelf.n_saves, 2);
	shelf_release(0);
	fake_host_run(&r.host);
	assert_int_equal(shelf.n_saves, 2);
	shelf.holds = false;
	rig_close(&r);
}

static void answer_waits_for_the_save_that_covers_it(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	shelf_open(&r);
	struct mosaic_conn *c = rig_dial(&r);
	shelf.holds = true;
	fake_conn_request(c, REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
			  slice_str("{\"groupName\":\"A\"}"), NULL);
	rig_no_answer(&r, c);
	fake_conn_request(c, REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
			  slice_str("{\"groupName\":\"B\"}"), NULL);
	rig_no_answer(&r, c);
	shelf_release(0);
	assert_int_equal(rig_answer(&r, c).header.code, 0);
	rig_no_answer(&r, c); /* B came after that save had begun */
	shelf_release(0);
	assert_int_equal(rig_answer(&r, c).header.code, 0);
	fake_conn_request(c, REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
			  slice_str("{\"groupName\":\"C\"}"), NULL);
	rig_no_answer(&r, c);
	shelf_release(MOSAIC_E_IO);
	f = rig_answer(&r, c);
	assert_int_equal(f.header.code, 1);
	assert_true(slice_has_prefix(f.header.remark,
			"the change is in effect, but it is not on disk"));
	assert_true(fake_host_logged(&r.host, "document_not_saved"));
	shelf.holds = false;
	fake_host_advance_ms(&r.host, 5000); /* tried again */
	assert_true(fake_host_logged(&r.host, "document_saved_again"));
	rig_close(&r);
}

static void save_that_fails_at_once_is_told_too(void **state)
{
	struct rig r;
	(void)state;
	shelf_open(&r);
	struct mosaic_conn *c = rig_dial(&r);
	shelf.fail = MOSAIC_E_NOSPACE;
	fake_conn_request(c, REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
			  slice_str("{\"groupName\":\"A\"}"), NULL);
	assert_int_equal(rig_wait(&r, c).header.code, 1);
	assert_non_null(groups_find(r.broker->groups, slice_str("A")));
	shelf.fail = 0;
	rig_close(&r);
}

static void sends_to_a_topic_that_cannot_be_saved_are_refused(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	shelf_open(&r);
	struct mosaic_conn *c = rig_dial(&r);
	assert_int_equal(rig_send(&r, c, "Old", 0, "", "x").header.code, RES_SUCCESS);
	shelf.fail = MOSAIC_E_NOSPACE;
	for (int i = 0; i < 3; i++) {
		f = rig_send(&r, c, "New", 0, "", "x");
		assert_int_equal(f.header.code, RES_SERVICE_NOT_AVAILABLE);
		assert_true(slice_has_prefix(f.header.remark,
			"service not available now: a new topic cannot be saved: no space"));
	}
	assert_int_equal(rig_send(&r, c, "Old", 0, "", "x").header.code, RES_SUCCESS);
	shelf.fail = 0;
	assert_int_equal(rig_send(&r, c, "New", 0, "", "x").header.code, RES_SUCCESS);
	rig_close(&r);
}

/* Documents that a former life has left, by enum doc_id; NULL: no such file. */
static const char *former[DOC_COUNT], *former_backup[DOC_COUNT];
static const struct mosaic_host *former_host;

static int32_t former_load(struct mosaic_store *store, struct mosaic_doc *doc)
{
	static const char *const names[DOC_COUNT] = {
		"config/topics.json", "config/subscriptionGroup.json", "config/consumerOffset.json",
		"config/delayOffset.json",
	};
	(void)store;
	doc->req.status = MOSAIC_E_NOTFOUND;
	for (int id = 0; id < DOC_COUNT; id++) {
		size_t len = strlen(names[id]);
		if (strncmp(doc->name, names[id], len) != 0)
			continue;
		bool is_backup = strcmp(doc->name + len, ".bak") == 0;
		const char *text = is_backup ? former_backup[id] : former[id];
		if (!text)
			continue;
		doc->req.status = 0;
		doc->content = (const uint8_t *)text;
		doc->len = strlen(text);
	}
	former_host->post(former_host, &doc->req);
	return MOSAIC_PENDING;
}

static void former_release(struct mosaic_store *store, struct mosaic_doc *doc)
{
	(void)store, (void)doc;
}

/* Loads what is in former[] into empty tables of the rig's broker; the tables stay. */
static int load_former(struct rig *r, struct mosaic_error *err)
{
	struct broker *b = r->broker;
	struct docs *docs = docs_create(b);
	struct docs_load_req req = { .req = { .done = rig_done, .data = r }, .err = ERR_INIT };

	topics_destroy(b->topics);
	groups_destroy(b->groups);
	offsets_destroy(b->offsets);
	b->topics = topics_create(b);
	b->groups = groups_create(b);
	b->offsets = offsets_create(b);
	former_host = b->host;
	shelf_ops.doc_load = former_load;
	shelf_ops.doc_release = former_release;
	r->done = false;
	assert_int_equal(docs_load(docs, &req), 0);
	assert_false(r->done); /* never inside the call */
	fake_host_run(&r->host);
	assert_true(r->done);
	docs_destroy(docs);
	*err = req.err;
	return r->status;
}

static void what_was_saved_is_loaded(void **state)
{
	struct rig r;
	struct mosaic_error err;
	struct buf topics = BUF_INIT, groups = BUF_INIT, offsets = BUF_INIT;
	(void)state;
	shelf_open(&r);
	struct mosaic_conn *c = rig_dial(&r);
	rig_set_topic(&r, c, "Kept", "3", "");
	rig_heartbeat(&r, c, "id", "CG", "Kept", "*", 1);
	offsets_commit(r.broker->offsets, slice_str("Kept"), slice_str("CG"), 2, 77);
	topics_save(r.broker->topics, &topics);
	groups_save(r.broker->groups, &groups);
	offsets_save(r.broker->offsets, &offsets);
	former[DOC_TOPICS] = buf_cstr(&topics);
	former[DOC_GROUPS] = buf_cstr(&groups);
	former[DOC_OFFSETS] = buf_cstr(&offsets);
	former[DOC_DELAY_OFFSETS] = NULL;
	int64_t version = r.broker->topics->version.counter;
	assert_int_equal(load_former(&r, &err), 0);
	assert_int_equal(topics_find(r.broker->topics, slice_str("Kept"))->read_queues, 3);
	assert_true(topics_find(r.broker->topics, slice_str("TBW102"))->is_system);
	assert_int_equal(r.broker->topics->version.counter, version);
	assert_non_null(groups_find(r.broker->groups, slice_str("CG")));
	assert_int_equal(offsets_get(r.broker->offsets, slice_str("Kept"), slice_str("CG"), 2), 77);
	rig_close(&r);
	buf_free(&topics);
	buf_free(&groups);
	buf_free(&offsets);
}

static void first_start_has_no_documents_and_damaged_ones_are_named(void **state)
{
	struct rig r;
	struct mosaic_error err;
	(void)state;
	shelf_open(&r);
	memset(former, 0, sizeof(former));
	assert_int_equal(load_former(&r, &err), 0);
	former[DOC_OFFSETS] = "{\"offsetTable\":{";
	assert_int_equal(load_former(&r, &err), MOSAIC_E_CORRUPT);
	assert_non_null(strstr(err.text, "config/consumerOffset.json"));
	rig_close(&r);
}

static void a_damaged_document_has_a_backup(void **state)
{
	struct rig r;
	struct mosaic_error err;
	(void)state;
	shelf_open(&r);
	memset(former, 0, sizeof(former));
	former[DOC_TOPICS] = "nonsense";
	former_backup[DOC_TOPICS] = "{\"topicConfigTable\":{\"T\":{\"readQueueNums\":3,"
				    "\"writeQueueNums\":3}}}";
	former[DOC_OFFSETS] = "{\"offsetTable\":{\"T@G\":{0:7}}}";
	former_backup[DOC_OFFSETS] = "{\"offsetTable\":{\"T@G\":{0:5}}}";
	assert_int_equal(load_former(&r, &err), 0);
	assert_int_equal(topics_find(r.broker->topics, slice_str("T"))->read_queues, 3);
	assert_int_equal(offsets_get(r.broker->offsets, slice_str("T"), slice_str("G"), 0), 7);
	assert_true(fake_host_logged(&r.host, "document_damaged name=config/topics.json"));
	former_backup[DOC_TOPICS] = "{";
	assert_int_equal(load_former(&r, &err), MOSAIC_E_CORRUPT);
	assert_non_null(strstr(err.text, "config/topics.json"));
	memset(former_backup, 0, sizeof(former_backup));
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(topics_are_saved_at_once_offsets_each_five_seconds),
		cmocka_unit_test(change_during_a_save_makes_one_more),
		cmocka_unit_test(answer_waits_for_the_save_that_covers_it),
		cmocka_unit_test(save_that_fails_at_once_is_told_too),
		cmocka_unit_test(sends_to_a_topic_that_cannot_be_saved_are_refused),
		cmocka_unit_test(what_was_saved_is_loaded),
		cmocka_unit_test(first_start_has_no_documents_and_damaged_ones_are_named),
		cmocka_unit_test(a_damaged_document_has_a_backup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
