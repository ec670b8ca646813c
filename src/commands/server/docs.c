#include "commands/server/docs.h"

#include <string.h>

/* A parsed argument. A missing part has no data. */
struct argument {
	bool optional, multiple, multiple_token;
	struct slice name, type, spec, token, since, deprecated;
	const char *inner; /* the text in its parentheses */
};

/* Returns the part behind `mark`, if the mark comes next. */
static struct slice take_part(const char **at, char mark) {
	if (**at != mark)
		return (struct slice){NULL, 0};
	const char *begin = ++*at;
	*at += strcspn(begin, "@=<>( )");
	return (struct slice){begin, (size_t)(*at - begin)};
}

/* Parses the argument at `*at`, and moves `*at` behind it and its space. */
static struct argument take(const char **at) {
	struct argument a = {.inner = NULL};
	for (;; ++*at) {
		if (**at == '?')
			a.optional = true;
		else if (**at == '*')
			a.multiple = true;
		else if (**at == '+')
			a.multiple_token = true;
		else
			break;
	}
	/* The last colon precedes the type: names may contain colons. */
	const char *begin = *at, *colon = begin;
	*at += strcspn(begin, "@=<>( )");
	for (const char *p = begin; p < *at; p++)
		colon = *p == ':' ? p : colon;
	a.name = (struct slice){begin, (size_t)(colon - begin)};
	a.type = (struct slice){colon + 1, (size_t)(*at - colon - 1)};
	a.spec = take_part(at, '@');
	a.token = take_part(at, '=');
	a.since = take_part(at, '<');
	a.deprecated = take_part(at, '>');
	if (**at == '(') {
		a.inner = ++*at;
		for (unsigned depth = 1; depth != 0; ++*at)
			depth += (unsigned)(**at == '(') - (unsigned)(**at == ')');
	}
	*at += **at == ' ';
	return a;
}

static bool is_end(const char *at) {
	return *at == '\0' || *at == ')';
}

static void write_field(struct writer *w, const char *name, struct slice value) {
	if (value.data == NULL)
		return;
	writer_bulk(w, slice_of(name));
	writer_bulk(w, value);
}

static void write_argument(struct writer *w, const struct argument *a) {
	size_t flags = (size_t)a->optional + a->multiple + a->multiple_token;
	writer_map(w, 2 + (size_t)(a->spec.data != NULL) + (a->token.data != NULL) + (a->since.data != NULL) +
			      (a->deprecated.data != NULL) + (flags != 0) + (a->inner != NULL));
	write_field(w, "name", a->name);
	write_field(w, "type", a->type);
	if (a->spec.data != NULL) {
		writer_bulk(w, SLICE("key_spec_index"));
		writer_integer(w, a->spec.data[0] - '0');
	}
	write_field(w, "token", a->token);
	write_field(w, "since", a->since);
	write_field(w, "deprecated_since", a->deprecated);
	if (flags != 0) {
		writer_bulk(w, SLICE("flags"));
		writer_set(w, flags);
		if (a->optional)
			writer_simple(w, "optional");
		if (a->multiple)
			writer_simple(w, "multiple");
		if (a->multiple_token)
			writer_simple(w, "multiple_token");
	}
	if (a->inner != NULL) {
		writer_bulk(w, SLICE("arguments"));
		docs_reply_arguments(w, a->inner);
	}
}

void docs_reply_arguments(struct writer *w, const char *text) {
	size_t count = 0;
	for (const char *at = text; !is_end(at); count++)
		take(&at);
	writer_array(w, count);
	for (const char *at = text; !is_end(at);) {
		struct argument a = take(&at);
		write_argument(w, &a);
	}
}

static size_t count_changes(const struct command *c) {
	size_t count = 0;
	while (c->history != NULL && c->history[count].version != NULL)
		count++;
	return count;
}

size_t docs_count(const struct command *c) {
	return (size_t)(c->doc_flag != NULL) + (c->deprecated_since != NULL) + (c->replaced_by != NULL) +
	       (c->history != NULL);
}

static void pair(struct writer *w, const char *name, const char *text) {
	if (text == NULL)
		return;
	writer_bulk(w, slice_of(name));
	writer_bulk(w, slice_of(text));
}

void docs_reply(struct writer *w, const struct command *c) {
	size_t count = count_changes(c);
	if (c->doc_flag != NULL) {
		writer_bulk(w, SLICE("doc_flags"));
		writer_set(w, 1);
		writer_simple(w, c->doc_flag);
		pair(w, "deprecated_since", c->deprecated_since);
		pair(w, "replaced_by", c->replaced_by);
	}
	if (count == 0)
		return;
	writer_bulk(w, SLICE("history"));
	writer_set(w, count);
	for (size_t i = 0; i < count; i++) {
		writer_array(w, 2);
		writer_bulk(w, slice_of(c->history[i].version));
		writer_bulk(w, slice_of(c->history[i].text));
	}
}
