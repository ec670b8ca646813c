/* INCR, DECR, INCRBY, DECRBY and INCRBYFLOAT. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "atomdb/util/error.h"
#include "commands/handlers.h"

static enum outcome add(struct session *s, const struct request *r, int64_t amount) {
	struct key key;
	struct string *old;
	int64_t value;
	if (!request_string(s, r, 1, LOOKUP_WRITE, &key, &old))
		return OUTCOME_DONE;
	int error = string_add(s->tenant, &key, old, amount, &value);
	if (error == ATOMDB_E_SYNTAX)
		return reply_not_integer(s);
	if (error == ATOMDB_E_RANGE)
		return reply_error(s, "ERR increment or decrement would overflow");
	if (error < 0)
		return reply_store_error(s, error);
	keyspace_event(s, NOTIFY_STRING, "incrby", &key);
	writer_integer(s->reply, value);
	return OUTCOME_DONE;
}

enum outcome cmd_incr(struct session *s, const struct request *r) {
	return add(s, r, 1);
}

enum outcome cmd_decr(struct session *s, const struct request *r) {
	return add(s, r, -1);
}

enum outcome cmd_incrby(struct session *s, const struct request *r) {
	int64_t amount;
	return request_integer(s, r->argv[2], &amount) ? add(s, r, amount) : OUTCOME_DONE;
}

enum outcome cmd_decrby(struct session *s, const struct request *r) {
	int64_t amount;
	if (!request_integer(s, r->argv[2], &amount))
		return OUTCOME_DONE;
	if (amount == INT64_MIN)
		return reply_error(s, "ERR decrement would overflow");
	return add(s, r, -amount);
}

/* Bytes of the longest number with a fraction that is read or written. */
#define FLOAT_TEXT_MAX 5120

/* Reads all of `text` by the rules of strtold(), without a space before it. */
static bool parse_float(struct slice text, long double *value) {
	char copy[FLOAT_TEXT_MAX], *end;
	if (text.len == 0 || text.len >= sizeof(copy) || isspace((unsigned char)text.data[0]))
		return false;
	memcpy(copy, text.data, text.len);
	copy[text.len] = '\0';
	errno = 0;
	long double number = strtold(copy, &end);
	if (end != copy + text.len || errno == EINVAL || isnan(number))
		return false;
	if (errno == ERANGE && (isinf(number) || fpclassify(number) == FP_ZERO))
		return false;
	*value = number;
	return true;
}

/* Writes up to 17 digits after the point, without trailing zeros. Returns the length. */
static size_t format_float(long double value, char text[FLOAT_TEXT_MAX]) {
	int n = snprintf(text, FLOAT_TEXT_MAX, "%.17Lf", value);
	while (text[n - 1] == '0')
		n--;
	if (text[n - 1] == '.')
		n--;
	if (n == 2 && memcmp(text, "-0", 2) == 0) {
		text[0] = '0';
		n = 1;
	}
	return (size_t)n;
}

enum outcome cmd_incrbyfloat(struct session *s, const struct request *r) {
	struct key key;
	struct string *old;
	if (!request_string(s, r, 1, LOOKUP_WRITE, &key, &old))
		return OUTCOME_DONE;
	char digits[STRING_TEXT], text[FLOAT_TEXT_MAX];
	long double value = 0, amount;
	if ((old != NULL && !parse_float(string_value(old, digits), &value)) || !parse_float(r->argv[2], &amount))
		return reply_error(s, "ERR value is not a valid float");
	value += amount;
	if (isnan(value) || isinf(value))
		return reply_error(s, "ERR increment would produce NaN or Infinity");
	struct slice sum = {text, format_float(value, text)};
	int error =
		string_set_text(s->tenant, &key, string_entry(old), sum, old == NULL ? DEADLINE_NONE : DEADLINE_KEEP);
	if (error < 0)
		return reply_store_error(s, error);
	keyspace_event(s, NOTIFY_STRING, "incrbyfloat", &key);
	writer_bulk(s->reply, sum);
	return OUTCOME_DONE;
}
