/* What the files of command groups share: the handlers' declarations, made from commands.def, and a few steps that most
 * handlers begin or end with. */
#pragma once

#include "atomdb/events/keyspace_events.h"
#include "atomdb/session/session.h"
#include "atomdb/store/shard.h"
#include "atomdb/util/number.h"

#define COMMAND(id, name, run, ...)            enum outcome run(struct session *s, const struct request *r);
#define SUBCOMMAND(parent, id, name, run, ...) enum outcome run(struct session *s, const struct request *r);
#include "atomdb/commands/commands.def"
#undef COMMAND
#undef SUBCOMMAND

/* How much of a client's text an error repeats at most. */
#define ECHO_MAX 128
/* The same where Redis repeats all of it. */
#define ECHO_LONG 16384

/* Bytes of a name that a client gives itself. */
#define CLIENT_TEXT_MAX 128

/* Precision and pointer for "%.*s": at most `max` bytes of a slice, which printf ends at a NUL as well. */
#define ECHO_TEXT(slice, max) (int)((slice).len < (size_t)(max) ? (slice).len : (size_t)(max)), (slice).data

/* The key in argument `i`, hashed already where it is the first. */
static inline struct key request_key(const struct session *s, const struct request *r, uint32_t i) {
	if (r->hashed == s->attachments && i == (uint32_t)r->command->first_key) {
		struct key key = r->key;
		key.db_slot = s->db_slot;
		return key;
	}
	return keyspace_key(s->tenant, s->db_slot, r->argv[i]);
}

static inline int64_t session_now(const struct session *s) {
	return shard_now(s->tenant->shard);
}

/* Answers an error and is the outcome of it. */
static inline enum outcome reply_error(struct session *s, const char *text) {
	writer_error(s->reply, text);
	return OUTCOME_DONE;
}
enum outcome reply_syntax_error(struct session *s);
enum outcome reply_not_integer(struct session *s);
/* Where a subcommand does not take so many arguments, though its arity allows them. */
enum outcome reply_wrong_count(struct session *s, const struct request *r);
/* What a negative result of the store says to a client. */
enum outcome reply_store_error(struct session *s, int error);
/* "+OK", or the store's error. */
enum outcome reply_result(struct session *s, int error);
/* A value, or a part of it, of at least PIN_MIN bytes in the arena: sent from there, if it can be. */
enum outcome reply_large(struct session *s, const struct entry *e, struct slice value);

/* Takes back what was replied since `s->reply->out->len` was `mark`. */
void reply_rewind(struct session *s, size_t mark);
/* The steps of glob_match that the patterns of the running command may take: GLOB_WORK, or, for all commands of a
 * transaction together, the steps that its EXEC has put there. */
uint64_t *pattern_work(struct session *s);
/* The patterns of the command have used up their work: an error takes the place of the reply since `mark`. */
enum outcome reply_costly_pattern(struct session *s, size_t mark);

/* Reads an integer argument; answers Redis's error and returns false where it is none. */
static inline bool request_integer(struct session *s, struct slice text, int64_t *value) {
	if (__builtin_expect(number_parse(text, value), 1))
		return true;
	reply_not_integer(s);
	return false;
}

/* The value of `e`, nothing where it is NULL; `text` as in keyspace_value. */
static inline struct slice value_or_nothing(const struct entry *e, char text[KEYSPACE_TEXT]) {
	return e == NULL ? (struct slice){"", 0} : keyspace_value(e, text);
}
enum outcome reply_too_long(struct session *s);

/* Whether both count from the end, and backwards: mostly nothing lies between them, whatever the length is. */
static inline bool range_backwards(int64_t start, int64_t end) {
	return start < 0 && end < 0 && start > end;
}
/* Turns `*start` and `*end`, which count from the end where negative, into places within `length`; false where nothing
 * lies between them. */
bool range_resolve(int64_t length, int64_t *start, int64_t *end);

/* The lines of HELP for a command that has subcommands. */
enum outcome reply_help(struct session *s, const char *name, const char *const *lines, size_t count);
#define reply_help_lines(s, name, lines) reply_help((s), (name), (lines), sizeof(lines) / sizeof((lines)[0]))

/* Sets `*field`, an owned string, to a copy of `text`; to NULL for an empty one. 0 or -ENOMEM. */
int client_text_set(char **field, struct slice text);
/* CLIENT SETNAME's effect: answers an error and returns false where the name is not allowed. */
bool client_set_name(struct session *s, struct slice name);

/* The units and the zero of times that clients give. */
enum expire_unit { UNIT_SECONDS, UNIT_MILLISECONDS };

/* The absolute deadline for a positive `text` in `unit`, relative to now or absolute. Answers Redis's error and returns
 * false where there is none. */
bool expire_parse(struct session *s, const struct request *r, struct slice text, enum expire_unit unit, bool absolute,
		  int64_t *deadline);

/* Where the key is that SORT's last STORE names; 0: nowhere. */
uint32_t sort_destination(const struct slice *argv, uint32_t argc);

/* The tenant's charge, taken apart. */
struct cmd_memory_usage {
	uint64_t total, peak;
	uint64_t tables;  /* of all databases */
	uint64_t dataset; /* blocks of entries */
	uint64_t other;   /* clients' buffers and what is kept about the tenant */
	uint64_t keys;
};
struct cmd_memory_usage memory_take_apart(const struct tenant *t);
/* What the caller sees of the arenas: the operator all of them; a tenant none that others share, only its own blocks,
 * each of which is charged all that it takes. */
struct arenas memory_arenas(const struct session *s);
/* Bytes of pages for each byte of blocks. */
double memory_fragmentation(const struct arenas *a);
double memory_percentage(uint64_t part, uint64_t whole);

/* The configured value of a parameter that more than CONFIG GET tells. */
const char *config_policy(const struct tenant *t);
