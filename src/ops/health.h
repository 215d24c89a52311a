/* Asking a site how it is: over the app's own socket as Caddy would, or over the public name as a visitor would. */
#ifndef GP_OPS_HEALTH_H
#define GP_OPS_HEALTH_H

#include <stdint.h>

#include "conf/site.h"

struct gp_ctx;

enum gp_health_status {
	GP_HEALTH_NO_ANSWER, /* nothing answered, or not in time */
	GP_HEALTH_BAD,       /* it answered, but neither ok nor degraded */
	GP_HEALTH_UNHEALTHY,
	GP_HEALTH_DEGRADED,
	GP_HEALTH_OK,
};

/* "ok", "degraded", ...; "unknown" where nothing answered. */
const char *gp_health_name(enum gp_health_status status);

struct gp_health {
	enum gp_health_status status;
	int http;             /* the status code; 0: no answer */
	const char *release;  /* which release answered, as far as it says: version.release, else version.build; "" */
	const char *why;      /* one line: the failing checks with their detail, or what went wrong; "" when ok */
	const char *hint;     /* the setting to look at (ALLOWED_HOSTS, ...); "" */
	const char *body;     /* what was answered, at most 64 KiB */
};

/* Read an answer: status code, Location, body. Pure. */
struct gp_health gp_health_read(struct gp_arena *arena, const struct gp_site *site, int http, const char *location, const char *body,
	size_t len);

enum { GP_HEALTH_TIMEOUT_MS = 5000 }; /* for one answer */
/* The same for one of many that are asked for until a deadline. A last one with hardly any time left would only say that it timed out, and hide
 * the answer before it. */
int64_t gp_health_timeout(int64_t deadline);

/* Ask once. socket: the unix socket's path, or NULL for https (or http, by tls) through Caddy on this host, as `domain`. */
struct gp_health gp_health_ask(struct gp_ctx *ctx, const struct gp_site *site, const char *domain, const char *socket,
	int64_t timeout_ms);

/* Fill the error for a release that did not get healthy `where` ("on its socket") in that time. Returns -1. */
int gp_health_fail(struct gp_ctx *ctx, const struct gp_health *health, const char *release, const char *where, int64_t waited_ms,
	struct gp_error *err);

/* The address visitors use for a path: https://domain/path, http:// with tls off. */
const char *gp_site_url(struct gp_arena *arena, const struct gp_site *site, const char *domain, const char *path);
/* The CA to trust for it: Caddy's own with tls internal, else NULL. */
const char *gp_site_ca(const struct gp_site *site);

#endif
