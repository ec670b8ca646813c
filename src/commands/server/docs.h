/* COMMAND DOCS: arguments, deprecation and history of a command. */
#pragma once

#include "atomdb/session/session.h"

/* Writes the arguments of a command, in the form of commands.def, as the list of maps of COMMAND DOCS. */
void docs_reply_arguments(struct writer *w, const char *text);

/* Returns the count of pairs that docs_reply() writes. */
size_t docs_count(const struct command *c);
/* Writes the pairs doc_flags, deprecated_since, replaced_by and history of a map that the caller began. */
void docs_reply(struct writer *w, const struct command *c);
