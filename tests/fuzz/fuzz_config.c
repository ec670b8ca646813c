/* Parses arbitrary bytes as a configuration. It must be rejected with a reason, or all values must be in range. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/daemon/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 leaks the current strings on a syntax error. */
const char *__lsan_default_suppressions(void) {
	return "leak:libconfig\n";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	const char *text = (const char *)data;
	/* The input must not choose files to open. */
	if (memmem(data, size, "_file", 5) != NULL && (memchr(data, '/', size) != NULL || memchr(data, '\\', size)))
		return 0;
	struct config *c = NULL;
	struct config_error error = {""};
	if (config_parse(text, size, "fuzz", NULL, &c, &error) != 0) {
		if (c != NULL || error.text[0] == '\0')
			abort();
		return 0;
	}
	if (c->workers > CONFIG_WORKERS || c->resp_listen.count == 0 || c->resp_listen.count > CONFIG_ADDRESSES)
		abort();
	for (size_t i = 0; i < c->tenants_config.tenant_count; i++)
		if (c->tenants_config.tenants[i].name[0] == '\0' ||
		    c->tenants_config.tenants[i].secret_count > TENANT_SECRETS)
			abort();
	config_free(c);
	return 0;
}
