#include "atomdb/commands/table.h"

#include "commands/bitmap/bitfield.h"
#include "commands/connection/connection.h"
#include "commands/handlers.h"
#include "commands/keys/sort.h"
#include "commands/long.h"
#include "commands/server/acl.h"
#include "commands/server/config.h"
#include "commands/string/string.h"
#include "commands/tenants/tenant.h"

#define MORE_KEYS(...)              \
	(const struct key_spec[]) { \
		__VA_ARGS__, {      \
			.flags = 0  \
		}                   \
	}
#define HISTORY(...)                      \
	(const struct command_change[]) { \
		__VA_ARGS__, {            \
			NULL, NULL        \
		}                         \
	}

/* In the order of the rows. */
enum subcommand_id {
#define COMMAND(id, ...)
#define SUBCOMMAND(parent, id, ...) SUBCOMMAND_##parent##_##id,
#include "atomdb/commands/commands.def"
#undef COMMAND
#undef SUBCOMMAND
	SUBCOMMAND_TOTAL
};

static const struct command subcommands[] = {
#define COMMAND(...)
#define SUBCOMMAND(parent_, id_, name_, run_, ...)               \
	{.name = (name_),                                        \
	 .run = (run_),                                          \
	 .id = COMMAND_##parent_,                                \
	 .number = COMMAND_COUNT + SUBCOMMAND_##parent_##_##id_, \
	 __VA_ARGS__},
#include "atomdb/commands/commands.def"
#undef COMMAND
#undef SUBCOMMAND
};

static const struct command rows[] = {
#define COMMAND(id_, name_, run_, ...) \
	[COMMAND_##id_] = {.name = (name_), .run = (run_), .id = COMMAND_##id_, .number = COMMAND_##id_, __VA_ARGS__},
#define SUBCOMMAND(...)
#include "atomdb/commands/commands.def"
#undef COMMAND
#undef SUBCOMMAND
};

const struct command_set command_set = {rows, subcommands, SUBCOMMAND_TOTAL};
