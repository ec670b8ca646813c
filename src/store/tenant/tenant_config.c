/* Checks all tenants of a configuration together. There may be very many, so equal ones are found by sorting. */
#include "atomdb/store/tenant_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/util/error.h"

static int compare_names(const void *a, const void *b) {
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int compare_secrets(const void *a, const void *b) {
	return memcmp(*(const void *const *)a, *(const void *const *)b, SECRET_DIGEST);
}

static bool has_twins(const void **list, size_t count, int (*compare)(const void *a, const void *b)) {
	qsort(list, count, sizeof *list, compare);
	for (size_t i = 1; i < count; i++)
		if (compare(&list[i - 1], &list[i]) == 0)
			return true;
	return false;
}

int tenant_config_check(const struct tenants_config *config) {
	size_t count = 0;
	const void **list = calloc(config->tenant_count * TENANT_SECRETS + 1, sizeof *list);
	if (list == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < config->tenant_count; i++)
		list[i] = config->tenants[i].name;
	bool twins = has_twins(list, config->tenant_count, compare_names);
	for (size_t i = 0; i < config->tenant_count; i++)
		for (unsigned k = 0; k < config->tenants[i].secret_count; k++)
			list[count++] = &config->tenants[i].secrets[k];
	if (config->admin != NULL)
		list[count++] = config->admin;
	twins = twins || has_twins(list, count, compare_secrets);
	free(list);
	return twins ? ATOMDB_E_RANGE : 0;
}
