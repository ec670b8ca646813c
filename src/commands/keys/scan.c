/* KEYS and SCAN. */
#include <stdio.h>

#include "atomdb/session/options.h"
#include "atomdb/store/value_type.h"
#include "atomdb/store/walk.h"
#include "atomdb/util/glob.h"
#include "commands/handlers.h"

/* The largest COUNT of one SCAN. It bounds the time that other clients wait. */
#define SCAN_COUNT_MAX 65536

/* The keys that an iteration writes to `writer`. */
struct selection {
	struct writer *writer;
	struct slice pattern;
	bool all;   /* any name matches */
	bool typed; /* only values of the type `type` */
	struct slice type;
	const struct tenant *tenant;
	uint64_t count;   /* keys written */
	uint64_t visited; /* keys seen, which COUNT of SCAN bounds */
	uint64_t *work;   /* left for matching; 0: given up */
};

static void pick(void *context, const struct entry *e) {
	struct selection *sel = context;
	struct slice name = keyspace_name(e);
	sel->visited++;
	if (sel->typed && !slice_is(sel->type, value_type_of(sel->tenant, e)->name))
		return;
	if (!sel->all && !glob_match_usual(sel->pattern, name, false, sel->work))
		return;
	writer_bulk(sel->writer, name);
	sel->count++;
}

static void select_pattern(struct selection *sel, struct slice pattern) {
	sel->pattern = pattern;
	sel->all = pattern.len == 1 && pattern.data[0] == '*';
}

static bool is_given_up(const struct selection *sel) {
	return !sel->all && *sel->work == 0;
}

enum outcome cmd_keys(struct session *s, const struct request *r) {
	struct selection sel = {.writer = s->reply, .work = pattern_work(s)};
	select_pattern(&sel, r->argv[1]);
	size_t mark = writer_mark(s->reply);
	uint64_t cursor = 0;
	do {
		cursor = keyspace_scan(s->tenant, s->database, cursor, pick, &sel);
	} while (cursor != 0 && !writer_drops(s->reply) && !is_given_up(&sel) && !fiber_check());
	if (is_given_up(&sel))
		return reply_costly_pattern(s, mark);
	writer_array_at(s->reply, mark, sel.count);
	return OUTCOME_DONE;
}

/* Reads a cursor as Redis does, by the rules of strtoul(): a sign is allowed and wraps, an empty text is 0, a NUL ends
 * it. */
static bool parse_cursor(struct slice text, uint64_t *cursor) {
	size_t i = 0, digits = 0;
	bool negative = false;
	uint64_t value = 0;
	if (i < text.len && (text.data[i] == '-' || text.data[i] == '+'))
		negative = text.data[i++] == '-';
	for (; i < text.len && text.data[i] >= '0' && text.data[i] <= '9'; i++, digits++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(text.data[i] - '0'), &value))
			return false;
	}
	if (digits == 0 && i != 0)
		return false;
	if (i < text.len && text.data[i] != '\0')
		return false;
	*cursor = negative ? -value : value;
	return true;
}

enum { OPTION_COUNT = 1 << 0, OPTION_MATCH = 1 << 1, OPTION_TYPE = 1 << 2 };

static const struct command_option options[] = {
	OPTION("count", .flag = OPTION_COUNT, .values = 1),
	OPTION("match", .flag = OPTION_MATCH, .values = 1),
	OPTION("type", .flag = OPTION_TYPE, .values = 1),
};

/* Reads the options from argument 2 on. False: an error was replied. */
static bool parse_options(struct session *s, const struct request *r, struct selection *sel, int64_t *count) {
	struct options o = OPTIONS_BEGIN(r, 2, options);
	const struct command_option *option;
	while ((option = options_next(&o)) != NULL) {
		if (option->flag == OPTION_MATCH)
			select_pattern(sel, *o.value);
		else if (option->flag == OPTION_TYPE)
			sel->type = *o.value;
		else if (!request_integer(s, *o.value, count))
			return false;
		if (*count < 1)
			break;
	}
	sel->typed = (o.seen & OPTION_TYPE) != 0;
	if (o.error != OPTIONS_OK || *count < 1)
		reply_syntax_error(s);
	return o.error == OPTIONS_OK && *count >= 1;
}

enum outcome cmd_scan(struct session *s, const struct request *r) {
	uint64_t cursor;
	int64_t count = 10;
	if (!parse_cursor(r->argv[1], &cursor))
		return reply_error(s, "ERR invalid cursor");
	size_t mark = writer_mark(s->reply);
	struct selection sel = {.writer = s->reply, .all = true, .work = pattern_work(s), .tenant = s->tenant};
	if (!parse_options(s, r, &sel, &count))
		return OUTCOME_DONE;
	if (count > SCAN_COUNT_MAX)
		count = SCAN_COUNT_MAX;
	int64_t steps = count * 10;
	do {
		cursor = keyspace_scan(s->tenant, s->database, cursor, pick, &sel);
	} while (cursor != 0 && --steps > 0 && sel.visited < (uint64_t)count && !s->reply->failed &&
		 !is_given_up(&sel) && !fiber_check());
	if (is_given_up(&sel))
		return reply_costly_pattern(s, mark);

	/* The new cursor stands before the names, but is known only after them. */
	char text[32], head[96];
	int digits = snprintf(text, sizeof(text), "%llu", (unsigned long long)cursor);
	int n = snprintf(head, sizeof(head), "*2\r\n$%d\r\n%s\r\n*%llu\r\n", digits, text,
			 (unsigned long long)sel.count);
	writer_raw_at(s->reply, mark, (struct slice){head, (size_t)n});
	return OUTCOME_DONE;
}
