#include "daemon/unit_job.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "atomdb/util/clock.h"

/* Timeout of the handshake, and of each answer. */
#define PATIENCE_USEC 500000

#define SYSTEM_BUS "unix:path=/run/dbus/system_bus_socket"

#define MANAGER "org.freedesktop.systemd1"
#define UNITS   "/org/freedesktop/systemd1/unit"

/* Returns a property of an object of systemd as text, which the caller frees, or NULL on an error. */
static char *get_text(sd_bus *bus, const char *path, const char *interface, const char *name) {
	char *text = NULL;
	return sd_bus_get_property_string(bus, MANAGER, path, interface, name, NULL, &text) < 0 ? NULL : text;
}

static bool text_is(sd_bus *bus, const char *path, const char *interface, const char *name, const char *wanted) {
	char *text = get_text(bus, path, interface, name);
	bool is = text != NULL && strcmp(text, wanted) == 0;
	free(text);
	return is;
}

/* Returns the type of the job that systemd has for a unit, which the caller frees: "stop", "restart", …, or "" for
 * none. NULL on an error. */
static char *get_job(sd_bus *bus, const char *unit_path) {
	sd_bus_message *answer = NULL;
	const char *job = NULL;
	uint32_t id = 0;
	char *type = NULL;
	int r = sd_bus_get_property(bus, MANAGER, unit_path, MANAGER ".Unit", "Job", NULL, &answer, "(uo)");
	if (r >= 0)
		r = sd_bus_message_read(answer, "(uo)", &id, &job);
	if (r >= 0)
		type = id == 0 ? strdup("") : get_text(bus, job, MANAGER ".Job", "JobType");
	sd_bus_message_unref(answer);
	return type;
}

/* Returns whether systemd starts the unit again after a clean end without a job. */
static bool starts_by_itself(sd_bus *bus, const char *path) {
	return text_is(bus, path, MANAGER ".Service", "Restart", "always") ||
	       text_is(bus, path, MANAGER ".Service", "Restart", "on-success");
}

static enum unit_fate get_fate(sd_bus *bus, const char *path) {
	enum unit_fate fate = UNIT_UNKNOWN;
	char *job = get_job(bus, path);
	if (job == NULL)
		return UNIT_UNKNOWN;
	if (strcmp(job, "restart") == 0 || (*job == '\0' && starts_by_itself(bus, path)))
		fate = UNIT_STARTS;
	else if (strcmp(job, "stop") == 0 || *job == '\0')
		fate = UNIT_ENDS;
	free(job);
	/* From systemd 254 on, the store can outlive a stop. */
	if (fate == UNIT_ENDS && text_is(bus, path, MANAGER ".Service", "FileDescriptorStorePreserve", "yes"))
		fate = UNIT_STARTS;
	return fate;
}

/* Returns whether that socket unit waits for clients, and will continue to. */
static bool is_waiting(sd_bus *bus, const char *unit) {
	char *path = NULL, *job = NULL;
	bool waits = sd_bus_path_encode(UNITS, unit, &path) >= 0 &&
		     text_is(bus, path, MANAGER ".Unit", "ActiveState", "active") &&
		     (job = get_job(bus, path)) != NULL && strcmp(job, "stop") != 0;
	free(job);
	free(path);
	return waits;
}

static int compare_names(const void *a, const void *b) {
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void get_triggers(sd_bus *bus, const char *path, char out[UNIT_TRIGGERS_MAX]) {
	char **units = NULL;
	size_t len = 0;
	const char *last = NULL;
	if (sd_bus_get_property_strv(bus, MANAGER, path, MANAGER ".Unit", "TriggeredBy", NULL, &units) < 0)
		return;
	size_t count = 0;
	while (units != NULL && units[count] != NULL)
		count++;
	/* systemd's order changes between starts. */
	if (count > 0)
		qsort(units, count, sizeof(*units), compare_names);
	for (char **unit = units; units != NULL && *unit != NULL; unit++) {
		if (!is_waiting(bus, *unit))
			continue;
		if (last != NULL && len < UNIT_TRIGGERS_MAX)
			len += (size_t)snprintf(out + len, UNIT_TRIGGERS_MAX - len, "%s%s", len > 0 ? ", " : "", last);
		last = *unit;
	}
	if (last != NULL && len < UNIT_TRIGGERS_MAX)
		snprintf(out + len, UNIT_TRIGGERS_MAX - len, "%s%s", len > 0 ? " and " : "", last);
	for (char **unit = units; units != NULL && *unit != NULL; unit++)
		free(*unit);
	free(units);
}

/* Returns the object of the unit whose main process is this one, which the caller frees. NULL on an error, or if
 * another process is the main one, as in a test within a unit. */
static char *get_own_path(sd_bus *bus) {
	sd_bus_message *answer = NULL;
	const char *path = NULL;
	char *own = NULL;
	uint32_t pid = 0;
	int r = sd_bus_call_method(bus, MANAGER, "/org/freedesktop/systemd1", MANAGER ".Manager", "GetUnitByPID", NULL,
				   &answer, "u", (uint32_t)getpid());
	if (r >= 0)
		r = sd_bus_message_read(answer, "o", &path);
	if (r >= 0)
		r = sd_bus_get_property_trivial(bus, MANAGER, path, MANAGER ".Service", "MainPID", NULL, 'u', &pid);
	if (r >= 0 && pid == (uint32_t)getpid())
		own = strdup(path);
	sd_bus_message_unref(answer);
	return own;
}

/* Runs the handshake of the bus. Returns whether it completed in time. */
static bool get_ready(sd_bus *bus) {
	const uint64_t end = clock_monotonic_ns() + PATIENCE_USEC * UINT64_C(1000);
	while (sd_bus_is_ready(bus) == 0) {
		uint64_t now = clock_monotonic_ns();
		int r = sd_bus_process(bus, NULL);
		if (r == 0 && now < end)
			r = sd_bus_wait(bus, (end - now) / 1000);
		if (r < 0 || now >= end)
			return false;
	}
	return sd_bus_is_ready(bus) > 0;
}

/* NULL: there is no bus, or it does not answer. */
static sd_bus *open_bus(void) {
	const char *address = secure_getenv("DBUS_SYSTEM_BUS_ADDRESS");
	sd_bus *bus = NULL;
	if (sd_bus_new(&bus) >= 0 && sd_bus_set_address(bus, address != NULL ? address : SYSTEM_BUS) >= 0 &&
	    sd_bus_set_bus_client(bus, true) >= 0 && sd_bus_set_method_call_timeout(bus, PATIENCE_USEC) >= 0 &&
	    sd_bus_start(bus) >= 0 && get_ready(bus))
		return bus;
	sd_bus_close_unref(bus);
	return NULL;
}

struct unit_job unit_job_ask(void) {
	struct unit_job found = {UNIT_UNKNOWN, ""};
	sd_bus *bus = open_bus();
	char *path = bus != NULL ? get_own_path(bus) : NULL;
	if (path != NULL) {
		found.fate = get_fate(bus, path);
		if (found.fate != UNIT_UNKNOWN)
			get_triggers(bus, path, found.triggers);
	}
	free(path);
	sd_bus_close_unref(bus);
	return found;
}
