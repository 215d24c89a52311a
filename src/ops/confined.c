/*
 * The view that a site's code has of the host while it is deployed. What may be written is what this deploy makes: its release, venvs,
 * the site's cache and temporary files. The site's folder itself, repo.git and the backups are out of reach: git and goldpath work there
 * unconfined, and must not find what a build has laid for them.
 */
#include "ops/confined.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "ops/deploy.h"
#include "sys/confine.h"
#include "sys/ctx.h"
#include "sys/fs.h"

/* What of the host is not there. */
static const char *const hidden[] = {
	"/home", "/root", "/srv", "/run", "/etc/goldpath", "/etc/caddy", "/etc/systemd/system", "/etc/sudoers.d", "/var/lib/goldpath",
	"/var/lib/caddy", "/var/lib/redis", "/var/backups", "/var/log", "/var/mail", "/var/spool",
};

/* What of it is seen all the same: name resolution, Postgres and Redis by their sockets. */
static const char *const seen[] = {
	"/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/run/nscd", "/run/postgresql", "/run/redis",
};

/* Packages and builds may take minutes on all processors: they can wait, visitors cannot. manage.py takes moments, and more of them so. */
enum { NICE = 10 };

struct views {
	struct gp_view v[GP_VIEWS_MAX];
	size_t n;
};

static void add(struct views *views, enum gp_view_how how, const char *path, const char *from)
{
	if (path && views->n < GP_VIEWS_MAX)
		views->v[views->n++] = (struct gp_view){ .how = how, .path = path, .from = from };
}

/* /etc/resolv.conf may lead to a file in /run that is in none of the folders above. */
static void add_resolv_conf(struct gp_deploy *d, struct views *views)
{
	char target[PATH_MAX];

	if (!realpath("/etc/resolv.conf", target) || !gp_starts_with(target, "/run/"))
		return;
	for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++)
		if (gp_starts_with(target, seen[i]))
			return;
	add(views, GP_VIEW_READ, gp_strdup(d->ctx->arena, target), NULL);
}

static void add_host(struct gp_deploy *d, struct views *views)
{
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		add(views, GP_VIEW_EMPTY, hidden[i], NULL);
	if (!gp_starts_with(d->account.home, "/home/"))
		add(views, GP_VIEW_EMPTY, d->account.home, NULL);
	for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++)
		add(views, GP_VIEW_READ, seen[i], NULL);
	add_resolv_conf(d, views);
	add(views, GP_VIEW_READ, gp_uv_folder(d->ctx), NULL);
}

/* What the site's code sees of its site in any case. */
static void add_root(struct gp_deploy *d, struct views *views)
{
	if (!gp_starts_with(d->ctx->sites_dir, "/srv/")) /* that is hidden with all that is in it */
		add(views, GP_VIEW_EMPTY, d->ctx->sites_dir, NULL);
	add(views, GP_VIEW_READ, d->paths.root, NULL);
	add(views, GP_VIEW_EMPTY, d->paths.repo, NULL);
	add(views, GP_VIEW_EMPTY, d->paths.backups, NULL);
	add(views, GP_VIEW_WRITE, d->paths.cache, NULL);
	add(views, GP_VIEW_WRITE, d->paths.logs, NULL);
	/* On disk: a wheel that is built in /tmp may be larger than a small host's memory. */
	add(views, GP_VIEW_WRITE, "/tmp", d->paths.tmp);
	add(views, GP_VIEW_WRITE, "/var/tmp", d->paths.tmp);
}

static void add_work(struct gp_deploy *d, struct views *views, bool publishes)
{
	add(views, GP_VIEW_WRITE, d->release_dir, NULL);
	add(views, GP_VIEW_WRITE, d->paths.venvs, NULL);
	if (publishes) {
		add(views, GP_VIEW_WRITE, d->paths.statics, NULL);
		add(views, GP_VIEW_WRITE, d->paths.media, NULL);
	}
}

static bool names(const char *const *env, const char *key)
{
	size_t len = strlen(key);

	for (; env && *env; env++)
		if (strncmp(*env, key, len) == 0 && (*env)[len] == '=')
			return true;
	return false;
}

/* Caches of its own: in one that sites share, one of them could lay what another installs. */
static const char *const *with_home(struct gp_deploy *d, const char *const *env)
{
	static const char *const keys[] = { "HOME", "XDG_CACHE_HOME" };
	struct gp_strv all = { 0 };

	for (const char *const *e = env; e && *e; e++)
		gp_strv_add(d->ctx->arena, &all, *e);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!names(env, keys[i]))
			gp_strv_add(d->ctx->arena, &all, gp_sprintf(d->ctx->arena, "%s=%s", keys[i], d->paths.cache));
	return all.v;
}

/* proc in the views so far, or plainly where host.yaml says so. */
static struct gp_proc in_views(struct gp_deploy *d, struct gp_proc proc, const struct views *views, bool no_symlinks)
{
	struct gp_confine *confine = gp_alloc(d->ctx->arena, sizeof(*confine));

	proc.as = &d->builder;
	proc.env = with_home(d, proc.env);
	*confine = (struct gp_confine){ .views = views->v, .n = views->n, .no_symlinks = no_symlinks };
	if (d->host.confine)
		proc.confine = confine;
	return proc;
}

struct gp_proc gp_confined(struct gp_deploy *d, struct gp_proc proc, bool publishes)
{
	struct views *views = gp_alloc(d->ctx->arena, sizeof(*views));

	add_host(d, views);
	add_root(d, views);
	add_work(d, views, publishes);
	proc.nice = publishes ? 0 : NICE;
	return in_views(d, proc, views, publishes);
}

struct gp_proc gp_confined_drill(struct gp_deploy *d, struct gp_proc proc, const char *env_file)
{
	struct views *views = gp_alloc(d->ctx->arena, sizeof(*views));

	add_host(d, views);
	add_root(d, views);
	add(views, GP_VIEW_READ, d->paths.env, env_file);
	proc.nice = NICE;
	return in_views(d, proc, views, false);
}

struct gp_proc gp_confined_reader(struct gp_deploy *d, struct gp_proc proc, const struct gp_view *more, size_t n)
{
	struct gp_confine *confine = gp_alloc(d->ctx->arena, sizeof(*confine));
	struct views *views = gp_alloc(d->ctx->arena, sizeof(*views));

	add_host(d, views);
	if (!gp_starts_with(d->ctx->sites_dir, "/srv/"))
		add(views, GP_VIEW_EMPTY, d->ctx->sites_dir, NULL);
	add(views, GP_VIEW_READ, d->paths.root, NULL);
	for (size_t i = 0; i < n; i++)
		add(views, more[i].how, more[i].path, more[i].from);
	*confine = (struct gp_confine){ .views = views->v, .n = views->n };
	proc.nice = NICE;
	if (d->host.confine)
		proc.confine = confine;
	return proc;
}

int gp_confined_begin(struct gp_deploy *d, struct gp_error *err)
{
	const struct gp_view views[] = { { GP_VIEW_EMPTY, d->ctx->sites_dir, NULL }, { GP_VIEW_WRITE, d->paths.root, NULL } };
	GP_AUTO_IDENTITY was = { 0 };

	if (d->host.confine)
		GP_TRY(gp_confine_self(&(struct gp_confine){ .views = views, .n = 2 }, err));
	/* As root, which follows no link there: a build may leave folders that their owner cannot empty (Go's module cache is one). */
	GP_TRY(gp_fs_remove(d->paths.tmp, err));
	GP_TRY(gp_account_assume(&d->account, &was, err));
	GP_TRY(gp_fs_mkdir(d->paths.tmp, 0700, (uid_t)-1, (gid_t)-1, err));
	return gp_fs_mkdir(d->paths.cache, 0700, (uid_t)-1, (gid_t)-1, err);
}

void gp_confined_end(struct gp_deploy *d)
{
	gp_fs_remove(d->paths.tmp, NULL);
}
