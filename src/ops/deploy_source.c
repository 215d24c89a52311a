/* Deploy, the first steps: what must be so before anything is touched, and the code. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "ops/deploy.h"
#include "ops/releases.h"
#include "ops/slot.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/git.h"
#include "sys/memory.h"
#include "sys/pg.h"
#include "sys/redis.h"
#include "sys/unit.h"

enum { REDIS_TIMEOUT_MS = 3000, SPARE_INODES = 20000 };
static const uint64_t spare_bytes = 500ULL << 20; /* a release, a venv of a Wagtail site (250 MB) and room to breathe */
static const int64_t sane_clock = 1767225600;     /* 2026-01-01: certificates and release names need a clock that is about right */

/* redis://[[user]:password@]host[:port][/db] out of REDIS_URL, the host's own server where it is something else. */
static void redis_address(struct gp_ctx *ctx, const char *url, const char **ret_host, int *ret_port, const char **ret_password)
{
	const char *rest, *at, *slash;
	int64_t port;

	*ret_host = "127.0.0.1";
	*ret_port = 6379;
	*ret_password = NULL;
	if (!url || !gp_starts_with(url, "redis://"))
		return;
	rest = url + strlen("redis://");
	slash = strchrnul(rest, '/');
	at = memrchr(rest, '@', (size_t)(slash - rest));
	if (at) {
		const char *colon = memchr(rest, ':', (size_t)(at - rest));

		if (colon)
			*ret_password = gp_strndup(ctx->arena, colon + 1, (size_t)(at - colon - 1));
		rest = at + 1;
	}
	const char *colon = memchr(rest, ':', (size_t)(slash - rest));
	const char *host = gp_strndup(ctx->arena, rest, (size_t)((colon ? colon : slash) - rest));

	if (gp_name_ok(GP_NAME_host, host))
		*ret_host = host;
	if (colon && gp_parse_int(gp_strndup(ctx->arena, colon + 1, (size_t)(slash - colon - 1)), 1, 65535, &port))
		*ret_port = (int)port;
}

static int check_redis(struct gp_deploy *d, struct gp_error *err)
{
	const char *host, *password;
	int port;

	redis_address(d->ctx, gp_dotenv_get(&d->env, "REDIS_URL"), &host, &port, &password);
	return gp_redis_ping(host, port, password, REDIS_TIMEOUT_MS, err);
}

int gp_deploy_check_env(struct gp_deploy *d, struct gp_error *err)
{
	static const char *const needed[] = { "DJANGO_SETTINGS_MODULE", "DJANGO_DB_PASSWORD" };
	struct stat st;
	int there;

	GP_TRY(there = gp_dotenv_read(d->ctx, d->paths.env, &d->env, err));
	if (!there) {
		gp_fail(err, GP_E_CONFIG, "there is no %s", d->paths.env);
		return gp_hint(err, "`goldpath provision %s` writes one", d->site.slug);
	}
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (!gp_dotenv_get(&d->env, needed[i])) {
			gp_fail(err, GP_E_CONFIG, "%s has no %s", d->paths.env, needed[i]);
			return gp_hint(err, "`goldpath provision %s` adds what is missing", d->site.slug);
		}
	}
	GP_TRY(gp_fs_lstat(d->paths.env, &st, err));
	if ((st.st_mode & 077) || st.st_uid != d->account.uid)
		gp_tell_warn(d->ctx, "%s should be 0600 and belong to %s: `goldpath provision %s`", d->paths.env, d->account.name,
			d->site.slug);
	return 0;
}

int gp_deploy_login(struct gp_deploy *d, struct gp_pg **ret, struct gp_error *err)
{
	const char *host = gp_dotenv_get(&d->env, "DJANGO_DB_HOST"), *name = gp_dotenv_get(&d->env, "DJANGO_DB_NAME"),
		*user = gp_dotenv_get(&d->env, "DJANGO_DB_USER"), *port_text = gp_dotenv_get(&d->env, "DJANGO_DB_PORT");
	int64_t port;

	if (!port_text || !gp_parse_int(port_text, 1, 65535, &port))
		port = d->site.database.port;
	if (gp_pg_open(&(struct gp_pg_login){
			.host = host ? host : d->site.database.host,
			.port = (int)port,
			.dbname = name ? name : d->site.database.name,
			.user = user ? user : d->site.database.user,
			.password = gp_dotenv_get(&d->env, "DJANGO_DB_PASSWORD") }, ret, err) == 0)
		return 0;
	if (err && gp_site_database_is_local(&d->site) && strstr(err->msg, "refuses the password")) {
		err->hint[0] = '\0'; /* this one knows more */
		gp_hint(err, "`goldpath provision %s` gives the role the password that stands in .env", d->site.slug);
	}
	return -1;
}

static int check_postgres(struct gp_deploy *d, struct gp_error *err)
{
	GP_AUTO_PG pg = NULL;

	return gp_deploy_login(d, &pg, err);
}

static int check_disk(struct gp_deploy *d, struct gp_error *err)
{
	uint64_t bytes, inodes;

	int enough;

	GP_TRY(enough = gp_prune_for_space(d, spare_bytes, SPARE_INODES, err));
	if (enough)
		return 0;
	GP_TRY(gp_fs_free(d->paths.releases, &bytes, &inodes, err));
	if (bytes < spare_bytes)
		gp_fail(err, GP_E_FAILED, "%s has %llu MiB free, and a release may need %llu", d->paths.root,
			(unsigned long long)(bytes >> 20), (unsigned long long)(spare_bytes >> 20));
	else
		gp_fail(err, GP_E_FAILED, "%s has %llu free inodes, and a release may need %d", d->paths.root, (unsigned long long)inodes,
			SPARE_INODES);
	return gp_hint(err, "see `df -h %s` and `df -i %s`", d->paths.root, d->paths.root);
}

/* The new release runs beside the one that serves, which says how much that takes; Linux would make room by killing one of them. */
static int check_memory(struct gp_deploy *d, struct gp_error *err)
{
	const uint64_t needed = gp_slot_memory(d);
	uint64_t available;

	GP_TRY(gp_memory_available(&available, err));
	if (available >= needed || d->request->no_restart)
		return 0;
	gp_fail(err, GP_E_FAILED, "%llu MiB of memory are available, and the new release needs %llu beside the one that serves",
		(unsigned long long)(available >> 20), (unsigned long long)(needed >> 20));
	return gp_hint(err, "fewer `gunicorn.workers` in the site's file, or `swap` in host.yaml");
}

/* Redis first: with the cache gone every page of a Wagtail site is an error, and this is the one that is told soonest. */
int gp_deploy_preflight(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_bus *bus;

	GP_TRY(gp_deploy_check_env(d, err));
	GP_TRY(check_redis(d, err));
	GP_TRY(check_postgres(d, err));
	GP_TRY(check_disk(d, err));
	GP_TRY(check_memory(d, err));
	GP_TRY(gp_ctx_bus(d->ctx, &bus, err));
	if (gp_now() < sane_clock) {
		gp_fail(err, GP_E_FAILED, "this host's clock says %s", gp_rfc3339(d->ctx->arena, gp_now()));
		return gp_hint(err, "`timedatectl` shows whether time is synchronised");
	}
	return 0;
}

static struct gp_git git_of(struct gp_deploy *d)
{
	return (struct gp_git){ .arena = d->ctx->arena, .as = &d->account, .dir = d->paths.repo, .line = gp_tell_line, .arg = d->ctx };
}

/* releases/<UTC time>-<sha7>; a second later where two deploys of one commit meet in one second. The name is settled before the folder
 * is made, so that the journal knows it when a kill leaves half a release behind. */
static void name_release(struct gp_deploy *d)
{
	int64_t when = gp_now();

	do {
		d->release = gp_sprintf(d->ctx->arena, "%s-%.7s", gp_stamp(d->ctx->arena, when++), d->sha);
		d->release_dir = gp_sprintf(d->ctx->arena, "%s/%s", d->paths.releases, d->release);
	} while (gp_fs_exists(d->release_dir));
}

int gp_deploy_fetch(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_git git = git_of(d);

	GP_TRY(gp_git_fetch(&git, d->site.repo, err));
	GP_TRY(gp_git_resolve(&git, d->ref, d->request->ref ? GP_E_USAGE : GP_E_CONFIG, &d->sha, err));
	name_release(d);
	gp_tell_note(d->ctx, "%s is %.12s", d->ref, d->sha);
	return 0;
}

/* .goldpath/ in the release: which release this is, and (later) its venv. Written as the deploy user, into its own folder. */
static int write_release_env(struct gp_deploy *d, struct gp_error *err)
{
	const char *folder = gp_sprintf(d->ctx->arena, "%s/.goldpath", d->release_dir), *text = "";
	struct gp_strv env = gp_release_env(d);

	for (size_t i = 0; i < env.n; i++)
		text = gp_sprintf(d->ctx->arena, "%s%s\n", text, env.v[i]);
	GP_TRY(gp_fs_mkdir(folder, 0755, (uid_t)-1, (gid_t)-1, err));
	return gp_fs_write(gp_sprintf(d->ctx->arena, "%s/release.env", folder), text, strlen(text), 0644, (uid_t)-1, (gid_t)-1, err);
}

int gp_deploy_checkout(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_git git = git_of(d);
	GP_AUTO_IDENTITY was = { 0 };
	bool reserved, submodules;

	GP_TRY(gp_git_has(&git, d->sha, ".goldpath", &reserved, err));
	if (reserved)
		return gp_fail(err, GP_E_CONFIG, "the repository has something called .goldpath, a name that goldpath needs for itself");
	GP_TRY(gp_git_has(&git, d->sha, ".gitmodules", &submodules, err));
	if (submodules)
		gp_tell_warn(d->ctx, "the repository has submodules: they are not fetched");
	GP_TRY(gp_account_assume(&d->account, &was, err));
	if (mkdir(d->release_dir, 0755) < 0)
		return gp_fail_errno(err, errno, "make folder %s", d->release_dir);
	gp_account_resume(&was);
	GP_TRY(gp_release_record_note(d, err));
	GP_TRY(gp_git_checkout(&git, d->sha, d->release_dir, err));
	d->source_dir = gp_streq(d->site.subdir, ".") ? d->release_dir : gp_sprintf(d->ctx->arena, "%s/%s", d->release_dir, d->site.subdir);
	GP_TRY(gp_account_assume(&d->account, &was, err));
	GP_TRY(write_release_env(d, err));
	if (!gp_fs_exists(gp_sprintf(d->ctx->arena, "%s/manage.py", d->source_dir))) {
		gp_fail(err, GP_E_CONFIG, "there is no manage.py in %s of the repository", gp_streq(d->site.subdir, ".") ? "the root" : d->site.subdir);
		return gp_hint(err, "set `subdir` in the site's file to the folder where manage.py lies");
	}
	return 0;
}
