#include "daemon/live_changes.h"

#include <stdlib.h>
#include <string.h>

#include "atomdb/store/tenant.h"
#include "daemon/daemon_state.h"
#include "daemon/notify.h"

#define VALUE_MAX 128

static void count(struct daemon *d, int more) {
	d->live_count += (uint64_t)more;
	d->sources.live_changes = d->live_count;
	notify_status(d);
}

static void report(struct daemon *d, enum log_event_id id, const struct live_change *c, const char *what) {
	char detail[CONFIG_KEY_MAX + 2 * VALUE_MAX + 96];
	const char *tenant = *c->tenant != '\0' ? c->tenant : NULL;
	snprintf(detail, sizeof(detail), "%s%s", tenant == NULL ? "server-wide " : "", what);
	log_report(d->events, &(struct log_event){.id = id, .tenant = tenant, .detail = detail});
}

static bool is_noted(const struct daemon *d, const struct live_change *wanted) {
	list_for_each (node, &d->live_changes) {
		const struct live_change *c = list_entry(node, const struct live_change, link);
		if (strcmp(c->tenant, wanted->tenant) == 0 && strcmp(c->what, wanted->what) == 0)
			return true;
	}
	return false;
}

void live_changes_note(struct daemon *d, const char *tenant, const char *what) {
	struct live_change *c = calloc(1, sizeof(*c));
	struct live_change lost = {.link = {NULL, NULL}};
	struct live_change *noted = c != NULL ? c : &lost;
	snprintf(noted->tenant, sizeof(noted->tenant), "%s", tenant);
	snprintf(noted->what, sizeof(noted->what), "%s", what);
	report(d, LOG_EVENT_LIVE_CHANGE, noted, noted->what);
	if (c == NULL || is_noted(d, c)) {
		free(c);
		return;
	}
	list_push_back(&d->live_changes, &c->link);
	count(d, 1);
}

static void forget(struct daemon *d, struct live_change *c) {
	list_remove(&c->link);
	free(c);
	count(d, -1);
}

bool live_changes_forget_tenant(struct daemon *d, const char *tenant) {
	bool created = false;
	list_for_each (node, &d->live_changes) {
		struct live_change *c = list_entry(node, struct live_change, link);
		if (strcmp(c->tenant, tenant) != 0)
			continue;
		created |= strcmp(c->what, LIVE_CREATED) == 0;
		forget(d, c);
	}
	return created;
}

/* --- the end ---------------------------------------------------------------------------------------------------- */

/* The value of a key in a configuration. */
struct value {
	const char *key;
	char text[VALUE_MAX];
};

static void take_value(void *context, const char *key, const char *text) {
	struct value *v = context;
	if (strcmp(key, v->key) == 0)
		snprintf(v->text, sizeof(v->text), "%s", *text != '\0' ? text : "\"\"");
}

static const struct tenant_config *find_tenant(const struct config *c, const char *name) {
	for (size_t i = 0; i < c->tenants_config.tenant_count; i++) {
		if (strcmp(c->tenants_config.tenants[i].name, name) == 0)
			return &c->tenants_config.tenants[i];
	}
	return NULL;
}

/* Secrets have no text in values: they are never shown. */
static struct value find_value(const struct config *c, const struct live_change *change) {
	struct value v = {.key = change->what};
	const struct tenant_config *t = find_tenant(c, change->tenant);
	if (*change->tenant == '\0')
		config_show(c, take_value, &v);
	else if (t != NULL)
		config_show_limits(&t->limits, take_value, &v);
	return v;
}

/* Describes what the reload did to a changed setting. */
static void judge_setting(const struct daemon *d, const struct config *file, const struct live_change *c, char *out,
			  size_t size) {
	struct value live_changes = find_value(d->config, c), wanted = find_value(file, c);
	if (*c->tenant != '\0' && find_tenant(file, c->tenant) == NULL)
		snprintf(out, size, "%s: removed with its tenant, which the file does not have", c->what);
	else if (*live_changes.text == '\0' || *wanted.text == '\0')
		snprintf(out, size, "%s: replaced by the value in the file", c->what);
	else if (strcmp(live_changes.text, wanted.text) == 0)
		snprintf(out, size, "%s: stays %s, as in the file", c->what, live_changes.text);
	else
		snprintf(out, size, "%s: changed from %s to %s, as in the file", c->what, live_changes.text,
			 wanted.text);
}

void live_changes_end(struct daemon *d, const struct config *file) {
	list_for_each (node, &d->live_changes) {
		struct live_change *c = list_entry(node, struct live_change, link);
		char detail[CONFIG_KEY_MAX + 2 * VALUE_MAX + 64];
		bool kept = find_tenant(file, c->tenant) != NULL;
		if (strcmp(c->what, LIVE_CREATED) == 0)
			snprintf(detail, sizeof(detail), "created live: %s",
				 kept ? "kept, because the file now has it"
				      : "removed, because the file does not have it");
		else if (strcmp(c->what, LIVE_DROPPED) == 0)
			snprintf(detail, sizeof(detail), "dropped live: %s",
				 kept ? "created again without its data, because the file has it"
				      : "not in the file either");
		else
			judge_setting(d, file, c, detail, sizeof(detail));
		report(d, LOG_EVENT_LIVE_END, c, detail);
		forget(d, c);
	}
}

void live_changes_free(struct daemon *d) {
	list_for_each (node, &d->live_changes)
		free(list_entry(node, struct live_change, link));
	list_init(&d->live_changes);
}
