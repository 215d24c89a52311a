/* A site's units: two gunicorns from one template and the link between them, the socket, Celery, and whether they should run. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/template.h"
#include "data/embed.h"
#include "ops/adding.h"
#include "ops/paths.h"
#include "ops/provision.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"

enum { STOP_TIMEOUT_MAX_S = 90 };

static const char *number(struct gp_ctx *ctx, int64_t n)
{
	return gp_sprintf(ctx->arena, "%lld", (long long)n);
}

static const char *unit_path(struct gp_ctx *ctx, const char *unit)
{
	return gp_sprintf(ctx->arena, "/etc/systemd/system/%s", unit);
}

static void add_dropins(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_site *site, const struct gp_paths *p, const char *unit)
{
	ADD(.type = &gp_dropins_type, .name = unit, .notify = GP_RES_RELOAD_UNITS,
		.spec = SPEC(struct gp_dropins, .unit = unit, .allowed = site->drop_ins, .keep = gp_sprintf(ctx->arena, "%s/removed", p->state)));
}

/* What the owner's drop-ins say of gunicorn holds for the one that a new release is proven on, too. */
static void add_dropins_of_next(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_site *site, const struct gp_paths *p)
{
	const char *folder = gp_sprintf(ctx->arena, "%s.d", unit_path(ctx, p->next));
	static const struct gp_folder root = { .owner = "root", .group = "root", .mode = 0755 };

	for (size_t i = 0; i < site->drop_ins.n; i++) {
		const char *name = site->drop_ins.v[i];

		if (!gp_fs_exists(gp_sprintf(ctx->arena, "%s.d/%s", unit_path(ctx, p->gunicorn), name)))
			continue;
		ADD(.type = &gp_folder_type, .name = folder, .spec = &root);
		ADD(.type = &gp_link_type, .name = gp_sprintf(ctx->arena, "%s/%s", folder, name), .notify = GP_RES_RELOAD_UNITS, .after = { folder },
			.spec = SPEC(struct gp_link, .target = gp_sprintf(ctx->arena, "../%s.d/%s", p->gunicorn, name)));
	}
	add_dropins(ctx, plan, site, p, p->next);
}

/* The link that Caddy goes by, at every boot and now. In the middle of a deploy it leads to the new release, and stays. */
static int add_route(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_site *site, const struct gp_paths *p, struct gp_error *err)
{
	static const struct gp_folder root = { .owner = "root", .group = "root", .mode = 0755 };
	const struct gp_var slug = { "slug", site->slug };
	const char *is = gp_fs_readlink(ctx->arena, p->socket);

	GP_TRY(gp_provision_rendered(ctx, plan, p->tmpfiles, gp_data_tmpfiles_conf, &slug, 1, (struct gp_resource){ 0 }, 0644, NULL, err));
	ADD(.type = &gp_folder_type, .name = p->run, .spec = &root);
	ADD(.type = &gp_link_type, .name = p->socket, .after = { p->run },
		.spec = SPEC(struct gp_link, .target = is && gp_streq(is, GP_ROUTE_NEXT) ? GP_ROUTE_NEXT : GP_ROUTE_STABLE));
	return 0;
}

/* One template for both: they differ in their socket and in the file that says which release they run. */
static int add_gunicorn(struct gp_ctx *ctx, struct gp_plan *plan, const char *unit, bool stable, bool socket, const struct gp_var *vars,
	size_t n, struct gp_resource base, struct gp_error *err)
{
	const struct gp_var own[] = {
		{ "stable", gp_yes(stable) },
		{ "socket", gp_yes(stable && socket) },
		{ "slot", stable ? "stable" : "next" },
		{ "release_env", stable ? "release.env" : "next.env" },
		{ "while", stable ? "" : ", while a release takes over" },
	};
	enum { OWN = sizeof(own) / sizeof(own[0]) };
	struct gp_var *all = gp_alloc_array(ctx->arena, n + OWN, sizeof(*all));

	memcpy(all, own, sizeof(own));
	memcpy(all + OWN, vars, n * sizeof(*vars));
	return gp_provision_rendered(ctx, plan, unit_path(ctx, unit), gp_data_gunicorn_service, all, n + OWN, base, 0644, NULL, err);
}

static int add_units(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_site *site, const struct gp_paths *p,
	struct gp_error *err)
{
	const struct gp_resource base = { .notify = GP_RES_RELOAD_UNITS, .after = { p->run_user } };
	const struct gp_var root = { "root", p->root };
	const char *sandbox;

	GP_TRY(gp_template(ctx->arena, gp_data_sandbox_conf, &root, 1, &sandbox, err));
	const struct gp_var vars[] = {
		root,
		{ "slug", site->slug },
		{ "domain", site->domain },
		{ "state", p->state },
		{ "user", p->run_user },
		{ "subdir", gp_streq(site->subdir, ".") ? "" : gp_sprintf(ctx->arena, "/%s", site->subdir) },
		{ "workers", number(ctx, site->gunicorn.workers) },
		{ "threads", number(ctx, site->gunicorn.threads) },
		{ "timeout", number(ctx, site->gunicorn.timeout) },
		{ "stop_timeout", number(ctx, site->gunicorn.timeout < STOP_TIMEOUT_MAX_S ? site->gunicorn.timeout + 5 : STOP_TIMEOUT_MAX_S) },
		{ "wsgi", site->wsgi },
		{ "celery_app", site->celery.app },
		{ "concurrency", number(ctx, site->celery.concurrency) },
		{ "beat", site->celery.beat ? gp_sprintf(ctx->arena, " --beat --schedule /run/goldpath-celery-%s/beat", site->slug) : "" },
		{ "sandbox", sandbox },
	};
	const size_t n = sizeof(vars) / sizeof(vars[0]);

	GP_TRY(add_gunicorn(ctx, plan, p->gunicorn, true, site->gunicorn.socket, vars, n, base, err));
	GP_TRY(add_gunicorn(ctx, plan, p->next, false, site->gunicorn.socket, vars, n, base, err));
	add_dropins(ctx, plan, site, p, p->gunicorn);
	add_dropins_of_next(ctx, plan, site, p);
	add_dropins(ctx, plan, site, p, p->gunicorn_socket);
	add_dropins(ctx, plan, site, p, p->celery);
	if (site->gunicorn.socket)
		GP_TRY(gp_provision_rendered(ctx, plan, unit_path(ctx, p->gunicorn_socket), gp_data_gunicorn_socket, vars, n, base, 0644, NULL, err));
	if (site->celery.enabled)
		GP_TRY(gp_provision_rendered(ctx, plan, unit_path(ctx, p->celery), gp_data_celery_service, vars, n, base, 0644, NULL, err));
	return 0;
}

/* A timer, and the service that it starts; two templates for all of them. */
static int add_timer(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_site *site, const struct gp_paths *p, const char *when,
	const char *timer, const char *service, const char *what, const char *command, struct gp_error *err)
{
	const struct gp_resource base = { .notify = GP_RES_RELOAD_UNITS };
	/* The folder that a local repository lies in: the first run makes it. */
	const char *repository = site->backup.offsite && site->backup.offsite[0] == '/' ? site->backup.offsite : NULL;
	const struct gp_var vars[] = {
		{ "slug", site->slug },
		{ "domain", site->domain },
		{ "root", p->root },
		{ "state", p->state },
		{ "what", what },
		{ "command", command },
		{ "when", when ? when : "" },
		{ "repository", repository ? gp_sprintf(ctx->arena, " -%.*s", (int)(strrchr(repository, '/') - repository + 1), repository) : "" },
	};
	const size_t n = sizeof(vars) / sizeof(vars[0]);

	add_dropins(ctx, plan, site, p, timer);
	add_dropins(ctx, plan, site, p, service);
	if (!when)
		return 0;
	GP_TRY(gp_provision_rendered(ctx, plan, unit_path(ctx, service), gp_data_task_service, vars, n, base, 0644, NULL, err));
	return gp_provision_rendered(ctx, plan, unit_path(ctx, timer), gp_data_task_timer, vars, n, base, 0644, NULL, err);
}

static int add_timers(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_site *site, const struct gp_paths *p, struct gp_error *err)
{
	const char *backup = gp_sprintf(ctx->arena, "backup %s --from-timer%s", site->slug, site->backup.offsite ? " --media" : "");

	GP_TRY(add_timer(ctx, plan, site, p, site->backup.time, p->backup_timer, p->backup_service, "backup", backup, err));
	return add_timer(ctx, plan, site, p, site->backup.rehearse, p->rehearse_timer, p->rehearse_service, "rehearsal of the newest backup",
		gp_sprintf(ctx->arena, "rehearse %s --latest", site->slug), err);
}

int gp_provision_site_units(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_site *site, const struct gp_paths *p, struct gp_error *err)
{
	GP_TRY(add_route(ctx, plan, site, p, err));
	GP_TRY(add_units(ctx, plan, site, p, err));
	return add_timers(ctx, plan, site, p, err);
}

/* Whether a unit should run follows from whether there is a release to run. */
void gp_provision_site_states(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_site *site)
{
	size_t first = plan->n;
	const struct gp_paths paths = gp_site_paths(ctx, site->slug), *p = &paths;
	bool live = gp_fs_exists(p->release_env);
	const struct gp_unit *on = SPEC(struct gp_unit, .present = true, .own_file = true, .enabled = true, .running = live);
	const struct gp_unit *socket = SPEC(struct gp_unit, .present = true, .own_file = true, .enabled = true, .running = live, .stop_first = p->gunicorn);
	static const struct gp_unit off = { .present = false };
	static const struct gp_unit timer = { .present = true, .own_file = true, .enabled = true, .running = true };

	ADD(.type = &gp_unit_type, .name = p->gunicorn_socket, .spec = site->gunicorn.socket ? socket : &off, .after = { GP_RES_RELOAD_UNITS });
	ADD(.type = &gp_unit_type, .name = p->gunicorn, .spec = on, .after = { GP_RES_RELOAD_UNITS });
	ADD(.type = &gp_unit_type, .name = p->celery, .spec = site->celery.enabled ? on : &off, .after = { GP_RES_RELOAD_UNITS });
	ADD(.type = &gp_unit_type, .name = p->backup_timer, .spec = site->backup.time ? &timer : &off, .after = { GP_RES_RELOAD_UNITS });
	ADD(.type = &gp_unit_type, .name = p->rehearse_timer, .spec = site->backup.rehearse ? &timer : &off, .after = { GP_RES_RELOAD_UNITS });
	if (!site->backup.time)
		ADD(.type = &gp_unit_type, .name = p->backup_service, .spec = &off, .after = { GP_RES_RELOAD_UNITS });
	if (!site->backup.rehearse)
		ADD(.type = &gp_unit_type, .name = p->rehearse_service, .spec = &off, .after = { GP_RES_RELOAD_UNITS });
	gp_provision_group(plan, first, site);
}
