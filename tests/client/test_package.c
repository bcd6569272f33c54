/* What is installed, used as a stranger would: see package. */
#include "robust.h"
#include <stdio.h>
#include <stdlib.h>

static void the_examples_build_and_run_with_what_is_installed(void **state)
{
	const char *build = getenv("MOSAIC_BUILD"), *source = getenv("MOSAIC_SOURCE");
	struct child child;
	char command[1024];

	(void)state;
	assert_non_null(build);
	assert_non_null(source);
	child_init(&child);
	child_config(&child, "", "flush-async", "", "");
	child_start(&child);
	snprintf(command, sizeof(command), "%s/tests/client/package %s %s 127.0.0.1:%u", source,
		 build, source, child.namesrv);
	assert_int_equal(system(command), 0);
	child_stop(&child);
	child_fini(&child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_examples_build_and_run_with_what_is_installed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
