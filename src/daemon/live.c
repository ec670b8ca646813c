/* What the operator changed while AtomDB runs. The file wins at the next reload, and the log says so of each. */
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon_private.h"

static void count(struct daemon *d, int more) {
	d->live_count += (uint64_t)more;
	d->sources.live_changes = d->live_count;
	daemon_notify_status(d);
}

static void report(struct daemon *d, enum event_id id, const struct live_change *c, const char *verdict) {
	char detail[CONFIG_KEY_MAX + 64];
	snprintf(detail, sizeof(detail), "%s%s", c->what, verdict);
	event_report(d->events,
		     &(struct event){.id = id, .tenant = *c->tenant != '\0' ? c->tenant : NULL, .detail = detail});
}

static bool is_noted(const struct daemon *d, const struct live_change *wanted) {
	list_for_each (node, &d->live) {
		const struct live_change *c = list_entry(node, const struct live_change, link);
		if (strcmp(c->tenant, wanted->tenant) == 0 && strcmp(c->what, wanted->what) == 0)
			return true;
	}
	return false;
}

void live_note(struct daemon *d, const char *tenant, const char *what) {
	struct live_change *c = calloc(1, sizeof(*c));
	struct live_change lost = {.link = {NULL, NULL}};
	struct live_change *noted = c != NULL ? c : &lost;
	snprintf(noted->tenant, sizeof(noted->tenant), "%s", tenant);
	snprintf(noted->what, sizeof(noted->what), "%s", what);
	report(d, EVENT_LIVE_CHANGE, noted, "");
	if (c == NULL || is_noted(d, c)) {
		free(c);
		return;
	}
	list_push_back(&d->live, &c->link);
	count(d, 1);
}

static void forget(struct daemon *d, struct live_change *c) {
	list_remove(&c->link);
	free(c);
	count(d, -1);
}

bool live_forget_tenant(struct daemon *d, const char *tenant) {
	bool created = false;
	list_for_each (node, &d->live) {
		struct live_change *c = list_entry(node, struct live_change, link);
		if (strcmp(c->tenant, tenant) != 0)
			continue;
		created |= strcmp(c->what, LIVE_CREATED) == 0;
		forget(d, c);
	}
	return created;
}

static bool is_in_file(const struct daemon *d, const char *tenant) {
	for (size_t i = 0; i < d->config->tenancy.tenant_count; i++) {
		if (strcmp(d->config->tenancy.tenants[i].name, tenant) == 0)
			return true;
	}
	return false;
}

/* What the file, which is in force, made of a change. */
static const char *verdict(const struct daemon *d, const struct live_change *c) {
	if (*c->tenant == '\0')
		return ": the file's value is in force";
	bool kept = is_in_file(d, c->tenant);
	if (strcmp(c->what, LIVE_CREATED) == 0)
		return kept ? " live: in the file by now, which is in force" : " live: not in the file, so removed";
	if (strcmp(c->what, LIVE_DROPPED) == 0)
		return kept ? " live: in the file, so it is back" : " live: not in the file either";
	return kept ? ": the file's value is in force" : ": the tenant is not in the file";
}

void live_end(struct daemon *d) {
	list_for_each (node, &d->live) {
		struct live_change *c = list_entry(node, struct live_change, link);
		report(d, EVENT_LIVE_END, c, verdict(d, c));
		forget(d, c);
	}
}

void live_free(struct daemon *d) {
	list_for_each (node, &d->live)
		free(list_entry(node, struct live_change, link));
	list_init(&d->live);
}
