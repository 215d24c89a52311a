/* Deploy, the last steps: switch, restart, wait until the new release itself says that it is well, ask as a visitor would. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "ops/deploy.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/http.h"
#include "sys/journal.h"
#include "sys/unit.h"

enum {
	JOB_TIMEOUT_MS = 150000,
	PROBE_TIMEOUT_MS = 5000,
	PROBE_LEAST_MS = 1000,
	PROBE_EVERY_MS = 100,
	SMOKE_WAIT_MS = 60000, /* a first certificate from a public CA takes seconds */
	SITEMAP_TIMEOUT_MS = 10000,
	CELERY_WAIT_MS = 30000,
	JOURNAL_LINES = 30,
	RAISED_LINES = 300,
	ENVIRON_MAX = 1 << 20,
};

/* What systemd reads at the next start: `.env`, and which release this is. Both lie in folders of the deploy user, where root opens
 * nothing by another name; of the release's file only the three keys that goldpath wrote are taken. */
static int copy_environment(struct gp_deploy *d, const char *release, struct gp_error *err)
{
	static const char *const keys[] = { "GIT_SHA", "BUILD_ID", "RELEASE" };
	const char *from = gp_sprintf(d->ctx->arena, "%s/%s/.goldpath/release.env", d->paths.releases, release), *text = "";
	struct gp_dotenv env = { 0 };
	GP_AUTO_IDENTITY was = { 0 };

	GP_TRY(gp_dotenv_copy(d->ctx, d->paths.env, d->paths.site_env, err));
	GP_TRY(gp_account_assume(&d->account, &was, err));
	GP_TRY(gp_dotenv_read(d->ctx, from, &env, err));
	gp_account_resume(&was);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *value = gp_dotenv_get(&env, keys[i]);

		text = gp_sprintf(d->ctx->arena, "%s%s", text, gp_dotenv_line(d->ctx->arena, keys[i], value ? value : ""));
	}
	return gp_fs_write(d->paths.release_env, text, strlen(text), 0600, 0, 0, err);
}

static int point_app_at(struct gp_deploy *d, const char *release, struct gp_error *err)
{
	GP_AUTO_IDENTITY was = { 0 };

	GP_TRY(copy_environment(d, release, err));
	GP_TRY(gp_account_assume(&d->account, &was, err));
	/* One rename switches code and packages: venv leads through app. Which release it is was written before it. */
	GP_TRY(gp_fs_relink(d->paths.venv, "app/.goldpath/venv", err));
	return gp_fs_relink(d->paths.app, gp_sprintf(d->ctx->arena, "releases/%s", release), err);
}

int gp_deploy_switch(struct gp_deploy *d, struct gp_error *err)
{
	GP_TRY(point_app_at(d, d->release, err));
	d->switched = true;
	return 0;
}

/* The last words of a unit since a moment, as the error's detail. */
static void add_journal(struct gp_deploy *d, const char *unit, uint64_t since_us, struct gp_error *err)
{
	const char *tail = "";

	if (gp_journal_tail(d->ctx->arena, unit, JOURNAL_LINES, since_us, &tail, NULL) == 0 && *tail)
		gp_detail(err, tail, strlen(tail));
	gp_hint(err, "the last lines of `journalctl -u %s` stand above", unit);
}

static int restart_unit(struct gp_deploy *d, const char *unit, struct gp_error *err)
{
	uint64_t since = (uint64_t)gp_now() * 1000000;
	struct gp_bus *bus;

	GP_TRY(gp_ctx_bus(d->ctx, &bus, err));
	GP_TRY(gp_unit_reset_failed(bus, unit, err));
	if (gp_unit_run(bus, unit, GP_UNIT_RESTART, JOB_TIMEOUT_MS, err) < 0) {
		add_journal(d, unit, since, err);
		return -1;
	}
	return 0;
}

int gp_deploy_restart(struct gp_deploy *d, struct gp_error *err)
{
	return restart_unit(d, d->paths.gunicorn, err);
}

/* Which release a process was started for: RELEASE in the environment it began with (proc(5)). "" where it cannot be read. */
static const char *release_of_process(struct gp_deploy *d, pid_t pid)
{
	const char *text, *path = gp_sprintf(d->ctx->arena, "/proc/%d/environ", (int)pid);
	size_t len = 0;

	if (pid <= 0 || gp_fs_read(d->ctx->arena, path, ENVIRON_MAX, &text, &len, NULL) != 1)
		return "";
	for (const char *p = text; p < text + len; p += strlen(p) + 1)
		if (gp_starts_with(p, "RELEASE="))
			return p + strlen("RELEASE=");
	return "";
}

/* After `deploy --no-restart` the two differ: then what runs is what a visitor sees, and the way back. */
const char *gp_deploy_serving(struct gp_deploy *d)
{
	const char *live = gp_live_release(d->ctx, &d->paths), *running = "";
	struct gp_unit_state state;
	struct gp_bus *bus;

	if (gp_ctx_bus(d->ctx, &bus, NULL) == 0 && gp_unit_state(bus, d->ctx->arena, d->paths.gunicorn, &state, NULL) == 0)
		running = release_of_process(d, state.main_pid);
	if (*running && !strchr(running, '/') && gp_fs_exists(gp_sprintf(d->ctx->arena, "%s/%s", d->paths.releases, running)))
		return running;
	return live;
}

/* What the site's code raised, out of a journal that ends in gunicorn's own words about it; "" where nothing looks like it. */
static const char *raised(struct gp_deploy *d, const char *journal)
{
	struct gp_strv lines = gp_lines(d->ctx->arena, journal);

	for (size_t i = lines.n; i-- > 0;) {
		size_t name = strspn(lines.v[i], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.");

		if (name > 5 && gp_starts_with(lines.v[i] + name, ": ") && strncmp(lines.v[i] + name - 5, "Error", 5) == 0)
			return lines.v[i];
	}
	return "";
}

/* gunicorn's master stays the one process while its release comes up; another pid means that it died and was started again. */
static int still_running(struct gp_deploy *d, pid_t *pid, uint64_t since, struct gp_error *err)
{
	const char *journal = "", *what;
	struct gp_unit_state state;
	struct gp_bus *bus;

	GP_TRY(gp_ctx_bus(d->ctx, &bus, err));
	GP_TRY(gp_unit_state(bus, d->ctx->arena, d->paths.gunicorn, &state, err));
	if (*pid == 0)
		*pid = state.main_pid;
	if (state.main_pid && state.main_pid == *pid && !gp_streq(state.active, "failed"))
		return 0;
	gp_journal_tail(d->ctx->arena, d->paths.gunicorn, RAISED_LINES, since, &journal, NULL);
	what = raised(d, journal);
	gp_fail(err, GP_E_FAILED, "gunicorn died at start%s%.300s", *what ? ": " : "", what);
	add_journal(d, d->paths.gunicorn, since, err);
	if (err && *what && !strstr(err->detail, what)) {
		journal = gp_sprintf(d->ctx->arena, "%s\n...\n%s", what, gp_last_lines(err->detail, JOURNAL_LINES - 2));
		gp_detail(err, journal, strlen(journal));
	}
	return -1;
}

static int not_healthy(struct gp_deploy *d, const struct gp_health *health, const char *where, int64_t waited_ms, struct gp_error *err)
{
	gp_fail(err, GP_E_FAILED, "%s did not get healthy %s within %s: %s", d->release, where, gp_duration(d->ctx->arena, waited_ms),
		*health->why ? health->why : "no reason given");
	if (*health->hint)
		gp_hint(err, "%s", health->hint);
	return -1;
}

/* A last probe with hardly any time left would only say that it timed out, and hide the answer before it. */
static int64_t probe_timeout(int64_t deadline)
{
	int64_t left = gp_left_ms(deadline);

	return left > PROBE_TIMEOUT_MS ? PROBE_TIMEOUT_MS : left < PROBE_LEAST_MS ? PROBE_LEAST_MS : left;
}

/* Until the answer is good *and* comes from that release. A site without the JSON is known by the process behind its socket. */
static int wait_for_release(struct gp_deploy *d, const char *want, struct gp_health *ret, struct gp_error *err)
{
	int64_t wait = d->site.health.wait * 1000, deadline = gp_mono_ms() + wait;
	uint64_t since = (uint64_t)(gp_now() - 5) * 1000000;
	pid_t pid = 0;

	for (;;) {
		const char *release;

		*ret = gp_health_ask(d->ctx, &d->site, d->site.domain, d->paths.socket, probe_timeout(deadline));
		GP_TRY(still_running(d, &pid, since, err));
		release = *ret->release ? ret->release : release_of_process(d, pid);
		if (ret->status >= GP_HEALTH_DEGRADED && gp_streq(release, want))
			return 0;
		if (ret->status >= GP_HEALTH_DEGRADED)
			ret->why = gp_sprintf(d->ctx->arena, "release '%.80s' answers", release);
		if (gp_left_ms(deadline) == 0) {
			not_healthy(d, ret, "on its socket", wait, err);
			add_journal(d, d->paths.gunicorn, since, err);
			return -1;
		}
		poll(NULL, 0, PROBE_EVERY_MS); /* nothing announces that an application has loaded */
	}
}

int gp_deploy_healthy(struct gp_deploy *d, struct gp_error *err)
{
	return wait_for_release(d, d->release, &d->health, err);
}

int gp_deploy_celery(struct gp_deploy *d, struct gp_error *err)
{
	int64_t deadline = gp_mono_ms() + CELERY_WAIT_MS;
	struct gp_unit_state state;
	struct gp_bus *bus;

	GP_TRY(restart_unit(d, d->paths.celery, err));
	GP_TRY(gp_ctx_bus(d->ctx, &bus, err));
	GP_TRY(gp_unit_state(bus, d->ctx->arena, d->paths.celery, &state, err));
	if (!gp_streq(release_of_process(d, state.main_pid), d->release)) {
		gp_fail(err, GP_E_FAILED, "Celery does not run the new release");
		add_journal(d, d->paths.celery, 0, err);
		return -1;
	}
	/* Its worker answers a second or so later: `degraded` for want of it is worth waiting out, but does not stop a deploy. */
	do {
		d->health = gp_health_ask(d->ctx, &d->site, d->site.domain, d->paths.socket, PROBE_TIMEOUT_MS);
		if (d->health.status != GP_HEALTH_DEGRADED)
			break;
		poll(NULL, 0, PROBE_EVERY_MS);
	} while (gp_left_ms(deadline));
	return 0;
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

/* As a visitor: https, through Caddy, by name. It has a deadline of its own: a first certificate takes a while. */
int gp_deploy_smoke(struct gp_deploy *d, struct gp_error *err)
{
	int64_t deadline = gp_mono_ms() + SMOKE_WAIT_MS;
	struct gp_health health;

	for (;;) {
		health = gp_health_ask(d->ctx, &d->site, d->domain, NULL, probe_timeout(deadline));
		if (health.status >= GP_HEALTH_DEGRADED)
			break;
		if (gp_left_ms(deadline) == 0) {
			if (health.status == GP_HEALTH_NO_ANSWER && d->site.tls == GP_TLS_AUTO)
				gp_hint(err, "has Caddy a certificate? DNS must point here, and ports 80 and 443 be open: `journalctl -u caddy`");
			return not_healthy(d, &health, gp_sprintf(d->ctx->arena, "through Caddy as %s", d->domain), SMOKE_WAIT_MS, err);
		}
		poll(NULL, 0, PROBE_EVERY_MS);
	}
	d->health = health;
	if (health.status == GP_HEALTH_DEGRADED)
		gp_tell_warn(d->ctx, "the site is degraded: %s", *health.why ? health.why : "it does not say why");
	if (d->site.sitemap)
		ask_sitemap(d);
	return 0;
}

bool gp_deploy_serves(struct gp_deploy *d, const char **ret_words)
{
	struct gp_health health;

	*ret_words = gp_sprintf(d->ctx->arena, "no release of %s is live", d->site.slug);
	if (!d->previous)
		return false;
	health = gp_health_ask(d->ctx, &d->site, d->site.domain, d->paths.socket, PROBE_TIMEOUT_MS);
	if (health.status >= GP_HEALTH_DEGRADED)
		*ret_words = gp_sprintf(d->ctx->arena, "still serving %s", d->previous);
	else if (health.status > GP_HEALTH_NO_ANSWER)
		*ret_words = gp_sprintf(d->ctx->arena, "still serving %s, which is not well: %.200s", d->previous, health.why);
	else
		*ret_words = gp_sprintf(d->ctx->arena, "nothing serves: %s does not answer: %.200s", d->previous, health.why);
	return health.status > GP_HEALTH_NO_ANSWER;
}

/* Onto the release before: link, gunicorn, Celery, and then it too must say that it is well. */
static int back_to_previous(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_health health;

	GP_TRY(point_app_at(d, d->previous, err));
	GP_TRY(restart_unit(d, d->paths.gunicorn, err));
	if (d->site.celery.enabled)
		GP_TRY(restart_unit(d, d->paths.celery, err));
	return wait_for_release(d, d->previous, &health, err);
}

void gp_deploy_back(struct gp_deploy *d)
{
	struct gp_error why = { 0 };
	struct gp_bus *bus;

	d->switched = false;
	if (d->previous) {
		if (back_to_previous(d, &why) < 0)
			gp_tell_warn(d->ctx, "back to %s: %s", d->previous, why.msg);
		return;
	}
	/* The first release there ever was: nothing to go back to. */
	if (gp_ctx_bus(d->ctx, &bus, &why) == 0) {
		gp_unit_run(bus, d->paths.gunicorn, GP_UNIT_STOP, JOB_TIMEOUT_MS, NULL);
		if (d->site.celery.enabled)
			gp_unit_run(bus, d->paths.celery, GP_UNIT_STOP, JOB_TIMEOUT_MS, NULL);
	}
	gp_fs_remove(d->paths.app, NULL);
}
