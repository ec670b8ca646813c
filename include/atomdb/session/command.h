/* The table of commands: one row each, made from commands.def.
 *
 * Dispatch, COMMAND, the metrics by command and the manual page atomdb-commands(7) use it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/util/slice.h"

struct session;
struct request;

enum command_id {
#define COMMAND(id, ...) COMMAND_##id,
#define SUBCOMMAND(parent, id, ...)
#include "atomdb/commands/commands.def"
#undef COMMAND
#undef SUBCOMMAND
	COMMAND_COUNT
};

enum command_group {
	GROUP_STRING,
	GROUP_GENERIC,
	GROUP_CONNECTION,
	GROUP_SERVER,
	GROUP_BITMAP,
	GROUP_HYPERLOGLOG,
	GROUP_SCRIPTING,
	GROUP_TRANSACTIONS,
	GROUP_PUBSUB
};

/* Redis's command flags, in the order in which COMMAND INFO names them. */
enum command_flag {
	CMD_WRITE = 1 << 0,
	CMD_READONLY = 1 << 1,
	CMD_DENYOOM = 1 << 2,
	CMD_ADMIN = 1 << 3,
	CMD_NOSCRIPT = 1 << 4,
	CMD_LOADING = 1 << 5,
	CMD_STALE = 1 << 6,
	CMD_FAST = 1 << 7,
	CMD_NO_AUTH = 1 << 8, /* may be called without AUTH */
	CMD_ALLOW_BUSY = 1 << 9,
	CMD_PUBSUB = 1 << 10,
	CMD_SKIP_SLOWLOG = 1 << 11,
	CMD_NO_MULTI = 1 << 12,
	/* Not shown by COMMAND INFO. */
	CMD_PARENT = 1 << 13,        /* has subcommands */
	CMD_IN_MULTI = 1 << 14,      /* runs at once inside MULTI */
	CMD_IN_SUBSCRIBER = 1 << 15, /* allowed for a subscribed client of RESP2 */
	CMD_IN_PAUSE = 1 << 16,      /* runs during CLIENT PAUSE */
	CMD_MAY_WRITE = 1 << 17,     /* waits for the end of CLIENT PAUSE WRITE, although it has no CMD_WRITE */
	CMD_RUNS_QUEUE = 1 << 18,    /* runs the queued commands of a transaction */
	CMD_LEAVES_TENANT = 1 << 19, /* detaches the session from its tenant */
	CMD_LONG = 1 << 21,          /* may take long: see command.is_long */
	CMD_KEEPS_CACHING = 1 << 20, /* a preceding CLIENT CACHING applies to the command behind it */
};

/* Redis's ACL categories, in the order in which COMMAND INFO names them. AtomDB has no rules by category, but clients
 * query them. */
enum acl_category {
	ACL_KEYSPACE = 1 << 0,
	ACL_READ = 1 << 1,
	ACL_WRITE = 1 << 2,
	ACL_SET = 1 << 3,
	ACL_SORTEDSET = 1 << 4,
	ACL_LIST = 1 << 5,
	ACL_HASH = 1 << 6,
	ACL_STRING = 1 << 7,
	ACL_BITMAP = 1 << 8,
	ACL_HYPERLOGLOG = 1 << 9,
	ACL_GEO = 1 << 10,
	ACL_STREAM = 1 << 11,
	ACL_PUBSUB = 1 << 12,
	ACL_ADMIN = 1 << 13,
	ACL_FAST = 1 << 14,
	ACL_SLOW = 1 << 15,
	ACL_BLOCKING = 1 << 16,
	ACL_DANGEROUS = 1 << 17,
	ACL_CONNECTION = 1 << 18,
	ACL_TRANSACTION = 1 << 19,
	ACL_SCRIPTING = 1 << 20,
};

/* Key flags, in the order of COMMAND INFO. */
enum key_flag {
	KEY_RO = 1 << 0,
	KEY_RW = 1 << 1,
	KEY_OW = 1 << 2,
	KEY_RM = 1 << 3,
	KEY_ACCESS = 1 << 4,
	KEY_UPDATE = 1 << 5,
	KEY_INSERT = 1 << 6,
	KEY_DELETE = 1 << 7,
	KEY_VARIABLE_FLAGS = 1 << 8,
	KEY_NOT_KEY = 1 << 9, /* the argument is a channel, not a key */
};

/* The result of a handler. */
enum outcome {
	OUTCOME_DONE = 0,
	OUTCOME_CLOSE,       /* close after the replies are sent: QUIT */
	OUTCOME_HTTP,        /* the same, and report it: the command is a line of an HTTP request */
	OUTCOME_PINNED_TAIL, /* the reply ends with environment->pinned, which the caller owns, and CRLF */
	OUTCOME_RETRY,       /* nothing was replied: run the same request again after the due work of the shard */
	OUTCOME_MIGRATE,     /* nothing was replied: run the same request on worker session->home */
	OUTCOME_BLOCKED,     /* nothing was replied: run the same request again when session_host.wake is called, or the
				tenant's pause ends */
	OUTCOME_BUSY,        /* nothing was replied: run it again when environment.awaited has no suspended command */
	OUTCOME_SUSPENDED,   /* the command goes on later: the host has taken it over */
};

/* Returns whether the command has replied, and will not run again. */
static inline bool outcome_is_final(enum outcome outcome) {
	return outcome < OUTCOME_RETRY;
}

/* A further key specification of a command. If there is one, first_key covers one key only. */
struct key_spec {
	uint16_t flags;      /* enum key_flag; 0 ends the list */
	int16_t first, last; /* like first_key and last_key; first 0: the position depends on other arguments */
	/* If first is 0: returns the number of the argument that is a key, such as the one of STORE, or 0. At most one
	 * specification of a command has it. NULL: no argument is a key, as with the keys of SORT BY, whose names come
	 * from values. */
	uint32_t (*find)(const struct slice *argv, uint32_t argc);
	const char *note; /* NULL: none */
};

/* A change of a command in a version of Redis. */
struct command_change {
	const char *version, *text; /* NULL ends the list */
};

struct command {
	const char *name; /* lower case; subcommands "client|list" */
	enum outcome (*run)(struct session *s, const struct request *r);
	/* Returns whether the command may take long with these arguments, so that it is to run on a fiber. NULL: always
	 * if the row has CMD_LONG, else never. A row without CMD_LONG is asked only in a transaction, or if the session
	 * has a state that prevents pinned replies. */
	bool (*is_long)(const struct session *s, const struct request *r);
	int16_t arity;       /* includes the name; negative: a minimum */
	uint32_t flags;      /* enum command_flag */
	uint32_t categories; /* enum acl_category, in addition to the flags' categories: see command_categories */
	uint16_t key_flags;  /* enum key_flag */
	int16_t first_key, last_key, key_step;
	enum command_group group;
	const char *key_note;             /* note of the key specification; usually NULL */
	const struct key_spec *more_keys; /* usually NULL */
	/* Hooks for properties that depend on the arguments. `argv` begins with the name. Usually NULL.
	 *
	 * Returns the key_flags of one call: a subset of the flags of the row, which has KEY_VARIABLE_FLAGS. */
	uint16_t (*call_key_flags)(const struct slice *argv, uint32_t argc);
	/* Returns whether argument `i` is a secret, which no log shows. A command with this hook sets SESSION_SECRET.
	 */
	bool (*is_secret)(const struct slice *argv, uint32_t i);
	const char *tips, *since;         /* separated by spaces, NULL: none; version of Redis */
	const char *complexity, *summary; /* complexity: NULL for none */
	/* For COMMAND DOCS. NULL: none.
	 *
	 *   argument = [?][*][+] name : type [@ key specification] [= token] [< since] [> deprecated since]
	 * [(arguments)]
	 *
	 * separated by spaces. "?" means optional, "*" repeatable, "+" repeatable with the token each time. A type is
	 * one of key, string, integer, double, pattern, unix-time, pure-token, oneof and block; the last two contain
	 * arguments. */
	const char *arguments;
	const char *doc_flag;                       /* "deprecated" or "syscmd" */
	const char *deprecated_since, *replaced_by; /* version of Redis, as text */
	const struct command_change *history;       /* oldest first */
	enum command_id id;                         /* of the parent, for a subcommand */
	uint16_t number; /* unique for each command and subcommand, below command_numbers() */
};

/* All commands: see src/commands/table.c. */
struct command_set {
	const struct command *rows;        /* COMMAND_COUNT of them, in order of enum command_id */
	const struct command *subcommands; /* subcommands of one parent are adjacent */
	size_t subcommand_count;
};

/* Returns the command of that name, in any case, or NULL. */
const struct command *command_find(const struct command_set *set, struct slice name);
/* Returns the subcommands of a command, `*count` adjacent rows, or NULL if it has none. */
const struct command *command_subcommands(const struct command_set *set, const struct command *parent, size_t *count);
/* Returns the command or subcommand after `c`, the first for NULL, or NULL after the last. The subcommands of a command
 * follow it. */
const struct command *command_next(const struct command_set *set, const struct command *c);
/* Returns the subcommand of that name ("list", not "client|list"), in any case, or NULL. */
const struct command *command_find_subcommand(const struct command_set *set, const struct command *parent,
					      struct slice name);
/* Returns the command that "get" or "client|list" names, in any case, or NULL. */
const struct command *command_find_full(const struct command_set *set, struct slice name);
/* Returns the command or subcommand that the first of `argc` arguments name, or NULL. */
const struct command *command_find_arguments(const struct command_set *set, const struct slice *argv, uint32_t argc);
/* Returns the name of a command in lower case. */
const char *command_name(enum command_id id);
/* Returns the number of commands and subcommands. */
size_t command_numbers(void);

/* Returns all ACL categories of a command: its own and those that its flags imply. */
uint32_t command_categories(const struct command *c);
/* Returns Redis's name of one category (one bit of enum acl_category), or NULL beyond the last. */
const char *command_category_name(unsigned bit);
/* Returns the category of that name, in any case, or 0. */
uint32_t command_find_category(struct slice name);

/* An index of the command names for the hot path, one per worker. It is built once and then only read. All zeros means
 * not built. */
#define COMMAND_SLOTS 256
struct command_index {
	struct command_slot {
		uint64_t head, tail; /* the bytes of the name: see name_words in command.c */
		size_t length;       /* 0: empty */
		const struct command *command;
	} slots[COMMAND_SLOTS];
	bool ready;
};
void command_index_build(struct command_index *index, const struct command_set *set);
/* Like command_find. */
const struct command *command_index_find(const struct command_index *index, struct slice name);

/* Returns whether the request is to run on a fiber: see command.is_long. */
bool command_is_long(const struct session *s, const struct request *r);
/* Returns whether the arity of the command allows `argc` arguments, including the name. */
static inline bool command_arity_ok(const struct command *c, uint32_t argc) {
	return c->arity >= 0 ? argc == (uint32_t)c->arity : argc >= (uint32_t)-c->arity;
}
