/* What sessions ask of their connections. */
#pragma once

#include "atomdb/session/session.h"

extern const struct session_host connection_host;
