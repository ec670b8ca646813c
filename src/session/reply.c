#include "atomdb/session/reply.h"

#include <ctype.h>
#include <stdio.h>

#include "atomdb/util/error.h"
#include "atomdb/util/glob.h"

enum outcome reply_syntax_error(struct session *s) {
	return reply_error(s, "ERR syntax error");
}

enum outcome reply_not_integer(struct session *s) {
	return reply_error(s, "ERR value is not an integer or out of range");
}

enum outcome reply_too_long(struct session *s) {
	return reply_error(s, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
}

enum outcome reply_wrong_count(struct session *s, const struct request *r) {
	char upper[32];
	const char *parent = command_name(r->command->id);
	size_t n = 0;
	for (; parent[n] != '\0' && n < sizeof(upper) - 1; n++)
		upper[n] = (char)toupper((unsigned char)parent[n]);
	upper[n] = '\0';
	writer_errorf(s->reply, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try %s HELP.",
		      ECHO_TEXT(r->argv[1], ECHO_MAX), upper);
	return OUTCOME_DONE;
}

enum outcome reply_store_error(struct session *s, int error) {
	if (error == ATOMDB_E_OOM)
		return reply_error(s, "OOM command not allowed when used memory > 'maxmemory'.");
	if (error == ATOMDB_E_WRONGTYPE)
		return reply_error(s, "WRONGTYPE Operation against a key holding the wrong kind of value");
	writer_errorf(s->reply, "ERR %s", error_text(error));
	return OUTCOME_DONE;
}

enum outcome reply_result(struct session *s, int error) {
	if (__builtin_expect(error < 0, 0))
		return reply_store_error(s, error);
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

/* Does not pin if the client may receive a push behind the value, or wants no reply. */
__attribute__((noinline)) enum outcome reply_large(struct session *s, const struct entry *e, struct slice value) {
	struct pin *pin = NULL;
	if (!(s->flags & (uint32_t)(SESSION_ATTENTION ^ SESSION_TENANT_ATTENTION)) && !s->reply->muted)
		pin = pin_take(s->tenant, e);
	if (pin == NULL) {
		writer_bulk(s->reply, value);
		return OUTCOME_DONE;
	}
	writer_bulk_head(s->reply, value.len);
	s->env->pinned = (struct pinned){pin, value};
	return OUTCOME_PINNED_TAIL;
}

void reply_rewind(struct session *s, size_t mark) {
	if (!s->reply->failed && s->reply->out->len > mark)
		s->reply->out->len = mark;
}

uint64_t *pattern_work(struct session *s) {
	if (!(s->flags & SESSION_EXECUTING))
		s->env->pattern_work = GLOB_WORK;
	return &s->env->pattern_work;
}

enum outcome reply_costly_pattern(struct session *s, size_t mark) {
	reply_rewind(s, mark);
	return reply_error(s, "ERR the pattern takes too long to match");
}

enum outcome reply_help(struct session *s, const char *name, const char *const *lines, size_t count) {
	struct writer *w = s->reply;
	char title[128];
	int n = snprintf(title, sizeof(title), "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", name);
	for (int i = 0; i < n && title[i] != ' '; i++)
		title[i] = (char)toupper((unsigned char)title[i]);
	writer_array(w, count + 3);
	writer_simple(w, title);
	for (size_t i = 0; i < count; i++)
		writer_simple(w, lines[i]);
	writer_simple(w, "HELP");
	writer_simple(w, "    Prints this help.");
	return OUTCOME_DONE;
}
