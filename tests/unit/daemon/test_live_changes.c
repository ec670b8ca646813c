/* Settings that the operator changes while AtomDB runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/store/shard_open.h"
#include "daemon/daemon_state.h"
#include "daemon/live_changes.h"
#include "harness.h"

struct world {
	struct daemon *d;
	struct shard *shard;
	struct log_sink sink;
	char log[4096]; /* "tenant: detail" lines of the ended changes */
	unsigned noted;
};

static void report(void *context, const struct log_event *event) {
	struct world *w = context;
	size_t len = strlen(w->log);
	w->noted += event->id == LOG_EVENT_LIVE_CHANGE;
	if (event->id == LOG_EVENT_LIVE_END)
		snprintf(w->log + len, sizeof(w->log) - len, "%s%s%s\n", event->tenant != NULL ? event->tenant : "",
			 event->tenant != NULL ? ": " : "", event->detail);
}

static struct config *parse(const char *text) {
	struct config *c = NULL;
	struct config_error error;
	if (config_parse(text, strlen(text), "f", NULL, &c, &error) != 0)
		fail_msg("%s", error.text);
	return c;
}

static struct world *world_new(const char *config) {
	struct world *w = calloc(1, sizeof(*w));
	const struct registry_hooks hooks = {0};
	assert_non_null(w);
	w->d = calloc(1, sizeof(*w->d));
	assert_non_null(w->d);
	w->sink = (struct log_sink){report, w};
	w->d->events = &w->sink;
	w->d->config = parse(config);
	list_init(&w->d->live_changes);
	assert_int_equal(shard_new(&w->shard, &(struct shard_options){.id = 0}), 0);
	assert_int_equal(registry_new(&w->d->registry, &w->shard, 1, &w->d->config->tenants_config, &hooks, NULL), 0);
	return w;
}

static void world_free(struct world *w) {
	live_changes_free(w->d);
	registry_free(w->d->registry);
	shard_free(w->shard);
	config_free(w->d->config);
	free(w->d);
	free(w);
}

static void set(struct config *c, const char *key, const char *value) {
	struct config_error error;
	assert_int_equal(config_change(c, slice_of(key), slice_of(value), &error), 0);
}

static void a_change_counts_once_and_is_logged_each_time(void **state) {
	struct world *w = world_new("");
	(void)state;
	live_changes_note(w->d, "", "log.level");
	live_changes_note(w->d, "", "log.level");
	live_changes_note(w->d, "shop", "max_memory");
	assert_int_equal(w->d->live_count, 2);
	assert_int_equal(w->d->sources.live_changes, 2);
	assert_int_equal(w->noted, 3);
	world_free(w);
}

static void a_tenant_is_forgotten_with_all_its_changes(void **state) {
	struct world *w = world_new("");
	(void)state;
	live_changes_note(w->d, "shop", LIVE_CREATED);
	live_changes_note(w->d, "shop", "max_memory");
	live_changes_note(w->d, "mail", "max_memory");
	assert_true(live_changes_forget_tenant(w->d, "shop"));
	assert_int_equal(w->d->live_count, 1);
	/* This tenant was in the file. */
	assert_false(live_changes_forget_tenant(w->d, "mail"));
	assert_false(live_changes_forget_tenant(w->d, "none"));
	assert_int_equal(w->d->live_count, 0);
	world_free(w);
}

static void a_reload_tells_what_becomes_of_each_setting(void **state) {
	struct world *w = world_new("resp: { max_clients = 5; idle_timeout = 7; };");
	(void)state;
	set(w->d->config, "resp.max_clients", "9");
	live_changes_note(w->d, "", "resp.max_clients");
	set(w->d->config, "resp.idle_timeout", "8");
	live_changes_note(w->d, "", "resp.idle_timeout");
	struct config *file = parse("resp: { max_clients = 5; idle_timeout = 8; };");
	live_changes_end(w->d, file);
	assert_string_equal(w->log, "server-wide resp.max_clients: changed from 9 to 5, as in the file\n"
				    "server-wide resp.idle_timeout: stays 8, as in the file\n");
	assert_int_equal(w->d->live_count, 0);
	config_free(file);
	world_free(w);
}

static void a_reload_tells_what_becomes_of_each_tenant(void **state) {
	struct world *w = world_new("tenants: ( { name = \"a\"; secret = \"1\"; } );");
	(void)state;
	live_changes_note(w->d, "new", LIVE_CREATED);
	live_changes_note(w->d, "kept", LIVE_CREATED);
	live_changes_note(w->d, "back", LIVE_DROPPED);
	live_changes_note(w->d, "away", LIVE_DROPPED);
	live_changes_note(w->d, "a", "secret");
	live_changes_note(w->d, "gone", "max_memory");
	struct config *file =
		parse("tenants: ( { name = \"a\"; secret = \"1\"; }, { name = \"kept\"; secret = \"2\"; },"
		      "           { name = \"back\"; secret = \"3\"; } );");
	live_changes_end(w->d, file);
	assert_string_equal(w->log, "new: created live: removed, because the file does not have it\n"
				    "kept: created live: kept, because the file now has it\n"
				    "back: dropped live: created again without its data, because the file has it\n"
				    "away: dropped live: not in the file either\n"
				    "a: secret: replaced by the value in the file\n"
				    "gone: max_memory: removed with its tenant, which the file does not have\n");
	config_free(file);
	world_free(w);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_change_counts_once_and_is_logged_each_time),
		cmocka_unit_test(a_tenant_is_forgotten_with_all_its_changes),
		cmocka_unit_test(a_reload_tells_what_becomes_of_each_setting),
		cmocka_unit_test(a_reload_tells_what_becomes_of_each_tenant),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
