#include "daemon/cgroup.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/util/number.h"

/* Returns the rest of the first line of a file that begins with `prefix`, without the newline. */
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

/* Returns the number behind `prefix` in a file of the directory. Returns `otherwise` if there is no number, or "max"
 * (no limit). */
static uint64_t read_bytes(const char *directory, const char *name, const char *prefix, uint64_t otherwise) {
	char path[PATH_MAX + 32], text[32];
	int64_t bytes;
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	if (!read_line(path, prefix, text, sizeof(text)) || !number_parse(slice_of(text), &bytes) || bytes < 0)
		return otherwise;
	return (uint64_t)bytes;
}

static uint64_t read_limit(const char *directory) {
	uint64_t max = read_bytes(directory, "memory.max", "", UINT64_MAX);
	uint64_t high = read_bytes(directory, "memory.high", "", UINT64_MAX);
	return max < high ? max : high;
}

/* Returns the path of the group in the unified hierarchy. "/.." in it is a group outside of the namespace, which is not
 * visible. */
static bool read_group(const char *membership, char *group, size_t size) {
	return read_line(membership, "0::", group, size) && strstr(group, "..") == NULL;
}

/* Cuts the path of a group to the path of its parent. Returns false at the root. */
static bool go_up(char *group) {
	char *slash = strrchr(group, '/');
	if (slash == NULL || slash[1] == '\0')
		return false;
	slash[slash == group ? 1 : 0] = '\0';
	return true;
}

uint64_t cgroup_memory_limit(const char *membership, const char *root) {
	char group[PATH_MAX / 2], directory[PATH_MAX];
	uint64_t limit = UINT64_MAX;
	if (!read_group(membership, group, sizeof(group)))
		return limit;
	do {
		snprintf(directory, sizeof(directory), "%s%s", root, group);
		uint64_t here = read_limit(directory);
		limit = here < limit ? here : limit;
	} while (go_up(group));
	return limit;
}

/* Parses "avg10=12.34 …". Returns hundredths. */
static uint32_t read_stalled(const char *directory) {
	char path[PATH_MAX + 32], text[128];
	snprintf(path, sizeof(path), "%s/memory.pressure", directory);
	if (!read_line(path, "some avg10=", text, sizeof(text)))
		return 0;
	double percent = strtod(text, NULL);
	return percent > 0 && percent <= 100 ? (uint32_t)(percent * 100) : 0;
}

bool cgroup_memory_read(const char *membership, const char *root, struct cgroup_memory *out) {
	char group[PATH_MAX / 2], directory[PATH_MAX];
	struct cgroup_memory m = {UINT64_MAX, UINT64_MAX, 0};
	if (!read_group(membership, group, sizeof(group)))
		return false;
	snprintf(directory, sizeof(directory), "%s%s", root, group);
	m.stalled = read_stalled(directory);
	do {
		snprintf(directory, sizeof(directory), "%s%s", root, group);
		uint64_t limit = read_limit(directory);
		if (limit == UINT64_MAX)
			continue;
		uint64_t used = read_bytes(directory, "memory.current", "", 0);
		uint64_t idle = read_bytes(directory, "memory.stat", "inactive_file ", 0);
		used -= idle < used ? idle : used;
		uint64_t room = used < limit ? limit - used : 0;
		if (room < m.room) {
			m.room = room;
			m.limit = limit;
		}
	} while (go_up(group));
	*out = m;
	return true;
}
