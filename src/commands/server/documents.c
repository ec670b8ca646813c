#include "commands/server/documents.h"

#include <string.h>

static const struct change_row {
	const char *command, *version, *text;
} changes[] = {
#define CHANGE(command, version, text) {command, version, text},
#define STANDING(...)
#include "commands/documents.def"
#undef CHANGE
#undef STANDING
};

static const struct standing_row {
	const char *command, *flag, *since, *instead;
} standings[] = {
#define CHANGE(...)
#define STANDING(command, flag, since, instead) {command, flag, since, instead},
#include "commands/documents.def"
#undef CHANGE
#undef STANDING
};

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const struct standing_row *standing_of(const struct command *c) {
	for (size_t i = 0; i < LENGTH(standings); i++) {
		if (strcmp(standings[i].command, c->name) == 0)
			return &standings[i];
	}
	return NULL;
}

/* The first of the command's changes, which follow each other: `*count` of them. */
static const struct change_row *changes_of(const struct command *c, size_t *count) {
	const struct change_row *first = NULL;
	*count = 0;
	for (size_t i = 0; i < LENGTH(changes); i++) {
		if (strcmp(changes[i].command, c->name) != 0)
			continue;
		if (first == NULL)
			first = &changes[i];
		++*count;
	}
	return first;
}

size_t documents_count(const struct command *c) {
	const struct standing_row *standing = standing_of(c);
	size_t count;
	(void)changes_of(c, &count);
	if (standing == NULL)
		return count != 0;
	return 1 + (size_t)(standing->since[0] != '\0') + (standing->instead[0] != '\0') + (count != 0);
}

static void pair(struct writer *w, const char *name, const char *text) {
	if (text[0] == '\0')
		return;
	writer_bulk(w, slice_of(name));
	writer_bulk(w, slice_of(text));
}

void documents_reply(struct writer *w, const struct command *c) {
	const struct standing_row *standing = standing_of(c);
	size_t count;
	const struct change_row *change = changes_of(c, &count);
	if (standing != NULL) {
		writer_bulk(w, SLICE("doc_flags"));
		writer_set(w, 1);
		writer_simple(w, standing->flag);
		pair(w, "deprecated_since", standing->since);
		pair(w, "replaced_by", standing->instead);
	}
	if (count == 0)
		return;
	writer_bulk(w, SLICE("history"));
	writer_set(w, count);
	for (size_t i = 0; i < count; i++) {
		writer_array(w, 2);
		writer_bulk(w, slice_of(change[i].version));
		writer_bulk(w, slice_of(change[i].text));
	}
}
