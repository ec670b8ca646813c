/* Requirements between keys. */
#pragma once

#include <stdbool.h>

struct config;
struct config_reader;

/* Returns 0 or ATOMDB_E_SYNTAX. */
int config_check_together(struct config_reader *r);
/* Returns whether AtomDB may listen at `address`, as listener_open takes it: not on one that other hosts reach, with
 * open tenancy, unless resp.open_to_network is set. */
bool config_allows_address(const struct config *c, const char *address);
