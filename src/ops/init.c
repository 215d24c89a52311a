/* `init`. */
#include "ops/init.h"

#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "conf/host.h"
#include "conf/site.h"
#include "sys/ctx.h"
#include "sys/fs.h"

enum { OWN_KEYS = 8 };

static const char heading_host[] = "# This host, as goldpath keeps it. A line that starts with # shows a default; take the # away to change it.\n"
				   "# `goldpath provision` brings the host to what stands here.\n";
static const char heading_site[] = "# One site, as goldpath keeps it. A line that starts with # shows a default; take the # away to change it.\n"
				   "# `goldpath provision SLUG` brings host and site to what stands here, `goldpath deploy SLUG` releases it.\n";

static int write_new(const char *path, const char *text, bool *ret_written, struct gp_error *err)
{
	struct stat st;
	int there;

	/* lstat: a symlink is something too, wherever it leads */
	GP_TRY(there = gp_fs_lstat(path, &st, err));
	*ret_written = false;
	if (there)
		return 0;
	GP_TRY(gp_fs_write(path, text, strlen(text), 0644, (uid_t)-1, (gid_t)-1, err));
	*ret_written = true;
	return 0;
}

/* Every value is a checked name by now; quoted all the same where YAML might see something else than a text in it. */
static const char *quoted(struct gp_ctx *ctx, const char *text)
{
	return gp_sprintf(ctx->arena, "\"%s\"", text);
}

static void add(struct gp_pairs *pairs, const char *key, const char *value)
{
	if (value)
		pairs->v[pairs->n++] = (struct gp_pair){ key, value };
}

/* The ways that are one word; files are two, and go into the file by hand. */
static int check_tls(const char *tls, struct gp_error *err)
{
	if (gp_streq(tls, "auto") || gp_streq(tls, "internal") || gp_streq(tls, "off"))
		return 0;
	gp_fail(err, GP_E_USAGE, "--tls: '%.40s' is none of auto, internal and off", tls);
	return gp_hint(err, "for certificates of your own, init without --tls and set tls in the site's file");
}

static int check(const struct gp_init *request, struct gp_error *err)
{
	GP_TRY(gp_name_check(GP_NAME_slug, request->slug, GP_E_USAGE, err));
	GP_TRY(gp_name_check(GP_NAME_domain, request->domain, GP_E_USAGE, err));
	GP_TRY(gp_name_check(GP_NAME_repo, request->repo, GP_E_USAGE, err));
	if (request->project)
		GP_TRY(gp_name_check(GP_NAME_module, request->project, GP_E_USAGE, err));
	if (request->ref)
		GP_TRY(gp_name_check(GP_NAME_ref, request->ref, GP_E_USAGE, err));
	return request->tls ? check_tls(request->tls, err) : 0;
}

int gp_init_site(struct gp_ctx *ctx, const struct gp_init *request, const char **ret_text, struct gp_site *ret, struct gp_error *err)
{
	const char *underscored = gp_site_underscored(ctx->arena, request->slug), *path = gp_sprintf(ctx->arena, "%s/sites/%s.yaml", ctx->etc_dir, request->slug);
	const char *project = request->project ? request->project : underscored;
	struct gp_pairs set = { .v = gp_alloc_array(ctx->arena, OWN_KEYS + request->more.n, sizeof(*set.v)) };
	struct gp_pair derived_room[OWN_KEYS];
	struct gp_pairs derived = { .v = derived_room };

	GP_TRY(check(request, err));
	add(&set, "domain", request->domain);
	add(&set, "repo", quoted(ctx, request->repo));
	add(&set, "project", quoted(ctx, project));
	add(&set, "ref", request->ref ? quoted(ctx, request->ref) : NULL);
	add(&set, "tls", request->tls);
	add(&set, "celery.enabled", request->celery ? "true" : NULL);
	for (size_t i = 0; i < request->more.n; i++)
		add(&set, request->more.v[i].key, request->more.v[i].value);
	add(&derived, "settings", gp_sprintf(ctx->arena, "%s.settings.production", project));
	add(&derived, "wsgi", gp_sprintf(ctx->arena, "%s.wsgi:application", project));
	add(&derived, "celery.app", project);
	add(&derived, "deploy_user", "deploy");
	add(&derived, "database.name", underscored);
	add(&derived, "database.user", underscored);
	*ret_text = gp_conf_document(ctx->arena, heading_site, gp_site_keys, &set, &derived);
	/* What is written must be what would be read: what does not fit together fails here, before there is a file. */
	return gp_site_parse(ctx->arena, path, request->slug, *ret_text, strlen(*ret_text), ret, err);
}

int gp_init_run(struct gp_ctx *ctx, const struct gp_init *request, struct gp_init_result *ret, struct gp_error *err)
{
	const char *folder = gp_sprintf(ctx->arena, "%s/sites", ctx->etc_dir), *text;
	const struct gp_pairs none = { 0 };
	struct gp_site site;
	struct gp_init_result result = {
		.host_path = gp_sprintf(ctx->arena, "%s/host.yaml", ctx->etc_dir),
		.site_path = gp_sprintf(ctx->arena, "%s/%s.yaml", folder, request->slug),
	};

	GP_TRY(gp_init_site(ctx, request, &text, &site, err));
	GP_TRY(gp_fs_mkdirs(folder, err));
	GP_TRY(write_new(result.site_path, text, &result.site_written, err));
	text = gp_conf_document(ctx->arena, heading_host, gp_host_keys, &none, &none);
	GP_TRY(write_new(result.host_path, text, &result.host_written, err));
	*ret = result;
	return 0;
}
