#include "daemon/cgroup.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "atomdb/util/number.h"

/* The first line of a file that begins with `prefix`, without it and the newline. */
static bool read_line(const char *path, const char *prefix, char *out, size_t size) {
	FILE *file = fopen(path, "re");
	bool found = false;
	size_t skip = strlen(prefix);
	char line[PATH_MAX];
	while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		found = strncmp(line, prefix, skip) == 0 && strlen(line + skip) < size;
		if (found)
			memcpy(out, line + skip, strlen(line + skip) + 1);
	}
	if (file != NULL)
		fclose(file);
	return found;
}

static uint64_t read_limit(const char *directory, const char *name) {
	char path[PATH_MAX + 32], text[32];
	int64_t bytes;
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	/* "max" is no number, and no limit. */
	if (!read_line(path, "", text, sizeof(text)) || !number_parse(slice_of(text), &bytes) || bytes < 0)
		return UINT64_MAX;
	return (uint64_t)bytes;
}

uint64_t cgroup_memory_limit(const char *membership, const char *root) {
	char group[PATH_MAX / 2], directory[PATH_MAX];
	/* The unified hierarchy's; a path of "/.." is a group outside of the namespace, which cannot be seen. */
	if (!read_line(membership, "0::", group, sizeof(group)) || strstr(group, "..") != NULL)
		return UINT64_MAX;
	uint64_t limit = UINT64_MAX;
	for (;;) {
		snprintf(directory, sizeof(directory), "%s%s", root, group);
		uint64_t max = read_limit(directory, "memory.max"), high = read_limit(directory, "memory.high");
		limit = max < limit ? max : limit;
		limit = high < limit ? high : limit;
		char *slash = strrchr(group, '/');
		if (slash == NULL || slash[1] == '\0')
			return limit;
		slash[slash == group ? 1 : 0] = '\0';
	}
}
