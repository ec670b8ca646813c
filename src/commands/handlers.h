/* Declares the handlers of the rows of commands.def, and includes the headers that most handlers use. */
#pragma once

#include "atomdb/events/keyspace_events.h"
#include "atomdb/session/reply.h"

#define COMMAND(id, name, run, ...)            enum outcome run(struct session *s, const struct request *r);
#define SUBCOMMAND(parent, id, name, run, ...) enum outcome run(struct session *s, const struct request *r);
#include "atomdb/commands/commands.def"
#undef COMMAND
#undef SUBCOMMAND
