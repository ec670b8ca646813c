/* What became of commands from version to version, as COMMAND DOCS tells it, from documents.def. */
#pragma once

#include "atomdb/session/session.h"

/* How many pairs documents_reply writes. */
size_t documents_count(const struct command *c);
/* Writes them, of a map that COMMAND DOCS has begun: doc_flags, deprecated_since, replaced_by, history. */
void documents_reply(struct writer *w, const struct command *c);
