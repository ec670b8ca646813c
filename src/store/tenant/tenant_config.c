/* Rules for all tenants of a configuration together. There may be very many, so sorting brings twins side by side. */
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

int tenant_config_check(const struct tenants_config *y) {
	size_t count = 0;
	const void **list = calloc(y->tenant_count * TENANT_SECRETS + 1, sizeof *list);
	if (list == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < y->tenant_count; i++)
		list[i] = y->tenants[i].name;
	bool twins = has_twins(list, y->tenant_count, compare_names);
	for (size_t i = 0; i < y->tenant_count; i++)
		for (unsigned k = 0; k < y->tenants[i].secret_count; k++)
			list[count++] = &y->tenants[i].secrets[k];
	if (y->admin != NULL)
		list[count++] = y->admin;
	twins = twins || has_twins(list, count, compare_secrets);
	free(list);
	return twins ? ATOMDB_E_RANGE : 0;
}
