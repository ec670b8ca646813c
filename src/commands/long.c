#include "commands/long.h"

#include "atomdb/dispatch/transaction.h"
#include "atomdb/session/reply.h"
#include "atomdb/store/tenant.h"

/* A fiber costs as much as one or two of these: below them, a command takes some microseconds in one piece. */
#define ARGUMENTS      64
#define SOME_ARGUMENTS 8
#define TEXT           512 /* bytes */
#define CLIENTS        16
#define SUBSCRIPTIONS  64
#define PATTERNS       256 /* bytes */
#define VALUE_BYTES    ((size_t)256 << 10)
#define KEYS           1024
#define QUEUED         16

bool long_by_arguments(const struct session *s, const struct request *r) {
	(void)s;
	return r->argc > ARGUMENTS;
}

bool long_by_some_arguments(const struct session *s, const struct request *r) {
	(void)s;
	return r->argc > SOME_ARGUMENTS;
}

bool long_by_options(const struct session *s, const struct request *r) {
	(void)s;
	return r->argc > (uint32_t)-r->command->arity;
}

bool long_by_text(const struct session *s, const struct request *r) {
	size_t bytes = 0;
	(void)s;
	for (uint32_t i = 1; i < r->argc && i < ARGUMENTS; i++)
		bytes += r->argv[i].len;
	return bytes > TEXT || r->argc > ARGUMENTS;
}

bool long_by_text_bytes(const struct session *s, const struct request *r) {
	(void)s;
	return r->argv[r->argc > 3 ? 3 : 0].len > TEXT;
}

bool long_by_bytes(const struct session *s, const struct request *r) {
	(void)r;
	return counter_get(&s->tenant->counters.bytes) > VALUE_BYTES;
}

bool long_by_value(const struct session *s, const struct request *r) {
	if (!long_by_bytes(s, r))
		return false;
	struct key key = request_key(s, r, (uint32_t)r->command->first_key);
	struct string *value;
	char text[STRING_TEXT];
	return string_find(s->tenant, &key, LOOKUP_PEEK, &value) == 0 &&
	       string_value_or_empty(value, text).len > VALUE_BYTES;
}

bool long_by_options_and_value(const struct session *s, const struct request *r) {
	return long_by_options(s, r) && long_by_value(s, r);
}

bool long_by_arguments_or_bytes(const struct session *s, const struct request *r) {
	return long_by_arguments(s, r) || long_by_bytes(s, r);
}

bool long_by_arguments_or_value(const struct session *s, const struct request *r) {
	return long_by_arguments(s, r) || long_by_value(s, r);
}

bool long_by_offset(const struct session *s, const struct request *r) {
	for (uint32_t i = 2; i < r->argc && i < ARGUMENTS; i++) {
		struct slice text = r->argv[i];
		int64_t offset;
		/* BITFIELD counts in fields behind '#'. */
		if (text.len > 0 && text.data[0] == '#')
			text = (struct slice){text.data + 1, text.len - 1};
		if (number_parse(text, &offset) && offset > (int64_t)VALUE_BYTES / 8)
			return true;
	}
	return long_by_value(s, r);
}

bool long_by_arguments_or_offset(const struct session *s, const struct request *r) {
	return long_by_arguments(s, r) || long_by_offset(s, r);
}

bool long_by_clients(const struct session *s, const struct request *r) {
	(void)r;
	return counter_get(&s->tenant->counters.clients) > CLIENTS || r->argc > ARGUMENTS;
}

bool long_by_subscriptions(const struct session *s, const struct request *r) {
	const struct subscriptions *h = s->tenant->clients.subscriptions;
	(void)r;
	return h != NULL && (h->subscriptions.count > SUBSCRIPTIONS || h->kinds[CHANNEL_PATTERN].length > PATTERNS);
}

bool long_by_subscribing(const struct session *s, const struct request *r) {
	return r->argc == 1 ? long_by_subscriptions(s, r) : long_by_text(s, r);
}

bool long_by_keys(const struct session *s, const struct request *r) {
	(void)r;
	return counter_get(&s->tenant->counters.keys) > KEYS;
}

bool long_by_queue(const struct session *s, const struct request *r) {
	return transaction_length(s) > QUEUED || transaction_is_long(s) || long_by_subscriptions(s, r);
}
