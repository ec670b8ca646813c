/* The arguments of commands, as COMMAND DOCS tells them. */
#pragma once

#include "atomdb/session/session.h"

/* Writes such a text as the list of maps that clients expect. */
void arguments_reply(struct writer *w, const char *text);

/* How many pairs documents_reply writes. */
size_t documents_count(const struct command *c);
/* Writes them, of a map that COMMAND DOCS has begun: doc_flags, deprecated_since, replaced_by, history. */
void documents_reply(struct writer *w, const struct command *c);
