/* Reads the options of a command, such as EX and KEEPTTL of SET, by a table. */
#pragma once

#include "atomdb/session/session.h"

/* Bytes of the longest name of an option. */
#define OPTION_NAME_MAX 16

struct command_option {
	char name[OPTION_NAME_MAX]; /* in lower case, padded with zeros; see OPTION() */
	uint8_t length;
	uint8_t values;    /* arguments that follow the name */
	uint32_t flag;     /* one bit, unique in the table */
	uint32_t excludes; /* flags of options that must not precede it; may include its own */
};
#define OPTION(text, ...) \
	{ .name = (text), .length = sizeof(text) - 1, __VA_ARGS__ }

enum options_error {
	OPTIONS_OK,
	OPTIONS_UNKNOWN,  /* not an option of the table, or not one of `allowed` */
	OPTIONS_EXCLUDED, /* a preceding option excludes it */
	OPTIONS_SHORT,    /* its values are missing */
};

struct options {
	const struct request *request;
	const struct command_option *table;
	size_t count;
	uint32_t allowed;          /* flags of the accepted options; others are unknown */
	uint32_t next;             /* number of the next argument, or of the argument with the error */
	uint32_t seen;             /* flags of the options so far */
	const struct slice *value; /* the first value of the last option */
	enum options_error error;
};

/* Starts with the argument `first`. `table` is an array. */
#define OPTIONS_BEGIN(r, first, table) options_begin((r), (first), (table), sizeof(table) / sizeof((table)[0]))
static inline struct options options_begin(const struct request *r, uint32_t first, const struct command_option *table,
					   size_t count) {
	return (struct options){.request = r, .table = table, .count = count, .allowed = UINT32_MAX, .next = first};
}
/* Returns the option of that name, or NULL. */
const struct command_option *options_find(const struct command_option *table, size_t count, struct slice name);

/* Returns the next option. NULL: there is none, or `error` is set. Inline, because SET is frequent. */
static inline const struct command_option *options_next(struct options *o) {
	const struct request *r = o->request;
	if (o->next >= r->argc)
		return NULL;
	const struct command_option *found = options_find(o->table, o->count, r->argv[o->next]);
	if (found == NULL || !(found->flag & o->allowed))
		o->error = OPTIONS_UNKNOWN;
	else if (found->excludes & o->seen)
		o->error = OPTIONS_EXCLUDED;
	else if (r->argc - o->next - 1 < found->values)
		o->error = OPTIONS_SHORT;
	if (o->error != OPTIONS_OK)
		return NULL;
	o->seen |= found->flag;
	o->value = &r->argv[o->next + 1];
	o->next += 1 + found->values;
	return found;
}
