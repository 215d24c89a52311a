/*
 * Deploy, the last steps. The new release is started beside the old one, proven on its own socket, led to by one rename, asked as a visitor
 * would; then it becomes the site's release, Celery moves on to it, and the old one is stopped when it has answered all it was asked.
 * The stable unit starts the new release and gets the visitors back. Each step can be done again where it was cut off.
 */
#include <poll.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "ops/deploy.h"
#include "ops/slot.h"
#include "ops/statics.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/http.h"
#include "sys/journal.h"
#include "sys/unit.h"

enum {
	PROBE_EVERY_MS = 100,
	SMOKE_WAIT_MS = 15000,
	SMOKE_FIRST_WAIT_MS = 60000, /* a first certificate from a public CA takes seconds */
	SITEMAP_TIMEOUT_MS = 10000,
	CELERY_WAIT_MS = 30000,
	CELERY_EXEC_MS = 5000,
};

int gp_deploy_start(struct gp_deploy *d, struct gp_error *err)
{
	const struct gp_slot next = gp_slot_next(&d->paths);

	GP_TRY(gp_slot_assign(d, &next, d->release, err));
	/* What its pages ask for is there before anybody gets such a page. */
	GP_TRY(gp_statics_add(d, d->release, err));
	return gp_slot_restart(d, next.unit, err);
}

int gp_deploy_healthy(struct gp_deploy *d, struct gp_error *err)
{
	const struct gp_slot next = gp_slot_next(&d->paths);

	GP_TRY(gp_slot_wait(d, &next, d->release, &d->health, err));
	gp_slot_warm(d, &next);
	return 0;
}

int gp_deploy_switch(struct gp_deploy *d, struct gp_error *err)
{
	const struct gp_slot next = gp_slot_next(&d->paths);

	GP_TRY(gp_statics_publish(d, d->release, err));
	return gp_slot_route(d, &next, err);
}

static void ask_sitemap(struct gp_deploy *d)
{
	struct gp_http request = {
		.url = gp_site_url(d->ctx->arena, &d->site, d->domain, d->site.sitemap),
		.connect_to = "127.0.0.1",
		.ca_file = gp_site_ca(&d->site),
		.timeout_ms = SITEMAP_TIMEOUT_MS,
	};
	struct gp_http_answer answer;
	struct gp_error why = { 0 };

	if (gp_http_get(&request, d->ctx->arena, &answer, &why) < 0)
		d->sitemap = gp_strdup(d->ctx->arena, why.msg);
	else
		d->sitemap = gp_sprintf(d->ctx->arena, "%d", answer.status);
	if (gp_streq(d->sitemap, "200"))
		gp_tell_note(d->ctx, "%s answers 200", d->site.sitemap);
	else
		gp_tell_warn(d->ctx, "%s: %s (reported only)", d->site.sitemap, d->sitemap);
}

/* As a visitor: https, through Caddy, by name; and it is the new release that answers, where it says which one it is. */
int gp_deploy_smoke(struct gp_deploy *d, struct gp_error *err)
{
	int64_t wait = d->previous || d->adopt ? SMOKE_WAIT_MS : SMOKE_FIRST_WAIT_MS, begun = gp_mono_ms(), deadline = begun + wait;
	struct gp_health health;

	for (;;) {
		health = gp_health_ask(d->ctx, &d->site, d->domain, NULL, gp_health_timeout(deadline));
		if (gp_slot_well_enough(d, &health, gp_mono_ms() - begun) && (!*health.release || gp_streq(health.release, d->release)))
			break;
		if (health.status >= GP_HEALTH_DEGRADED)
			health.why = gp_sprintf(d->ctx->arena, "release '%.80s' answers", health.release);
		if (gp_left_ms(deadline) == 0) {
			if (health.status == GP_HEALTH_NO_ANSWER && d->site.tls == GP_TLS_AUTO)
				gp_hint(err, "has Caddy a certificate? DNS must point here, and ports 80 and 443 be open: `journalctl -u caddy`");
			return gp_health_fail(d->ctx, &health, d->release, gp_sprintf(d->ctx->arena, "through Caddy as %s", d->domain), wait, err);
		}
		poll(NULL, 0, PROBE_EVERY_MS);
	}
	d->health = health;
	if (d->site.sitemap)
		ask_sitemap(d);
	return 0;
}

/* From here on it is the site's release: what a crash or a reboot brings up, and what the links for people lead to. */
int gp_deploy_commit(struct gp_deploy *d, struct gp_error *err)
{
	const struct gp_slot stable = gp_slot_stable(&d->paths);

	if (d->request->no_restart)
		GP_TRY(gp_statics_publish(d, d->release, err));
	GP_TRY(gp_slot_assign(d, &stable, d->release, err));
	return gp_deploy_link(d, d->release, err);
}

int gp_deploy_link(struct gp_deploy *d, const char *release, struct gp_error *err)
{
	GP_AUTO_IDENTITY was = { 0 };

	GP_TRY(gp_account_assume(&d->account, &was, err));
	GP_TRY(gp_fs_relink(d->paths.venv, "app/.goldpath/venv", err));
	return gp_fs_relink(d->paths.app, gp_sprintf(d->ctx->arena, "releases/%s", release), err);
}

/* TERM is a warm shutdown: the old worker finishes the tasks that it has begun, before the new one starts. */
int gp_deploy_celery_on(struct gp_deploy *d, const char *release, struct gp_error *err)
{
	if (gp_streq(gp_slot_unit_runs(d, d->paths.celery), release))
		return 0;
	GP_TRY(gp_slot_restart(d, d->paths.celery, err));
	/* systemd calls it started before the process has become Celery, with what says which release it is. */
	for (int64_t deadline = gp_mono_ms() + CELERY_EXEC_MS; gp_left_ms(deadline) > 0; poll(NULL, 0, PROBE_EVERY_MS))
		if (gp_streq(gp_slot_unit_runs(d, d->paths.celery), release))
			return 0;
	gp_fail(err, GP_E_FAILED, "Celery does not run the new release");
	return gp_journal_explain(d->paths.celery, err);
}

/* Its worker answers a second or so after its start: `degraded` for want of it is worth waiting out, but does not stop a deploy. */
int gp_deploy_celery(struct gp_deploy *d, struct gp_error *err)
{
	int64_t deadline = gp_mono_ms() + CELERY_WAIT_MS;

	GP_TRY(gp_deploy_celery_on(d, d->release, err));
	for (;;) {
		d->health = gp_health_ask(d->ctx, &d->site, d->site.domain, d->paths.socket, GP_HEALTH_TIMEOUT_MS);
		if (d->health.status != GP_HEALTH_DEGRADED || gp_left_ms(deadline) == 0)
			return 0;
		poll(NULL, 0, PROBE_EVERY_MS);
	}
}

int gp_deploy_drain(struct gp_deploy *d, struct gp_error *err)
{
	const struct gp_slot stable = gp_slot_stable(&d->paths);

	(void)err;
	/* Cut off after the visitors came back to it, this deploy has nobody to wait for. */
	if (gp_slot_is_routed(d, &stable) || gp_streq(gp_slot_runs(d, &stable), d->release))
		return 0;
	gp_slot_drain(d, &stable);
	return 0;
}

int gp_deploy_restart(struct gp_deploy *d, struct gp_error *err)
{
	const struct gp_slot stable = gp_slot_stable(&d->paths);
	struct gp_health health;

	if (!gp_streq(gp_slot_runs(d, &stable), d->release))
		GP_TRY(gp_slot_restart(d, stable.unit, err));
	GP_TRY(gp_slot_wait(d, &stable, d->release, &health, err));
	gp_slot_warm(d, &stable);
	return 0;
}

int gp_deploy_return(struct gp_deploy *d, struct gp_error *err)
{
	const struct gp_slot stable = gp_slot_stable(&d->paths);

	GP_TRY(gp_slot_route(d, &stable, err));
	gp_deploy_end_next(d);
	if (d->health.status == GP_HEALTH_DEGRADED)
		gp_tell_warn(d->ctx, "the site is degraded: %s", *d->health.why ? d->health.why : "it does not say why");
	return 0;
}

/* Nobody is led to it any more: that it does not end is no reason to undo anything. */
void gp_deploy_end_next(struct gp_deploy *d)
{
	const struct gp_slot next = gp_slot_next(&d->paths);
	struct gp_error why = { 0 };

	gp_slot_drain(d, &next);
	if (gp_slot_stop(d, next.unit, &why) < 0 || gp_fs_remove(next.env, &why) < 0)
		gp_tell_warn(d->ctx, "%s", why.msg);
}
