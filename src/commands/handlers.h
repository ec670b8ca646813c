/* The handlers of all commands, made from commands.def, and the headers that most of them use. */
#pragma once

#include "atomdb/events/keyspace_events.h"
#include "atomdb/session/reply.h"

#define COMMAND(id, name, run, ...)            enum outcome run(struct session *s, const struct request *r);
#define SUBCOMMAND(parent, id, name, run, ...) enum outcome run(struct session *s, const struct request *r);
#include "atomdb/commands/commands.def"
#undef COMMAND
#undef SUBCOMMAND
