#include "daemon/control_plane.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "atomdb/resp/writer.h"
#include "atomdb/store/registry_reload.h"
#include "atomdb/store/registry_walk.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "atomdb/util/glob.h"
#include "daemon/config_option.h"
#include "daemon/config_tenant.h"
#include "daemon/daemon_state.h"
#include "daemon/live_changes.h"
#include "daemon/reload.h"
#include "daemon/stop.h"

/* --- tenants ---------------------------------------------------------------------------------------------------- */

static struct tenant_config *find_tenant(const struct config *c, struct slice name) {
	for (size_t i = 0; i < c->tenants_config.tenant_count; i++) {
		if (slice_equal(name, slice_of(c->tenants_config.tenants[i].name)))
			return (struct tenant_config *)(uintptr_t)&c->tenants_config.tenants[i];
	}
	return NULL;
}

static void no_such_tenant(struct writer *w) {
	writer_error(w, "ERR No such tenant");
}

struct names {
	struct writer *w;
	size_t count;
};

static void list_name(void *context, const struct tenant *t) {
	struct names *n = context;
	writer_bulk(n->w, slice_of(tenant_name(t)));
	n->count++;
}

static void list_tenants(struct daemon *d, struct writer *w) {
	struct names n = {.w = w};
	size_t mark = writer_mark(w);
	registry_each(d->registry, list_name, &n);
	writer_array_at(w, mark, n.count);
}

/* A map. The length is written when the map is complete. */
struct pairs {
	struct writer *w;
	const struct daemon *d;
	struct slice name; /* offset of the tenant's name */
	size_t count;
	bool found;
};

static void text_pair(void *context, const char *key, const char *value) {
	struct pairs *p = context;
	writer_bulk(p->w, slice_of(key));
	writer_bulk(p->w, slice_of(value));
	p->count++;
}

static void number_pair(struct pairs *p, const char *key, uint64_t value) {
	writer_bulk(p->w, slice_of(key));
	writer_integer(p->w, (int64_t)value);
	p->count++;
}

static void show_changes(struct pairs *p, const char *name) {
	size_t changes = 0;
	writer_bulk(p->w, SLICE("changed_live"));
	size_t mark = writer_mark(p->w);
	list_for_each (node, &p->d->live_changes) {
		const struct live_change *c = list_entry(node, const struct live_change, link);
		if (strcmp(c->tenant, name) != 0)
			continue;
		writer_bulk(p->w, slice_of(c->what));
		changes++;
	}
	writer_array_at(p->w, mark, changes);
	p->count++;
}

static void show_tenant(void *context, const struct tenant *t) {
	struct pairs *p = context;
	const struct tenant_counters *f = &t->counters;
	const char *name = tenant_name(t);
	if (p->found || !slice_equal(p->name, slice_of(name)))
		return;
	p->found = true;
	const struct tenant_config *configured = find_tenant(p->d->config, p->name);
	text_pair(p, "name", name);
	number_pair(p, "configured", configured != NULL);
	number_pair(p, "secrets", configured != NULL ? configured->secret_count : 0);
	number_pair(p, "worker", shard_worker(t->shard));
	number_pair(p, "orphaned", tenant_orphaned(t));
	struct tenant_limits limits = registry_limits(t);
	config_show_limits(&limits, text_pair, p);
	const struct {
		const char *key;
		const counter *value;
	} counters[] = {
		{"keys", &f->keys},
		{"bytes", &f->bytes},
		{"clients", &f->clients},
		{"commands", &f->commands},
		{"hits", &f->hits},
		{"misses", &f->misses},
		{"evictions", &f->evictions},
		{"expirations", &f->expirations},
		{"throttled", &f->throttled},
		{"input_bytes", &f->input_bytes},
		{"output_bytes", &f->output_bytes},
	};
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		number_pair(p, counters[i].key, counter_get(counters[i].value));
	number_pair(p, "cpu_milliseconds", (counter_get(&f->cpu_user_ns) + counter_get(&f->cpu_system_ns)) / 1000000);
	number_pair(p, "cpu_throttled_milliseconds", counter_get(&f->cpu_throttled_ns) / 1000000);
	show_changes(p, name);
}

static void describe_tenant(struct daemon *d, const struct fanout *c, struct writer *w) {
	struct buffer text;
	struct writer body;
	buffer_init(&text);
	writer_init(&body, &text, SIZE_MAX);
	body.protocol = c->protocol;
	struct pairs p = {.w = &body, .d = d, .name = c->argv[2]};
	registry_each(d->registry, show_tenant, &p);
	if (p.found) {
		writer_map(w, p.count);
		writer_raw(w, buffer_slice(&text));
	} else {
		no_such_tenant(w);
	}
	buffer_deinit(&text);
}

/* Reads the options from argument 3 on into `t`. On an error writes the reply and returns false. */
static bool read_options(const struct daemon *d, const struct fanout *c, struct tenant_config *t, struct writer *w) {
	if (c->argc % 2 == 0) {
		writer_error(w, "ERR syntax error");
		return false;
	}
	bool replaced = false;
	for (uint32_t i = 3; i < c->argc; i += 2) {
		struct config_error error = {""};
		/* New secrets replace the present secrets. */
		if (!replaced && strncasecmp(c->argv[i].data, "secret", 6) == 0) {
			replaced = true;
			t->secret_count = 0;
		}
		int result =
			config_change_tenant(d->config, d->options->credentials, t, c->argv[i], c->argv[i + 1], &error);
		if (result == -ENOENT)
			writer_errorf(w, "ERR A tenant has no option '%.*s'",
				      (int)(c->argv[i].len < 64 ? c->argv[i].len : 64), c->argv[i].data);
		else if (result != 0)
			writer_errorf(w, "ERR %s", error.text);
		if (result != 0)
			return false;
	}
	return true;
}

static bool put_tenant(struct daemon *d, const struct tenant_config *t, struct writer *w) {
	struct registry_loss loss;
	int error = registry_put(d->registry, t, &loss);
	/* The configured tenants do not have the operator's secret, but the registry does. */
	if (error == ATOMDB_E_RANGE)
		writer_error(w, "ERR That secret is another's");
	else if (error == ATOMDB_E_LOSS)
		writer_errorf(w, "ERR That secret opens the tenant %s, which has %" PRIu64 " keys: drop it first",
			      loss.shown[0].name, loss.shown[0].keys);
	else if (error != 0)
		writer_errorf(w, "ERR %s", error_text(error));
	return error == 0;
}

/* Adds the tenant to the registry and to the configuration. */
static void add_tenant(struct daemon *d, const struct tenant_config *t, struct writer *w) {
	struct config *wanted = config_copy(d->config, 1);
	if (wanted == NULL || !put_tenant(d, t, w)) {
		if (wanted == NULL)
			writer_errorf(w, "ERR %s", error_text(-ENOMEM));
		config_free(wanted);
		return;
	}
	((struct tenant_config *)(uintptr_t)wanted->tenants_config.tenants)[wanted->tenants_config.tenant_count++] = *t;
	config_free(d->config);
	d->config = wanted;
	(void)live_changes_forget_tenant(d, t->name);
	live_changes_note(d, t->name, LIVE_CREATED);
	writer_ok(w);
}

static void create_tenant(struct daemon *d, const struct fanout *c, struct writer *w) {
	struct slice name = c->argv[2];
	struct tenant_config t = {.limits = d->config->tenants_config.named};
	if (strlen(name.data) != name.len || !config_name_valid(name.data)) {
		writer_errorf(w, "ERR A tenant's name has 1 to %d letters, digits, '-', '_' and '.'", TENANT_NAME_MAX);
		return;
	}
	if (find_tenant(d->config, name) != NULL) {
		writer_error(w, "ERR That tenant exists");
		return;
	}
	if (config_removes(d->config, name.data)) {
		writer_error(w, "ERR The configuration lists that tenant in removed");
		return;
	}
	memcpy(t.name, name.data, name.len);
	if (read_options(d, c, &t, w)) {
		if (t.secret_count == 0 && strcmp(t.name, d->config->tenants_config.anonymous) != 0)
			writer_error(w, "ERR A tenant needs a secret");
		else
			add_tenant(d, &t, w);
	}
	explicit_bzero(&t, sizeof(t));
}

static void note_options(struct daemon *d, const struct fanout *c, const char *name) {
	for (uint32_t i = 3; i < c->argc; i += 2) {
		char key[CONFIG_KEY_MAX];
		snprintf(key, sizeof(key), "%s", c->argv[i].data);
		for (char *p = key; *p != '\0'; p++)
			*p |= *p >= 'A' && *p <= 'Z' ? 0x20 : 0;
		live_changes_note(d, name, key);
	}
}

static void set_tenant(struct daemon *d, const struct fanout *c, struct writer *w) {
	struct tenant_config *configured = find_tenant(d->config, c->argv[2]);
	if (configured == NULL) {
		writer_error(w, "ERR No such tenant in the configuration");
		return;
	}
	struct tenant_config t = *configured;
	if (read_options(d, c, &t, w) && put_tenant(d, &t, w)) {
		*configured = t;
		note_options(d, c, t.name);
		writer_ok(w);
	}
	explicit_bzero(&t, sizeof(t));
}

static void drop_tenant(struct daemon *d, const struct fanout *c, struct writer *w) {
	struct slice name = c->argv[2];
	struct tenants_config *y = &d->config->tenants_config;
	struct tenant_config *configured = find_tenant(d->config, name);
	if (slice_equal(name, SLICE(TENANT_OPERATOR)) || (name.len != 0 && slice_equal(name, slice_of(y->anonymous)))) {
		writer_error(w,
			     "ERR That tenant is the operator's or the anonymous one, which the configuration needs");
		return;
	}
	if (registry_remove(d->registry, name) < 0) {
		no_such_tenant(w);
		return;
	}
	writer_ok(w);
	if (configured == NULL)
		return;
	char known[TENANT_NAME_MAX + 1];
	memcpy(known, configured->name, sizeof(known));
	struct tenant_config *last = (struct tenant_config *)(uintptr_t)&y->tenants[--y->tenant_count];
	memmove(configured, configured + 1, (size_t)(last - configured) * sizeof(*last));
	explicit_bzero(last, sizeof(*last));
	/* A tenant that was created live is not in the file, so that nothing is left that differs from the file. */
	if (!live_changes_forget_tenant(d, known))
		live_changes_note(d, known, LIVE_DROPPED);
}

/* --- settings --------------------------------------------------------------------------------------------------- */

struct matches {
	const struct fanout *fanout;
	struct fanout_answer *answer;
	struct writer *w;
	uint64_t work; /* steps left for matching; 0: given up */
};

static void show_match(void *context, const char *key, const char *value) {
	struct matches *m = context;
	for (uint32_t i = 2; i < m->fanout->argc && m->work != 0; i++) {
		if (!slice_is(m->fanout->argv[i], key) &&
		    !glob_match(m->fanout->argv[i], slice_of(key), true, &m->work))
			continue;
		writer_bulk(m->w, slice_of(key));
		writer_bulk(m->w, slice_of(value));
		m->answer->number++;
		return;
	}
}

/* Writes the error of CONFIG SET and returns false. */
static bool read_settings(const struct fanout *c, struct config *wanted, struct writer *w) {
	for (uint32_t i = 2; i < c->argc; i += 2) {
		struct config_error error = {""};
		struct slice key = c->argv[i];
		int len = (int)(key.len < 128 ? key.len : 128);
		int result = config_change(wanted, key, c->argv[i + 1], &error);
		if (result == -ENOENT)
			writer_errorf(w, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'", len,
				      key.data);
		else if (result != 0)
			writer_errorf(w, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s", len,
				      key.data, error.text);
		if (result != 0)
			return false;
	}
	return true;
}

static void note_settings(struct daemon *d, const struct fanout *c) {
	for (uint32_t i = 2; i < c->argc; i += 2) {
		char key[CONFIG_KEY_MAX];
		if (config_key(c->argv[i], key))
			live_changes_note(d, "", key);
	}
}

static void set_config(struct daemon *d, const struct fanout *c, struct writer *w) {
	struct config_error error = {""};
	struct config *wanted = config_copy(d->config, 0);
	if (wanted == NULL) {
		writer_errorf(w, "ERR %s", error_text(-ENOMEM));
		return;
	}
	if (!read_settings(c, wanted, w)) {
		config_free(wanted);
		return;
	}
	int result = config_check(wanted, &error);
	if (result == 0)
		result = reload_check_sockets(d, wanted, &error);
	if (result == 0)
		result = reload_change_tenants(d, wanted, &error);
	if (result != 0) {
		writer_errorf(w, "ERR CONFIG SET failed - %s", error.text);
		config_free(wanted);
		return;
	}
	memcpy(wanted->settings.anonymous, wanted->tenants_config.anonymous, sizeof(wanted->settings.anonymous));
	reload_put_in_force(d, wanted);
	note_settings(d, c);
	writer_ok(w);
}

/* --- calls ------------------------------------------------------------------------------------------------------ */

static void answer(struct daemon *d, struct fanout *c) {
	struct fanout_answer *a = &c->answers[0];
	enum control what = c->kind->control;
	struct writer w;
	writer_init(&w, &a->text, SIZE_MAX);
	w.protocol = c->protocol;
	struct matches m = {c, a, &w, GLOB_WORK};
	switch (what) {
	case CONTROL_TENANT_LIST:
		list_tenants(d, &w);
		break;
	case CONTROL_TENANT_INFO:
		describe_tenant(d, c, &w);
		break;
	case CONTROL_TENANT_CREATE:
		create_tenant(d, c, &w);
		break;
	case CONTROL_TENANT_SET:
		set_tenant(d, c, &w);
		break;
	case CONTROL_TENANT_DROP:
		drop_tenant(d, c, &w);
		break;
	case CONTROL_CONFIG_GET:
		config_show(d->config, show_match, &m);
		if (m.work == 0)
			a->number = -1;
		break;
	case CONTROL_CONFIG_SET:
		set_config(d, c, &w);
		break;
	case CONTROL_SHUTDOWN:
		stop_begin(d);
		break;
	case CONTROL_NONE:
		break;
	}
	/* All workers have applied the change before the operator gets the reply. */
	worker_answer_behind_all(&d->shared, c);
}

void control_plane_ask(void *context, struct fanout *c) {
	struct daemon *d = context;
	pthread_mutex_lock(&d->fanouts_mutex);
	c->next = d->fanouts;
	d->fanouts = c;
	pthread_mutex_unlock(&d->fanouts_mutex);
	eventfd_write(d->fanouts_fd, 1);
}

/* Runs all fanouts, the oldest first. */
static struct fanout *take_fanouts(struct daemon *d) {
	struct fanout *in_order = NULL;
	pthread_mutex_lock(&d->fanouts_mutex);
	struct fanout *c = d->fanouts;
	d->fanouts = NULL;
	pthread_mutex_unlock(&d->fanouts_mutex);
	while (c != NULL) {
		struct fanout *next = c->next;
		c->next = in_order;
		in_order = c;
		c = next;
	}
	return in_order;
}

void control_plane_answer(struct daemon *d) {
	eventfd_t ignored;
	eventfd_read(d->fanouts_fd, &ignored);
	for (struct fanout *c = take_fanouts(d), *next; c != NULL; c = next) {
		next = c->next;
		answer(d, c);
	}
}

void control_plane_discard(struct daemon *d) {
	for (struct fanout *c = take_fanouts(d), *next; c != NULL; c = next) {
		next = c->next;
		worker_discard_fanout(c);
	}
}
