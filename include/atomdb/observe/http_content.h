/* The sources of the HTTP resources. */
#pragma once

#include "atomdb/observe/health.h"
#include "atomdb/observe/hosts.h"
#include "atomdb/observe/http_auth.h"
#include "atomdb/observe/metrics.h"
#include "atomdb/observe/page.h"
#include "atomdb/observe/status_api.h"

/* Nothing is owned. http_run uses the members. */
struct http_content {
	const struct health *health;
	struct metrics *metrics;
	struct http_auth *http_auth;
	const struct hosts *hosts;
	struct status_api *status_api;
	const struct page *page;
};
