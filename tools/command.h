/* Commands of the program. Each tools/NAME.c has cmd_NAME(); argv[0] is the command's own name. */
#ifndef TOOLS_COMMAND_H
#define TOOLS_COMMAND_H

struct command {
	const char *name;
	int (*run)(int argc, char **argv); /* exit status */
	const char *summary;
};

int cmd_check(int argc, char **argv);
int cmd_consume(int argc, char **argv);
int cmd_plugins(int argc, char **argv);
int cmd_produce(int argc, char **argv);
int cmd_run(int argc, char **argv);

/* Exit status of every command. */
#define EXIT_USAGE 2 /* the command line is wrong; 1: it was right and did not work */

#endif
