/* Changes one key. Makes the setting that libconfig would have read from the file, and checks it in the same way. */
#include "daemon/config_live.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/util/error.h"
#include "atomdb/util/number.h"
#include "daemon/config_option.h"
#include "daemon/config_reader.h"
#include "daemon/config_rules.h"
#include "daemon/config_tenant.h"

/* The position in the reader's messages. There is no file and no line. */
#define NO_PLACE ":0: "

#define VALUE_MAX 128

/* Redis's names of keys that Redis has too. */
static const struct {
	const char *name, *key;
} aliases[] = {
	{"client-query-buffer-limit", "resp.query_buffer"},
	{"maxclients", "resp.max_clients"},
	{"tcp-keepalive", "resp.tcp_keepalive"},
	{"timeout", "resp.idle_timeout"},
};

static void full_name(const struct option_row *row, char out[CONFIG_KEY_MAX]) {
	snprintf(out, CONFIG_KEY_MAX, "%s%s%s", row->section, *row->section != '\0' ? "." : "", row->key);
}

static const struct option_row *find_row(struct slice name) {
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
		if (slice_is(name, aliases[i].name))
			name = slice_of(aliases[i].key);
	}
	for (size_t i = 0; i < option_count; i++) {
		char full[CONFIG_KEY_MAX];
		full_name(&option_rows[i], full);
		if (slice_is(name, full))
			return &option_rows[i];
	}
	return NULL;
}

bool config_key(struct slice name, char key[CONFIG_KEY_MAX]) {
	const struct option_row *row = find_row(name);
	if (row != NULL)
		full_name(row, key);
	return row != NULL;
}

/* --- showing ---------------------------------------------------------------------------------------------------- */

static const char *format_field(const struct option_row *row, const void *field, char text[VALUE_MAX]) {
	switch (row->type) {
	case OPTION_BOOL:
		return *(const bool *)field ? "true" : "false";
	case OPTION_COUNT:
		snprintf(text, VALUE_MAX, "%" PRIu32, *(const uint32_t *)field);
		return text;
	case OPTION_THOUSANDTHS:
		snprintf(text, VALUE_MAX, "%g", *(const uint32_t *)field / 1000.0);
		return text;
	case OPTION_LIMIT:
	case OPTION_SIZE:
		snprintf(text, VALUE_MAX, "%" PRIu64, *(const uint64_t *)field);
		return text;
	case OPTION_SECONDS:
		snprintf(text, VALUE_MAX, "%" PRId64, *(const int64_t *)field / 1000);
		return text;
	case OPTION_NAME:
		return field;
	default:
		return option_choice_text(row, field);
	}
}

/* Returns whether a key can change live and is not secret. */
static bool is_live(const struct option_row *row) {
	return !row->restart && row->type != OPTION_ADDRESSES && row->type != OPTION_HOSTS &&
	       row->type != OPTION_SECRET_FILE;
}

void config_show(const struct config *c, void (*visit)(void *context, const char *key, const char *value),
		 void *context) {
	for (size_t i = 0; i < option_count; i++) {
		const struct option_row *row = &option_rows[i];
		char full[CONFIG_KEY_MAX], text[VALUE_MAX];
		if (!is_live(row))
			continue;
		full_name(row, full);
		visit(context, full, format_field(row, (const char *)c + row->offset, text));
	}
}

void config_show_limits(const struct tenant_limits *l, void (*visit)(void *context, const char *key, const char *value),
			void *context) {
	for (size_t i = 0; i < option_count; i++) {
		const struct option_row *row = &option_rows[i];
		char text[VALUE_MAX];
		if (strcmp(row->section, "defaults") != 0)
			continue;
		size_t offset = row->offset - offsetof(struct config, tenants_config.defaults);
		visit(context, row->key, format_field(row, (const char *)l + offset, text));
	}
}

/* --- changing --------------------------------------------------------------------------------------------------- */

/* Makes the setting that libconfig would have read. Returns NULL if there is no memory. */
static config_setting_t *make_setting(config_t *document, const char *key, enum option_type type, struct slice value) {
	config_setting_t *root = config_root_setting(document), *setting;
	int64_t number;
	double fraction;
	char rest;
	bool numeric = type == OPTION_COUNT || type == OPTION_LIMIT || type == OPTION_SECONDS;
	if (numeric && number_parse(value, &number)) {
		setting = config_setting_add(root, key, CONFIG_TYPE_INT64);
		if (setting != NULL)
			config_setting_set_int64(setting, number);
	} else if (type == OPTION_THOUSANDTHS && sscanf(value.data, "%lf%c", &fraction, &rest) == 1) {
		setting = config_setting_add(root, key, CONFIG_TYPE_FLOAT);
		if (setting != NULL)
			config_setting_set_float(setting, fraction);
	} else if (type == OPTION_BOOL && (slice_is(value, "true") || slice_is(value, "false"))) {
		setting = config_setting_add(root, key, CONFIG_TYPE_BOOL);
		if (setting != NULL)
			config_setting_set_bool(setting, slice_is(value, "true"));
	} else {
		setting = config_setting_add(root, key, CONFIG_TYPE_STRING);
		if (setting != NULL)
			config_setting_set_string(setting, value.data);
	}
	return setting;
}

static int fail(struct config_error *error, const char *text) {
	snprintf(error->text, sizeof(error->text), "%s", text);
	return ATOMDB_E_SYNTAX;
}

/* Removes the position from the reader's message. */
static int failed(struct config_error *error, int result) {
	size_t n = sizeof(NO_PLACE) - 1;
	if (result == -ENOMEM)
		snprintf(error->text, sizeof(error->text), "%s", error_text(result));
	else if (result != 0 && strncmp(error->text, NO_PLACE, n) == 0)
		memmove(error->text, error->text + n, strlen(error->text + n) + 1);
	return result;
}

static struct config_reader reader_of(const struct config *c, const char *credentials, struct config_error *error) {
	return (struct config_reader){.config = (struct config *)(uintptr_t)c,
				      .name = "",
				      .credentials = credentials,
				      .error = error,
				      .given = true};
}

/* Stores the value in the configuration, and in the tenants that inherit it. */
static int store(struct config_reader *r, const struct option_row *row, const config_setting_t *setting) {
	struct tenants_config *y = &r->config->tenants_config;
	int result = option_read(r, row, setting, r->config);
	if (strcmp(row->section, "defaults") != 0)
		return result;
	struct tenant_config *tenants = (struct tenant_config *)(uintptr_t)y->tenants;
	for (size_t i = 0; i < y->tenant_count && result == 0; i++) {
		if (!option_is_own(&tenants[i], row))
			result = option_read_limit(r, row, setting, &tenants[i].limits, LIMIT_IN_DEFAULTS);
	}
	return result;
}

int config_change(struct config *c, struct slice key, struct slice value, struct config_error *error) {
	const struct option_row *row = find_row(key);
	if (row == NULL)
		return -ENOENT;
	if (!is_live(row))
		return fail(error,
			    row->restart ? "it is read at the start only" : "only the configuration file sets it");
	if (strlen(value.data) != value.len)
		return fail(error, "a NUL byte is not text");
	struct config_reader r = reader_of(c, NULL, error);
	config_t document;
	config_init(&document);
	const config_setting_t *setting = make_setting(&document, row->key, row->type, value);
	int result = setting == NULL ? -ENOMEM : store(&r, row, setting);
	config_destroy(&document);
	return failed(error, result);
}

int config_check(const struct config *c, struct config_error *error) {
	struct config_reader r = reader_of(c, NULL, error);
	return failed(error, config_check_together(&r));
}

int config_change_tenant(const struct config *c, const char *credentials, struct tenant_config *tenant,
			 struct slice key, struct slice value, struct config_error *error) {
	static const char *const secrets[] = {"secret", "secret_sha256", "secret_file"};
	const char *name = NULL;
	const struct option_row *row = NULL;
	for (size_t i = 0; i < option_count && name == NULL; i++) {
		row = &option_rows[i];
		if (strcmp(row->section, "defaults") == 0 && slice_is(key, row->key))
			name = row->key;
	}
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]) && name == NULL; i++) {
		row = NULL;
		if (slice_is(key, secrets[i]))
			name = secrets[i];
	}
	if (name == NULL)
		return -ENOENT;
	if (strlen(value.data) != value.len)
		return fail(error, "a NUL byte is not text");
	struct config_reader r = reader_of(c, credentials, error);
	config_t document;
	config_init(&document);
	const config_setting_t *setting = make_setting(&document, name, row == NULL ? OPTION_NAME : row->type, value);
	int result = setting == NULL ? -ENOMEM : config_read_tenant_key(&r, setting, tenant);
	config_wipe(config_root_setting(&document));
	config_destroy(&document);
	return failed(error, result);
}

/* --- copying ---------------------------------------------------------------------------------------------------- */

struct config *config_copy(const struct config *c, size_t more) {
	struct config *copy = malloc(sizeof(*copy));
	struct tenant_config *tenants = calloc(c->tenants_config.tenant_count + more + 1, sizeof(*tenants));
	char(*removed)[TENANT_NAME_MAX + 1] = calloc(c->tenants_config.removed_count + 1, sizeof(*removed));
	if (copy == NULL || tenants == NULL || removed == NULL) {
		free(copy);
		free(tenants);
		free(removed);
		return NULL;
	}
	*copy = *c;
	if (c->tenants_config.removed_count != 0)
		memcpy(removed, c->tenants_config.removed, c->tenants_config.removed_count * sizeof(*removed));
	copy->tenants_config.removed = (const char(*)[TENANT_NAME_MAX + 1]) removed;
	if (c->tenants_config.tenant_count != 0)
		memcpy(tenants, c->tenants_config.tenants, c->tenants_config.tenant_count * sizeof(*tenants));
	copy->tenants_config.tenants = tenants;
	if (c->tenants_config.admin != NULL)
		copy->tenants_config.admin = &copy->admin.secret;
	return copy;
}
