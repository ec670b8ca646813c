/* Reading arguments and writing the replies that many handlers share. */
#pragma once

#include "atomdb/session/session.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/string.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/number.h"

/* Bytes of a client's text that an error message repeats at most. */
#define ECHO_MAX 128
/* The same for messages in which Redis repeats the whole text. */
#define ECHO_LONG 16384

/* Precision and pointer for "%.*s": at most `max` bytes of a slice. printf also ends at a NUL. */
#define ECHO_TEXT(slice, max) (int)((slice).len < (size_t)(max) ? (slice).len : (size_t)(max)), (slice).data

/* The key in argument `i`. The hash of the first key is known already. */
static inline struct key request_key(const struct session *s, const struct request *r, uint32_t i) {
	if (r->hashed == s->attachments && i == (uint32_t)r->command->first_key) {
		struct key key = r->key;
		key.db_slot = s->db_slot;
		return key;
	}
	return keyspace_key(s->tenant, s->db_slot, r->argv[i]);
}

/* CLOCK_REALTIME in milliseconds, as the session's shard knows it. */
static inline int64_t session_now(const struct session *s) {
	return shard_now(s->tenant->shard);
}

/* Each of these writes one reply and returns OUTCOME_DONE. */
static inline enum outcome reply_error(struct session *s, const char *text) {
	writer_error(s->reply, text);
	return OUTCOME_DONE;
}
enum outcome reply_syntax_error(struct session *s);
enum outcome reply_not_integer(struct session *s);
enum outcome reply_too_long(struct session *s);
/* A subcommand that does not take this number of arguments, although its arity allows it. */
enum outcome reply_wrong_count(struct session *s, const struct request *r);
/* The message for a negative result of the store. */
enum outcome reply_store_error(struct session *s, int error);
/* "+OK", or the message for a negative `error`. */
enum outcome reply_result(struct session *s, int error);
/* HELP of a command that has subcommands. */
enum outcome reply_help(struct session *s, const char *name, const char *const *lines, size_t count);
#define reply_help_lines(s, name, lines) reply_help((s), (name), (lines), sizeof(lines) / sizeof((lines)[0]))

/* Replies with `value`, all or a part of the value of `e`, of at least PIN_MIN bytes. If it can, the worker sends it
 * straight from the arena: OUTCOME_PINNED_TAIL then. */
enum outcome reply_large(struct session *s, const struct entry *e, struct slice value);

/* Removes what was replied since `s->reply->out->len` was `mark`. */
void reply_rewind(struct session *s, size_t mark);
/* The steps of glob_match that are left for the patterns of the running command: GLOB_WORK at its start. EXEC sets one
 * number for all commands of its transaction together. */
uint64_t *pattern_work(struct session *s);
/* The patterns of the command have used up their steps: replaces the reply since `mark` with an error. */
enum outcome reply_costly_pattern(struct session *s, size_t mark);

/* Reads an integer argument. False: it is none, and Redis's error was replied. */
static inline bool request_integer(struct session *s, struct slice text, int64_t *value) {
	if (__builtin_expect(number_parse(text, value), 1))
		return true;
	reply_not_integer(s);
	return false;
}

/* The value of `e`, which may be NULL: the empty value then. `text` as in string_value. */
static inline struct slice value_or_nothing(const struct entry *e, char text[STRING_TEXT]) {
	return e == NULL ? (struct slice){"", 0} : string_value(e, text);
}
