/* Provisioning as a whole: load the files, put the plan together, let the engine walk it. */
#include "ops/provision.h"

#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/dotenv.h"
#include "base/error.h"
#include "ops/paths.h"
#include "ops/record.h"
#include "ops/redisdb.h"
#include "ops/sites.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include "sys/net.h"
#include "sys/sshd.h"
#include "sys/unit.h"

/* A repository that git reaches over ssh: the deploy user needs a key. */
static bool over_ssh(const char *repo)
{
	return gp_starts_with(repo, "ssh://") || (!strstr(repo, "://") && repo[0] != '/');
}

/* Each deploy user once: the host's, and those that sites have of their own. Some site's repository decides whether it needs a key. */
static void add_deploy_users(struct gp_ctx *ctx, const struct gp_host *host, const struct gp_site *sites, size_t n, struct gp_plan *plan)
{
	struct gp_strv users = { 0 };

	gp_strv_add(ctx->arena, &users, host->deploy_user);
	for (size_t i = 0; i < n; i++)
		if (!gp_strv_has(&users, gp_deploy_user(host, &sites[i])))
			gp_strv_add(ctx->arena, &users, gp_deploy_user(host, &sites[i]));
	for (size_t u = 0; u < users.n; u++) {
		bool ssh_key = false;

		for (size_t i = 0; i < n; i++)
			ssh_key = ssh_key || (gp_streq(gp_deploy_user(host, &sites[i]), users.v[u]) && over_ssh(sites[i].repo));
		gp_provision_deploy_user(ctx, plan, users.v[u], ssh_key);
	}
}

static int make_plan(struct gp_ctx *ctx, const struct gp_provision *request, const struct gp_host *host, const struct gp_sites *sites,
	struct gp_plan *ret, struct gp_error *err)
{
	static const struct gp_folder state = { .owner = "root", .group = "root", .mode = 0755 };
	struct gp_sshd *sshd = gp_sshd_new(ctx->arena, ctx->lock_dir);
	bool https = gp_sites_https(sites);

	/* Whatever is shown of this host, no site's secret is. */
	for (size_t i = 0; i < sites->n; i++)
		gp_dotenv_read(ctx, gp_site_paths(ctx, sites->v[i].slug).env, &(struct gp_dotenv){ 0 }, NULL);
	/* First: the engine itself writes there as soon as something is to be changed. */
	gp_plan_add(ctx, ret, (struct gp_resource){ .type = &gp_folder_type, .name = ctx->state_dir, .spec = &state });
	gp_provision_caddy_ports(ctx, ret, https);
	GP_TRY(gp_provision_host(ctx, ret, host, https, sshd, err));
	add_deploy_users(ctx, host, sites->v, sites->asked, ret);
	gp_provision_ssh(ctx, ret, host, sshd);
	for (size_t i = 0; request->part && i < request->part->redis_n; i++)
		GP_TRY(gp_redisdb_keep(ctx, ret, request->part->redis[i].use, request->part->redis[i].number, err));
	for (size_t i = 0; i < sites->asked; i++)
		GP_TRY(gp_provision_site(ctx, ret, host, &sites->v[i], err));
	/* Caddy's configuration is one for the host. */
	for (size_t i = sites->asked; i < sites->n; i++)
		GP_TRY(gp_provision_neighbour(ctx, ret, host, &sites->v[i], err));
	gp_provision_reload_units(ctx, ret);
	for (size_t i = 0; i < sites->asked; i++)
		gp_provision_site_states(ctx, ret, &sites->v[i]);
	gp_provision_caddy_states(ctx, ret, host);
	return 0;
}

static bool has(const struct gp_plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->n; i++)
		if (gp_streq(plan->v[i].name, name))
			return true;
	return false;
}

/* What is left out is there already, or comes later: nothing that stays has to come after it. */
static void keep_part(const struct gp_provision_part *part, struct gp_plan *plan)
{
	size_t all = plan->n;

	plan->n = 0;
	for (size_t i = 0; i < all; i++) {
		struct gp_resource r = plan->v[i];
		size_t n = 0;

		if (!part->wants(part->arg, &r))
			continue;
		for (size_t k = 0; k < GP_AFTER_MAX; k++) {
			const char *after = r.after[k];

			r.after[k] = NULL;
			if (after && has(plan, after))
				r.after[n++] = after;
		}
		plan->v[plan->n++] = r;
	}
}

/* What a timer starts runs by its file as it is then. */
static bool is_task(const char *what)
{
	return strstr(what, "-backup.timer") || strstr(what, "-backup.service") || strstr(what, "-rehearse.timer") || strstr(what, "-rehearse.service");
}

/* A running service is never restarted behind its owner's back: a deploy does that, and proves the result. */
static void tell_restarts(struct gp_ctx *ctx, const struct gp_changes *changes)
{
	static const char *const kinds[] = { "file /etc/systemd/system/sum-", "drop-in of sum-" };

	for (size_t i = 0; i < changes->n; i++)
		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
			if (changes->v[i].mark != '+' && changes->v[i].mark != '!' && gp_starts_with(changes->v[i].what, kinds[k]) &&
				!is_task(changes->v[i].what))
				gp_tell_note(ctx, "%.*s: takes effect at the next deploy, or restart of the unit",
					(int)strcspn(changes->v[i].what, ":"), changes->v[i].what);
}

static bool changes_file(const struct gp_changes *changes, const char *path)
{
	for (size_t i = 0; i < changes->n; i++)
		if (gp_starts_with(changes->v[i].what, "file ") && gp_starts_with(changes->v[i].what + strlen("file "), path))
			return true;
	return false;
}

/* Caddy gets a certificate only for a name that leads here. Asked when the site's names may have changed: a look-up takes its time. */
static void tell_dns(struct gp_ctx *ctx, const struct gp_site *site, const struct gp_changes *changes)
{
	const struct gp_paths paths = gp_site_paths(ctx, site->slug);
	struct gp_strv addresses;

	if (site->tls != GP_TLS_AUTO || !changes_file(changes, paths.caddy_file) ||
		gp_net_resolve(ctx->arena, site->domain, &addresses, NULL) < 0)
		return;
	if (addresses.n == 0)
		gp_tell_warn(ctx, "%s does not resolve: Caddy gets no certificate for it until its DNS leads to this host", site->domain);
	for (size_t i = 0; i < addresses.n; i++)
		if (gp_net_is_ours(addresses.v[i]))
			return;
	if (addresses.n)
		gp_tell_note(ctx, "%s leads to %s, which is no address of this host's own: right behind a NAT or a proxy, else wrong", site->domain,
			gp_strv_join(ctx->arena, &addresses, ", "));
}

/* A deploy leads visitors from one gunicorn to the other: what it holds in its hands is not read and put right meanwhile. */
static int lock_sites(struct gp_ctx *ctx, const struct gp_sites *sites, struct gp_lock *locks, struct gp_error *err)
{
	for (size_t i = 0; i < sites->asked; i++)
		GP_TRY(gp_lock_take(&locks[i], ctx->lock_dir, sites->v[i].slug, ctx->command, err));
	return 0;
}

/* It is not ours to finish: that takes the site's code, and the site's view of the host. */
static void tell_unfinished(struct gp_ctx *ctx, const struct gp_site *site)
{
	const struct gp_paths paths = gp_site_paths(ctx, site->slug);
	struct gp_unfinished u;

	if (gp_journal_read(ctx, &paths, &u, NULL) == 0 && u.found)
		gp_tell_warn(ctx, "a %s of %s was cut off in step '%s': the next deploy or rollback finishes it or takes it back", u.what, site->slug,
			u.step);
}

static int walk(struct gp_ctx *ctx, const struct gp_provision *request, const struct gp_host *host, const struct gp_sites *sites,
	struct gp_changes *ret, struct gp_error *err)
{
	struct gp_plan plan = { 0 };
	int result;

	for (size_t i = 0; i < sites->asked && !request->only && !request->part; i++) /* only: it was told when the plan was shown */
		tell_unfinished(ctx, &sites->v[i]);
	GP_TRY(make_plan(ctx, request, host, sites, &plan, err));
	if (request->part)
		keep_part(request->part, &plan);
	result = gp_plan_run(ctx, &plan, request->apply, request->only, ret, err);
	if (result < 0 && !ret->partial)
		return -1;
	if (request->apply && !request->part)
		tell_restarts(ctx, ret);
	for (size_t i = 0; i < sites->asked && !request->part; i++)
		tell_dns(ctx, &sites->v[i], ret);
	if (result < 0)
		return -1;
	ret->partial = sites->broken > 0;
	return gp_sites_check(sites, err);
}

int gp_provision_run(struct gp_ctx *ctx, const struct gp_provision *request, struct gp_changes *ret, struct gp_error *err)
{
	GP_AUTO_LOCK lock = { .fd = -1 };
	struct gp_lock *locks;
	struct gp_sites sites;
	struct gp_host host;
	struct gp_bus *bus;
	int result = 0;

	if (request->part && !request->apply && !gp_fs_exists(gp_sprintf(ctx->arena, "%s/host.yaml", ctx->etc_dir)))
		GP_TRY(gp_host_default(ctx->arena, &host, err));
	else
		GP_TRY(gp_host_load(ctx->arena, ctx->etc_dir, &host, err));
	if (request->part)
		GP_TRY(gp_sites_with(ctx, request->part->site, &sites, err));
	else
		GP_TRY(gp_sites_load(ctx, request->slug, &sites, err));
	GP_TRY(gp_ctx_bus(ctx, &bus, err));
	locks = gp_alloc_array(ctx->arena, sites.asked + 1, sizeof(*locks));
	for (size_t i = 0; i < sites.asked; i++)
		locks[i].fd = -1;
	if (request->apply && !request->part) {
		GP_TRY(gp_lock_take(&lock, ctx->lock_dir, "host", ctx->command, err));
		result = lock_sites(ctx, &sites, locks, err);
	}
	if (result == 0)
		result = walk(ctx, request, &host, &sites, ret, err);
	for (size_t i = 0; i < sites.asked; i++)
		gp_lock_release(&locks[i]);
	return result;
}
