/* COMMAND: the table of commands, in Redis's form. */
#include <stdio.h>

#include "atomdb/commands/table.h"
#include "atomdb/session/keys.h"
#include "atomdb/session/options.h"
#include "atomdb/util/glob.h"
#include "commands/handlers.h"
#include "commands/server/docs.h"

static const char *const group_names[] = {
	[GROUP_STRING] = "string",         [GROUP_GENERIC] = "generic",
	[GROUP_CONNECTION] = "connection", [GROUP_SERVER] = "server",
	[GROUP_BITMAP] = "bitmap",         [GROUP_HYPERLOGLOG] = "hyperloglog",
	[GROUP_SCRIPTING] = "scripting",   [GROUP_TRANSACTIONS] = "transactions",
	[GROUP_PUBSUB] = "pubsub",
};

static const char *const flag_names[] = {"write",   "readonly",     "denyoom", "admin",   "noscript",
					 "loading", "stale",        "fast",    "no_auth", "allow_busy",
					 "pubsub",  "skip_slowlog", "no_multi"};
static const char *const key_flag_names[] = {
	"RO", "RW", "OW", "RM", "access", "update", "insert", "delete", "variable_flags", "not_key"};
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static void reply_text(struct session *s, const char *text) {
	writer_bulk(s->reply, slice_of(text));
}

/* Replies with the set of the names of the bits that are set. */
static void reply_bits(struct session *s, uint32_t bits, const char *const *names, size_t count) {
	bits &= (uint32_t)((1ull << count) - 1);
	writer_set(s->reply, (size_t)__builtin_popcount(bits));
	for (size_t i = 0; i < count; i++) {
		if (bits & (1u << i))
			writer_simple(s->reply, names[i]);
	}
}

static void reply_categories(struct session *s, uint32_t categories) {
	writer_set(s->reply, (size_t)__builtin_popcount(categories));
	for (unsigned i = 0; command_category_name(i) != NULL; i++) {
		char text[32];
		if (!(categories & (1u << i)))
			continue;
		snprintf(text, sizeof(text), "@%s", command_category_name(i));
		writer_simple(s->reply, text);
	}
}

static void reply_tips(struct session *s, const char *tips) {
	if (tips == NULL)
		tips = "";
	size_t count = *tips != '\0';
	for (const char *p = tips; *p != '\0'; p++)
		count += *p == ' ';
	writer_set(s->reply, count);
	for (const char *p = tips; count > 0; count--) {
		size_t n = strcspn(p, " ");
		writer_bulk(s->reply, (struct slice){p, n});
		p += n + (p[n] == ' ');
	}
}

/* Replies with a key specification: its keys are at `first` to `last`, or depend on other arguments if `first` is 0. */
static void reply_key_spec(struct session *s, const struct key_spec *spec, int step) {
	struct writer *w = s->reply;
	const char *begin = spec->first == 0 ? "unknown" : "index", *find = spec->first == 0 ? "unknown" : "range";
	writer_map(w, spec->note == NULL ? 3 : 4);
	if (spec->note != NULL) {
		reply_text(s, "notes");
		reply_text(s, spec->note);
	}
	reply_text(s, "flags");
	reply_bits(s, spec->flags, key_flag_names, LENGTH(key_flag_names));
	reply_text(s, "begin_search");
	writer_map(w, 2);
	reply_text(s, "type");
	reply_text(s, begin);
	reply_text(s, "spec");
	writer_map(w, spec->first != 0);
	if (spec->first != 0) {
		reply_text(s, "index");
		writer_integer(w, spec->first);
	}
	reply_text(s, "find_keys");
	writer_map(w, 2);
	reply_text(s, "type");
	reply_text(s, find);
	reply_text(s, "spec");
	writer_map(w, spec->first != 0 ? 3 : 0);
	if (spec->first == 0)
		return;
	reply_text(s, "lastkey");
	writer_integer(w, spec->last < 0 ? spec->last : spec->last - spec->first);
	reply_text(s, "keystep");
	writer_integer(w, step);
	reply_text(s, "limit");
	writer_integer(w, 0);
}

static void reply_key_specs(struct session *s, const struct command *c) {
	struct key_spec first = {
		.flags = c->key_flags, .first = c->first_key, .last = c->last_key, .note = c->key_note};
	size_t count = c->first_key != 0, more = 0;
	if (c->more_keys != NULL) {
		first.last = c->first_key;
		while (c->more_keys[more].flags != 0)
			more++;
	}
	writer_set(s->reply, count + more);
	if (count != 0)
		reply_key_spec(s, &first, c->key_step);
	for (size_t i = 0; i < more; i++)
		reply_key_spec(s, &c->more_keys[i], c->key_step);
}

/* Returns whether positions alone give all keys. */
static bool keys_are_fixed(const struct command *c) {
	for (const struct key_spec *spec = c->more_keys; spec != NULL && spec->flags != 0; spec++) {
		if (spec->first == 0)
			return false;
	}
	return true;
}

static void reply_flags(struct session *s, const struct command *c) {
	uint32_t flags = c->flags & ((1u << LENGTH(flag_names)) - 1);
	bool fixed = keys_are_fixed(c);
	writer_set(s->reply, (size_t)__builtin_popcount(flags) + !fixed);
	for (size_t i = 0; i < LENGTH(flag_names); i++) {
		if (flags & (1u << i))
			writer_simple(s->reply, flag_names[i]);
	}
	if (!fixed)
		writer_simple(s->reply, "movablekeys");
}

static void reply_row(struct session *s, const struct command *c, bool with_subcommands) {
	struct writer *w = s->reply;
	(void)fiber_check();
	size_t count = 0;
	const struct command *sub = with_subcommands ? command_subcommands(&command_set, c, &count) : NULL;
	writer_array(w, 10);
	reply_text(s, c->name);
	writer_integer(w, c->arity);
	reply_flags(s, c);
	writer_integer(w, c->first_key);
	writer_integer(w, c->last_key);
	writer_integer(w, c->key_step);
	reply_categories(s, command_categories(c));
	reply_tips(s, c->tips);
	reply_key_specs(s, c);
	writer_set(w, count);
	for (size_t i = 0; i < count && !writer_drops(w); i++)
		reply_row(s, &sub[i], false);
}

/* Returns the command that "get" or "client|list" names, or NULL. `*is_sub`: the name is one of a subcommand. */
static const struct command *find_full(struct slice name, bool *is_sub) {
	*is_sub = name.len != 0 && memchr(name.data, '|', name.len) != NULL;
	return command_find_full(&command_set, name);
}

static enum outcome reply_all(struct session *s) {
	writer_array(s->reply, COMMAND_COUNT);
	for (size_t i = 0; i < COMMAND_COUNT && !writer_drops(s->reply); i++)
		reply_row(s, &command_set.rows[i], true);
	return OUTCOME_DONE;
}

enum outcome cmd_command(struct session *s, const struct request *r) {
	(void)r;
	return reply_all(s);
}

enum outcome cmd_command_info(struct session *s, const struct request *r) {
	size_t work = 0;
	if (r->argc == 2)
		return reply_all(s);
	writer_array(s->reply, r->argc - 2);
	for (uint32_t i = 2; i < r->argc && !writer_drops(s->reply); i++) {
		bool is_sub;
		const struct command *c = find_full(r->argv[i], &is_sub);
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
		if (c == NULL)
			writer_null(s->reply);
		else
			reply_row(s, c, !is_sub);
	}
	return OUTCOME_DONE;
}

enum outcome cmd_command_count(struct session *s, const struct request *r) {
	(void)r;
	writer_integer(s->reply, COMMAND_COUNT);
	return OUTCOME_DONE;
}

static void reply_docs(struct session *s, const struct command *c, bool with_subcommands) {
	size_t count = 0;
	const struct command *sub = with_subcommands ? command_subcommands(&command_set, c, &count) : NULL;
	(void)fiber_check();
	reply_text(s, c->name);
	const char *arguments = c->arguments;
	bool complexity = c->complexity != NULL;
	writer_map(s->reply, 3 + (size_t)complexity + docs_count(c) + (arguments != NULL) + (count != 0));
	reply_text(s, "summary");
	reply_text(s, c->summary);
	reply_text(s, "since");
	reply_text(s, c->since);
	reply_text(s, "group");
	reply_text(s, group_names[c->group]);
	if (complexity) {
		reply_text(s, "complexity");
		reply_text(s, c->complexity);
	}
	docs_reply(s->reply, c);
	if (arguments != NULL) {
		reply_text(s, "arguments");
		docs_reply_arguments(s->reply, arguments);
	}
	if (count == 0)
		return;
	reply_text(s, "subcommands");
	writer_map(s->reply, count);
	for (size_t i = 0; i < count && !writer_drops(s->reply); i++)
		reply_docs(s, &sub[i], false);
}

enum outcome cmd_command_docs(struct session *s, const struct request *r) {
	if (r->argc == 2) {
		writer_map(s->reply, COMMAND_COUNT);
		for (size_t i = 0; i < COMMAND_COUNT && !writer_drops(s->reply); i++)
			reply_docs(s, &command_set.rows[i], true);
		return OUTCOME_DONE;
	}
	size_t found = 0;
	bool is_sub;
	size_t work = 0;
	for (uint32_t i = 2; i < r->argc && !fiber_check_every(&work, 1, CHECK_KEYS); i++)
		found += find_full(r->argv[i], &is_sub) != NULL;
	writer_map(s->reply, found);
	for (uint32_t i = 2; i < r->argc && !writer_drops(s->reply); i++) {
		const struct command *c = find_full(r->argv[i], &is_sub);
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
		if (c != NULL)
			reply_docs(s, c, !is_sub);
	}
	return OUTCOME_DONE;
}

/* The filter of COMMAND LIST. */
struct list_choice {
	struct slice pattern; /* pattern of the name; data NULL: any */
	uint32_t category;    /* 0: any */
	bool none;            /* no command matches: AtomDB has no modules, or the category is unknown */
	uint64_t *work;       /* steps left for matching */
};

static bool chosen(struct list_choice *choice, const struct command *c) {
	if (choice->none)
		return false;
	if (choice->category != 0)
		return (command_categories(c) & choice->category) != 0;
	return choice->pattern.data == NULL ||
	       glob_match_sliced(choice->pattern, slice_of(c->name), true, choice->work);
}

enum { FILTER_MODULE = 1 << 0, FILTER_ACLCAT = 1 << 1, FILTER_PATTERN = 1 << 2 };

static const struct command_option filters[] = {
	OPTION("module", .flag = FILTER_MODULE, .values = 1),
	OPTION("aclcat", .flag = FILTER_ACLCAT, .values = 1),
	OPTION("pattern", .flag = FILTER_PATTERN, .values = 1),
};

/* Reads FILTERBY, which may occur once. Returns false on a syntax error. */
static bool parse_choice(const struct request *r, struct list_choice *choice) {
	struct options o = OPTIONS_BEGIN(r, 3, filters);
	if (r->argc == 2)
		return true;
	if (r->argc != 5 || !slice_is(r->argv[2], "FILTERBY") || options_next(&o) == NULL)
		return false;
	if (o.seen == FILTER_PATTERN)
		choice->pattern = *o.value;
	else if (o.seen == FILTER_ACLCAT)
		choice->category = command_find_category(*o.value);
	choice->none = o.seen != FILTER_PATTERN && choice->category == 0;
	return true;
}

enum outcome cmd_command_list(struct session *s, const struct request *r) {
	struct list_choice choice = {.work = pattern_work(s)};
	if (!parse_choice(r, &choice))
		return reply_syntax_error(s);
	size_t mark = writer_mark(s->reply), listed = 0;
	for (const struct command *c = NULL; (c = command_next(&command_set, c)) != NULL;) {
		(void)fiber_check();
		if (!chosen(&choice, c))
			continue;
		reply_text(s, c->name);
		listed++;
	}
	if (choice.pattern.data != NULL && *choice.work == 0)
		return reply_costly_pattern(s, mark);
	writer_array_at(s->reply, mark, listed);
	return OUTCOME_DONE;
}

static void reply_key(struct session *s, struct slice key, uint32_t flags, bool with_flags) {
	if (with_flags)
		writer_array(s->reply, 2);
	writer_bulk(s->reply, key);
	if (with_flags)
		reply_bits(s, flags, key_flag_names, LENGTH(key_flag_names));
}

static enum outcome get_keys(struct session *s, const struct request *r, bool with_flags) {
	uint32_t argc = r->argc - 2;
	const struct slice *argv = r->argv + 2;
	const struct command *c = command_find_arguments(&command_set, argv, argc);
	if (c == NULL)
		return reply_error(s, "ERR Invalid command specified");
	if (c->first_key == 0 || (c->key_flags & KEY_NOT_KEY))
		return reply_error(s, "ERR The command has no key arguments");
	if (!command_arity_ok(c, argc))
		return reply_error(s, "ERR Invalid number of arguments specified for command");
	struct command_keys keys = command_keys_begin(c, argv, argc);
	/* As in Redis, a specification that covers no argument: the sources of PFMERGE. */
	if (c->more_keys != NULL && c->last_key < 0 && command_keys_count(&keys) == 1)
		return reply_error(s, "ERR Invalid arguments specified for command");
	writer_array(s->reply, command_keys_count(&keys));
	size_t work = 0;
	for (uint32_t at;
	     command_keys_next(&keys, &at) && !fiber_check_every(&work, 1, CHECK_KEYS) && !writer_drops(s->reply);)
		reply_key(s, argv[at], command_key_flags(c, argv, argc, at), with_flags);
	return OUTCOME_DONE;
}

enum outcome cmd_command_getkeys(struct session *s, const struct request *r) {
	return get_keys(s, r, false);
}

enum outcome cmd_command_getkeysandflags(struct session *s, const struct request *r) {
	return get_keys(s, r, true);
}

enum outcome cmd_command_help(struct session *s, const struct request *r) {
	(void)r;
	static const char *const lines[] = {
		"(no subcommand)",
		"    Returns the attributes of all commands.",
		"COUNT",
		"    Returns the number of commands.",
		"DOCS [<command> ...]",
		"    Returns the documentation of the named commands, or of all.",
		"GETKEYS <command> [<arg> ...]",
		"    Returns the keys among the arguments of a command.",
		"GETKEYSANDFLAGS <command> [<arg> ...]",
		"    Returns the keys among the arguments of a command, with access flags.",
		"INFO [<command> ...]",
		"    Returns the attributes of the named commands, or of all.",
		"LIST [FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <pattern>)]",
		"    Returns the names of the commands.",
	};
	return reply_help_lines(s, "command", lines);
}

/* The handler of a command that has only subcommands. It runs only if the arity of the row requires none. */
enum outcome cmd_introspect_container(struct session *s, const struct request *r) {
	writer_errorf(s->reply, "ERR wrong number of arguments for '%s' command", r->command->name);
	return OUTCOME_DONE;
}
