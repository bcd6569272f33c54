#include "config/config.h"
#include "fake_plugins.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

struct fixture {
	struct fake_plugins *fakes;
	struct config *config;
	struct problems problems;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->fakes = fake_plugins_create();
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	config_free(&f->config);
	problems_free(&f->problems);
	fake_plugins_destroy(f->fakes);
	free(f);
	return 0;
}

static const struct config *load(struct fixture *f, const char *text)
{
	config_free(&f->config);
	if (config_load_text("c.json", slice_str(text), f->fakes->plugins, &f->config,
			     &f->problems) != 0)
		fail_msg("%s", problems_text(&f->problems));
	return f->config;
}

static void assert_problems(struct fixture *f, const char *text, const char *wanted)
{
	problems_free(&f->problems);
	assert_int_equal(config_load_text("c.json", slice_str(text), f->fakes->plugins, &f->config,
					  &f->problems), MOSAIC_E_INVAL);
	assert_null(f->config);
	assert_string_equal(problems_text(&f->problems), wanted);
}

static void nothing_said_means_both_roles(void **state)
{
	const struct config *c = load(*state, "{}");

	assert_true(c->has_namesrv);
	assert_string_equal(c->namesrv.listen, "0.0.0.0:9876");
	assert_string_equal(c->namesrv.kv_config, "mosaic-data/namesrv/kvConfig.json");
	assert_int_equal(c->namesrv.broker_expiry_ns, UINT64_C(120000000000));
	assert_int_equal(c->log_level, MOSAIC_LOG_INFO);
	assert_int_equal(c->n_brokers, 1);
	const struct config_broker *b = &c->brokers[0];
	assert_string_equal(b->cluster, "DefaultCluster");
	assert_string_equal(b->name, "broker-a");
	assert_int_equal(b->id, 0);
	assert_string_equal(b->listen, "0.0.0.0:10911");
	assert_int_equal(b->address.port, 10911);
	assert_int_equal(b->address.ip_len, 4);
	assert_int_equal(b->namesrv.count, 1);
	assert_string_equal(b->namesrv.items[0], "127.0.0.1:9876");
	assert_int_equal(b->max_message_bytes, 4 << 20);
	assert_int_equal(b->topic_queues, 8);
	assert_int_equal(b->permission, 6);
	assert_true(b->auto_create_topic);
	assert_string_equal(b->store.plugin->desc.name, "store-mmap");
	assert_string_equal(((struct fake_options *)b->store.options)->dir, "mosaic-data");
	assert_string_equal(b->flush.plugin->desc.name, "flush-async");
	assert_string_equal(b->balance.plugin->desc.name, "lb-roundrobin");
	assert_string_equal(b->transport.plugin->desc.name, "transport-tcp");
	assert_null(b->replication.plugin);
}

static void retention_is_rocketmqs_unless_said_otherwise(void **state)
{
	const struct config_retention *r = &load(*state, "{}")->brokers[0].retention;
	assert_int_equal(r->time_ns, UINT64_C(72) * 3600 * 1000000000);
	assert_int_equal(r->hours, 1u << 4);
	assert_int_equal(r->size_bytes, 0);
	assert_int_equal(r->disk_clean, 75);
	assert_int_equal(r->disk_force, 85);
	assert_int_equal(r->disk_stop, 90);
	assert_false(r->keep_unconsumed);
	r = &load(*state, "{ \"broker\": { \"retention\": { \"at\": \"02;14\","
			  " \"size\": \"1GiB\" } } }")->brokers[0].retention;
	assert_int_equal(r->hours, 1u << 2 | 1u << 14);
	assert_int_equal(r->size_bytes, 1u << 30);
	r = &load(*state, "{ \"broker\": { \"retention\": { \"at\": \"*\" } } }")
		     ->brokers[0].retention;
	assert_int_equal(r->hours, (1u << 24) - 1);
	config_free(&((struct fixture *)*state)->config);
	assert_problems(*state, "{ \"broker\": { \"retention\": { \"at\": \"24\",\n"
				"\"diskForce\": 95 } } }",
			"c.json:1: broker.retention.at: must be hours of the day such as \"04\" or "
			"\"02;14\", or \"*\", not \"24\"\n"
			"c.json:1: broker.retention: \"diskForce\" (95) above \"diskStop\" (90) "
			"would refuse messages before it makes room\n");
}

static void a_whole_file_is_read(void **state)
{
	const struct config *c = load(*state,
		"{ \"roles\": [\"namesrv\", \"broker\"],\n"
		"  \"log\": { \"level\": \"warn\" },\n"
		"  \"plugins\": { \"path\": [\"/\"] },\n"
		"  \"namesrv\": { \"listen\": \"127.0.0.1:19876\", \"kvConfig\": \"/x/kv.json\",\n"
		"    \"transport\": { \"plugin\": \"transport-tcp\" } },\n"
		"  \"broker\": {\n"
		"    \"cluster\": \"C\", \"name\": \"b.1\", \"role\": \"master\", \"id\": 0,\n"
		"    \"address\": \"10.1.2.3\", \"namesrv\": [\"ns-1:9876\", \"[::1]:9877\"],\n"
		"    \"maxMessage\": 65536, \"autoCreateTopic\": false, \"topicQueues\": 4,\n"
		"    \"transport\": { \"plugin\": \"transport-tcp\", \"listen\": \"0.0.0.0:7\" },\n"
		"    \"store\": { \"plugin\": \"store-mmap\", \"dir\": \"/d\", \"segment\": "
		"\"2MiB\" },\n"
		"    \"flush\": { \"plugin\": \"flush-sync\" },\n"
		"    \"replication\": { \"plugin\": \"repl-needy\", \"token\": \"t\" },\n"
		"    \"balance\": { \"plugin\": \"lb-roundrobin\" } } }\n");
	const struct config_broker *b = &c->brokers[0];
	const struct fake_options *store = b->store.options, *transport = b->transport.options;

	assert_int_equal(c->log_level, MOSAIC_LOG_WARN);
	assert_string_equal(c->namesrv.kv_config, "/x/kv.json");
	assert_string_equal(b->name, "b.1");
	assert_string_equal(b->address.text, "10.1.2.3:7");
	assert_int_equal(b->address.ip[3], 3);
	assert_int_equal(b->namesrv.count, 2);
	assert_int_equal(b->max_message_bytes, 65536);
	assert_false(b->auto_create_topic);
	assert_int_equal(b->topic_queues, 4);
	assert_string_equal(store->dir, "/d");
	assert_int_equal(store->segment, 2 << 20);
	assert_string_equal(transport->listen, "0.0.0.0:7"); /* its own option of that name */
	assert_string_equal(b->flush.plugin->desc.name, "flush-sync");
	assert_string_equal(b->replication.plugin->desc.name, "repl-needy");
}

static void roles_follow_the_sections(void **state)
{
	const struct config *c = load(*state, "{ \"namesrv\": {} }");

	assert_true(c->has_namesrv);
	assert_int_equal(c->n_brokers, 0);
	c = load(*state, "{ \"broker\": {} }");
	assert_false(c->has_namesrv);
	assert_int_equal(c->n_brokers, 1);
	c = load(*state, "{ \"roles\": [\"namesrv\"] }");
	assert_int_equal(c->n_brokers, 0);
}

static void a_broker_finds_the_nameserver_of_its_process(void **state)
{
	const struct config *c = load(*state, "{ \"namesrv\": { \"listen\": \"0.0.0.0:0\" }, "
					      "\"broker\": {} }");

	assert_string_equal(c->brokers[0].namesrv.items[0], "127.0.0.1:0");
	c = load(*state, "{ \"namesrv\": { \"listen\": \"[::]:5\" }, \"broker\": {} }");
	assert_string_equal(c->brokers[0].namesrv.items[0], "[::1]:5");
	c = load(*state, "{ \"namesrv\": { \"listen\": \"10.0.0.1:5\" }, \"broker\": {} }");
	assert_string_equal(c->brokers[0].namesrv.items[0], "10.0.0.1:5");
}

static void a_broker_without_nameservers_says_so(void **state)
{
	const struct config *c = load(*state, "{ \"broker\": { \"namesrv\": [] } }");
	struct buf out = BUF_INIT;

	assert_int_equal(c->brokers[0].namesrv.count, 0);
	config_print(c, &out);
	assert_non_null(strstr(buf_cstr(&out), "namesrv      none\n"));
	buf_free(&out);
	c = load(*state, "{ \"broker\": { } }");
	assert_string_equal(c->brokers[0].namesrv.items[0], "127.0.0.1:9876");
}

static void address_is_that_of_the_listener_or_as_written(void **state)
{
	const struct config *c = load(*state, "{ \"broker\": { \"transport\": "
					      "{ \"listen\": \"127.0.0.1:0\" } } }");

	assert_string_equal(c->brokers[0].address.text, "127.0.0.1:0");
	c = load(*state, "{ \"broker\": { \"address\": \"[2001:db8::1]:80\" } }");
	assert_string_equal(c->brokers[0].address.text, "[2001:db8::1]:80");
	assert_int_equal(c->brokers[0].address.ip_len, 16);
	c = load(*state, "{ \"broker\": { \"address\": \"2001:db8::1\" } }");
	assert_string_equal(c->brokers[0].address.text, "[2001:db8::1]:10911");
}

static void a_store_that_cannot_sync_gets_no_flush_plugin(void **state)
{
	const struct config *c = load(*state,
				      "{ \"broker\": { \"store\": { \"plugin\": \"store-memory\" "
				"} } }");

	assert_null(c->brokers[0].flush.plugin);
}

static int32_t not_here(const void *options, struct mosaic_error *error)
{
	(void)options;
	snprintf(error->text, sizeof(error->text), "not on this machine");
	return MOSAIC_E_UNSUPPORTED;
}

static int32_t everywhere(const void *options, struct mosaic_error *error)
{
	(void)options;
	(void)error;
	return 0;
}

/* store-mmap says so when it is asked whether it can be used. */
static const struct config *load_with_fallback(struct fixture *f, struct mosaic_store_ops *ops,
					       int32_t (*usable)(const void *,
								 struct mosaic_error *))
{
	memcpy(ops, &f->fakes->ops, sizeof(*ops));
	ops->struct_size = sizeof(*ops);
	ops->usable = usable;
	f->fakes->descs[1].ops = ops;
	return load(f, "{ \"broker\": { \"store\": { \"plugin\": \"store-mmap\", "
		       "\"dir\": \"/d\", \"fallback\": \"store-memory\" } } }");
}

static void a_store_that_cannot_be_used_gives_way_to_its_fallback(void **state)
{
	struct mosaic_store_ops ops;
	const struct config *c = load_with_fallback(*state, &ops, not_here);
	struct buf out = BUF_INIT;

	assert_string_equal(c->brokers[0].store.plugin->desc.name, "store-memory");
	config_print(c, &out);
	assert_non_null(strstr(buf_cstr(&out), "note: store-memory takes the place of store-mmap: "
					       "not on this machine"));
	assert_non_null(strstr(buf_cstr(&out), "survives: nothing"));
	buf_free(&out);
}

static void a_store_that_can_be_used_stays(void **state)
{
	struct fixture *f = *state;
	struct mosaic_store_ops ops;
	const struct config *c = load_with_fallback(*state, &ops, everywhere);

	assert_string_equal(c->brokers[0].store.plugin->desc.name, "store-mmap");
	assert_string_equal(((struct fake_options *)c->brokers[0].store.options)->dir, "/d");
	assert_string_equal(c->brokers[0].store_note, "");
	config_free(&f->config);
	assert_problems(f,
			"{ \"broker\": { \"store\": { \"plugin\": \"store-mmap\", "
			"\"fallback\": 3 } } }",
			"c.json:1: broker.store: \"fallback\" must be the name of a store "
			"plugin\n");
}

static void without_default_plugins_each_place_must_be_filled(void **state)
{
	struct fixture *f = *state;

	plugins_set_default(f->fakes->plugins, MOSAIC_STORE, NULL);
	plugins_set_default(f->fakes->plugins, MOSAIC_BALANCE, NULL);
	assert_problems(f, "{ \"broker\": { \"store\": { \"dir\": \"/d\" } } }",
		"c.json:1: broker.store: needs \"plugin\", the name of a plugin\n"
		"c.json:1: broker.balance: needs { \"plugin\": NAME }: there is no default balance "
		"plugin\n");
}

static void every_problem_is_told_with_line_and_path(void **state)
{
	assert_problems(*state,
		"{ \"roles\": [\"broker\", \"brooker\"],\n"
		"  \"log\": { \"level\": \"loud\" },\n"
		"  \"plugin\": {}, \"plugins\": { \"path\": [\"/\"] },\n"
		"  \"broker\": {\n"
		"    \"nmae\": 1,\n"
		"    \"topicQueues\": \"8\",\n"
		"    \"maxMessage\": \"4MB\",\n"
		"    \"autoCreateTopic\": 1,\n"
		"    \"namesrv\": [\"a\", 7],\n"
		"    \"address\": \"my-host\",\n"
		"    \"store\": {\n"
		"      \"segmnt\": \"1GiB\",\n"
		"      \"segment\": \"1KiB\" },\n"
		"    \"flush\": { \"plugin\": \"flush-synk\" },\n"
		"    \"replication\": { \"plugin\": \"repl-needy\" },\n"
		"    \"balance\": { \"plugin\": \"store-mmap\" } } }\n",
		"c.json:1: roles[1]: must be one of namesrv|broker, not \"brooker\", did you mean "
		"\"broker\"?\n"
		"c.json:3: plugin: unknown, did you mean \"plugins\"?\n"
		"c.json:2: log.level: must be one of error|warn|info|debug, not \"loud\"\n"
		"c.json:5: broker.nmae: unknown, did you mean \"name\"?\n"
		"c.json:6: broker.topicQueues: must be an integer, not a text\n"
		"c.json:7: broker.maxMessage: must be a size such as \"64KiB\" or 65536, not "
		"\"4MB\"\n"
		"c.json:8: broker.autoCreateTopic: must be true or false, not a number\n"
		"c.json:9: broker.namesrv[1]: must be a text, not a number\n"
		"c.json:12: broker.store.segmnt: unknown, did you mean \"segment\"?\n"
		"c.json:13: broker.store.segment: must be at least 1MiB, not 1KiB\n"
		"c.json:14: broker.flush: there is no plugin \"flush-synk\" in /, did you mean "
		"\"flush-sync\"?\n"
		"c.json:15: broker.replication: needs \"token\": A word that lets you in\n"
		"c.json:16: broker.balance: store-mmap is a store plugin, here belongs a balance "
		"plugin\n"
		"c.json:10: broker.address: must be an IP address or \"ip:port\", not \"my-host\"\n"
		"c.json:9: broker.namesrv[0]: must be \"host:port\", not \"a\"\n");
}

static void text_that_is_no_json_names_line_and_column(void **state)
{
	struct fixture *f = *state;

	assert_problems(f, "{\n  \"roles\": [,]\n}",
			"c.json:2:13: is no JSON: unexpected token near ','\n");
	assert_problems(f, "{ \"broker\": {}, \"broker\": {} }",
			"c.json:1:24: is no JSON: duplicate object key near '\"broker\"'\n");
	assert_problems(f, "[]", "c.json: must be an object, not an array\n");
	assert_problems(f, "", "c.json:1:0: is no JSON: '[' or '{' expected near end of file\n");
}

static void shapes_that_make_no_sense_are_refused(void **state)
{
	struct fixture *f = *state;

	assert_problems(f, "{ \"brokers\": [] }",
			"c.json:1: brokers: must be an array of 1 to 64 brokers\n");
	assert_problems(f, "{ \"broker\": [] }",
			"c.json:1: broker: must be an object, not an array\n");
	assert_problems(f, "{ \"broker\": { \"store\": \"store-mmap\" } }",
			"c.json:1: broker.store: must be an object with \"plugin\" in it\n");
	assert_problems(f, "{ \"broker\": { \"store\": { \"plugin\": 5 } } }",
			"c.json:1: broker.store: \"plugin\" must be a text\n");
	assert_problems(f, "{ \"broker\": { \"replication\": { } } }",
			"c.json:1: broker.replication: needs \"plugin\", the name of a plugin\n");
	assert_problems(f, "{ \"roles\": [\"namesrv\"], \"broker\": {} }",
			"c.json:1: broker: is there, but not among the roles\n");
	assert_problems(f, "{ \"namesrv\": { \"transport\": { \"listen\": \"0.0.0.0:1\" } } }",
			"c.json:1: namesrv.transport.listen: belongs into namesrv.listen\n");
	assert_problems(f, "{ \"broker\": { \"name\": \"a b\", \"id\": 1 } }",
			"c.json:1: broker.name: must be 1 to 127 letters, digits and any of "
			"-_.%|, not "
			"\"a b\"\n"
			"c.json:1: broker: a master has the id 0\n");
	assert_problems(f, "{ \"plugins\": { \"path\": [\"/no/such\"] }, \"namesrv\": {} }",
			"c.json:1: plugins.path[0]: /no/such: No such file or directory\n");
}

static void contradictions_between_plugins_are_refused(void **state)
{
	struct fixture *f = *state;

	assert_problems(f, "{ \"broker\": { \"store\": { \"plugin\": \"store-memory\" },\n"
			   "  \"flush\": { \"plugin\": \"flush-sync\" } } }",
			"c.json:2: broker.flush: flush-sync needs SYNC of the store (what was "
			"synced "
			"survives power loss), and store-memory does not offer it\n");
	assert_problems(f, "{ \"broker\": { \"role\": \"slave\", \"id\": 1 } }",
			"c.json:1: broker: a slave needs a replication plugin to get its messages "
			"from "
			"the master\n");
}

static void brokers_of_one_process_must_not_share(void **state)
{
	struct fixture *f = *state;

	assert_problems(f, "{ \"namesrv\": { \"listen\": \"0.0.0.0:10911\" },\n"
			   "  \"brokers\": [ {},\n"
			   "    {} ] }",
			"c.json:3: brokers[1]: has the name \"broker-a\" and the id 0 of "
			"brokers[0]\n"
			"c.json:3: brokers[1].transport: listens at 0.0.0.0:10911 as brokers[0] "
			"does\n"
			"c.json:3: brokers[1].store: is the same as that of brokers[0]: each "
			"broker "
			"needs files of its own\n"
			"c.json:1: namesrv.listen: is 0.0.0.0:10911, where broker broker-a of this "
			"process listens too\n");
	load(f, "{ \"brokers\": [ { \"transport\": { \"listen\": \"0.0.0.0:0\" } },\n"
		"  { \"name\": \"b\", \"transport\": { \"listen\": \"0.0.0.0:0\" },\n"
		"    \"store\": { \"dir\": \"other\" } } ] }");
	assert_int_equal(f->config->n_brokers, 2);
}

static void a_file_is_bounded_and_must_be_there(void **state)
{
	struct fixture *f = *state;
	char name[] = "/tmp/mosaic-config-XXXXXX", wanted[128];
	int fd = mkstemp(name);

	assert_true(config_load_file("/no/such.json", f->fakes->plugins, &f->config,
				     &f->problems) < 0);
	assert_string_equal(problems_text(&f->problems),
			    "cannot read /no/such.json: No such file or directory\n");
	problems_free(&f->problems);
	assert_int_equal(ftruncate(fd, CONFIG_FILE_MAX + 1), 0);
	assert_true(config_load_file(name, f->fakes->plugins, &f->config, &f->problems) < 0);
	snprintf(wanted, sizeof(wanted), "%s: is larger than 1048576 bytes\n", name);
	assert_string_equal(problems_text(&f->problems), wanted);
	problems_free(&f->problems);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(write(fd, "{\"namesrv\":{}}", 14), 14);
	assert_int_equal(config_load_file(name, f->fakes->plugins, &f->config, &f->problems), 0);
	close(fd);
	unlink(name);
}

static void print_says_what_an_ack_survives_and_hides_secrets(void **state)
{
	struct fixture *f = *state;
	struct buf out = BUF_INIT;

	load(f, "{ \"broker\": { \"address\": \"10.0.0.1\", \"replication\": "
		"{ \"plugin\": \"repl-needy\", \"token\": \"hush\" } } }");
	config_print(f->config, &out);
	assert_string_equal(buf_cstr(&out),
		"broker broker-a of DefaultCluster, master, id 0\n"
		"  listen       0.0.0.0:10911; clients dial 10.0.0.1:10911\n"
		"  namesrv      127.0.0.1:9876\n"
		"  transport    transport-tcp 0.0.1: listen=0.0.0.0:10911\n"
		"  store        store-mmap 0.0.1: dir=mosaic-data, segment=1GiB\n"
		"  flush        flush-async 0.0.1: window=10s\n"
		"  replication  repl-needy 0.0.1: token=(secret)\n"
		"  balance      lb-roundrobin 0.0.1\n"
		"  an acknowledged message survives: process crash (kill -9); not a power cut, "
		"which can lose about the last 10s of messages; the loss of this machine: another "
		"node has the message.\n");
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(nothing_said_means_both_roles),
		T(retention_is_rocketmqs_unless_said_otherwise),
		T(a_whole_file_is_read),
		T(roles_follow_the_sections),
		T(a_broker_finds_the_nameserver_of_its_process),
		T(a_broker_without_nameservers_says_so),
		T(address_is_that_of_the_listener_or_as_written),
		T(a_store_that_cannot_sync_gets_no_flush_plugin),
		T(a_store_that_cannot_be_used_gives_way_to_its_fallback),
		T(a_store_that_can_be_used_stays),
		T(without_default_plugins_each_place_must_be_filled),
		T(every_problem_is_told_with_line_and_path),
		T(text_that_is_no_json_names_line_and_column),
		T(shapes_that_make_no_sense_are_refused),
		T(contradictions_between_plugins_are_refused),
		T(brokers_of_one_process_must_not_share),
		T(a_file_is_bounded_and_must_be_there),
		T(print_says_what_an_ack_survives_and_hides_secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
