/* The real program as a child. It never outlives the test: PR_SET_PDEATHSIG. */
#include "robust.h"
#include "support/scratch.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* It takes 10 ms. A busy machine makes a second of it; what waits for a time-out takes five. */
#define STOP_MS 1000
#define STOP_MOST_MS 4500

static const char *program(char *buf, size_t size)
{
	const char *build = getenv("MOSAIC_BUILD");
	assert_non_null(build); /* set by ctest */
	snprintf(buf, size, "%s/mosaic", build);
	return buf;
}

const char *child_path(const struct child *c, const char *name, char *buf, size_t size)
{
	snprintf(buf, size, "%s/%s", c->dir, name);
	return buf;
}

static int listen_notify(const struct child *c)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	child_path(c, "notify", a.sun_path, sizeof(a.sun_path));
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	chmod(a.sun_path, 0777);
	return fd;
}

void child_init(struct child *c)
{
	*c = (struct child){ .out = -1 };
	scratch_make(c->dir, "robust");
	c->notify = listen_notify(c);
}

void child_config_text(struct child *c, const char *text)
{
	char path[128];
	FILE *f = fopen(child_path(c, "conf.json", path, sizeof(path)), "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

const char *child_store(void)
{
	const char *name = getenv("ROBUST_STORE");
	return name ? name : "store-mmap";
}

const char *child_keeping_flush(void)
{
	return strcmp(child_store(), "store-mmap") == 0 ? "flush-async" : "flush-sync";
}

bool child_store_is_usable(void)
{
	struct io_uring_params params = { 0 };
	if (strcmp(child_store(), "store-uring") != 0)
		return true;
	int fd = (int)syscall(SYS_io_uring_setup, 1, &params);
	if (fd < 0)
		printf("store-uring is not tested here: io_uring: %s\n", strerror(errno));
	else
		close(fd);
	return fd >= 0;
}

void child_config(struct child *c, const char *store, const char *flush, const char *transport,
		  const char *broker)
{
	char text[4096];
	snprintf(text, sizeof(text),
		 "{ \"roles\": [\"namesrv\", \"broker\"],\n"
		 "  \"namesrv\": { \"listen\": \"127.0.0.1:0\", \"kvConfig\": \"kv.json\" },\n"
		 "  \"broker\": {\n"
		 "    \"transport\": { \"plugin\": \"transport-tcp\", \"listen\": "
		 "\"127.0.0.1:0\"%s },\n"
		 "    \"store\": { \"plugin\": \"%s\", \"dir\": \"store\"%s },\n"
		 "    \"flush\": { \"plugin\": \"%s\" },\n"
		 "    \"balance\": { \"plugin\": \"lb-roundrobin\" }%s } }\n",
		 transport, child_store(), store, flush, broker);
	child_config_text(c, text);
}

static void limit(int which, uint64_t value)
{
	struct rlimit l = { value, value };
	if (value != 0 && setrlimit(which, &l) != 0)
		_exit(99);
}

/* In the child, where cmocka must not be asked for anything. */
static void become(struct child *c, const char *exe, int out, const char *const *args)
{
	char notify[128];
	int err = open("err.log", O_WRONLY | O_CREAT | O_APPEND, 0666);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setenv("NOTIFY_SOCKET", child_path(c, "notify", notify, sizeof(notify)), 1);
	limit(RLIMIT_NOFILE, c->nofile);
	limit(RLIMIT_FSIZE, c->fsize);
	if (dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
		_exit(99);
	if (c->uid != 0 && (setgid(c->uid) != 0 || setuid(c->uid) != 0))
		_exit(99);
	execv(exe, (char *const *)(uintptr_t)args);
	_exit(99);
}

static void spawn(struct child *c, const char *const *args)
{
	int pipe_fds[2];
	char exe[512];

	program(exe, sizeof(exe));
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	c->started_ns = now_ns();
	c->pid = fork();
	assert_true(c->pid >= 0);
	if (c->pid == 0) {
		if (chdir(c->dir) == 0)
			become(c, exe, pipe_fds[1], args);
		_exit(99);
	}
	close(pipe_fds[1]);
	if (c->out >= 0)
		close(c->out);
	c->out = pipe_fds[0];
}

static bool readable(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	return poll(&p, 1, timeout_ms) == 1;
}

static void say_log(const struct child *c)
{
	char *log = child_log(c), *rest = log;

	print_message("---- log of the program ----\n");
	for (char *line; (line = strsep(&rest, "\n")) != NULL;)
		print_message("%.1000s\n", line); /* cmocka cuts a message at 1024 bytes */
	print_message("----\n");
	free(log);
}

/* "NameServer 127.0.0.1:36421, broker broker-a 127.0.0.1:39333" */
static void parse_ports(struct child *c)
{
	const char *at = strstr(c->lines, "NameServer "), *end = strchr(c->lines, '\n');

	c->namesrv = 0;
	c->n_brokers = 0;
	if (at != NULL && at < end)
		c->namesrv = (uint16_t)atoi(strchr(at, ':') + 1);
	for (at = strstr(c->lines, "broker ");
	     at != NULL && at < end && c->n_brokers < CHILD_BROKERS;
	     at = strstr(at + 1, ", broker ")) {
		at = strchr(at, ':');
		c->broker[c->n_brokers++] = (uint16_t)atoi(at + 1);
	}
}

static bool three_lines(const char *text)
{
	uint32_t n = 0;
	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n >= 3;
}

static bool read_lines(struct child *c)
{
	size_t len = 0;
	c->lines[0] = '\0';
	while (!three_lines(c->lines)) {
		if (!readable(c->out, WAIT_MS))
			return false;
		ssize_t n = read(c->out, c->lines + len, sizeof(c->lines) - 1 - len);
		if (n <= 0)
			return false;
		len += (size_t)n;
		c->lines[len] = '\0';
	}
	return true;
}

void child_start(struct child *c)
{
	const char *const with_level[] = { "mosaic",      "run",    "conf.json",
					   "--log-level", c->level, NULL };
	const char *const plain[] = { "mosaic", "run", "conf.json", NULL };
	ssize_t n = 0;

	while (recv(c->notify, c->note, sizeof(c->note), MSG_DONTWAIT) > 0)
		; /* of the run before */
	spawn(c, c->level ? with_level : plain);
	/* The lines come behind the datagram; a program that ends closes the pipe. */
	if (!read_lines(c)) {
		say_log(c);
		fail_msg("the program did not become ready");
	}
	c->ready_ns = now_ns();
	n = recv(c->notify, c->note, sizeof(c->note) - 1, MSG_DONTWAIT);
	assert_true(n > 0);
	c->note[n] = '\0';
	assert_non_null(strstr(c->note, "READY=1"));
	parse_ports(c);
}

/* The exit status within the time, or -1. */
static int wait_end(struct child *c, int timeout_ms)
{
	uint64_t until = now_ns() + (uint64_t)timeout_ms * 1000000;
	int status = 0;
	char drop[512];

	/* The pipe of standard output ends with the process: the event to wait for. */
	while (now_ns() < until) {
		if (!readable(c->out, (int)((until - now_ns()) / 1000000) + 1))
			break;
		if (read(c->out, drop, sizeof(drop)) <= 0)
			break;
	}
	if (now_ns() >= until)
		return -1;
	if (waitpid(c->pid, &status, 0) != c->pid)
		return -1;
	c->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int child_refused(struct child *c)
{
	const char *const args[] = { "mosaic", "run", "conf.json", NULL };
	spawn(c, args);
	int status = wait_end(c, WAIT_MS);
	if (status < 0)
		fail_msg("the program neither refused nor ended");
	return status;
}

int child_command(struct child *c, char *text, size_t size, const char *const *args)
{
	char path[128];
	size_t len = 0;

	child_path(c, "err.log", path, sizeof(path));
	(void)unlink(path);
	spawn(c, args);
	ssize_t n;
	while (readable(c->out, WAIT_MS) && (n = read(c->out, text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	char *log = child_log(c);
	snprintf(text + len, size - len, "%s", log);
	free(log);
	return wait_end(c, WAIT_MS);
}

uint64_t child_stop_slowly(struct child *c)
{
	uint64_t began = now_ns();

	assert_int_equal(kill(c->pid, SIGTERM), 0);
	int status = wait_end(c, WAIT_MS);
	if (status != 0)
		say_log(c);
	assert_int_equal(status, 0);
	return (now_ns() - began) / 1000000;
}

void child_stop(struct child *c)
{
	uint64_t took_ms = child_stop_slowly(c);

	if (took_ms >= STOP_MS)
		print_message("stopping took %llu ms\n", (unsigned long long)took_ms);
	if (!IS_SANITIZED && !getenv("KILL_ROUNDS"))
		assert_in_range(took_ms, 0, STOP_MOST_MS);
}

void child_kill_if_alive(struct child *c)
{
	(void)kill(c->pid, SIGKILL);
	int status = wait_end(c, WAIT_MS);
	if (status != 128 + SIGKILL)
		print_message("it had ended by itself, with status %d\n", status);
	assert_int_equal(c->pid, 0);
}

void child_kill(struct child *c)
{
	assert_int_equal(kill(c->pid, SIGKILL), 0);
	assert_int_equal(wait_end(c, WAIT_MS), 128 + SIGKILL);
}

bool child_is_alive(const struct child *c)
{
	int status;
	return c->pid > 0 && waitpid(c->pid, &status, WNOHANG) == 0;
}

void child_fini(struct child *c)
{
	if (c->pid > 0) {
		(void)kill(c->pid, SIGKILL);
		(void)waitpid(c->pid, NULL, 0);
		c->pid = 0;
	}
	if (c->out >= 0)
		close(c->out);
	close(c->notify);
	scratch_remove(c->dir);
}

uint64_t child_rss(const struct child *c)
{
	char path[64], line[256];
	unsigned long long kib = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)c->pid);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "VmRSS: %llu", &kib) == 1)
			break;
	fclose(f);
	return kib * 1024;
}

/* ---- its log ---- */

char *child_log(const struct child *c)
{
	char path[128];
	struct stat st;
	int fd = open(child_path(c, "err.log", path, sizeof(path)), O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) != 0)
		return strdup("");
	char *text = malloc((size_t)st.st_size + 1);
	ssize_t n = read(fd, text, (size_t)st.st_size);
	text[n > 0 ? n : 0] = '\0';
	close(fd);
	return text;
}

uint32_t child_log_count(const struct child *c, const char *a, const char *b)
{
	char *log = child_log(c), *rest = log, *line;
	uint32_t n = 0;

	while ((line = strsep(&rest, "\n")) != NULL)
		n += strstr(line, a) != NULL && strstr(line, b) != NULL;
	free(log);
	return n;
}

void child_log_wait(const struct child *c, const char *a, const char *b)
{
	char path[128], drop[4096];
	uint64_t until = now_ns() + WAIT_MS * UINT64_C(1000000);
	int fd = inotify_init1(IN_CLOEXEC);

	assert_true(inotify_add_watch(fd, child_path(c, "err.log", path, sizeof(path)),
				      IN_MODIFY) >= 0);
	while (child_log_count(c, a, b) == 0) {
		int left = now_ns() < until ? (int)((until - now_ns()) / 1000000) : 0;
		if (!readable(fd, left)) {
			say_log(c);
			fail_msg("the log has no line with \"%s\" and \"%s\"", a, b);
		}
		assert_true(read(fd, drop, sizeof(drop)) > 0);
	}
	close(fd);
}
