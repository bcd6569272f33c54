/*
 * A group with members in C, Java and Go: each message to exactly one of them once the group has
 * settled, and none is lost through joins, leaves and a kill. tests/interop gives the commands that
 * run the others, MOSAIC_MEMBER_JAVA and MOSAIC_MEMBER_GO: they take NAMESRV GROUP TOPIC, print the
 * body of each message on a line, and leave the group when their standard input ends.
 */
#include "consume_rig.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define SINKS 3
#define ROUND 16 /* 4 for each queue */
#define MESSAGES_MAX (SINK_MAX - 2 * ROUND)

struct member {
	pid_t pid;
	int in, out;
	pthread_t reader;
	struct sink *sink;
};

static void *read_lines(void *data)
{
	struct member *m = data;
	char line[64];
	FILE *f = fdopen(m->out, "r");

	while (fgets(line, sizeof(line), f) != NULL) {
		struct mosaic_received r = { .topic = "", .body = { (const uint8_t *)line,
								    strcspn(line, "\n") } };
		if (line[0] < '0' || line[0] > '9')
			continue; /* a word of its own */
		pthread_mutex_lock(&m->sink->lock);
		sink_add(m->sink, &r);
		pthread_mutex_unlock(&m->sink->lock);
	}
	fclose(f);
	return NULL;
}

static void member_begin(struct member *m, const char *command, struct rig *r, const char *group,
			 const char *topic, struct sink *sink)
{
	int in[2], out[2];
	char text[4096];

	snprintf(text, sizeof(text), "exec %s 127.0.0.1:%u %s %s", command, r->namesrv, group,
		 topic);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	m->sink = sink;
	m->pid = fork();
	assert_true(m->pid >= 0);
	if (m->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		execl("/bin/sh", "sh", "-c", text, (char *)NULL);
		_exit(99);
	}
	close(in[0]);
	close(out[1]);
	m->in = in[1];
	m->out = out[0];
	assert_int_equal(pthread_create(&m->reader, NULL, read_lines, m), 0);
}

static void member_end(struct member *m, bool is_killed)
{
	if (is_killed)
		kill(m->pid, SIGKILL);
	close(m->in); /* the word to leave */
	waitpid(m->pid, NULL, 0);
	pthread_join(m->reader, NULL);
}

static uint32_t count_all(struct sink *sinks)
{
	return sink_count(&sinks[0]) + sink_count(&sinks[1]) + sink_count(&sinks[2]);
}

/* Rounds of messages until one comes to the members exactly once each, and to each of them. */
static int settle(struct rig *r, const char *topic, int n, struct sink *sinks, const bool *is_in)
{
	for (;;) {
		uint32_t before[SINKS], all;
		bool is_settled = true;

		assert_in_range(n, 0, MESSAGES_MAX);
		AWAIT(sinks_distinct(sinks, SINKS) == (uint32_t)n);
		for (int i = 0; i < SINKS; i++)
			before[i] = sink_count(&sinks[i]);
		all = count_all(sinks);
		rig_send(r, topic, n, n + ROUND, NULL, NULL);
		n += ROUND;
		AWAIT(sinks_distinct(sinks, SINKS) == (uint32_t)n);
		for (int i = 0; i < SINKS; i++)
			is_settled &= !is_in[i] || sink_count(&sinks[i]) > before[i];
		if (is_settled && count_all(sinks) == all + ROUND)
			return n;
		pause_ms(500);
	}
}

static void members_in_three_languages_share_the_queues(void **state)
{
	struct rig r;
	struct sink *sinks = calloc(SINKS, sizeof(*sinks));
	struct member java, go;
	bool is_in[SINKS] = { true, false, false };
	(void)state;
	if (getenv("MOSAIC_MEMBER_JAVA") == NULL || getenv("MOSAIC_MEMBER_GO") == NULL) {
		print_message("left out: MOSAIC_MEMBER_JAVA and _GO are not given\n");
		free(sinks);
		return;
	}
	for (int i = 0; i < SINKS; i++)
		sink_init(&sinks[i]);
	rig_init(&r, "");
	const char *topic = own("Mixed"), *group = own("GMixed");
	rig_send(&r, topic, 0, 1, NULL, NULL);
	struct mosaic_consumer_options o = rig_options(group, &sinks[0]);
	struct mosaic_consumer *c = rig_consumer(r.client, &o, topic, NULL);
	int n = settle(&r, topic, 1, sinks, is_in);

	member_begin(&java, getenv("MOSAIC_MEMBER_JAVA"), &r, group, topic, &sinks[1]);
	is_in[1] = true;
	n = settle(&r, topic, n, sinks, is_in);
	member_begin(&go, getenv("MOSAIC_MEMBER_GO"), &r, group, topic, &sinks[2]);
	is_in[2] = true;
	n = settle(&r, topic, n, sinks, is_in);
	member_end(&java, false);
	is_in[1] = false;
	n = settle(&r, topic, n, sinks, is_in);
	member_end(&go, true);
	is_in[2] = false;
	n = settle(&r, topic, n, sinks, is_in);

	mosaic_consumer_destroy(&c);
	rig_fini(&r);
	for (int i = 0; i < SINKS; i++)
		sink_fini(&sinks[i]);
	free(sinks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_in_three_languages_share_the_queues),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, rig_await, NULL);
}
