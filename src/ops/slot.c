/* The two gunicorns of a site: which release, started, proven, led to, drained, stopped. */
#include "ops/slot.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/parse.h"
#include "ops/deploy.h"
#include "ops/releases.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/http.h"
#include "sys/journal.h"
#include "sys/memory.h"
#include "sys/unit.h"
#include "sys/unix_diag.h"

enum {
	JOB_TIMEOUT_MS = 150000,
	UNWELL_AFTER_MS = 5000, /* until then it may still become better */
	PROBE_EVERY_MS = 50,
	WARM_MS = 5000,
	DRAIN_EVERY_MS = 20,
	JOURNAL_LINES = 30,
	RAISED_LINES = 300,
	ENVIRON_MAX = 1 << 20,
	ASSIGNED_MAX = 64 * 1024,
};

struct gp_slot gp_slot_stable(const struct gp_paths *paths)
{
	return (struct gp_slot){ paths->gunicorn, paths->stable_socket, paths->release_env, GP_ROUTE_STABLE };
}

struct gp_slot gp_slot_next(const struct gp_paths *paths)
{
	return (struct gp_slot){ paths->next, paths->next_socket, paths->next_env, GP_ROUTE_NEXT };
}

const char *gp_slot_assigned(struct gp_ctx *ctx, const struct gp_slot *slot)
{
	const char *text = "", *release;
	struct gp_dotenv env = { 0 };
	size_t len = 0;

	if (gp_fs_read_nofollow(ctx->arena, slot->env, ASSIGNED_MAX, &text, &len, NULL) != 1 ||
		gp_dotenv_parse(ctx->arena, text, len, &env, NULL) < 0)
		return NULL;
	release = gp_dotenv_get(&env, "RELEASE");
	return release && gp_name_ok(GP_NAME_release, release) ? release : NULL;
}

/* What .env was when the site was last well. Once there it stays, until the release is proven or taken back. */
static int keep_env(struct gp_deploy *d, struct gp_error *err)
{
	const char *text;
	size_t len = 0;
	int there;

	if (gp_fs_exists(d->paths.site_env_before))
		return 0;
	GP_TRY(there = gp_fs_read_nofollow(d->ctx->arena, d->paths.site_env, GP_DOTENV_MAX, &text, &len, err));
	return there ? gp_fs_write(d->paths.site_env_before, text, len, 0600, 0, 0, err) : 0;
}

int gp_slot_env_proven(struct gp_deploy *d, struct gp_error *err)
{
	return gp_fs_remove(d->paths.site_env_before, err);
}

int gp_slot_env_back(struct gp_deploy *d, struct gp_error *err)
{
	if (!gp_fs_exists(d->paths.site_env_before))
		return 0;
	if (rename(d->paths.site_env_before, d->paths.site_env) < 0)
		return gp_fail_errno(err, errno, "put %s back", d->paths.site_env);
	return 0;
}

int gp_slot_assign(struct gp_deploy *d, const struct gp_slot *slot, const char *release, struct gp_error *err)
{
	struct gp_strv env;
	const char *sha, *text = "";

	GP_TRY(gp_release_commit(d, release, &sha, err));
	GP_TRY(keep_env(d, err));
	GP_TRY(gp_dotenv_copy(d->ctx, d->paths.env, d->paths.site_env, err));
	env = gp_release_env_of(d, release, sha ? sha : "");
	for (size_t i = 0; i < env.n; i++) {
		const char *equals = strchr(env.v[i], '=');

		text = gp_sprintf(d->ctx->arena, "%s%s", text, gp_dotenv_line(d->ctx->arena,
			gp_strndup(d->ctx->arena, env.v[i], (size_t)(equals - env.v[i])), equals + 1));
	}
	return gp_fs_write(slot->env, text, strlen(text), 0600, 0, 0, err);
}

/* RELEASE in the environment that a process began with. */
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

const char *gp_slot_unit_runs(struct gp_deploy *d, const char *unit)
{
	struct gp_unit_state state;
	struct gp_bus *bus;

	if (gp_ctx_bus(d->ctx, &bus, NULL) < 0 || gp_unit_state(bus, d->ctx->arena, unit, &state, NULL) < 0)
		return "";
	return release_of_process(d, state.main_pid);
}

const char *gp_slot_runs(struct gp_deploy *d, const struct gp_slot *slot)
{
	return gp_slot_unit_runs(d, slot->unit);
}

uint64_t gp_slot_memory(struct gp_deploy *d)
{
	const struct gp_slot routed = gp_slot_routed(d);
	struct gp_unit_state state;
	struct gp_bus *bus;

	if (gp_ctx_bus(d->ctx, &bus, NULL) < 0 || gp_unit_state(bus, d->ctx->arena, routed.unit, &state, NULL) < 0 || !state.main_pid)
		return 0;
	return gp_memory_of_group(state.main_pid);
}

/* The last words of a unit since a moment, as the error's detail. */
static void add_journal(struct gp_deploy *d, const char *unit, uint64_t since_us, struct gp_error *err)
{
	const char *tail = "";

	if (gp_journal_tail(d->ctx->arena, unit, JOURNAL_LINES, since_us, &tail, NULL) == 0 && *tail)
		gp_detail(err, tail, strlen(tail));
	gp_hint(err, "the last lines of `journalctl -u %s` stand above", unit);
}

int gp_slot_restart(struct gp_deploy *d, const char *unit, struct gp_error *err)
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

int gp_slot_stop(struct gp_deploy *d, const char *unit, struct gp_error *err)
{
	struct gp_unit_state state;
	struct gp_bus *bus;

	GP_TRY(gp_ctx_bus(d->ctx, &bus, err));
	GP_TRY(gp_unit_glance(bus, d->ctx->arena, unit, &state, err));
	if (!gp_streq(state.active, "inactive"))
		GP_TRY(gp_unit_run(bus, unit, GP_UNIT_STOP, JOB_TIMEOUT_MS, err));
	return gp_unit_reset_failed(bus, unit, err);
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
static int still_running(struct gp_deploy *d, const char *unit, pid_t *pid, uint64_t since, struct gp_error *err)
{
	const char *journal = "", *what;
	struct gp_unit_state state;
	struct gp_bus *bus;

	GP_TRY(gp_ctx_bus(d->ctx, &bus, err));
	GP_TRY(gp_unit_state(bus, d->ctx->arena, unit, &state, err));
	if (*pid == 0)
		*pid = state.main_pid;
	if (state.main_pid && state.main_pid == *pid && !gp_streq(state.active, "failed"))
		return 0;
	gp_journal_tail(d->ctx->arena, unit, RAISED_LINES, since, &journal, NULL);
	what = raised(d, journal);
	gp_fail(err, GP_E_FAILED, "gunicorn died at start%s%.300s", *what ? ": " : "", what);
	add_journal(d, unit, since, err);
	if (err && *what && !strstr(err->detail, what)) {
		journal = gp_sprintf(d->ctx->arena, "%s\n...\n%s", what, gp_last_lines(err->detail, JOURNAL_LINES - 2));
		gp_detail(err, journal, strlen(journal));
	}
	return -1;
}

bool gp_slot_well_enough(const struct gp_deploy *d, const struct gp_health *health, int64_t waited_ms)
{
	return health->status >= GP_HEALTH_DEGRADED || (d->unwell && health->status == GP_HEALTH_UNHEALTHY && waited_ms >= UNWELL_AFTER_MS);
}

int gp_slot_wait(struct gp_deploy *d, const struct gp_slot *slot, const char *release, struct gp_health *ret, struct gp_error *err)
{
	int64_t wait = d->site.health.wait * 1000, begun = gp_mono_ms(), deadline = begun + wait;
	uint64_t since = (uint64_t)(gp_now() - 5) * 1000000;
	pid_t pid = 0;

	for (;;) {
		const char *says;

		*ret = gp_health_ask(d->ctx, &d->site, d->site.domain, slot->socket, gp_health_timeout(deadline));
		GP_TRY(still_running(d, slot->unit, &pid, since, err));
		says = *ret->release ? ret->release : release_of_process(d, pid);
		if (gp_slot_well_enough(d, ret, gp_mono_ms() - begun) && gp_streq(says, release))
			return 0;
		if (ret->status >= GP_HEALTH_DEGRADED)
			ret->why = gp_sprintf(d->ctx->arena, "release '%.80s' answers", says);
		if (gp_left_ms(deadline) == 0) {
			gp_health_fail(d->ctx, ret, release, "on its socket", wait, err);
			add_journal(d, slot->unit, since, err);
			return -1;
		}
		poll(NULL, 0, PROBE_EVERY_MS); /* nothing announces that an application has loaded */
	}
}

/* All at once: a worker that is busy with one leaves the next to another. */
void gp_slot_warm(struct gp_deploy *d, const struct gp_slot *slot)
{
	struct gp_http request = {
		.unix_socket = slot->socket,
		.forwarded_proto = d->site.tls == GP_TLS_OFF ? "http" : "https",
		.timeout_ms = WARM_MS,
	};

	if (!d->site.gunicorn.warm)
		return;
	request.url = gp_sprintf(d->ctx->arena, "http://%s%s", d->site.domain, d->site.gunicorn.warm);
	gp_http_touch(&request, (size_t)d->site.gunicorn.workers);
}

bool gp_slot_is_routed(struct gp_deploy *d, const struct gp_slot *slot)
{
	const char *is = gp_fs_readlink(d->ctx->arena, d->paths.socket);

	return is && gp_streq(is, slot->route);
}

struct gp_slot gp_slot_routed(struct gp_deploy *d)
{
	const struct gp_slot next = gp_slot_next(&d->paths);

	return gp_slot_is_routed(d, &next) ? next : gp_slot_stable(&d->paths);
}

int gp_slot_route(struct gp_deploy *d, const struct gp_slot *slot, struct gp_error *err)
{
	return gp_fs_relink(d->paths.socket, slot->route, err);
}

/* Nobody, seen twice: a connection that was on its way when the link was renamed has arrived by the second time. */
static int wait_until_idle(struct gp_deploy *d, const struct gp_slot *slot, struct gp_error *err)
{
	int64_t start = gp_mono_ms(), deadline = start + d->site.gunicorn.drain * 1000;
	struct gp_unix_listener listener;
	struct gp_unix_busy busy;
	int there, idle = 0;

	GP_TRY(there = gp_unix_listener_find(slot->socket, &listener, err));
	while (there && idle < 2) {
		GP_TRY(gp_unix_busy(&listener, &busy, err));
		idle = busy.queued + busy.open ? 0 : idle + 1;
		if (idle < 2 && gp_left_ms(deadline) == 0) {
			gp_tell_warn(d->ctx, "%u request%s still under way after %s: gunicorn gives them their timeout, and then cuts them", busy.queued + busy.open,
				busy.queued + busy.open == 1 ? " is" : "s are", gp_duration(d->ctx->arena, gp_mono_ms() - start));
			break;
		}
		if (idle < 2)
			poll(NULL, 0, DRAIN_EVERY_MS); /* the kernel tells nobody when somebody else's connection ends */
	}
	return 0;
}

void gp_slot_drain(struct gp_deploy *d, const struct gp_slot *slot)
{
	struct gp_error why = { 0 };

	if (wait_until_idle(d, slot, &why) < 0)
		gp_tell_warn(d->ctx, "nobody can say whether %s still answers somebody: %s", slot->unit, why.msg);
}
