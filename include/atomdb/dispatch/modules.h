/* The modules of the command floor. */
#pragma once

#include "atomdb/session/module.h"

extern const struct session_modules dispatch_modules;
