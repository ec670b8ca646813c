/* Subcommands of DEBUG about a tenant's keys. */
#pragma once

#include "commands/handlers.h"

enum outcome debug_digest(struct session *s, const struct request *r);
enum outcome debug_digest_value(struct session *s, const struct request *r);
enum outcome debug_htstats(struct session *s, const struct request *r);
enum outcome debug_htstats_key(struct session *s, const struct request *r);
enum outcome debug_sdslen(struct session *s, const struct request *r);
enum outcome debug_not_encoded(struct session *s, const struct request *r);
