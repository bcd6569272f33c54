/* NameServers and brokers, each a process of the real program with a port of its own. */
#include "soak.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* One that is free now, and below those that the kernel gives to connections: while the server is
 * down nobody must take it. */
static uint16_t free_port(uint64_t *chance)
{
	for (;;) {
		uint16_t port = (uint16_t)(12000 + draw(chance, 20000));
		struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port),
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		bool is_free = bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
		close(fd);
		if (is_free)
			return port;
	}
}

static FILE *open_config(const struct server *s)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", s->soak->dir, s->name);
	if (mkdir(path, 0777) != 0)
		abort();
	snprintf(path, sizeof(path), "%s/%s/conf.json", s->soak->dir, s->name);
	FILE *f = fopen(path, "w");
	if (f == NULL)
		abort();
	return f;
}

static void write_configs(struct server *servers)
{
	for (int i = 0; i < NAMESRVS + BROKERS; i++) {
		FILE *f = open_config(&servers[i]);
		if (i < NAMESRVS)
			fprintf(f, "{ \"namesrv\": { \"listen\": \"127.0.0.1:%u\", "
				   "\"kvConfig\": \"kv.json\" } }\n", servers[i].port);
		else
			fprintf(f, "{ \"broker\": { \"name\": \"%s\",\n"
				   "\"namesrv\": [\"127.0.0.1:%u\", \"127.0.0.1:%u\"],\n"
				   "\"transport\": { \"plugin\": \"transport-tcp\", "
				   "\"listen\": \"127.0.0.1:%u\" },\n"
				   "\"store\": { \"plugin\": \"store-mmap\", \"dir\": \"store\", "
				   "\"segment\": \"16MiB\" },\n"
				   "\"flush\": { \"plugin\": \"%s\" } } }\n",
				servers[i].name, servers[0].port, servers[1].port, servers[i].port,
				i == NAMESRVS ? "flush-sync" : "flush-async");
		if (fclose(f) != 0)
			abort();
	}
}

/* For servers of a build with the sanitizer of threads. */
static void write_suppressions(const struct soak *soak)
{
	char path[96], options[128];

	snprintf(path, sizeof(path), "%s/not-races", soak->dir);
	snprintf(options, sizeof(options), "suppressions=%s", path);
	FILE *f = fopen(path, "w");
	if (f == NULL || fputs(NOT_RACES, f) < 0 || fclose(f) != 0)
		abort();
	setenv("TSAN_OPTIONS", options, 0);
}

void servers_init(struct server *servers, struct soak *soak)
{
	uint64_t chance = now_ns(); /* not the seed's: another may run with it beside us */

	for (int i = 0; i < NAMESRVS + BROKERS; i++) {
		servers[i] = (struct server){ .soak = soak, .port = free_port(&chance) };
		snprintf(servers[i].name, sizeof(servers[i].name),
			 i < NAMESRVS ? "namesrv-%d" : "broker-%d",
			 i < NAMESRVS ? i : i - NAMESRVS);
	}
	snprintf(soak->namesrv, sizeof(soak->namesrv), "127.0.0.1:%u;127.0.0.1:%u",
		 servers[0].port, servers[1].port);
	write_configs(servers);
	write_suppressions(soak);
	for (int i = 0; i < NAMESRVS + BROKERS; i++)
		server_start(&servers[i]);
}

/* In the child: only what is safe after fork in a program with threads. */
static void become(const char *dir, const char *log, const char *exe, const char *const *args)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int fd = chdir(dir) == 0 ? open(log, O_WRONLY | O_CREAT | O_APPEND, 0666) : -1;
	if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
		_exit(99);
	execv(exe, (char *const *)(uintptr_t)args);
	_exit(99);
}

static pid_t run(const char *dir, const char *log, const char *const *args)
{
	char exe[512];

	snprintf(exe, sizeof(exe), "%s/mosaic", getenv("MOSAIC_BUILD"));
	pid_t pid = fork();
	if (pid == 0)
		become(dir, log, exe, args);
	if (pid < 0)
		abort();
	return pid;
}

bool command_run(struct soak *s, const char *const *args)
{
	int status = -1;

	waitpid(run(s->dir, "command.log", args), &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void server_start(struct server *s)
{
	const char *const args[] = { "mosaic", "run", "conf.json", "--log-level", "info", NULL };
	char dir[96];

	snprintf(dir, sizeof(dir), "%s/%s", s->soak->dir, s->name);
	s->pid = run(dir, "log", args);
	s->n_starts++;
	s->back_ns = 0;
}

void server_look(struct server *s)
{
	int status;

	if (s->pid == 0 || waitpid(s->pid, &status, WNOHANG) != s->pid)
		return;
	failure(s->soak, "%s has ended by itself, status %#x", s->name, (unsigned)status);
	s->pid = 0;
	s->back_ns = now_ns();
}

void server_stop(struct server *s)
{
	uint64_t until = now_ns() + PATIENCE_MS * UINT64_C(1000000);
	int status = 0;
	pid_t ended;

	kill(s->pid, SIGTERM);
	while ((ended = waitpid(s->pid, &status, WNOHANG)) == 0 && now_ns() < until)
		pause_ms(2);
	/* SIGTERM as the status: it came before the program had a handler. */
	if (ended == s->pid && status != 0 && status != SIGTERM)
		failure(s->soak, "%s was stopped and ended with status %#x", s->name,
			(unsigned)status);
	if (ended == 0) {
		failure(s->soak, "%s does not stop", s->name);
		server_kill(s);
	}
	s->pid = 0;
}

void server_kill(struct server *s)
{
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	s->pid = 0;
	s->is_paused = false;
}

void server_pause(struct server *s)
{
	kill(s->pid, SIGSTOP);
	s->is_paused = true;
}

void server_continue(struct server *s)
{
	kill(s->pid, SIGCONT);
	s->is_paused = false;
	s->back_ns = 0;
}
