/* Health answers, by the contract of /health/ or, for sites without it, by the status code alone. */
#include "ops/health.h"

#include <jansson.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "sys/ctx.h"
#include "sys/http.h"

/* Where Debian's and the official package of Caddy keep the root of `tls internal`. */
static const char caddy_ca[] = "/var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt";

enum {
	WHY_MAX = 1000, /* bytes of failing checks, more or less: a site decides how many there are */
	LEAST_MS = 1000,
};

static const char *text_of(struct gp_arena *arena, const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return gp_strdup(arena, text ? text : "");
}

/* What a site says is shown in one line: control characters, C1 in UTF-8 too, become '?'. */
static const char *tamed(struct gp_arena *arena, const char *text)
{
	char *copy = gp_strdup(arena, text);

	for (unsigned char *p = (unsigned char *)copy; *p; p++) {
		if (*p < 0x20 || *p == 0x7f)
			*p = '?';
		else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
			*p = p[1] = '?';
	}
	return copy;
}

/* "cache: Connection refused; celery: no worker answered" */
static const char *failing_checks(struct gp_arena *arena, json_t *checks)
{
	const char *list = "", *name;
	json_t *check;

	json_object_foreach(checks, name, check) {
		const char *status = json_string_value(json_object_get(check, "status"));
		const char *detail = json_string_value(json_object_get(check, "detail"));

		if (status && gp_streq(status, "ok"))
			continue;
		if (strlen(list) > WHY_MAX)
			return gp_sprintf(arena, "%s; ...", list);
		list = gp_sprintf(arena, "%s%s%.60s%s%.300s", list, *list ? "; " : "", name, detail ? ": " : "", detail ? detail : "");
	}
	return list;
}

static void explain_http(struct gp_arena *arena, struct gp_health *health, const struct gp_site *site, const char *location)
{
	health->why = gp_sprintf(arena, "%s answers %d", site->health.path, health->http);
	if (health->http == 400) {
		health->hint = gp_sprintf(arena, "Django answers 400 to a Host it does not know: is %s in ALLOWED_HOSTS?", site->domain);
	} else if (health->http >= 301 && health->http <= 308) {
		health->why = gp_sprintf(arena, "%s answers %d, to %.200s", site->health.path, health->http, location);
		if (gp_starts_with(location, "https://") && strstr(location, site->health.path))
			health->hint = "it redirects to https what came by https: see SECURE_PROXY_SSL_HEADER and SECURE_SSL_REDIRECT";
		else
			health->hint = "health.path in the site's file must be the final address; Django adds a slash (APPEND_SLASH)";
	} else if (health->http == 404) {
		health->hint = "no such path: set health.path in the site's file, and health.contract: http for a site without the JSON";
	} else if (health->http == 502) {
		health->hint = "Caddy reaches no gunicorn";
	} else if (health->http >= 500) {
		health->hint = "the site raises an error: its journal says which";
	}
}

static void read_json(struct gp_arena *arena, struct gp_health *health, const struct gp_site *site, const char *body, size_t len)
{
	json_auto_t *root = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
	const char *status = json_string_value(json_object_get(root, "status"));
	json_t *version = json_object_get(root, "version");

	if (!status) {
		health->why = gp_sprintf(arena, "%s answers %d without the health JSON", site->health.path, health->http);
		health->hint = "for a site without it set health.contract: http in the site's file";
		return;
	}
	health->release = text_of(arena, version, "release");
	if (!*health->release)
		health->release = text_of(arena, version, "build");
	health->why = failing_checks(arena, json_object_get(root, "checks"));
	if (gp_streq(status, "ok") && health->http == 200)
		health->status = GP_HEALTH_OK;
	else if (gp_streq(status, "degraded") && health->http == 200)
		health->status = GP_HEALTH_DEGRADED;
	else if (gp_streq(status, "unhealthy"))
		health->status = GP_HEALTH_UNHEALTHY;
	else
		health->why = gp_sprintf(arena, "%s answers %d with status '%.40s'", site->health.path, health->http, status);
}

static struct gp_health judge(struct gp_arena *arena, const struct gp_site *site, int http, const char *location, const char *body,
	size_t len)
{
	struct gp_health health = {
		.status = GP_HEALTH_BAD,
		.http = http,
		.release = "",
		.why = "",
		.hint = "",
		.body = gp_strndup(arena, body, len),
	};

	if (site->health.contract == GP_HEALTH_HTTP) {
		if (http >= 200 && http < 300)
			health.status = GP_HEALTH_OK;
		else
			explain_http(arena, &health, site, location);
		return health;
	}
	if (http == 200 || http == 503)
		read_json(arena, &health, site, body, len);
	else
		explain_http(arena, &health, site, location);
	return health;
}

struct gp_health gp_health_read(struct gp_arena *arena, const struct gp_site *site, int http, const char *location, const char *body,
	size_t len)
{
	struct gp_health health = judge(arena, site, http, location, body, len);

	health.why = tamed(arena, health.why);
	health.release = tamed(arena, health.release);
	return health;
}

const char *gp_site_url(struct gp_arena *arena, const struct gp_site *site, const char *domain, const char *path)
{
	return gp_sprintf(arena, "%s://%s%s", site->tls == GP_TLS_OFF ? "http" : "https", domain, path);
}

const char *gp_site_ca(const struct gp_site *site)
{
	return site->tls == GP_TLS_INTERNAL ? caddy_ca : NULL;
}

int64_t gp_health_timeout(int64_t deadline)
{
	int64_t left = gp_left_ms(deadline);

	return left > GP_HEALTH_TIMEOUT_MS ? GP_HEALTH_TIMEOUT_MS : left < LEAST_MS ? LEAST_MS : left;
}

struct gp_health gp_health_ask(struct gp_ctx *ctx, const struct gp_site *site, const char *domain, const char *socket,
	int64_t timeout_ms)
{
	const char *url = gp_site_url(ctx->arena, site, domain, site->health.path);
	struct gp_http request = { .url = url, .timeout_ms = timeout_ms };
	struct gp_http_answer answer;
	struct gp_error err = { 0 };

	if (socket) {
		request.url = gp_sprintf(ctx->arena, "http://%s%s", domain, site->health.path);
		request.unix_socket = socket;
		request.forwarded_proto = site->tls == GP_TLS_OFF ? "http" : "https";
	} else {
		request.connect_to = "127.0.0.1";
		request.ca_file = gp_site_ca(site);
	}
	if (gp_http_get(&request, ctx->arena, &answer, &err) < 0)
		return (struct gp_health){ .status = GP_HEALTH_NO_ANSWER, .release = "", .body = "",
			.why = gp_strdup(ctx->arena, err.msg), .hint = gp_strdup(ctx->arena, err.hint) };
	return gp_health_read(ctx->arena, site, answer.status, answer.location, answer.body, answer.body_len);
}

int gp_health_fail(struct gp_ctx *ctx, const struct gp_health *health, const char *release, const char *where, int64_t waited_ms,
	struct gp_error *err)
{
	gp_fail(err, GP_E_FAILED, "%s did not get healthy %s within %s: %s", release, where, gp_duration(ctx->arena, waited_ms),
		*health->why ? health->why : "no reason given");
	if (*health->hint)
		gp_hint(err, "%s", health->hint);
	return -1;
}

const char *gp_health_name(enum gp_health_status status)
{
	static const char *const names[] = {
		[GP_HEALTH_NO_ANSWER] = "unknown",
		[GP_HEALTH_BAD] = "bad",
		[GP_HEALTH_UNHEALTHY] = "unhealthy",
		[GP_HEALTH_DEGRADED] = "degraded",
		[GP_HEALTH_OK] = "ok",
	};

	return names[status];
}
