/*
 * A group with members in C, Java and Go: each message to exactly one of them once the group has
 * settled, and none is lost through joins, leaves and kills of each kind. tests/interop gives the
 * commands that run the others, MOSAIC_MEMBER_JAVA and MOSAIC_MEMBER_GO; this program run with
 * arguments is the one in C. They take NAMESRV GROUP TOPIC, print the body of each message on a
 * line, and leave the group when their standard input ends. Without the others, C is among itself.
 */
#include "consume_rig.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define ROUND 16 /* 4 for each queue */
#define MESSAGES_MAX (SINK_MAX - 2 * ROUND)

enum place { /* in the group */
	OURS, /* in this process, always there */
	C,
	JAVA,
	GO,
	SINKS
};

struct member {
	const char *command; /* NULL: there is none */
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

static void member_begin(struct member *m, struct rig *r, const char *group, const char *topic)
{
	int in[2], out[2];
	char text[4096];

	snprintf(text, sizeof(text), "exec %s 127.0.0.1:%u %s %s", m->command, r->namesrv,
		 group, topic);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
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
	uint32_t n = 0;

	for (int i = 0; i < SINKS; i++)
		n += sink_count(&sinks[i]);
	return n;
}

/* A group, and how far it is. */
struct mixed {
	struct rig r;
	struct member members[SINKS];
	struct sink *sinks;
	bool is_in[SINKS];
	const char *topic, *group;
	int n;
};

/* Rounds of messages until one comes to the members exactly once each, and to each of them. */
static void settle(struct mixed *x)
{
	for (;;) {
		uint32_t before[SINKS], all;
		bool is_settled = true;

		assert_in_range(x->n, 0, MESSAGES_MAX);
		AWAIT(sinks_distinct(x->sinks, SINKS) == (uint32_t)x->n);
		for (int i = 0; i < SINKS; i++)
			before[i] = sink_count(&x->sinks[i]);
		all = count_all(x->sinks);
		rig_send(&x->r, x->topic, x->n, x->n + ROUND, NULL, NULL);
		x->n += ROUND;
		AWAIT(sinks_distinct(x->sinks, SINKS) == (uint32_t)x->n);
		for (int i = 0; i < SINKS; i++)
			is_settled &= !x->is_in[i] || sink_count(&x->sinks[i]) > before[i];
		if (is_settled && count_all(x->sinks) == all + ROUND)
			return;
		pause_ms(500);
	}
}

static void joins(struct mixed *x, enum place place)
{
	if (x->members[place].command == NULL)
		return;
	member_begin(&x->members[place], &x->r, x->group, x->topic);
	x->is_in[place] = true;
	settle(x);
}

static void goes(struct mixed *x, enum place place, bool is_killed)
{
	if (x->members[place].command == NULL)
		return;
	/* Messages are under way when it goes. */
	rig_send(&x->r, x->topic, x->n, x->n + ROUND, NULL, NULL);
	x->n += ROUND;
	member_end(&x->members[place], is_killed);
	x->is_in[place] = false;
	settle(x);
}

static const char *own_command(void)
{
	static char text[512];
	char path[480] = "";

	assert_true(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
	snprintf(text, sizeof(text), "'%s'", path);
	return text;
}

static void mixed_open(struct mixed *x)
{
	*x = (struct mixed){ .n = 1, .is_in = { [OURS] = true } };
	x->sinks = calloc(SINKS, sizeof(*x->sinks));
	x->members[C].command = own_command();
	x->members[JAVA].command = getenv("MOSAIC_MEMBER_JAVA");
	x->members[GO].command = getenv("MOSAIC_MEMBER_GO");
	for (int i = 0; i < SINKS; i++) {
		sink_init(&x->sinks[i]);
		x->members[i].sink = &x->sinks[i];
	}
	rig_init(&x->r, "");
	x->topic = own("Mixed");
	x->group = own("GMixed");
	rig_send(&x->r, x->topic, 0, 1, NULL, NULL);
}

static void mixed_close(struct mixed *x)
{
	rig_fini(&x->r);
	for (int i = 0; i < SINKS; i++)
		sink_fini(&x->sinks[i]);
	free(x->sinks);
}

static void members_in_three_languages_share_the_queues(void **state)
{
	struct mixed x;
	(void)state;
	mixed_open(&x);
	if (x.members[JAVA].command == NULL || x.members[GO].command == NULL)
		print_message("C alone: MOSAIC_MEMBER_JAVA or _GO is not given\n");
	struct mosaic_consumer_options o = rig_options(x.group, &x.sinks[OURS]);
	struct mosaic_consumer *c = rig_consumer(x.r.client, &o, x.topic, NULL);
	settle(&x);
	joins(&x, JAVA);
	joins(&x, GO);
	joins(&x, C);
	goes(&x, JAVA, false);
	goes(&x, C, true);
	joins(&x, JAVA);
	goes(&x, GO, true);
	joins(&x, C);
	goes(&x, JAVA, true);
	joins(&x, GO);
	goes(&x, C, false);
	goes(&x, GO, false);
	mosaic_consumer_destroy(&c);
	mixed_close(&x);
}

/* ---- the member in C ---- */

static int32_t print_all(void *data, const struct mosaic_received *messages, uint32_t count,
			 uint32_t *consumed)
{
	(void)data;
	(void)consumed;
	for (uint32_t i = 0; i < count; i++) {
		char line[64];
		int len = snprintf(line, sizeof(line), "%.*s\n", (int)messages[i].body.len,
				   (const char *)messages[i].body.ptr);
		if (write(STDOUT_FILENO, line, (size_t)len) != len)
			return MOSAIC_CONSUME_LATER;
	}
	return MOSAIC_CONSUMED;
}

static int be_member(char **args)
{
	struct rig r = { .namesrv = (uint16_t)atoi(strchr(args[1], ':') + 1) };
	struct mosaic_consumer_options o = rig_options(args[2], NULL);
	char byte;

	o.listener = print_all;
	r.client = rig_client(&r);
	struct mosaic_consumer *c = rig_consumer(r.client, &o, args[3], NULL);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	mosaic_consumer_stop(c, 10000);
	mosaic_consumer_destroy(&c);
	mosaic_client_destroy(&r.client);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_in_three_languages_share_the_queues),
	};
	signal(SIGPIPE, SIG_IGN);
	if (argc == 4)
		return be_member(argv);
	return cmocka_run_group_tests(tests, rig_await, NULL);
}
