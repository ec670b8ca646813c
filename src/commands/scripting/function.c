/* FUNCTION. A tenant has no function libraries. */
#include "atomdb/session/options.h"
#include "commands/handlers.h"

enum outcome cmd_function_delete(struct session *s, const struct request *r) {
	(void)r;
	return reply_error(s, "ERR Library not found");
}

enum outcome cmd_function_flush(struct session *s, const struct request *r) {
	if (r->argc > 3)
		return reply_wrong_count(s, r);
	if (r->argc == 3 && !slice_is(r->argv[2], "SYNC") && !slice_is(r->argv[2], "ASYNC"))
		return reply_error(s, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
	s->tenant->clients.changes++;
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

enum outcome cmd_function_kill(struct session *s, const struct request *r) {
	(void)r;
	return reply_error(s, "NOTBUSY No scripts in execution right now.");
}

enum { OPTION_WITHCODE = 1 << 0, OPTION_LIBRARYNAME = 1 << 1 };

/* Each option may occur once. */
static const struct command_option list_options[] = {
	OPTION("withcode", .flag = OPTION_WITHCODE, .excludes = OPTION_WITHCODE),
	OPTION("libraryname", .flag = OPTION_LIBRARYNAME, .values = 1, .excludes = OPTION_LIBRARYNAME),
};

enum outcome cmd_function_list(struct session *s, const struct request *r) {
	struct options o = OPTIONS_BEGIN(r, 2, list_options);
	while (options_next(&o) != NULL)
		;
	if (o.error == OPTIONS_SHORT)
		return reply_error(s, "ERR library name argument was not given");
	if (o.error != OPTIONS_OK)
		writer_errorf(s->reply, "ERR Unknown argument %.*s", ECHO_TEXT(r->argv[o.next], ECHO_LONG));
	else
		writer_array(s->reply, 0);
	return OUTCOME_DONE;
}

enum outcome cmd_function_stats(struct session *s, const struct request *r) {
	(void)r;
	struct writer *w = s->reply;
	writer_map(w, 2);
	writer_bulk(w, SLICE("running_script"));
	writer_null(w);
	writer_bulk(w, SLICE("engines"));
	writer_map(w, 1);
	writer_bulk(w, SLICE("LUA"));
	writer_map(w, 2);
	writer_bulk(w, SLICE("libraries_count"));
	writer_integer(w, 0);
	writer_bulk(w, SLICE("functions_count"));
	writer_integer(w, 0);
	return OUTCOME_DONE;
}

enum outcome cmd_function_help(struct session *s, const struct request *r) {
	(void)r;
	static const char *const lines[] = {
		"DELETE <library>",
		"    Returns an error: there is no such library.",
		"FLUSH [ASYNC|SYNC]",
		"    Returns OK: there are no libraries.",
		"KILL",
		"    Returns an error: no function runs.",
		"LIST [LIBRARYNAME <pattern>] [WITHCODE]",
		"    Returns an empty list of libraries.",
		"STATS",
		"    Returns null for the running function, and 0 libraries.",
	};
	return reply_help_lines(s, "function", lines);
}
