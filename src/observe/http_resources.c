#include "observe/http_resources.h"

#include <microhttpd.h>
#include <string.h>

#include "observe/negotiate.h"

static int append(struct buffer *out, const char *body) {
	return buffer_append(out, body, strlen(body), SIZE_MAX);
}

static int render_page(const struct http_content *content, const struct http_query *query, struct buffer *out) {
	struct slice html = page_html(content->page);
	(void)query;
	int r = buffer_append(out, html.data, html.len, SIZE_MAX);
	return r != 0 ? r : MHD_HTTP_OK;
}

static int render_status(const struct http_content *content, const struct http_query *query, struct buffer *out) {
	int r = status_api_render_status(content->status_api, query->tenants, out);
	return r != 0 ? r : MHD_HTTP_OK;
}

static int render_history(const struct http_content *content, const struct http_query *query, struct buffer *out) {
	int r = status_api_render_history(content->status_api, query->after, out);
	return r != 0 ? r : MHD_HTTP_OK;
}

static int render_health(const struct http_content *content, const struct http_query *query, struct buffer *out) {
	(void)query;
	int r = health_render(content->health, out);
	if (r != 0)
		return r;
	return health_ok(content->health) ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

/* The response itself shows that the loop runs. The watchdog handles a worker that hangs. */
static int render_live(const struct http_content *content, const struct http_query *query, struct buffer *out) {
	(void)content, (void)query;
	int r = append(out, "{\"status\":\"ok\"}\n");
	return r != 0 ? r : MHD_HTTP_OK;
}

static int render_metrics(const struct http_content *content, const struct http_query *query, struct buffer *out) {
	int r = metrics_render(content->metrics, METRICS_TEXT, query->tenants, out);
	return r != 0 ? r : MHD_HTTP_OK;
}

static int render_openmetrics(const struct http_content *content, const struct http_query *query, struct buffer *out) {
	int r = metrics_render(content->metrics, METRICS_OPENMETRICS, query->tenants, out);
	return r != 0 ? r : MHD_HTTP_OK;
}

static const struct http_resource resources[] = {
	{"/", "text/html; charset=utf-8", false, true, render_page},
	{"/api/history", "application/json", true, false, render_history},
	{"/api/status", "application/json", true, false, render_status},
	{"/health", "application/json", false, false, render_health},
	{"/health/live", "application/json", false, false, render_live},
	{"/health/ready", "application/json", false, false, render_health},
	{"/metrics", "text/plain; version=0.0.4; charset=utf-8", true, false, render_metrics},
};

int http_resources_list(struct buffer *out) {
	int r = append(out, "Not found. There are");
	for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]) && r == 0; i++) {
		r = append(out, i == 0 ? " " : ", ");
		if (r == 0)
			r = append(out, resources[i].path);
	}
	return r != 0 ? r : append(out, ".\n");
}

/* The formats of /metrics. */
#define OPENMETRICS "application/openmetrics-text"
static const struct media_type metrics_types[] = {
	{"text/plain", "0.0.4"}, {OPENMETRICS, "1.0.0"}, {OPENMETRICS, "0.0.1"}};
static const struct http_resource metrics_forms[] = {
	{"/metrics", "text/plain; version=0.0.4; charset=utf-8", true, false, render_metrics},
	{"/metrics", OPENMETRICS "; version=1.0.0; charset=utf-8", true, false, render_openmetrics},
	{"/metrics", OPENMETRICS "; version=0.0.1; charset=utf-8", true, false, render_openmetrics},
};

const struct http_resource *http_resources_find(const char *path, const char *accept) {
	if (strcmp(path, metrics_forms[0].path) == 0)
		return &metrics_forms[negotiate_type(accept, metrics_types,
						     sizeof(metrics_types) / sizeof(metrics_types[0]))];
	for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++) {
		if (strcmp(resources[i].path, path) == 0)
			return &resources[i];
	}
	return NULL;
}
