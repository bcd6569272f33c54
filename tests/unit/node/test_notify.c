#include "node/notify.h"

#include "base/err.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A service manager's socket: a path, or a name in the abstract namespace when it begins with @. */
static int manager_open(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	memcpy(address.sun_path, name, strlen(name));
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static void expect_told(int fd, const char *state)
{
	char got[256];
	struct mosaic_error err = ERR_INIT;
	assert_int_equal(notify_send(state, &err), 0);
	ssize_t n = recv(fd, got, sizeof(got), 0);
	assert_int_equal(n, strlen(state));
	assert_memory_equal(got, state, n);
	close(fd);
}

static void the_manager_is_told_at_a_path(void **state)
{
	char dir[] = "/tmp/mosaic-notify-XXXXXX", path[64];
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/notify", dir);
	expect_told(manager_open(path), "READY=1\nSTATUS=serving");
	unlink(path);
	rmdir(dir);
}

static void the_manager_is_told_in_the_abstract_namespace(void **state)
{
	char name[64];
	(void)state;
	snprintf(name, sizeof(name), "@mosaic-test-%d", (int)getpid());
	expect_told(manager_open(name), "STOPPING=1");
}

static void without_a_manager_nothing_happens(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify_send("READY=1", NULL), 0);
	setenv("NOTIFY_SOCKET", "", 1);
	assert_int_equal(notify_send("READY=1", NULL), 0);
}

static void a_bad_socket_is_an_error_with_its_name(void **state)
{
	struct mosaic_error err = ERR_INIT;
	char longer[300];
	(void)state;
	setenv("NOTIFY_SOCKET", "/no/such/socket", 1);
	assert_int_equal(notify_send("READY=1", &err), MOSAIC_E_IO);
	assert_non_null(strstr(err.text, "/no/such/socket"));
	setenv("NOTIFY_SOCKET", "vsock:2:1234", 1);
	assert_int_equal(notify_send("READY=1", &err), MOSAIC_E_INVAL);
	memset(longer, '/', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	setenv("NOTIFY_SOCKET", longer, 1);
	assert_int_equal(notify_send("READY=1", &err), MOSAIC_E_INVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_manager_is_told_at_a_path),
		cmocka_unit_test(the_manager_is_told_in_the_abstract_namespace),
		cmocka_unit_test(without_a_manager_nothing_happens),
		cmocka_unit_test(a_bad_socket_is_an_error_with_its_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
