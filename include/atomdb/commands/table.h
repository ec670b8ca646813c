/* The table of commands. */
#pragma once

#include "atomdb/session/command.h"

extern const struct command_set command_set;
