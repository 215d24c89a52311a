/* Provisioning as a whole: load the files, put the plan together, let the engine walk it. */
#include "ops/provision.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "sys/ctx.h"
#include "sys/lock.h"
#include "sys/sshd.h"
#include "sys/unit.h"

/* What is to be provisioned: the one site, or all whose files can be read. One that cannot stops itself and no other. */
struct wanted {
	struct gp_site *sites;
	size_t n, broken;
	struct gp_error first; /* why */
};

static int load_sites(struct gp_ctx *ctx, const struct gp_provision *request, struct wanted *ret, struct gp_error *err)
{
	struct gp_strv slugs = { 0 };
	struct gp_error why;

	if (request->slug)
		gp_strv_add(ctx->arena, &slugs, request->slug);
	else
		GP_TRY(gp_site_list(ctx->arena, ctx->etc_dir, &slugs, err));
	*ret = (struct wanted){ .sites = gp_alloc_array(ctx->arena, slugs.n + 1, sizeof(*ret->sites)) };
	for (size_t i = 0; i < slugs.n; i++) {
		if (gp_site_load(ctx->arena, ctx->etc_dir, slugs.v[i], &ret->sites[ret->n], &why) == 0) {
			ret->n++;
			continue;
		}
		if (ret->broken++ == 0)
			ret->first = why;
		if (!request->slug)
			gp_tell_warn(ctx, "left out: %s", why.msg);
	}
	if (!request->slug || !ret->broken)
		return 0;
	if (err)
		*err = ret->first;
	return -1;
}

/* The others are done: now say what was left out. */
static int check_broken(const struct wanted *wanted, struct gp_error *err)
{
	if (!wanted->broken)
		return 0;
	if (err)
		*err = wanted->first;
	return wanted->broken == 1 ? gp_context(err, "everything but one site is as it should be")
				   : gp_context(err, "everything but %zu sites is as it should be", wanted->broken);
}

static bool has_name(const struct gp_site *site, const char *name)
{
	if (strcasecmp(site->domain, name) == 0)
		return true;
	for (size_t i = 0; i < site->aliases.n; i++)
		if (strcasecmp(site->aliases.v[i], name) == 0)
			return true;
	return false;
}

/* What two sites of one host cannot share: a name (Caddy would refuse both files, and at its next start serve nobody), or a role or a
 * database on the same server (each provision would take it from the other). */
static int conflict(const struct gp_site *a, const struct gp_site *b, struct gp_error *err)
{
	const char *shared = has_name(b, a->domain) ? a->domain : NULL;

	for (size_t i = 0; i < a->aliases.n && !shared; i++)
		shared = has_name(b, a->aliases.v[i]) ? a->aliases.v[i] : NULL;
	if (shared)
		return gp_fail(err, GP_E_CONFIG, "the sites %s and %s both want the name %s", a->slug, b->slug, shared);
	if (!gp_streq(a->database.host, b->database.host) || a->database.port != b->database.port)
		return 0;
	if (gp_streq(a->database.user, b->database.user) || gp_streq(a->database.name, b->database.name))
		return gp_fail(err, GP_E_CONFIG, "the sites %s and %s both want the database '%s' or its role '%s'", a->slug, b->slug,
			a->database.name, a->database.user);
	return 0;
}

/* Each of the sites against every file there is; one that cannot be read is told of when it is that site's turn. */
static int check_conflicts(struct gp_ctx *ctx, const struct gp_site *sites, size_t n, struct gp_error *err)
{
	struct gp_strv slugs = { 0 };

	GP_TRY(gp_site_list(ctx->arena, ctx->etc_dir, &slugs, err));
	for (size_t i = 0; i < slugs.n; i++) {
		struct gp_site other;

		if (gp_site_load(ctx->arena, ctx->etc_dir, slugs.v[i], &other, NULL) < 0)
			continue;
		for (size_t k = 0; k < n; k++)
			if (!gp_streq(sites[k].slug, other.slug) && conflict(&sites[k], &other, err) < 0)
				return gp_hint(err, "change one of %s/sites/%s.yaml and %s.yaml", ctx->etc_dir, sites[k].slug, other.slug);
	}
	return 0;
}

/* A repository that git reaches over ssh: the deploy user needs a key. */
static bool over_ssh(const char *repo)
{
	return gp_starts_with(repo, "ssh://") || (!strstr(repo, "://") && repo[0] != '/');
}

/* Does Caddy speak HTTPS for any site of this host, not only for those that are asked for now? */
static int any_https(struct gp_ctx *ctx, bool *ret, struct gp_error *err)
{
	struct gp_strv slugs = { 0 };

	*ret = false;
	GP_TRY(gp_site_list(ctx->arena, ctx->etc_dir, &slugs, err));
	for (size_t i = 0; i < slugs.n && !*ret; i++) {
		struct gp_site site;

		*ret = gp_site_load(ctx->arena, ctx->etc_dir, slugs.v[i], &site, NULL) == 0 && site.tls != GP_TLS_OFF;
	}
	return 0;
}

/* Every other site's Caddy file; a site's file that cannot be read is told of when it is that site's turn. */
static int add_neighbours(struct gp_ctx *ctx, const struct gp_site *sites, size_t n, struct gp_plan *plan, struct gp_error *err)
{
	struct gp_strv slugs = { 0 };

	GP_TRY(gp_site_list(ctx->arena, ctx->etc_dir, &slugs, err));
	for (size_t i = 0; i < slugs.n; i++) {
		struct gp_site site;
		bool asked = false;

		for (size_t k = 0; k < n; k++)
			asked = asked || gp_streq(sites[k].slug, slugs.v[i]);
		if (!asked && gp_site_load(ctx->arena, ctx->etc_dir, slugs.v[i], &site, NULL) == 0)
			GP_TRY(gp_provision_neighbour(ctx, plan, &site, err));
	}
	return 0;
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

static int make_plan(struct gp_ctx *ctx, const struct gp_host *host, const struct gp_site *sites, size_t n, bool apply,
	struct gp_plan *ret, struct gp_error *err)
{
	struct gp_sshd *sshd = gp_sshd_new(ctx->arena, ctx->lock_dir);
	bool https;

	GP_TRY(any_https(ctx, &https, err));
	gp_provision_caddy_ports(ctx, ret, https);
	GP_TRY(gp_provision_host(ctx, ret, host, https, sshd, err));
	add_deploy_users(ctx, host, sites, n, ret);
	gp_provision_ssh(ctx, ret, host, sshd);
	for (size_t i = 0; i < n; i++)
		GP_TRY(gp_provision_site(ctx, ret, host, &sites[i], apply, err));
	GP_TRY(add_neighbours(ctx, sites, n, ret, err));
	gp_provision_reload_units(ctx, ret);
	for (size_t i = 0; i < n; i++)
		gp_provision_site_states(ctx, ret, &sites[i]);
	gp_provision_caddy_states(ctx, ret, host);
	return 0;
}

/* A running service is never restarted behind its owner's back: a deploy does that, and proves the result. */
static void tell_restarts(struct gp_ctx *ctx, const struct gp_changes *changes)
{
	static const char *const kinds[] = { "file /etc/systemd/system/sum-", "drop-in of sum-" };

	for (size_t i = 0; i < changes->n; i++)
		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
			if (changes->v[i].mark != '+' && changes->v[i].mark != '!' && gp_starts_with(changes->v[i].what, kinds[k]))
				gp_tell_note(ctx, "%.*s: takes effect at the next deploy, or restart of the unit",
					(int)strcspn(changes->v[i].what, ":"), changes->v[i].what);
}

int gp_provision_run(struct gp_ctx *ctx, const struct gp_provision *request, struct gp_changes *ret, struct gp_error *err)
{
	GP_AUTO_LOCK lock = { .fd = -1 };
	struct gp_plan plan = { 0 };
	struct wanted wanted;
	struct gp_host host;
	struct gp_bus *bus;

	GP_TRY(gp_host_load(ctx->arena, ctx->etc_dir, &host, err));
	GP_TRY(load_sites(ctx, request, &wanted, err));
	GP_TRY(check_conflicts(ctx, wanted.sites, wanted.n, err));
	GP_TRY(gp_ctx_bus(ctx, &bus, err));
	if (request->apply)
		GP_TRY(gp_lock_take(&lock, ctx->lock_dir, "host", ctx->command, err));
	GP_TRY(make_plan(ctx, &host, wanted.sites, wanted.n, request->apply, &plan, err));
	GP_TRY(gp_plan_run(ctx, &plan, request->apply, request->only, ret, err));
	if (request->apply)
		tell_restarts(ctx, ret);
	return request->apply ? check_broken(&wanted, err) : 0;
}
