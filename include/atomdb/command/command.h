/* The table of commands, made from commands.def: one row a command.
 *
 * The row is the source of dispatch, COMMAND, the metrics by command and README's table. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/util/counter.h"
#include "atomdb/util/slice.h"

struct session;
struct request;

enum command_id {
#define COMMAND(id, ...) COMMAND_##id,
#define SUBCOMMAND(id, ...)
#include "atomdb/command/commands.def"
#undef COMMAND
#undef SUBCOMMAND
	COMMAND_COUNT
};

enum command_group { GROUP_STRING, GROUP_GENERIC, GROUP_CONNECTION, GROUP_SERVER };

/* Redis's command flags, as COMMAND INFO names them. */
enum command_flag {
	CMD_WRITE = 1 << 0,
	CMD_READONLY = 1 << 1,
	CMD_DENYOOM = 1 << 2,
	CMD_ADMIN = 1 << 3,
	CMD_FAST = 1 << 4,
	CMD_LOADING = 1 << 5,
	CMD_STALE = 1 << 6,
	CMD_NOSCRIPT = 1 << 7,
	CMD_NO_AUTH = 1 << 8, /* may be called without AUTH */
	CMD_ALLOW_BUSY = 1 << 9,
	CMD_SKIP_MONITOR = 1 << 10,
	CMD_SKIP_SLOWLOG = 1 << 11,
	CMD_SENTINEL = 1 << 12,
	CMD_MOVABLEKEYS = 1 << 13,
};

/* What a handler tells its caller. */
enum outcome {
	OUTCOME_DONE = 0,
	OUTCOME_CLOSE,     /* write what is there, then close: QUIT */
	OUTCOME_AGAIN,     /* nothing was replied: run the same request again when the shard has caught up */
	OUTCOME_ELSEWHERE, /* nothing was replied: run the same request on worker session->home */
};

struct command {
	const char *name; /* lower case; subcommands "client|list" */
	enum outcome (*run)(struct session *s, const struct request *r);
	const struct command *subcommands;
	uint16_t subcommand_count;
	int16_t arity;       /* with the name; negative: at least */
	uint32_t flags;      /* enum command_flag */
	uint32_t categories; /* enum acl_category, beyond what group and flags imply */
	enum command_group group;
	int16_t first_key, last_key, key_step;
	const char *since; /* the version of Redis that brought it */
	const char *complexity;
	const char *summary;
	enum command_id id; /* of the parent, for a subcommand */
};

/* All commands, COMMAND_COUNT of them, in order of enum command_id. */
extern const struct command command_table[];

/* The command of that name in any case, or NULL. */
const struct command *command_find(struct slice name);
const struct command *command_find_subcommand(const struct command *parent, struct slice name);

/* Figures of a command on one worker: written by it, read by anybody. */
struct command_figures {
	counter calls;
	counter ticks;    /* clock_ticks spent */
	counter rejected; /* refused before it ran: arity, authentication, rate */
	counter failed;   /* ran and answered an error */
};
