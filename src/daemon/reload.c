#include "daemon/reload.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "atomdb/store/registry_loss.h"
#include "atomdb/store/registry_reload.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "daemon/daemon_state.h"
#include "daemon/limits.h"
#include "daemon/live_changes.h"
#include "daemon/notify.h"
#include "daemon/shards.h"
#include "daemon/sockets.h"

static void lost(struct daemon *d, int error) {
	if (error != 0)
		log_report(d->events,
			   &(struct log_event){.id = LOG_EVENT_WORKER_FAILED,
					       .error = error,
					       .detail = "it did not receive a change of the configuration"});
}

static void limits_changed(void *context, struct tenant *t, const struct tenant_limits *limits) {
	struct daemon *d = context;
	lost(d, worker_post_limits(d->workers[shard_worker(t->shard)], t, limits));
}

static void opened_limits_changed(void *context, struct tenant *t, const struct tenant_limits *limits) {
	struct daemon *d = context;
	lost(d, worker_post_opened_limits(d->workers[shard_worker(t->shard)], t, limits));
}

static void defaults_changed(void *context, const struct tenant_limits *limits) {
	struct daemon *d = context;
	for (unsigned i = 0; i < d->worker_count; i++)
		lost(d, worker_post_defaults(d->workers[i], limits));
}

static void removed(void *context, struct tenant *t) {
	struct daemon *d = context;
	lost(d, worker_post_removal(d->workers[shard_worker(t->shard)], t));
}

static void memory_short(void *context) {
	struct daemon *d = context;
	for (unsigned i = 0; i < d->worker_count; i++)
		worker_wake(d->workers[i]);
}

static void orphaned(void *context, struct tenant *t) {
	struct daemon *d = context;
	lost(d, worker_post_orphaned(d->workers[shard_worker(t->shard)], t));
}

const struct registry_hooks reload_registry_hooks = {
	.limits_changed = limits_changed,
	.opened_limits_changed = opened_limits_changed,
	.defaults_changed = defaults_changed,
	.removed = removed,
	.memory_short = memory_short,
	.orphaned = orphaned,
};

static void report_restart(void *context, const char *key) {
	struct daemon *d = context;
	/* If systemd's sockets replace these addresses, a restart would not change them. */
	if ((d->resp_passed && strncmp(key, "resp.", 5) == 0) || (d->http_passed && strncmp(key, "http.", 5) == 0))
		return;
	log_report(d->events, &(struct log_event){.id = LOG_EVENT_NEEDS_RESTART, .detail = key});
}

int reload_check_sockets(struct daemon *d, const struct config *wanted, struct config_error *error) {
	for (unsigned i = 0; i < d->resp_count; i++) {
		const char *address = listener_address(d->resp[i]);
		if (config_allows_address(wanted, address))
			continue;
		snprintf(error->text, sizeof(error->text),
			 "open tenancy on %.128s, where AtomDB listens, needs resp.open_to_network", address);
		return ATOMDB_E_SYNTAX;
	}
	return 0;
}

/* Applies the file's configuration. Keys that need a restart keep their running values, so that the next reload
 * compares with those. */
static void apply(struct daemon *d, struct config *wanted) {
	config_needs_restart(d->config, wanted, report_restart, d);
	sockets_compare(d, wanted);
	wanted->workers = d->config->workers;
	wanted->resp_listen = d->config->resp_listen;
	wanted->http_listen = d->config->http_listen;
	wanted->resp_socket = d->config->resp_socket;
	wanted->http_socket = d->config->http_socket;
	reload_put_in_force(d, wanted);
}

void reload_set_http_auth(struct daemon *d, const struct config *config) {
	d->http_auth.set = config->http_secret.set;
	d->http_auth.secret = config->http_secret.secret;
	d->http_auth.everything = config->http_secret_for_all;
	hosts_init(&d->hosts);
	for (unsigned i = 0; i < config->http_hosts.count; i++) {
		const char *name = config->http_hosts.text[i];
		if (strcmp(name, CONFIG_ANY_HOST) == 0)
			d->hosts.any = true;
		else
			hosts_add(&d->hosts, name);
	}
}

void reload_put_in_force(struct daemon *d, struct config *wanted) {
	struct settings settings = limits_settings(d, wanted);
	for (unsigned i = 0; i < d->worker_count; i++)
		lost(d, worker_post_settings(d->workers[i], &settings));
	d->memory_allowed = limits_memory_budget(d, wanted);
	atomic_store(&d->budget.limit, d->memory_allowed);
	shards_report_memory(d);
	d->sources.max_memory = d->memory_allowed;
	d->sources.max_clients = settings.max_clients;
	d->sources.tenants_shown = wanted->tenants_shown;
	reload_set_http_auth(d, wanted);
	journal_set_level(d->journal, wanted->log_level);
	config_free(d->config);
	d->config = wanted;
}

/* Describes a loss of keys, and the remedy. */
static void describe_loss(const struct registry_loss *loss, char *out, size_t size) {
	registry_describe_loss(loss, out, size);
	size_t n = strlen(out);
	if (loss->count > loss->limited)
		n += (size_t)snprintf(out + n, size - n, "; to remove tenants, list them in removed%s",
				      loss->opened ? ", with tenancy \"listed\" also \"" TENANT_ALL_OPENED "\"" : "");
	if (loss->limited != 0 && n < size)
		snprintf(out + n, size - n, "; to apply these limits, set them at the tenant or in defaults");
}

int reload_change_tenants(struct daemon *d, const struct config *wanted, struct config_error *error) {
	struct registry_loss loss;
	int result = registry_reload(d->registry, &wanted->tenants_config, &loss);
	if (result == ATOMDB_E_LOSS)
		describe_loss(&loss, error->text, sizeof(error->text));
	else if (result != 0)
		snprintf(error->text, sizeof(error->text), "%s", error_text(result));
	else if (wanted->tenants_config.open && !d->config->tenants_config.open)
		log_report(d->events, &(struct log_event){.id = LOG_EVENT_TENANCY_OPENED});
	return result;
}

void reload_configuration(struct daemon *d) {
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_monotonic_ns() / 1000);
	struct config *wanted = NULL;
	struct config_error error = {""};
	int result = daemon_load_config(d->options, &wanted, &error);
	if (result == 0)
		result = reload_check_sockets(d, wanted, &error);
	if (result == 0)
		result = reload_change_tenants(d, wanted, &error);
	if (result != 0) {
		config_free(wanted);
		log_report(d->events, &(struct log_event){.id = result == ATOMDB_E_LOSS ? LOG_EVENT_RELOAD_REFUSED
											: LOG_EVENT_RELOAD_FAILED,
							  .detail = error.text});
	} else {
		live_changes_end(d, wanted);
		apply(d, wanted);
		log_report(d->events, &(struct log_event){.id = LOG_EVENT_RELOADED});
	}
	d->reload_failed = d->health.reload_failed = result != 0;
	notify_ready(d);
}
