/* AtomDB's command line. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <syslog.h>
#include <unistd.h>

#include "atomdb/daemon/ask_reload.h"
#include "atomdb/daemon/config.h"
#include "atomdb/daemon/config_document.h"
#include "atomdb/daemon/daemon.h"
#include "atomdb/daemon/daemon_options.h"
#include "atomdb/daemon/journal.h"
#include "atomdb/util/error.h"
#include "atomdb/util/heap.h"
#include "atomdb/util/number.h"

enum { BAD_USAGE = 2, BAD_CONFIG = 78 /* EX_CONFIG */ };

struct command_line {
	struct daemon_options daemon;
	bool check;
	pid_t reload; /* the process that must reload its configuration; 0: none */
};

struct argument {
	const char *name;
	char letter;
	const char *value; /* NULL: it takes no value */
	const char *help;
};

static const struct argument arguments[] = {
#define ARGUMENT(name, letter, value, is_file, help) {name, letter, value, help},
#include "daemon/arguments.def"
#undef ARGUMENT
};

#define ARGUMENTS   (sizeof(arguments) / sizeof(arguments[0]))
#define HELP_COLUMN 20
#define LETTERS     256 /* added to the letters, so that none of them is getopt's '?' for an invalid argument */

static void print_argument(const struct argument *a) {
	int len = printf("  --%s%s%s", a->name, a->value != NULL ? " " : "", a->value != NULL ? a->value : "");
	for (const char *line = a->help; *line != '\0'; len = 0) {
		int size = (int)strcspn(line, "\n");
		printf("%*s%.*s\n", HELP_COLUMN - len, "", size, line);
		line += size + (line[size] != '\0');
	}
}

static void print_help(void) {
	fputs("Usage: atomdb [OPTION]...\n"
	      "A Redis-compatible in-memory database for hosts that many users share.\n"
	      "\n",
	      stdout);
	for (size_t i = 0; i < ARGUMENTS; i++)
		print_argument(&arguments[i]);
	fputs("\nSIGHUP reloads the configuration, SIGTERM and SIGINT stop AtomDB.\n", stdout);
}

static int complain(const char *what) {
	fprintf(stderr, "atomdb: %s; see atomdb --help\n", what);
	return -EINVAL;
}

static int parse_port(const char *text, uint16_t *out) {
	int64_t port;
	if (!number_parse((struct slice){text, strlen(text)}, &port) || port < 1 || port > 65535)
		return complain("a port must be a number from 1 to 65535");
	*out = (uint16_t)port;
	return 0;
}

static int parse_pid(const char *text, pid_t *out) {
	int64_t pid;
	if (!number_parse((struct slice){text, strlen(text)}, &pid) || pid < 1 || pid > INT32_MAX)
		return complain("a process id must be a number");
	*out = (pid_t)pid;
	return 0;
}

/* Flushes the printed text. A full disk is an error too. */
static int printed(void) {
	return fflush(stdout) == 0 && ferror(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Returns 0 to continue with `*out`; 1 to exit with `*code`. */
static int parse(int argc, char **argv, struct command_line *out, int *code) {
	struct option options[ARGUMENTS + 1] = {{NULL, 0, NULL, 0}};
	for (size_t i = 0; i < ARGUMENTS; i++)
		options[i] = (struct option){.name = arguments[i].name,
					     .has_arg = arguments[i].value != NULL ? required_argument : no_argument,
					     .val = LETTERS + arguments[i].letter};
	int option, error = 0;
	while (error == 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case LETTERS + 'c':
			out->daemon.config_file = optarg;
			break;
		case LETTERS + 'p':
			error = parse_port(optarg, &out->daemon.port);
			break;
		case LETTERS + 'h':
			error = parse_port(optarg, &out->daemon.http_port);
			break;
		case LETTERS + 'k':
			out->check = true;
			break;
		case LETTERS + 'd':
			config_document(stdout, false);
			*code = printed();
			return 1;
		case LETTERS + 'r':
			error = parse_pid(optarg, &out->reload);
			break;
		case LETTERS + 'v':
			printf("atomdb %s\n", ATOMDB_VERSION);
			*code = printed();
			return 1;
		case LETTERS + '?':
			print_help();
			*code = printed();
			return 1;
		default: /* getopt_long has printed the error */
			error = -EINVAL;
		}
	}
	if (error == 0 && optind < argc)
		error = complain("unexpected argument (use --config to name a configuration file)");
	*code = BAD_USAGE;
	return error != 0;
}

/* Keys and values of clients are in memory: excludes them from core dumps, and denies other processes of the user
 * access. LeakSanitizer must read its own process. */
static void protect_memory(void) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

/* Makes the path that INFO shows: absolute, with symbolic links kept, because they may have another target at a reload.
 */
static const char *absolute(const char *path, char **owned) {
	*owned = NULL;
	if (path == NULL || *path == '/')
		return path;
	char *directory = getcwd(NULL, 0);
	if (directory == NULL || asprintf(owned, "%s/%s", directory, path) < 0)
		*owned = NULL;
	free(directory);
	return *owned != NULL ? *owned : path;
}

static int start(const struct command_line *line) {
	struct config *config = NULL;
	struct config_error error = {""};
	struct journal *journal = NULL;
	if (daemon_load_config(&line->daemon, &config, &error) != 0) {
		if (line->check) {
			fprintf(stderr, "%s\n", error.text);
		} else if (journal_new(&journal, STDERR_FILENO, LOG_INFO) == 0) {
			log_report(journal_sink(journal),
				   &(struct log_event){.id = LOG_EVENT_CONFIG_ERROR, .detail = error.text});
			journal_settle(journal);
			journal_free(journal);
		}
		return BAD_CONFIG;
	}
	if (line->check) {
		config_free(config);
		return EXIT_SUCCESS;
	}
	int result = journal_new(&journal, STDERR_FILENO, config->log_level);
	if (result == 0)
		result = daemon_run(&line->daemon, config, journal);
	else
		config_free(config);
	if (result != 0)
		journal_settle(journal);
	journal_free(journal);
	return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int reload(pid_t pid) {
	int error = ask_reload(pid);
	const char *why = error == ATOMDB_E_SYNTAX ? "see its log" : error_text(error);
	if (error == -EINVAL)
		fprintf(stderr, "atomdb: process %d is not AtomDB\n", (int)pid);
	else if (error != 0)
		fprintf(stderr, "atomdb: process %d did not reload the configuration: %s\n", (int)pid, why);
	return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv) {
	struct command_line line = {.daemon = {.cgroup = "/proc/self/cgroup", .cgroup_root = "/sys/fs/cgroup"}};
	int code = 0;
	heap_init();
	if (parse(argc, argv, &line, &code) != 0)
		return code;
	protect_memory();
	if (line.reload != 0)
		return reload(line.reload);
	char *owned = NULL;
	line.daemon.credentials = getenv("CREDENTIALS_DIRECTORY");
#ifdef ATOMDB_TEST_HOOKS
	/* a test's own control group */
	if (getenv("ATOMDB_TEST_CGROUP") != NULL) {
		line.daemon.cgroup = getenv("ATOMDB_TEST_CGROUP");
		line.daemon.cgroup_root = getenv("ATOMDB_TEST_CGROUP_ROOT");
	}
#endif
	line.daemon.config_file = absolute(line.daemon.config_file, &owned);
	code = start(&line);
	free(owned);
	return code;
}
