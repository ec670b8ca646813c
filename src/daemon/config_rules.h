/* Requirements between keys. */
#pragma once

#include <stdbool.h>

struct config;
struct config_reader;

/* Checks the requirements between keys. Returns 0 or ATOMDB_E_SYNTAX. */
int config_check_together(struct config_reader *r);
/* Returns whether AtomDB may listen at `address`, in the form that listener_open takes. If other hosts can reach the
 * address, open tenancy requires resp.open_to_network. */
bool config_allows_address(const struct config *c, const char *address);
