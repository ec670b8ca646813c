#include "atomdb/daemon/config_document.h"

#include <string.h>

#include "atomdb/daemon/config_fields.h"
#include "daemon/config_option.h"

static const char example_head[] =
	"# The configuration of AtomDB, in the syntax of libconfig.\n"
	"#\n"
	"# The values shown are the defaults: to change a key, remove the // before it. Sizes take K, M and G; a "
	"number of\n"
	"# 10 digits or more ends in L. `systemctl reload atomdb` applies changes, except of keys marked (restart).\n"
	"# `atomdb --check-config --config FILE` checks a file.\n";

static const char example_tenants[] =
	"\n"
	"# Named tenants. Keys that a tenant does not set come from \"defaults\". secret_file, secret_sha256 (the "
	"output of\n"
	"# sha256sum) or secret gives its secret. A tenant may have two secrets: two of these keys, or\n"
	"# secrets = ( { secret_file = \"old\"; }, { secret_file = \"new\"; } ). A relative secret_file is a "
	"credential of the\n"
	"# service (LoadCredential= in the unit). AtomDB ignores one newline at the end of the file.\n"
	"//tenants: (\n"
	"//\t{ name = \"shop\"; secret_file = \"shop\"; max_memory = \"2G\"; }\n"
	"//);\n"
	"\n"
	"# Tenants that may be removed with their keys. AtomDB refuses a reload that would remove any other tenant "
	"with\n"
	"# keys; at a start it keeps such a tenant, but no client can open it. A tenant with another name and the same "
	"secret\n"
	"# is renamed, not removed. With tenancy \"listed\", \"@opened\" stands for all tenants that clients opened.\n"
	"//removed = ( \"blog\" );\n";

/* Writes each line of the help as a comment. */
static void write_help(FILE *out, const char *indent, const struct option_row *row) {
	const char *line = row->help;
	while (*line != '\0') {
		int len = (int)strcspn(line, "\n");
		bool last = line[len] == '\0';
		fprintf(out, "%s# %.*s%s\n", indent, len, line, last && row->restart ? " (restart)" : "");
		line += len + (last ? 0 : 1);
	}
}

void config_document(FILE *out, bool active) {
	const char *section = "", *comment = active ? "" : "//";
	fputs(example_head, out);
	for (size_t i = 0; i < option_count; i++) {
		const struct option_row *row = &option_rows[i];
		if (strcmp(section, row->section) != 0) {
			fputs(*section != '\0' ? "};\n" : "", out);
			if (*row->section != '\0')
				fprintf(out, "\n%s: {\n", row->section);
		}
		section = row->section;
		const char *indent = *section != '\0' ? "\t" : "";
		fputs(*section != '\0' ? "" : "\n", out);
		write_help(out, indent, row);
		fprintf(out, "%s%s%s = %s;\n", indent, comment, row->key, row->fallback);
	}
	fputs(*section != '\0' ? "};\n" : "", out);
	fputs(example_tenants, out);
}

static bool addresses_equal(const struct config_addresses *a, const struct config_addresses *b) {
	if (a->count != b->count)
		return false;
	for (unsigned i = 0; i < a->count; i++)
		if (strcmp(a->text[i], b->text[i]) != 0)
			return false;
	return true;
}

static bool field_equal(const struct option_row *row, const struct config *a, const struct config *b) {
	const void *x = (const char *)a + row->offset, *y = (const char *)b + row->offset;
	switch (row->type) {
	case OPTION_ADDRESSES:
	case OPTION_HOSTS:
		return addresses_equal(x, y);
	case OPTION_BOOL:
	case OPTION_TENANCY:
	case OPTION_UNREADABLE:
	case OPTION_GUARDED:
		return *(const bool *)x == *(const bool *)y;
	case OPTION_MODE:
		return *(const mode_t *)x == *(const mode_t *)y;
	case OPTION_GROUP:
		return *(const gid_t *)x == *(const gid_t *)y;
	case OPTION_COUNT:
	case OPTION_THOUSANDTHS:
		return *(const uint32_t *)x == *(const uint32_t *)y;
	case OPTION_LIMIT:
	case OPTION_SIZE:
		return *(const uint64_t *)x == *(const uint64_t *)y;
	case OPTION_SECONDS:
		return *(const int64_t *)x == *(const int64_t *)y;
	case OPTION_NAME:
		return strcmp(x, y) == 0;
	case OPTION_EVICTION:
		return *(const enum eviction *)x == *(const enum eviction *)y;
	case OPTION_LEVEL:
		return *(const int *)x == *(const int *)y;
	case OPTION_SECRET_FILE:
		break;
	}
	return memcmp(x, y, sizeof(struct config_secret)) == 0;
}

unsigned config_needs_restart(const struct config *running, const struct config *wanted,
			      void (*changed)(void *context, const char *key), void *context) {
	unsigned count = 0;
	for (size_t i = 0; i < option_count; i++) {
		const struct option_row *row = &option_rows[i];
		if (!row->restart || field_equal(row, running, wanted))
			continue;
		char key[64];
		snprintf(key, sizeof(key), "%s%s%s", row->section, *row->section != '\0' ? "." : "", row->key);
		changed(context, key);
		count++;
	}
	return count;
}
