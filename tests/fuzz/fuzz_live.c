/* Applies arbitrary bytes as live changes of the configuration: pairs of key and value, each terminated by a NUL. They
 * must be rejected with a reason, or every value can be printed and set again. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/daemon/config.h"
#include "daemon/config_live.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 leaks strings on a syntax error. */
const char *__lsan_default_suppressions(void) {
	return "leak:libconfig\n";
}

static void set_again(void *context, const char *key, const char *value) {
	struct config_error error = {""};
	if (config_change(context, slice_of(key), slice_of(value), &error) != 0)
		abort();
}

static void check(int result, const struct config_error *error) {
	if (result != 0 && result != -ENOENT && error->text[0] == '\0')
		abort();
}

/* Takes the next text, up to a NUL. */
static struct slice take(const char **at, const char *end) {
	struct slice s = {*at, strlen(*at)};
	*at += s.len < (size_t)(end - *at) ? s.len + 1 : s.len;
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct config *c = NULL;
	struct config_error error = {""};
	char *text = malloc(size + 1);
	if (text == NULL || config_load(NULL, NULL, &c, &error) != 0)
		abort();
	if (size != 0)
		memcpy(text, data, size);
	text[size] = '\0';
	struct tenant_config tenant = {.limits = c->tenants_config.defaults};
	for (const char *at = text, *end = text + size; at < end;) {
		struct slice key = take(&at, end), value = take(&at, end);
		check(config_change(c, key, value, &error), &error);
		/* The input must not choose files to open. */
		if (!slice_is(key, "secret_file"))
			check(config_change_tenant(c, NULL, &tenant, key, value, &error), &error);
		if (tenant.secret_count > TENANT_SECRETS)
			abort();
	}
	(void)config_check(c, &error);
	struct config *copy = config_copy(c, 1);
	if (copy == NULL)
		abort();
	config_show(c, set_again, copy);
	config_free(copy);
	config_free(c);
	free(text);
	return 0;
}
