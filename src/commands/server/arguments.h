/* The arguments of commands, as COMMAND DOCS tells them, from arguments.def. */
#pragma once

#include "atomdb/session/session.h"

/* The text of a command's arguments in arguments.def; NULL where it has none. */
const char *arguments_of(const struct command *c);
/* Writes such a text as the list of maps that clients expect. */
void arguments_reply(struct writer *w, const char *text);
