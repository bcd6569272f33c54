#include "plugin/probe.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child sends first; out or the error's text follow. */
struct verdict {
	int32_t rc;
	uint32_t is_complete;
};

static void write_all(int fd, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(2); /* the parent is gone */
		at += n;
		len -= (size_t)n;
	}
}

static _Noreturn void child(int fd, probe_fn fn, void *ctx)
{
	struct mosaic_error err = ERR_INIT;
	struct buf out = BUF_INIT;
	struct verdict verdict = { .is_complete = 1 };

	dup2(STDERR_FILENO, STDOUT_FILENO);
	verdict.rc = fn(ctx, &out, &err);
	write_all(fd, &verdict, sizeof(verdict));
	if (verdict.rc == 0)
		write_all(fd, out.data, out.len);
	else
		write_all(fd, err.text, strlen(err.text));
	_exit(0); /* no atexit handlers of the plugin */
}

/* Everything that the child writes; E_TIMEOUT or E_LIMIT when it does not stop. */
static int read_all(int fd, struct buf *in)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	ssize_t n;
	int rc;

	for (;;) {
		rc = poll(&poller, 1, PROBE_TIMEOUT_MS);
		if (rc < 0 && errno == EINTR)
			continue;
		if (rc <= 0)
			return MOSAIC_E_TIMEOUT;
		n = read(fd, buf_room(in, 16384), 16384);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return 0;
		in->len += (size_t)n;
		if (in->len > PROBE_OUTPUT_MAX)
			return MOSAIC_E_LIMIT;
	}
}

static int reap(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static int judge(const char *what, const struct buf *in, int status, struct buf *out,
		 struct mosaic_error *err)
{
	struct verdict verdict = { 0, 0 };
	struct mosaic_slice rest;

	if (in->len >= sizeof(verdict))
		memcpy(&verdict, in->data, sizeof(verdict));
	if (WIFSIGNALED(status))
		return err_set(err, MOSAIC_E_FATAL, "%s: loading it ended the process: %s", what,
			       strsignal(WTERMSIG(status)));
	if (!verdict.is_complete || WEXITSTATUS(status) != 0)
		return err_set(err, MOSAIC_E_FATAL, "%s: loading it ended the process (exit %d)",
			       what, WEXITSTATUS(status));
	rest = slice(in->data + sizeof(verdict), in->len - sizeof(verdict));
	if (verdict.rc != 0)
		return err_set(err, verdict.rc, "%.*s", SLICE_ARG(rest));
	buf_append_slice(out, rest);
	return 0;
}

int probe_run(const char *what, probe_fn fn, void *ctx, struct buf *out, struct mosaic_error *err)
{
	struct buf in = BUF_INIT;
	int ends[2], rc, status;
	pid_t pid;

	if (pipe(ends) != 0)
		return err_set_os(err, MOSAIC_E_IO, errno, "cannot make a pipe");
	pid = fork();
	if (pid < 0) {
		rc = err_set_os(err, MOSAIC_E_IO, errno, "cannot start a process");
		close(ends[0]);
		close(ends[1]);
		return rc;
	}
	if (pid == 0) {
		close(ends[0]);
		child(ends[1], fn, ctx);
	}
	close(ends[1]);
	rc = read_all(ends[0], &in);
	close(ends[0]);
	if (rc != 0)
		kill(pid, SIGKILL);
	status = reap(pid);
	if (rc != 0)
		err_set(err, rc, "%s: loading it did not come to an end", what);
	else
		rc = judge(what, &in, status, out, err);
	buf_free(&in);
	return rc;
}
