/* Declares the handlers and hooks of the rows of commands.def, and includes the headers that most handlers use. */
#pragma once

#include "atomdb/events/keyspace_events.h"
#include "atomdb/session/reply.h"

#define COMMAND(id, name, run, ...)            enum outcome run(struct session *s, const struct request *r);
#define SUBCOMMAND(parent, id, name, run, ...) enum outcome run(struct session *s, const struct request *r);
#include "atomdb/commands/commands.def"
#undef COMMAND
#undef SUBCOMMAND

/* struct command.call_key_flags */
uint16_t set_key_flags(const struct slice *argv, uint32_t argc);
uint16_t bitfield_key_flags(const struct slice *argv, uint32_t argc);
/* struct key_spec.find */
uint32_t sort_store_key(const struct slice *argv, uint32_t argc);
/* struct command.is_secret */
bool acl_setuser_is_secret(const struct slice *argv, uint32_t i);
bool auth_is_secret(const struct slice *argv, uint32_t i);
bool config_set_is_secret(const struct slice *argv, uint32_t i);
bool hello_is_secret(const struct slice *argv, uint32_t i);
bool tenant_is_secret(const struct slice *argv, uint32_t i);
