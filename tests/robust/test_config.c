/* Configurations and plugins that are wrong: refused before anything starts, in words that help. */
#include "robust.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* `mosaic check` and `mosaic run` refuse the file, and both say `what`. */
static void refused(struct child *c, const char *what)
{
	static const char *const commands[] = { "check", "run" };
	char text[8192];

	for (int i = 0; i < 2; i++) {
		const char *const args[] = { "mosaic", commands[i], "conf.json", NULL };
		assert_int_equal(child_command(c, text, sizeof(text), args), 1);
		if (strstr(text, what) == NULL)
			fail_msg("`mosaic %s` does not say \"%s\" but\n%s", commands[i], what,
				 text);
		if (i == 0)
			print_message("%.*s\n", (int)strcspn(text, "\n"), text);
	}
}

/* ---- files and options ---- */

static void text_refused(const char *text, const char *what)
{
	struct child c;
	char path[128];

	child_init(&c);
	child_config_text(&c, text);
	refused(&c, what);
	/* Nothing was made before it was refused. */
	assert_int_not_equal(access(child_path(&c, "mosaic-data", path, sizeof(path)), F_OK), 0);
	child_fini(&c);
}

static void files_that_are_no_configuration_are_refused(void **state)
{
	(void)state;
	char *deep = calloc(1, 200001);

	memset(deep, '[', 200000);
	text_refused("", "conf.json");
	text_refused("nonsense", "conf.json:1");
	text_refused("[]", "conf.json");
	text_refused("{ \"broker\": {},\n \"broker\": {} }", "broker");
	text_refused(deep, "conf.json");
	free(deep);
}

static void a_missing_file_is_refused(void **state)
{
	(void)state;
	struct child c;
	child_init(&c);
	refused(&c, "conf.json");
	child_fini(&c);
}

static void misspelt_options_name_the_nearest(void **state)
{
	(void)state;
	text_refused("{ \"brokr\": {} }", "did you mean \"broker\"");
	text_refused("{ \"broker\":\n { \"nmae\": \"x\" } }", "conf.json:2: broker.nmae");
	text_refused(
		"{ \"broker\": { \"flush\": { \"plugin\": \"flush-async\", \"intervall\": \"1s\" "
		"} } }",
		"did you mean \"interval\"");
	text_refused("{ \"broker\": { \"store\": { \"plugin\": \"store-mmpa\" } } }",
		     "did you mean \"store-mmap\"");
}

static void values_out_of_range_say_the_range(void **state)
{
	(void)state;
	text_refused("{ \"broker\": { \"topicQueues\": 0 } }", "topicQueues");
	text_refused("{ \"broker\": { \"topicQueues\": \"many\" } }", "topicQueues");
	text_refused("{ \"broker\": { \"topicQueues\": 9223372036854775807 } }", "topicQueues");
	text_refused("{ \"broker\": { \"topicQueues\": 1e30 } }", "topicQueues");
	text_refused("{ \"broker\": { \"maxMessage\": \"1ZiB\" } }", "maxMessage");
	text_refused(
		"{ \"broker\": { \"flush\": { \"plugin\": \"flush-async\", \"interval\": -1 } } }",
		"interval");
	text_refused("{ \"broker\": { \"transport\": { \"plugin\": \"transport-tcp\", \"listen\": "
		     "\"0.0.0.0:99999\" } } }",
		     "listen");
	text_refused("{ \"broker\": { \"namesrv\": [\"nowhere\"] } }", "namesrv");
	text_refused("{ \"broker\": { \"name\": \"../x\" } }", "name");
	text_refused("{ \"roles\": [\"king\"] }", "king");
}

static void wrong_command_lines_are_refused(void **state)
{
	(void)state;
	static const char *const lines[][6] = {
		{ "mosaic", "run", "--no-such-option", NULL },
		{ "mosaic", "run", "--log-level", "loud", NULL },
		{ "mosaic", "run", "a", "b", NULL },
		{ "mosaic", "rnu", NULL },
	};
	char text[8192];
	struct child c;

	child_init(&c);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_int_equal(child_command(&c, text, sizeof(text), lines[i]), 2);
		assert_true(text[0] != '\0');
	}
	child_fini(&c);
}

static void an_address_in_use_is_refused(void **state)
{
	(void)state;
	struct child first, second;
	char text[512];

	child_init(&first);
	child_config(&first, ", \"segment\": \"4MiB\"", "flush-async", "", "");
	child_start(&first);
	child_init(&second);
	snprintf(text, sizeof(text),
		 "{ \"roles\": [\"namesrv\"], \"namesrv\": { \"listen\": "
		 "\"127.0.0.1:%u\", \"kvConfig\": \"kv.json\" } }",
		 first.namesrv);
	child_config_text(&second, text);
	assert_int_equal(child_refused(&second), 1);
	assert_true(child_log_count(&second, "mosaic run:", "in use") > 0);
	check_serves(first.broker[0]);
	child_stop(&first);
	child_fini(&first);
	child_fini(&second);
}

/* ---- plugins ---- */

static void copy(const char *from, const char *to, long bytes, mode_t mode)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct stat st;

	assert_true(in >= 0);
	assert_true(out >= 0);
	assert_int_equal(fstat(in, &st), 0);
	char *all = malloc((size_t)st.st_size);
	assert_int_equal(read(in, all, (size_t)st.st_size), st.st_size);
	if (bytes < 0 || bytes > st.st_size)
		bytes = st.st_size;
	assert_int_equal(write(out, all, (size_t)bytes), bytes);
	assert_int_equal(fchmod(out, mode), 0);
	free(all);
	close(in);
	close(out);
}

/* The good balance plugin of tests/plugins-bad or a bad variant in the place of lb-roundrobin. */
static void plugin_refused(const char *variant, long bytes, mode_t mode, mode_t folder,
			   const char *what)
{
	char from[512], to[256], text[2048];
	const char *build = getenv("MOSAIC_BUILD");
	struct child c;

	child_init(&c);
	snprintf(to, sizeof(to), "%s/plugins", c.dir);
	assert_int_equal(mkdir(to, 0755), 0);
	assert_int_equal(chmod(to, folder), 0);
	snprintf(from, sizeof(from), "%s/plugins-bad/%s.so", build, variant);
	snprintf(to, sizeof(to), "%s/plugins/%s.so", c.dir, variant);
	copy(from, to, bytes, mode);
	snprintf(text, sizeof(text),
		 "{ \"plugins\": { \"path\": [\"%s/plugins\", \"%s/plugins\"] }, \"broker\": "
		 "{ \"balance\": { \"plugin\": \"%s\" } } }",
		 c.dir, build, variant);
	child_config_text(&c, text);
	refused(&c, what);
	child_fini(&c);
}

static void plugins_that_do_not_fit_are_refused_by_name(void **state)
{
	(void)state;
	plugin_refused("wrong-major", -1, 0644, 0755, "wrong-major.so");
	plugin_refused("no-symbol", -1, 0644, 0755, "mosaic_plugin");
	plugin_refused("undefined", -1, 0644, 0755, "mosaic_test_nowhere");
	plugin_refused("lacks-operation", -1, 0644, 0755, "lacks-operation.so");
	plugin_refused("bad-default", -1, 0644, 0755, "number");
}

static void truncated_plugins_are_refused(void **state)
{
	(void)state;
	static const long sizes[] = { 0, 3, 64, 500, 5000 };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		plugin_refused("good", sizes[i], 0644, 0755, "good.so");
}

static void plugins_that_everybody_may_write_are_refused(void **state)
{
	(void)state;
	plugin_refused("good", -1, 0666, 0755, "chmod o-w");
	plugin_refused("good", -1, 0644, 0777, "chmod o-w");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_that_are_no_configuration_are_refused),
		cmocka_unit_test(a_missing_file_is_refused),
		cmocka_unit_test(misspelt_options_name_the_nearest),
		cmocka_unit_test(values_out_of_range_say_the_range),
		cmocka_unit_test(wrong_command_lines_are_refused),
		cmocka_unit_test(an_address_in_use_is_refused),
		cmocka_unit_test(plugins_that_do_not_fit_are_refused_by_name),
		cmocka_unit_test(truncated_plugins_are_refused),
		cmocka_unit_test(plugins_that_everybody_may_write_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
