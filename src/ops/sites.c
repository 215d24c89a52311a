/* Loading the sites' files, and what two sites of one host cannot share. */
#include "ops/sites.h"

#include <strings.h>

#include "base/arena.h"
#include "sys/ctx.h"

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

static int check_conflicts(struct gp_ctx *ctx, const struct gp_sites *sites, struct gp_error *err)
{
	for (size_t i = 0; i < sites->asked; i++)
		for (size_t k = i + 1; k < sites->n; k++)
			if (conflict(&sites->v[i], &sites->v[k], err) < 0)
				return gp_hint(err, "change one of %s/sites/%s.yaml and %s.yaml", ctx->etc_dir, sites->v[i].slug, sites->v[k].slug);
	return 0;
}

static void leave_out(struct gp_ctx *ctx, struct gp_sites *sites, const struct gp_error *why)
{
	gp_tell_warn(ctx, "left out: %s", why->msg);
	if (sites->broken++ == 0)
		sites->first = *why;
}

static int load(struct gp_ctx *ctx, const char *slug, const struct gp_site *known, struct gp_sites *ret, struct gp_error *err)
{
	struct gp_strv slugs = { 0 };
	struct gp_sites sites = { 0 };

	GP_TRY(gp_site_list(ctx->arena, ctx->etc_dir, &slugs, err));
	sites.v = gp_alloc_array(ctx->arena, slugs.n + 2, sizeof(*sites.v));
	if (known)
		sites.v[sites.n++] = *known;
	else if (slug)
		GP_TRY(gp_site_load(ctx->arena, ctx->etc_dir, slug, &sites.v[sites.n++], err));
	for (size_t i = 0; i < slugs.n; i++) {
		struct gp_error why = { 0 };

		if (slug && gp_streq(slugs.v[i], slug))
			continue;
		if (gp_site_load(ctx->arena, ctx->etc_dir, slugs.v[i], &sites.v[sites.n], &why) == 0)
			sites.n++;
		else if (sites.unread++, !slug)
			leave_out(ctx, &sites, &why);
	}
	sites.asked = slug ? 1 : sites.n;
	GP_TRY(check_conflicts(ctx, &sites, err));
	*ret = sites;
	return 0;
}

int gp_sites_load(struct gp_ctx *ctx, const char *slug, struct gp_sites *ret, struct gp_error *err)
{
	return load(ctx, slug, NULL, ret, err);
}

int gp_sites_with(struct gp_ctx *ctx, const struct gp_site *site, struct gp_sites *ret, struct gp_error *err)
{
	return load(ctx, site->slug, site, ret, err);
}

int gp_sites_check(const struct gp_sites *sites, struct gp_error *err)
{
	if (!sites->broken)
		return 0;
	if (err)
		*err = sites->first;
	return sites->broken == 1 ? gp_context(err, "one site is left out, all else was gone through")
				  : gp_context(err, "%zu sites are left out, all else was gone through", sites->broken);
}

bool gp_sites_https(const struct gp_sites *sites)
{
	for (size_t i = 0; i < sites->n; i++)
		if (sites->v[i].tls != GP_TLS_OFF)
			return true;
	/* One whose file cannot be read may do so. */
	return sites->unread > 0;
}
