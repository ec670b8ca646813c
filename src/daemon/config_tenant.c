#include "daemon/config_tenant.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/daemon/config_fields.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "atomdb/util/secure_memory.h"
#include "daemon/config_option.h"
#include "daemon/config_reader.h"
#include "daemon/config_secret.h"

/* A name or a digest that must be unique, and its line. */
struct unique {
	unsigned char bytes[TENANT_NAME_MAX + 1];
	unsigned line;
};

static int hex_digit(char c) {
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int read_digest(struct config_reader *r, const config_setting_t *setting, struct secret *out) {
	const char *text = config_setting_get_string(setting);
	struct secret found;
	bool good = strlen(text) == (size_t)2 * SECRET_DIGEST;
	for (size_t i = 0; good && i < SECRET_DIGEST; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
		good = high >= 0 && low >= 0;
		if (good)
			found.digest[i] = (uint8_t)(high << 4 | low);
	}
	if (!good)
		return config_reader_fail(r, config_setting_source_line(setting),
					  "secret_sha256 must be %d hexadecimal digits", 2 * SECRET_DIGEST);
	*out = found;
	return 0;
}

static int read_plain(struct config_reader *r, const config_setting_t *setting, struct secret *out) {
	char *text = secure_alloc(SECRET_MAX + 1);
	if (text == NULL)
		return -ENOMEM;
	int error = 0;
	size_t len = config_find_secret(r, config_setting_get_string(setting), text, SECRET_MAX + 1);
	if (len == 0 || len > SECRET_MAX)
		error = config_reader_fail(r, config_setting_source_line(setting), "secret must have 1 to %d bytes",
					   SECRET_MAX);
	else
		secret_digest((struct slice){text, len}, out);
	secure_free(text, SECRET_MAX + 1);
	return error;
}

typedef int secret_reader(struct config_reader *r, const config_setting_t *setting, struct secret *out);

/* Adds the secret that the string `setting` marks. */
static int add_secret(struct config_reader *r, const config_setting_t *setting, secret_reader *read_it,
		      struct tenant_config *tenant) {
	if (tenant->secret_count == TENANT_SECRETS)
		return config_reader_fail(r, config_setting_source_line(setting), "a tenant has at most %d secrets",
					  TENANT_SECRETS);
	int error = read_it(r, setting, &tenant->secrets[tenant->secret_count]);
	if (error == 0)
		tenant->secret_count++;
	return error;
}

/* Reads one of the three keys for a secret. Returns 1 if the setting is none of them. */
static int read_secret(struct config_reader *r, const config_setting_t *setting, struct tenant_config *tenant) {
	secret_reader *read_it = NULL;
	const char *key = config_setting_name(setting);
	if (strcmp(key, "secret") == 0)
		read_it = read_plain;
	else if (strcmp(key, "secret_sha256") == 0)
		read_it = read_digest;
	else if (strcmp(key, "secret_file") == 0)
		read_it = config_read_secret_file;
	else
		return 1;
	if (config_setting_type(setting) != CONFIG_TYPE_STRING)
		return config_reader_fail(r, config_setting_source_line(setting), "%s must be a string", key);
	return add_secret(r, setting, read_it, tenant);
}

/* Reads an element of `secrets`: the secret itself, or a group with one of the three keys. */
static int read_element(struct config_reader *r, const config_setting_t *element, struct tenant_config *tenant) {
	int error = 1;
	if (config_setting_type(element) == CONFIG_TYPE_STRING)
		error = add_secret(r, element, read_plain, tenant);
	else if (config_setting_type(element) == CONFIG_TYPE_GROUP && config_setting_length(element) == 1)
		error = read_secret(r, config_setting_get_elem(element, 0), tenant);
	if (error > 0)
		return config_reader_fail(r, config_setting_source_line(element),
					  "secrets must have strings, or groups of one secret, secret_sha256 or "
					  "secret_file each");
	return error;
}

static int read_secrets(struct config_reader *r, const config_setting_t *list, struct tenant_config *tenant) {
	int type = config_setting_type(list);
	if (type != CONFIG_TYPE_LIST && type != CONFIG_TYPE_ARRAY)
		return config_reader_fail(r, config_setting_source_line(list),
					  "secrets must be a list such as ( { secret_file = \"shop\"; } )");
	int error = 0;
	for (int i = 0; i < config_setting_length(list) && error == 0; i++)
		error = read_element(r, config_setting_get_elem(list, (unsigned)i), tenant);
	return error;
}

int config_read_tenant_key(struct config_reader *r, const config_setting_t *setting, struct tenant_config *tenant) {
	const char *key = config_setting_name(setting);
	unsigned line = config_setting_source_line(setting);
	if (strcmp(key, "name") == 0) {
		const char *text = config_setting_get_string(setting);
		if (text == NULL || !config_name_valid(text))
			return config_reader_fail(r, line,
						  "name must be a string of 1 to %d letters, digits, '-', '_' and '.'",
						  TENANT_NAME_MAX);
		memcpy(tenant->name, text, strlen(text) + 1);
		return 0;
	}
	if (strcmp(key, "secrets") == 0)
		return read_secrets(r, setting, tenant);
	int error = read_secret(r, setting, tenant);
	if (error <= 0)
		return error;
	const struct option_row *row = option_find("defaults", key);
	if (row == NULL)
		return config_reader_fail(r, line, "a tenant has no key '%.64s'", key);
	option_note_own(tenant, row);
	return option_read_limit(r, row, setting, &tenant->limits, LIMIT_IN_TENANT);
}

static int read_tenant(struct config_reader *r, const config_setting_t *group, struct tenant_config *tenant) {
	unsigned line = config_setting_source_line(group);
	if (config_setting_type(group) != CONFIG_TYPE_GROUP)
		return config_reader_fail(r, line, "tenants must have groups such as { name = \"shop\"; ... }");
	tenant->limits = r->config->tenants_config.named;
	for (int i = 0; i < config_setting_length(group); i++) {
		int error = config_read_tenant_key(r, config_setting_get_elem(group, (unsigned)i), tenant);
		if (error != 0)
			return error;
	}
	if (tenant->name[0] == '\0')
		return config_reader_fail(r, line, "a tenant needs a name");
	if (tenant->secret_count == 0 && strcmp(tenant->name, r->config->tenants_config.anonymous) != 0)
		return config_reader_fail(r, line, "tenant '%s' has no secret, and is not the anonymous one",
					  tenant->name);
	return 0;
}

static int compare_unique(const void *a, const void *b) {
	const struct unique *x = a, *y = b;
	int order = memcmp(x->bytes, y->bytes, sizeof(x->bytes));
	return order != 0 ? order : (x->line > y->line) - (x->line < y->line);
}

static int check_unique(struct config_reader *r, struct unique *list, size_t count, const char *what) {
	qsort(list, count, sizeof(*list), compare_unique);
	for (size_t i = 1; i < count; i++)
		if (memcmp(list[i - 1].bytes, list[i].bytes, sizeof(list[i].bytes)) == 0)
			return config_reader_fail(r, list[i].line, "this %s is also that of line %u", what,
						  list[i - 1].line);
	return 0;
}

static int check_duplicates(struct config_reader *r, const config_setting_t *tenants) {
	const struct tenants_config *t = &r->config->tenants_config;
	size_t room = t->tenant_count * TENANT_SECRETS + 1, count = 0;
	struct unique *list = calloc(room, sizeof(*list));
	if (list == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < t->tenant_count; i++) {
		list[i].line = config_setting_source_line(config_setting_get_elem(tenants, (unsigned)i));
		memcpy(list[i].bytes, t->tenants[i].name, sizeof(t->tenants[i].name));
	}
	int error = check_unique(r, list, t->tenant_count, "name");
	memset(list, 0, room * sizeof(*list));
	for (size_t i = 0; i < t->tenant_count; i++) {
		for (unsigned k = 0; k < t->tenants[i].secret_count; k++) {
			list[count].line = config_setting_source_line(config_setting_get_elem(tenants, (unsigned)i));
			memcpy(list[count++].bytes, t->tenants[i].secrets[k].digest, SECRET_DIGEST);
		}
	}
	if (r->config->admin.set) {
		list[count].line = r->admin_line;
		memcpy(list[count++].bytes, r->config->admin.secret.digest, SECRET_DIGEST);
	}
	if (error == 0)
		error = check_unique(r, list, count, "secret");
	explicit_bzero(list, room * sizeof(*list));
	free(list);
	return error;
}

int config_read_tenants(struct config_reader *r, const config_setting_t *tenants) {
	struct tenants_config *t = &r->config->tenants_config;
	if (config_setting_type(tenants) != CONFIG_TYPE_LIST)
		return config_reader_fail(r, config_setting_source_line(tenants),
					  "tenants must be a list such as ( { name = \"shop\"; ... } )");
	size_t count = (size_t)config_setting_length(tenants);
	if (count == 0)
		return 0;
	struct tenant_config *list = calloc(count, sizeof(*list));
	if (list == NULL)
		return -ENOMEM;
	t->tenants = list;
	t->tenant_count = count;
	for (size_t i = 0; i < count; i++) {
		int error = read_tenant(r, config_setting_get_elem(tenants, (unsigned)i), &list[i]);
		if (error != 0)
			return error;
	}
	return check_duplicates(r, tenants);
}

/* --- removed ---------------------------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b) {
	return strcmp(a, b);
}

int config_read_removed(struct config_reader *r, const config_setting_t *removed) {
	int type = config_setting_type(removed), count = config_setting_length(removed);
	if (type != CONFIG_TYPE_LIST && type != CONFIG_TYPE_ARRAY)
		return config_reader_fail(r, config_setting_source_line(removed),
					  "removed must be a list of names such as ( \"shop\" )");
	char(*list)[TENANT_NAME_MAX + 1] = calloc((size_t)count + 1, sizeof(*list));
	if (list == NULL)
		return -ENOMEM;
	r->removed = removed;
	r->config->tenants_config.removed = (const char(*)[TENANT_NAME_MAX + 1]) list;
	for (int i = 0; i < count; i++) {
		const config_setting_t *element = config_setting_get_elem(removed, (unsigned)i);
		const char *name = config_setting_get_string(element);
		bool valid = name != NULL && (config_name_valid(name) || strcmp(name, TENANT_ALL_OPENED) == 0 ||
					      strcmp(name, TENANT_OPERATOR) == 0);
		if (!valid)
			return config_reader_fail(r, config_setting_source_line(element),
						  "removed must have names of tenants, or \"%s\"", TENANT_ALL_OPENED);
		memcpy(list[i], name, strlen(name) + 1);
	}
	qsort(list, (size_t)count, sizeof(*list), compare_names);
	r->config->tenants_config.removed_count = (size_t)count;
	return 0;
}

bool config_removes(const struct config *c, const char *name) {
	const struct tenants_config *t = &c->tenants_config;
	return t->removed_count != 0 &&
	       bsearch(name, t->removed, t->removed_count, sizeof(t->removed[0]), compare_names) != NULL;
}

int config_check_removed(struct config_reader *r) {
	const struct config *c = r->config;
	const char *wanted = NULL;
	unsigned line = r->removed != NULL ? config_setting_source_line(r->removed) : 0;
	for (size_t i = 0; i < c->tenants_config.tenant_count && wanted == NULL; i++)
		wanted =
			config_removes(c, c->tenants_config.tenants[i].name) ? c->tenants_config.tenants[i].name : NULL;
	if (wanted == NULL && config_removes(c, c->tenants_config.anonymous))
		wanted = c->tenants_config.anonymous;
	if (wanted != NULL)
		return config_reader_fail(r, line, "removed names '%s', which is among the tenants", wanted);
	if (r->config->admin.set && config_removes(c, TENANT_OPERATOR))
		return config_reader_fail(r, line, "removed names '%s', and admin.secret_file is set", TENANT_OPERATOR);
	if (c->tenants_config.open && config_removes(c, TENANT_ALL_OPENED))
		return config_reader_fail(r, line, "removed has \"%s\", which needs tenancy = \"listed\"",
					  TENANT_ALL_OPENED);
	return 0;
}
