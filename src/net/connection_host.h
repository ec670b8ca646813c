/* The session_host of all sessions: calls from a session to its connection. */
#pragma once

#include "atomdb/session/session.h"

extern const struct session_host connection_host;
