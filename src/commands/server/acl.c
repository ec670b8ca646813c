/* ACL. A tenant has one user, who may run every command. */
#include "commands/server/acl.h"

#include <stdio.h>
#include <sys/random.h>

#include "atomdb/commands/table.h"
#include "commands/handlers.h"

#define GENPASS_BITS     256
#define GENPASS_BITS_MAX 4096

static size_t list_categories(struct writer *w) {
	unsigned count = 0;
	for (; command_category_name(count) != NULL; count++)
		writer_bulk(w, slice_of(command_category_name(count)));
	return count;
}

static size_t list_commands(struct writer *w, uint32_t category) {
	size_t count = 0;
	for (const struct command *c = NULL; (c = command_next(&command_set, c)) != NULL;) {
		if (!(command_categories(c) & category))
			continue;
		writer_bulk(w, slice_of(c->name));
		count++;
	}
	return count;
}

enum outcome cmd_acl_cat(struct session *s, const struct request *r) {
	uint32_t category = r->argc == 3 ? command_find_category(r->argv[2]) : 0;
	if (r->argc > 3)
		return reply_wrong_count(s, r);
	if (r->argc == 3 && category == 0) {
		writer_errorf(s->reply, "ERR Unknown category '%.*s'", ECHO_TEXT(r->argv[2], ECHO_LONG));
		return OUTCOME_DONE;
	}
	size_t mark = writer_mark(s->reply);
	writer_array_at(s->reply, mark, r->argc == 2 ? list_categories(s->reply) : list_commands(s->reply, category));
	return OUTCOME_DONE;
}

enum outcome cmd_acl_genpass(struct session *s, const struct request *r) {
	static const char digits[] = "0123456789abcdef";
	int64_t bits = GENPASS_BITS;
	if (r->argc > 3)
		return reply_wrong_count(s, r);
	if (r->argc == 3 && !request_integer(s, r->argv[2], &bits))
		return OUTCOME_DONE;
	if (bits <= 0 || bits > GENPASS_BITS_MAX)
		return reply_error(s, "ERR ACL GENPASS argument must be the number of bits for the output password, a "
				      "positive number up to 4096");
	unsigned char random[GENPASS_BITS_MAX / 4];
	char text[GENPASS_BITS_MAX / 4];
	size_t count = (size_t)(bits + 3) / 4;
	for (size_t have = 0; have < count;) {
		ssize_t n = getrandom(random + have, count - have, 0);
		if (n > 0)
			have += (size_t)n;
	}
	for (size_t i = 0; i < count; i++)
		text[i] = digits[random[i] & 15];
	writer_bulk(s->reply, (struct slice){text, count});
	return OUTCOME_DONE;
}

enum outcome cmd_acl_list(struct session *s, const struct request *r) {
	(void)r;
	char line[TENANT_NAME_MAX + 32];
	int n = snprintf(line, sizeof(line), "user %s on ~* &* +@all", session_user(s));
	writer_array(s->reply, 1);
	writer_bulk(s->reply, (struct slice){line, (size_t)n});
	return OUTCOME_DONE;
}

enum outcome cmd_acl_users(struct session *s, const struct request *r) {
	(void)r;
	writer_array(s->reply, 1);
	writer_bulk(s->reply, slice_of(session_user(s)));
	return OUTCOME_DONE;
}

/* Redis's reply for a user that may run everything. The secret is not shown. */
enum outcome cmd_acl_getuser(struct session *s, const struct request *r) {
	static const char *const rules[][2] = {{"commands", "+@all"}, {"keys", "~*"}, {"channels", "&*"}};
	struct writer *w = s->reply;
	if (!slice_equal(r->argv[2], slice_of(session_user(s)))) {
		writer_null(w);
		return OUTCOME_DONE;
	}
	writer_map(w, 6);
	writer_bulk(w, SLICE("flags"));
	writer_set(w, 1);
	writer_bulk(w, SLICE("on"));
	writer_bulk(w, SLICE("passwords"));
	writer_array(w, 0);
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		writer_bulk(w, slice_of(rules[i][0]));
		writer_bulk(w, slice_of(rules[i][1]));
	}
	writer_bulk(w, SLICE("selectors"));
	writer_array(w, 0);
	return OUTCOME_DONE;
}

enum outcome cmd_acl_whoami(struct session *s, const struct request *r) {
	(void)r;
	writer_bulk(s->reply, slice_of(session_user(s)));
	return OUTCOME_DONE;
}

enum outcome cmd_acl_log(struct session *s, const struct request *r) {
	int64_t count;
	if (r->argc > 3)
		return reply_wrong_count(s, r);
	if (r->argc == 3 && slice_is(r->argv[2], "RESET"))
		writer_ok(s->reply);
	else if (r->argc == 2 || request_integer(s, r->argv[2], &count))
		writer_array(s->reply, 0);
	return OUTCOME_DONE;
}

/* The command is refused, but its arguments contain a password. */
bool acl_setuser_is_secret(const struct slice *argv, uint32_t i) {
	(void)argv;
	return i >= 2;
}

enum outcome cmd_acl_refuse(struct session *s, const struct request *r) {
	if (r->command->is_secret != NULL)
		s->flags |= SESSION_SECRET;
	return reply_error(s, "ERR AtomDB has no ACL users: a secret opens a tenant, and whoever has it may do "
			      "everything in it");
}

enum outcome cmd_acl_help(struct session *s, const struct request *r) {
	(void)r;
	static const char *const lines[] = {
		"CAT [<category>]",
		"    Returns the categories of commands, or the commands of a category.",
		"GETUSER <name>",
		"    Returns the rules of the tenant's user, which allow everything.",
		"GENPASS [<bits>]",
		"    Returns a random password, of 256 bits by default.",
		"LIST",
		"    Returns the rules of the tenant's user as text.",
		"LOG [<count> | RESET]",
		"    Returns an empty list: the journal records failed authentications.",
		"USERS",
		"    Returns the name of the tenant's user.",
		"WHOAMI",
		"    Returns the name of the connection's user.",
		"DELUSER, DRYRUN, LOAD, SAVE, SETUSER",
		"    Return an error: AtomDB has no ACL users. The configuration defines the tenants.",
	};
	return reply_help_lines(s, "acl", lines);
}
