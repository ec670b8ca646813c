#include "daemon/sockets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "daemon/daemon_state.h"
#include "daemon/shards.h"

static int complain(struct daemon *d, const char *address, int error, const char *detail) {
	log_report(d->events,
		   &(struct log_event){
			   .id = LOG_EVENT_LISTEN_FAILED, .address = address, .error = error, .detail = detail});
	return error;
}

/* Returns whether a socket unit's FileDescriptorName= means HTTP. Its default is the unit's own name. */
static bool is_http(const char *name) {
	static const char suffix[] = "-http.socket";
	size_t len = strlen(name);
	return strcmp(name, "http") == 0 ||
	       (len >= sizeof(suffix) && strcmp(name + len - (sizeof(suffix) - 1), suffix) == 0);
}

static bool is_resp(const char *name) {
	static const char suffix[] = ".socket";
	size_t len = strlen(name);
	return strcmp(name, "resp") == 0 ||
	       (len >= sizeof(suffix) && strcmp(name + len - (sizeof(suffix) - 1), suffix) == 0);
}

static int adopt(struct daemon *d, int fd, const char *name) {
	bool http = is_http(name);
	unsigned *count = http ? &d->http_count : &d->resp_count;
	if (shards_keep_stored(d, fd, name))
		return 0;
	if (!http && !is_resp(name)) {
		/* systemd keeps the file, because another release may know it. */
		log_report(d->events, &(struct log_event){.id = LOG_EVENT_STORED_UNKNOWN, .detail = name});
		close(fd);
		return 0;
	}
	if (*count == CONFIG_ADDRESSES)
		return complain(d, name, -E2BIG, "systemd passed too many sockets");
	struct listener *l = NULL;
	int error = listener_adopt(&l, fd);
	if (error != 0)
		return complain(d, name, error, "systemd passed a file that is not a listening socket");
	(http ? d->http_listeners : d->resp)[(*count)++] = l;
	if (!http && !config_allows_address(d->config, listener_address(l)))
		return complain(d, listener_address(l), -EPERM,
				"open tenancy on an address other than loopback needs resp.open_to_network");
	return 0;
}

static int adopt_all(struct daemon *d) {
	char **names = NULL;
	int count = sd_listen_fds_with_names(1, &names);
	int error = count < 0 ? complain(d, "sd_listen_fds", count, NULL) : 0;
	for (int i = 0; i < count; i++) {
		const char *name = names != NULL && names[i] != NULL ? names[i] : "unknown";
		if (error == 0)
			error = adopt(d, SD_LISTEN_FDS_START + i, name);
		else
			close(SD_LISTEN_FDS_START + i);
	}
	for (int i = 0; names != NULL && names[i] != NULL; i++)
		free(names[i]);
	free(names);
	return error;
}

static int open_list(struct daemon *d, const struct config_addresses *addresses, const struct listener_access *access,
		     struct listener **list, unsigned *count) {
	for (unsigned i = 0; i < addresses->count; i++) {
		int error = listener_open(&list[*count], addresses->text[i], access);
		if (error != 0)
			return complain(d, addresses->text[i], error,
					error == -EPERM ? "only a member of a group can assign a socket to it" : NULL);
		++*count;
	}
	return 0;
}

static void announce(struct daemon *d, struct listener *const *list, unsigned count, const char *what) {
	for (unsigned i = 0; i < count; i++)
		log_report(d->events, &(struct log_event){.id = LOG_EVENT_LISTENING,
							  .address = listener_address(list[i]),
							  .detail = what});
}

static void compare(struct daemon *d, const struct config_addresses *wanted, struct listener *const *list,
		    unsigned count, const char *what) {
	for (unsigned i = 0; wanted->given && i < wanted->count; i++) {
		bool found = false;
		for (unsigned k = 0; k < count && !found; k++)
			found = listener_is_at(list[k], wanted->text[i]);
		if (!found)
			log_report(d->events, &(struct log_event){.id = LOG_EVENT_SOCKETS_DIFFER,
								  .address = wanted->text[i],
								  .detail = what});
	}
}

void sockets_compare(struct daemon *d, const struct config *config) {
	if (d->resp_passed)
		compare(d, &config->resp_listen, d->resp, d->resp_count,
			"resp.listen; change it with systemctl edit atomdb.socket");
	if (d->http_passed)
		compare(d, &config->http_listen, d->http_listeners, d->http_count,
			"http.listen; change it with systemctl edit atomdb-http.socket");
}

int sockets_open(struct daemon *d) {
	int error = adopt_all(d);
	d->resp_passed = d->resp_count > 0;
	d->http_passed = d->http_count > 0;
	if (error == 0 && d->resp_count == 0)
		error = open_list(d, &d->config->resp_listen, &d->config->resp_socket, d->resp, &d->resp_count);
	if (error == 0 && d->http_count == 0)
		error = open_list(d, &d->config->http_listen, &d->config->http_socket, d->http_listeners,
				  &d->http_count);
	if (error != 0)
		return error;
	announce(d, d->resp, d->resp_count, d->resp_passed ? "RESP, opened by systemd" : "RESP");
	announce(d, d->http_listeners, d->http_count, d->http_passed ? "HTTP, opened by systemd" : "HTTP");
	sockets_compare(d, d->config);
	return 0;
}

void sockets_stop_listening(struct daemon *d) {
	atomic_store(&d->shared.deaf, true);
	for (unsigned i = 0; i < d->resp_count && !d->resp_passed; i++)
		worker_end_listener(&d->shared, d->resp[i]);
}

void sockets_close(struct daemon *d) {
	for (unsigned i = 0; i < d->resp_count; i++)
		listener_close(d->resp[i]);
	for (unsigned i = 0; i < d->http_count; i++)
		listener_close(d->http_listeners[i]);
	d->resp_count = d->http_count = 0;
}
