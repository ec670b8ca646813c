/* CLIENT TRACKING, CACHING, GETREDIR and TRACKINGINFO. */
#include <errno.h>
#include <stdlib.h>

#include "atomdb/events/tracking.h"
#include "atomdb/session/options.h"
#include "commands/connection/client.h"
#include "commands/handlers.h"

/* Most bytes of all prefixes of a tenant, with PREFIX_PART for each. */
#define PREFIXES_MAX ((uint64_t)32 << 10)
#define PREFIX_PART  16

/* The options of CLIENT TRACKING. */
struct request_options {
	uint32_t options; /* enum tracking_option */
	struct session *redirect;
	struct slice *prefixes; /* owned */
	size_t count;
};

static uint32_t current_options(const struct session *s) {
	return s->subscriber == NULL || s->subscriber->tracking == NULL ? 0 : s->subscriber->tracking->options;
}

static bool fail(struct session *s, const char *text) {
	writer_error(s->reply, text);
	return false;
}

static bool parse_redirect(struct session *s, struct slice text, struct request_options *o) {
	int64_t id;
	if (o->redirect != NULL)
		return fail(s, "ERR A client can only redirect to a single other client");
	if (!request_integer(s, text, &id))
		return false;
	o->redirect = id <= 0 ? NULL : session_by_id(s->tenant, (uint64_t)id);
	return o->redirect != NULL || fail(s, "ERR The client ID you want redirect to does not exist");
}

/* Options in addition to enum tracking_option. */
enum { OPTION_REDIRECT = 1 << 30, OPTION_PREFIX = 1 << 29 };

static const struct command_option options[] = {
	OPTION("bcast", .flag = TRACKING_BCAST),
	OPTION("optin", .flag = TRACKING_OPTIN),
	OPTION("optout", .flag = TRACKING_OPTOUT),
	OPTION("noloop", .flag = TRACKING_NOLOOP),
	OPTION("redirect", .flag = OPTION_REDIRECT, .values = 1),
	OPTION("prefix", .flag = OPTION_PREFIX, .values = 1),
};

/* Reads the options from argument 3 on. Returns false if an error was replied. */
static bool parse(struct session *s, const struct request *r, struct request_options *out) {
	struct options o = OPTIONS_BEGIN(r, 3, options);
	const struct command_option *option;
	size_t work = 0;
	while ((option = options_next(&o)) != NULL) {
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
		if (option->flag == OPTION_PREFIX)
			out->prefixes[out->count++] = *o.value;
		else if (option->flag == OPTION_REDIRECT && !parse_redirect(s, *o.value, out))
			return false;
	}
	out->options = o.seen & ~(uint32_t)(OPTION_REDIRECT | OPTION_PREFIX);
	if (o.error != OPTIONS_OK)
		reply_syntax_error(s);
	return o.error == OPTIONS_OK;
}

static bool overlap(struct slice a, struct slice b) {
	size_t n = a.len < b.len ? a.len : b.len;
	return n == 0 || memcmp(a.data, b.data, n) == 0;
}

/* Returns whether the tenant may have these prefixes in addition to its present ones: each changed key is compared with
 * all of them. */
static bool prefixes_fit(const struct session *s, const struct request_options *o) {
	const struct subscriptions *h = s->tenant->clients.subscriptions;
	uint64_t bytes = h == NULL ? 0
				   : h->kinds[CHANNEL_TRACKED_PREFIX].length +
					     h->kinds[CHANNEL_TRACKED_PREFIX].count * PREFIX_PART;
	for (size_t i = 0; i < o->count && bytes <= PREFIXES_MAX; i++) {
		if (subscriptions_find(h, CHANNEL_TRACKED_PREFIX, 0, o->prefixes[i]) == NULL)
			bytes += o->prefixes[i].len + PREFIX_PART;
	}
	return bytes <= PREFIXES_MAX;
}

static bool check_prefixes(struct session *s, const struct request_options *o) {
	size_t work = 0;
	if (o->count != 0 && !prefixes_fit(s, o))
		return fail(s, "ERR the prefixes of this tenant are too many or too long");
	for (size_t i = 0; i < o->count; i++) {
		if (s->subscriber != NULL) {
			list_for_each (node, &s->subscriber->kinds[CHANNEL_TRACKED_PREFIX].subscriptions) {
				(void)fiber_check_every(&work, 1, CHECK_TEXT);
				struct slice have =
					channel_name(list_entry(node, struct subscription, by_subscriber)->channel);
				if (!overlap(have, o->prefixes[i]))
					continue;
				writer_errorf(s->reply,
					      "ERR Prefix '%.*s' overlaps with an existing prefix '%.*s'. Prefixes for "
					      "a single client must not overlap.",
					      ECHO_TEXT(o->prefixes[i], ECHO_LONG), ECHO_TEXT(have, ECHO_LONG));
				return false;
			}
		}
		for (size_t k = i + 1; k < o->count; k++) {
			(void)fiber_check_every(&work, 1, CHECK_TEXT);
			if (!overlap(o->prefixes[i], o->prefixes[k]))
				continue;
			writer_errorf(s->reply,
				      "ERR Prefix '%.*s' overlaps with another provided prefix '%.*s'. Prefixes for a "
				      "single client must not overlap.",
				      ECHO_TEXT(o->prefixes[i], ECHO_LONG), ECHO_TEXT(o->prefixes[k], ECHO_LONG));
			return false;
		}
	}
	return true;
}

static bool check(struct session *s, const struct request_options *o) {
	uint32_t now = current_options(s), then = o->options;
	if (!(then & TRACKING_BCAST) && o->count != 0)
		return fail(s, "ERR PREFIX option requires BCAST mode to be enabled");
	if ((s->flags & SESSION_TRACKING) && ((now ^ then) & TRACKING_BCAST))
		return fail(s, "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and "
			       "then re-enabling it with a different mode.");
	if ((then & TRACKING_BCAST) && (then & (TRACKING_OPTIN | TRACKING_OPTOUT)))
		return fail(s, "ERR OPTIN and OPTOUT are not compatible with BCAST");
	if ((then & TRACKING_OPTIN) && (then & TRACKING_OPTOUT))
		return fail(s, "ERR You can't specify both OPTIN mode and OPTOUT mode");
	if (((then & TRACKING_OPTIN) && (now & TRACKING_OPTOUT)) ||
	    ((then & TRACKING_OPTOUT) && (now & TRACKING_OPTIN)))
		return fail(s, "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and "
			       "then re-enabling it with a different mode.");
	return check_prefixes(s, o);
}

static void turn_on(struct session *s, const struct request_options *o) {
	if (!check(s, o))
		return;
	int error = subscriber_open(s);
	/* The target session keeps a list of the sessions that redirect to it. */
	if (error == 0 && o->redirect != NULL)
		error = subscriber_open(o->redirect);
	if (error == 0)
		error = tracking_enable(s, o->redirect, o->options, o->prefixes, o->count);
	if (error < 0)
		reply_store_error(s, error);
	else
		writer_ok(s->reply);
}

enum outcome cmd_client_tracking(struct session *s, const struct request *r) {
	struct request_options o = {.prefixes = calloc(r->argc, sizeof(struct slice))};
	if (o.prefixes == NULL)
		return reply_store_error(s, -ENOMEM);
	if (parse(s, r, &o)) {
		if (slice_is(r->argv[2], "ON")) {
			turn_on(s, &o);
		} else if (slice_is(r->argv[2], "OFF")) {
			tracking_disable(s);
			writer_ok(s->reply);
		} else {
			reply_syntax_error(s);
		}
	}
	free(o.prefixes);
	return OUTCOME_DONE;
}

enum outcome cmd_client_caching(struct session *s, const struct request *r) {
	uint32_t current = current_options(s);
	if (!(current & (TRACKING_OPTIN | TRACKING_OPTOUT)) && !(s->flags & SESSION_TRACKING))
		return reply_error(s, "ERR CLIENT CACHING can be called only when the client is in tracking mode with "
				      "OPTIN or OPTOUT mode enabled");
	bool yes = slice_is(r->argv[2], "YES");
	if (!yes && !slice_is(r->argv[2], "NO"))
		return reply_syntax_error(s);
	if (yes && !(current & TRACKING_OPTIN))
		return reply_error(s, "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
	if (!yes && !(current & TRACKING_OPTOUT))
		return reply_error(s, "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
	s->subscriber->tracking->options |= TRACKING_CACHING;
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

enum outcome cmd_client_getredir(struct session *s, const struct request *r) {
	(void)r;
	writer_integer(s->reply, tracking_redirection(s, false));
	return OUTCOME_DONE;
}

static void reply_flags(struct session *s) {
	uint32_t o = current_options(s);
	bool caching = (o & TRACKING_CACHING) != 0;
	const struct {
		bool there;
		const char *name;
	} flags[] = {
		{!(s->flags & SESSION_TRACKING), "off"},
		{(s->flags & SESSION_TRACKING) != 0, "on"},
		{(o & TRACKING_BCAST) != 0, "bcast"},
		{(o & TRACKING_OPTIN) != 0, "optin"},
		{(o & TRACKING_OPTIN) && caching, "caching-yes"},
		{(o & TRACKING_OPTOUT) != 0, "optout"},
		{(o & TRACKING_OPTOUT) && caching, "caching-no"},
		{(o & TRACKING_NOLOOP) != 0, "noloop"},
		{(o & TRACKING_BROKEN) != 0, "broken_redirect"},
	};
	size_t count = 0;
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		count += flags[i].there;
	writer_set(s->reply, count);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (flags[i].there)
			writer_bulk(s->reply, slice_of(flags[i].name));
	}
}

static int compare_names(const void *one, const void *other) {
	const struct slice *a = one, *b = other;
	size_t n = a->len < b->len ? a->len : b->len;
	int order = n == 0 ? 0 : memcmp(a->data, b->data, n);
	return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static void reply_prefixes(struct session *s) {
	size_t count = subscription_count(s, CHANNEL_TRACKED_PREFIX), i = 0;
	struct slice *names = count == 0 ? NULL : calloc(count, sizeof(*names));
	if (names == NULL) {
		writer_array(s->reply, 0);
		return;
	}
	list_for_each (node, &s->subscriber->kinds[CHANNEL_TRACKED_PREFIX].subscriptions)
		names[i++] = channel_name(list_entry(node, struct subscription, by_subscriber)->channel);
	qsort(names, count, sizeof(*names), compare_names);
	writer_array(s->reply, count);
	for (i = 0; i < count && !writer_drops(s->reply); i++)
		writer_bulk(s->reply, names[i]);
	free(names);
}

enum outcome cmd_client_trackinginfo(struct session *s, const struct request *r) {
	(void)r;
	writer_map(s->reply, 3);
	writer_bulk(s->reply, SLICE("flags"));
	reply_flags(s);
	writer_bulk(s->reply, SLICE("redirect"));
	writer_integer(s->reply, tracking_redirection(s, false));
	writer_bulk(s->reply, SLICE("prefixes"));
	reply_prefixes(s);
	return OUTCOME_DONE;
}
