#include "atomdb/daemon/daemon_options.h"

#include <stdio.h>

#include "atomdb/daemon/config.h"

static void use_port(struct config_addresses *addresses, uint16_t port) {
	addresses->count = 1;
	addresses->given = true;
	snprintf(addresses->text[0], sizeof(addresses->text[0]), "127.0.0.1:%u", port);
}

int daemon_load_config(const struct daemon_options *options, struct config **out, struct config_error *error) {
	struct config *config = NULL;
	int result = config_load(options->config_file, options->credentials, &config, error);
	if (result != 0)
		return result;
	if (options->port != 0) {
		use_port(&config->resp_listen, options->port);
		config->settings.port = options->port;
	}
	if (options->http_port != 0)
		use_port(&config->http_listen, options->http_port);
	*out = config;
	return 0;
}
