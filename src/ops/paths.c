/* The names. */
#include "ops/paths.h"

#include <string.h>

#include "base/arena.h"
#include "sys/ctx.h"
#include "sys/digest.h"

enum { SLUG_IN_USER_MAX = 28 }; /* useradd(8): 32 characters, 4 of them are "sum-" */

const char gp_program_path[] = "/usr/bin/goldpath";
const char gp_uv_version[] = "0.13.8";

const char *gp_uv_folder(struct gp_ctx *ctx)
{
	return gp_sprintf(ctx->arena, "%s/uv", ctx->state_dir);
}

struct gp_paths gp_site_paths(struct gp_ctx *ctx, const char *slug)
{
	struct gp_arena *a = ctx->arena;
	const char *root = gp_sprintf(a, "%s/%s", ctx->sites_dir, slug);

	return (struct gp_paths){
		.root = root,
		.app = gp_sprintf(a, "%s/app", root),
		.venv = gp_sprintf(a, "%s/venv", root),
		.env = gp_sprintf(a, "%s/.env", root),
		.statics = gp_sprintf(a, "%s/static", root),
		.media = gp_sprintf(a, "%s/media", root),
		.backups = gp_sprintf(a, "%s/backups", root),
		.repo = gp_sprintf(a, "%s/repo.git", root),
		.releases = gp_sprintf(a, "%s/releases", root),
		.venvs = gp_sprintf(a, "%s/venvs", root),
		.cache = gp_sprintf(a, "%s/.cache", root),
		.tmp = gp_sprintf(a, "%s/.tmp", root),
		.logs = gp_sprintf(a, "/var/log/sum/%s", slug),
		.state = gp_sprintf(a, "%s/%s", ctx->state_dir, slug),
		.site_env = gp_sprintf(a, "%s/%s/site.env", ctx->state_dir, slug),
		.site_env_before = gp_sprintf(a, "%s/%s/site.env.before", ctx->state_dir, slug),
		.release_env = gp_sprintf(a, "%s/%s/release.env", ctx->state_dir, slug),
		.next_env = gp_sprintf(a, "%s/%s/next.env", ctx->state_dir, slug),
		.adopting = gp_sprintf(a, "%s/%s/adopting", ctx->state_dir, slug),
		.run_user = strlen(slug) <= SLUG_IN_USER_MAX ? gp_sprintf(a, "sum-%s", slug)
							     : gp_sprintf(a, "sum-%.19s-%.8s", slug, gp_sha256(a, slug, strlen(slug))),
		.gunicorn = gp_sprintf(a, "sum-%s-gunicorn.service", slug),
		.gunicorn_socket = gp_sprintf(a, "sum-%s-gunicorn.socket", slug),
		.celery = gp_sprintf(a, "sum-%s-celery.service", slug),
		.backup_timer = gp_sprintf(a, "sum-%s-backup.timer", slug),
		.backup_service = gp_sprintf(a, "sum-%s-backup.service", slug),
		.rehearse_timer = gp_sprintf(a, "sum-%s-rehearse.timer", slug),
		.rehearse_service = gp_sprintf(a, "sum-%s-rehearse.service", slug),
		.next = gp_sprintf(a, "sum-%s-gunicorn-next.service", slug),
		.run = gp_sprintf(a, "/run/sum-%s", slug),
		.socket = gp_sprintf(a, "/run/sum-%s/gunicorn.sock", slug),
		.stable_socket = gp_sprintf(a, "/run/sum-%s/stable/gunicorn.sock", slug),
		.next_socket = gp_sprintf(a, "/run/sum-%s/next/gunicorn.sock", slug),
		.tmpfiles = gp_sprintf(a, "/etc/tmpfiles.d/sum-%s.conf", slug),
		.caddy_file = gp_sprintf(a, "/etc/caddy/sites-enabled/sum-%s.caddy", slug),
		.sudoers_file = gp_sprintf(a, "/etc/sudoers.d/goldpath-%s", slug),
	};
}
