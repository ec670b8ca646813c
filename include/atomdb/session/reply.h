/* Reads arguments and writes the replies that many handlers share. */
#pragma once

#include "atomdb/session/session.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/string.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/fiber.h"
#include "atomdb/util/number.h"

/* Most bytes of a client's text in an error message. */
#define ECHO_MAX 128
/* The same for messages in which Redis repeats the whole text. */
#define ECHO_LONG 16384

/* Keys that a command looks up, and bytes of text that it reads, between two check points. */
#define CHECK_KEYS 16
#define CHECK_TEXT 1024

/* Precision and pointer for "%.*s": at most `max` bytes of a slice. printf also stops at a NUL. */
#define ECHO_TEXT(slice, max) (int)((slice).len < (size_t)(max) ? (slice).len : (size_t)(max)), (slice).data

/* Returns the key in argument `i`. For the first key the hash is already known. */
static inline struct key request_key(const struct session *s, const struct request *r, uint32_t i) {
	if (r->hashed == s->attachments && i == (uint32_t)r->command->first_key) {
		struct key key = r->key;
		key.db_slot = s->db_slot;
		return key;
	}
	return keyspace_long_key(s->tenant, s->db_slot, r->argv[i]);
}

/* Returns CLOCK_REALTIME in milliseconds, as cached in the session's shard. */
static inline int64_t session_now(const struct session *s) {
	return shard_now(s->tenant->shard);
}

/* Each of these functions writes one reply and returns OUTCOME_DONE. */
static inline enum outcome reply_error(struct session *s, const char *text) {
	writer_error(s->reply, text);
	return OUTCOME_DONE;
}
enum outcome reply_syntax_error(struct session *s);
enum outcome reply_not_integer(struct session *s);
enum outcome reply_too_long(struct session *s);
/* The error for a wrong number of arguments of a subcommand whose arity allows it. */
enum outcome reply_wrong_count(struct session *s, const struct request *r);
/* The message for a negative result of the store. */
enum outcome reply_store_error(struct session *s, int error);
/* Replies "+OK", or the message for a negative `error`. */
enum outcome reply_result(struct session *s, int error);
/* Replies to HELP of a command with subcommands. */
enum outcome reply_help(struct session *s, const char *name, const char *const *lines, size_t count);
#define reply_help_lines(s, name, lines) reply_help((s), (name), (lines), sizeof(lines) / sizeof((lines)[0]))

/* Replies with `value`, which is the value of `e` or a part of it, of at least PIN_MIN bytes. If possible, pins it so
 * that the worker sends it straight from the arena, and returns OUTCOME_PINNED_TAIL. */
enum outcome reply_large(struct session *s, const struct entry *e, struct slice value);

/* Removes the part of the reply from `mark` on, a former `s->reply->out->len`. */
void reply_rewind(struct session *s, size_t mark);
/* Returns the remaining steps of glob_match for the patterns of the running command: GLOB_WORK at its start. All
 * commands of a transaction share one budget, which EXEC sets. */
uint64_t *pattern_work(struct session *s);
/* Replaces the reply since `mark` with an error: the patterns of the command have used up their steps. */
enum outcome reply_costly_pattern(struct session *s, size_t mark);

/* Reads an integer argument. Returns false after replying Redis's error if it is not an integer. */
static inline bool request_integer(struct session *s, struct slice text, int64_t *value) {
	if (__builtin_expect(number_parse(text, value), 1))
		return true;
	reply_not_integer(s);
	return false;
}

/* Finds the string of the key in argument `i`, as string_find() does. False: the key holds a value of another type, and
 * Redis's error was replied. */
static inline bool request_string(struct session *s, const struct request *r, uint32_t i, enum lookup how,
				  struct key *key, struct string **found) {
	*key = request_key(s, r, i);
	int error = string_find(s->tenant, key, how, found);
	if (__builtin_expect(error == 0, 1))
		return true;
	reply_store_error(s, error);
	return false;
}
