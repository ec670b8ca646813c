/* Expire times as clients write them. */
#pragma once

#include "atomdb/session/session.h"

enum expire_unit { UNIT_SECONDS, UNIT_MILLISECONDS };

/* Reads `text`, a positive time in `unit`, `absolute` or relative to now. `*deadline` is absolute, in milliseconds.
 * False: it is not such a time, and Redis's error was replied. */
bool expire_parse(struct session *s, const struct request *r, struct slice text, enum expire_unit unit, bool absolute,
		  int64_t *deadline);
