/* A site's part of the plan: its user, folders, `.env`, role and database, sudoers lines and Caddy file. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/template.h"
#include "data/embed.h"
#include "ops/adding.h"
#include "ops/paths.h"
#include "ops/provision.h"
#include "ops/redisdb.h"
#include "plan/types.h"
#include "sys/account.h"
#include "sys/caddy.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/proc.h"

enum { SECRET_KEY_LEN = 64, PASSWORD_LEN = 32, ENV_KEYS_MAX = 450 };

static void add_folder(struct gp_ctx *ctx, struct gp_plan *plan, const char *path, const char *owner, const char *group, mode_t mode)
{
	ADD(.type = &gp_folder_type, .name = path, .spec = SPEC(struct gp_folder, .owner = owner, .group = group, .mode = mode),
		.after = { owner, gp_streq(owner, group) ? NULL : group });
}

/* What somebody may lay there beforehand, or an interrupted first run has left. */
static void add_place(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_paths *p)
{
	static const char *const welcome[] = { ".cache", ".env", ".tmp", "backups", "lost+found", "media", "releases", "repo.git", "static", "venvs" };
	struct gp_vacant *vacant = SPEC(struct gp_vacant, .ours_if = p->state, .not_while = p->adopting);

	for (size_t i = 0; i < sizeof(welcome) / sizeof(welcome[0]); i++)
		gp_strv_add(ctx->arena, &vacant->welcome, welcome[i]);
	ADD(.type = &gp_vacant_type, .name = p->root, .spec = vacant);
}

static void add_folders(struct gp_ctx *ctx, struct gp_plan *plan, const char *deploy, const struct gp_paths *p)
{
	/* Caddy passes through to static and media; to everybody else on the host the code and the packages are closed. */
	add_folder(ctx, plan, p->root, deploy, deploy, 0711);
	add_folder(ctx, plan, p->backups, deploy, deploy, 0700);
	add_folder(ctx, plan, p->repo, deploy, deploy, 0700);
	add_folder(ctx, plan, p->cache, deploy, deploy, 0700);
	add_folder(ctx, plan, p->statics, deploy, deploy, 0755);
	add_folder(ctx, plan, p->releases, deploy, p->run_user, 0750);
	add_folder(ctx, plan, p->venvs, deploy, p->run_user, 0750);
	add_folder(ctx, plan, p->logs, deploy, deploy, 0755);
	/* Written by the running site and by manage.py: the group is the site's, and the setgid bit hands it on. */
	add_folder(ctx, plan, p->media, deploy, p->run_user, 02775);
	ADD(.type = &gp_folder_type, .name = p->state, .spec = SPEC(struct gp_folder, .owner = "root", .group = "root", .mode = 0700));
}

/* postgres://user:password@host:port/name, the password percent-encoded (RFC 3986, unreserved characters stay). */
static const char *database_url(struct gp_ctx *ctx, const void *arg, const char *(*get)(const void *env, const char *key),
	const void *env)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	const struct gp_site *site = arg;
	const char *password = get(env, "DJANGO_DB_PASSWORD"), *encoded = "";

	for (; password && *password; password++) {
		if (strchr(unreserved, *password))
			encoded = gp_sprintf(ctx->arena, "%s%c", encoded, *password);
		else
			encoded = gp_sprintf(ctx->arena, "%s%%%02X", encoded, (unsigned char)*password);
	}
	return gp_sprintf(ctx->arena, strchr(site->database.host, ':') ? "postgres://%s:%s@[%s]:%lld/%s" : "postgres://%s:%s@%s:%lld/%s",
		site->database.user, encoded, site->database.host, (long long)site->database.port, site->database.name);
}

struct env_keys {
	struct gp_dotenv_key v[ENV_KEYS_MAX];
	size_t n;
};

/* The first one to name a key wins: what the site's file says under `env` comes before the defaults. */
static void add_key(struct env_keys *keys, struct gp_dotenv_key key)
{
	for (size_t i = 0; i < keys->n; i++)
		if (gp_streq(keys->v[i].key, key.key))
			return;
	if (keys->n < ENV_KEYS_MAX)
		keys->v[keys->n++] = key;
}

static int redis_url(struct gp_ctx *ctx, struct gp_plan *plan, const char *use, const char **ret, struct gp_error *err)
{
	int number;

	GP_TRY(gp_redisdb_number(ctx, plan, use, &number, err));
	*ret = gp_sprintf(ctx->arena, "redis://127.0.0.1:6379/%d", number);
	return 0;
}

static const char *allowed_hosts(struct gp_ctx *ctx, const struct gp_site *site)
{
	const char *hosts = site->domain;

	for (size_t i = 0; i < site->aliases.n && site->aliases_serve; i++)
		hosts = gp_sprintf(ctx->arena, "%s,%s", hosts, site->aliases.v[i]);
	return hosts;
}

static int add_dotenv(struct gp_ctx *ctx, struct gp_plan *plan, const char *deploy, const struct gp_site *site,
	const struct gp_paths *p, struct gp_error *err)
{
	struct env_keys *keys = gp_alloc(ctx->arena, sizeof(*keys));
	const char *cache, *queue;

#define KEY(name, text) add_key(keys, (struct gp_dotenv_key){ .key = (name), .value = (text) })
#define SAME(name, text) add_key(keys, (struct gp_dotenv_key){ .key = (name), .value = (text), .report = true })
	for (size_t i = 0; i < site->env.n; i++)
		KEY(site->env.v[i].key, site->env.v[i].value);
	SAME("DJANGO_SETTINGS_MODULE", site->settings);
	add_key(keys, (struct gp_dotenv_key){ .key = "DJANGO_SECRET_KEY", .secret_len = SECRET_KEY_LEN });
	for (size_t i = 0; i < site->secrets.n; i++)
		add_key(keys, (struct gp_dotenv_key){ .key = site->secrets.v[i], .secret_len = SECRET_KEY_LEN });
	add_key(keys, (struct gp_dotenv_key){ .key = "ALLOWED_HOSTS", .value = allowed_hosts(ctx, site), .host = site->domain });
	SAME("DJANGO_DB_NAME", site->database.name);
	SAME("DJANGO_DB_USER", site->database.user);
	/* A password for a database elsewhere cannot be made up here: the login that is tried says so. */
	add_key(keys, (struct gp_dotenv_key){ .key = "DJANGO_DB_PASSWORD", .secret_len = PASSWORD_LEN });
	SAME("DJANGO_DB_HOST", site->database.host);
	SAME("DJANGO_DB_PORT", gp_sprintf(ctx->arena, "%lld", (long long)site->database.port));
	KEY("DJANGO_STATIC_ROOT", p->statics);
	KEY("DJANGO_MEDIA_ROOT", p->media);
	SAME("SITE_DOMAIN", site->domain);
	GP_TRY(redis_url(ctx, plan, site->slug, &cache, err));
	KEY("REDIS_URL", cache);
	if (site->celery.enabled) {
		GP_TRY(redis_url(ctx, plan, gp_sprintf(ctx->arena, "%s:celery", site->slug), &queue, err));
		KEY("CELERY_BROKER_URL", queue);
		KEY("CELERY_RESULT_BACKEND", queue);
	}
	KEY("WAGTAILADMIN_BASE_URL", gp_sprintf(ctx->arena, "%s://%s", site->tls == GP_TLS_OFF ? "http" : "https", site->domain));
	if (site->database.url)
		add_key(keys, (struct gp_dotenv_key){ .key = "DATABASE_URL", .derive = database_url, .arg = site });
#undef SAME
#undef KEY
	ADD(.type = &gp_dotenv_type, .name = p->env,
		.spec = SPEC(struct gp_dotenv_file, .owner = deploy, .group = deploy, .keys = keys->v, .n = keys->n), .after = { p->root });
	ADD(.type = &gp_dotenv_copy_type, .name = p->site_env, .spec = SPEC(struct gp_dotenv_copy, .from = p->env),
		.after = { p->env, p->state });
	return 0;
}

/* What gunicorn and Celery can have open (each thread one), twice, since two releases overlap in a deploy; and some for manage.py. */
static int connections(const struct gp_site *site)
{
	int64_t at_once = site->gunicorn.workers * site->gunicorn.threads;

	if (site->celery.enabled)
		at_once += site->celery.concurrency + 2; /* the worker itself and beat */
	return (int)(2 * at_once + 10);
}

/* What the databases wait for: the cluster, where there is one already. */
static const char *postgres_unit(const struct gp_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++)
		if (gp_starts_with(plan->v[i].name, GP_RES_CLUSTER))
			return plan->v[i].name;
	return "postgresql.service";
}

static void add_database(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host, const struct gp_site *site,
	const struct gp_paths *p)
{
	const struct gp_pg_role *role = SPEC(struct gp_pg_role, .role = site->database.user, .env_path = p->env,
		.password_key = "DJANGO_DB_PASSWORD", .host = site->database.host, .port = (int)site->database.port,
		.login_dbname = site->database.name, .connections = connections(site), .local = gp_site_database_is_local(site));
	const char *role_name = gp_sprintf(ctx->arena, "role %s", site->database.user);
	const char *database_name = gp_sprintf(ctx->arena, "%s", site->database.name);

	if (gp_site_database_is_local(site)) {
		ADD(.type = &gp_pg_role_type, .name = role_name, .spec = role, .after = { postgres_unit(plan), p->env, host->firewall == GP_FIREWALL_OFF ? NULL : GP_RES_FIREWALL });
		ADD(.type = &gp_pg_database_type, .name = database_name,
			.spec = SPEC(struct gp_pg_database, .database = site->database.name, .owner = site->database.user,
				.port = (int)site->database.port),
			.after = { role_name });
	}
	ADD(.type = &gp_pg_login_type, .name = gp_sprintf(ctx->arena, "%s over TCP", site->database.user), .spec = role,
		.after = { p->env, gp_site_database_is_local(site) ? database_name : NULL, gp_site_database_is_local(site) ? role_name : NULL });
}

int gp_provision_rendered(struct gp_ctx *ctx, struct gp_plan *plan, const char *path, const char *text, const struct gp_var *vars,
	size_t n, struct gp_resource resource, mode_t mode, int (*check)(void *, const char *, struct gp_error *), struct gp_error *err)
{
	const char *content;

	GP_TRY(gp_template(ctx->arena, text, vars, n, &content, err));
	resource.type = &gp_file_type;
	resource.name = path;
	resource.spec = SPEC(struct gp_file, .content = content, .owner = "root", .group = "root", .mode = mode, .check = check);
	gp_plan_add(ctx, plan, resource);
	return 0;
}

/* What goes wrong with one site is that site's alone. */
void gp_provision_group(struct gp_plan *plan, size_t first, const struct gp_site *site)
{
	for (size_t i = first; i < plan->n; i++)
		plan->v[i].group = site->slug;
}

static int check_sudoers(void *ctx, const char *candidate, struct gp_error *err)
{
	(void)ctx;
	return gp_proc_must(&(struct gp_proc){ .argv = GP_ARGV("visudo", "-c", "-q", "-f", candidate) }, NULL, err);
}

static int add_sudoers(struct gp_ctx *ctx, struct gp_plan *plan, const char *deploy, const struct gp_site *site,
	const struct gp_paths *p, struct gp_error *err)
{
	const struct gp_var vars[] = {
		{ "slug", site->slug },
		{ "user", deploy },
		{ "celery", gp_yes(site->celery.enabled) },
	};

	return gp_provision_rendered(ctx, plan, p->sudoers_file, gp_data_sudoers, vars, 3,
		(struct gp_resource){ .after = { GP_RES_PACKAGES, deploy } }, 0440, check_sudoers, err);
}

/* The site's file alone: a neighbour's mistake is not this site's. As user caddy, so that nothing Caddy makes while it looks (log
 * files, its store) belongs to root afterwards. */
static int check_caddy(void *arg, const char *candidate, struct gp_error *err)
{
	struct gp_ctx *ctx = arg;
	struct gp_account caddy;

	GP_TRY(gp_account_get(ctx->arena, "caddy", &caddy, err));
	if (gp_proc_must(&(struct gp_proc){
			.argv = GP_ARGV("caddy", "validate", "--adapter", "caddyfile", "--config", candidate),
			.as = &caddy,
			.env = GP_ARGV("HOME=/var/lib/caddy") }, NULL, err) < 0)
		return gp_context(err, "Caddy refuses the site's file, which was not put in place");
	return 0;
}

static const char *caddy_addresses(struct gp_ctx *ctx, const struct gp_site *site, const struct gp_strv *names)
{
	const char *scheme = site->tls == GP_TLS_OFF ? "http://" : "", *list = "";

	for (size_t i = 0; i < names->n; i++)
		list = gp_sprintf(ctx->arena, "%s%s%s%s", list, i ? ", " : "", scheme, names->v[i]);
	return list;
}

static int add_caddy(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host, const struct gp_site *site, const struct gp_paths *p,
	struct gp_error *err)
{
	const char *tls[] = {
		[GP_TLS_AUTO] = NULL,
		[GP_TLS_INTERNAL] = "internal",
		[GP_TLS_OFF] = NULL,
		[GP_TLS_FILES] = site->tls_cert ? gp_sprintf(ctx->arena, "%s %s", site->tls_cert, site->tls_key) : NULL,
	};
	struct gp_strv served = { 0 }, redirected = { 0 };

	gp_strv_add(ctx->arena, &served, site->domain);
	for (size_t i = 0; i < site->aliases.n; i++)
		gp_strv_add(ctx->arena, site->aliases_serve ? &served : &redirected, site->aliases.v[i]);
	const struct gp_var vars[] = {
		{ "slug", site->slug },
		{ "root", p->root },
		{ "domain", site->domain },
		{ "addresses", caddy_addresses(ctx, site, &served) },
		{ "redirects", caddy_addresses(ctx, site, &redirected) },
		{ "tls", tls[site->tls] },
		{ "https", gp_yes(site->tls != GP_TLS_OFF) },
		{ "scheme", site->tls == GP_TLS_OFF ? "http" : "https" },
		/* Caddy 2.7 and newer: 2.6.2, which the distributions have, refuses a file that names stream_close_delay. */
		{ "streams", gp_yes(host->caddy == GP_CADDY_OFFICIAL) },
	};

	return gp_provision_rendered(ctx, plan, p->caddy_file, gp_data_site_caddy, vars, sizeof(vars) / sizeof(vars[0]),
		(struct gp_resource){ .notify = GP_RES_RELOAD_CADDY, .after = { "/etc/caddy/sites-enabled" } }, 0644, check_caddy, err);
}

/* Looked at here, not by the plan: a neighbour's file that Caddy refuses must not end this provision. The site says so when it is asked. */
int gp_provision_neighbour(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host, const struct gp_site *site,
	struct gp_error *err)
{
	struct gp_paths *p = SPEC(struct gp_paths, 0);
	size_t before = plan->n;
	const struct gp_file *file;
	const char *is = NULL;
	struct gp_account caddy;

	*p = gp_site_paths(ctx, site->slug);
	/* One that is being adopted changes its file when its release is proven. */
	if (!gp_fs_exists(p->state) || gp_fs_exists(p->adopting))
		return 0;
	GP_TRY(add_caddy(ctx, plan, host, site, p, err));
	file = plan->v[before].spec;
	if (gp_fs_read_nofollow(ctx->arena, p->caddy_file, 1 << 20, &is, NULL, NULL) == 1 && gp_streq(is, file->content))
		return 0;
	if (gp_account_find(ctx->arena, "caddy", &caddy, NULL) != 1 || gp_caddy_validate(ctx->arena, 0, file->content, NULL) < 0)
		plan->n = before;
	return 0;
}

int gp_provision_site(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host, const struct gp_site *site,
	struct gp_error *err)
{
	struct gp_paths *p = SPEC(struct gp_paths, 0);
	size_t first = plan->n;
	const char *deploy = gp_deploy_user(host, site);
	struct gp_packages *packages = gp_alloc(ctx->arena, sizeof(*packages));

	*p = gp_site_paths(ctx, site->slug);
	for (size_t i = 0; i < site->packages.n; i++)
		gp_strv_add(ctx->arena, &packages->names, site->packages.v[i]);
	if (site->backup.offsite && !gp_strv_has(&packages->names, "restic"))
		gp_strv_add(ctx->arena, &packages->names, "restic");
	if (packages->names.n)
		ADD(.type = &gp_packages_type, .name = gp_sprintf(ctx->arena, "of %s", site->slug), .spec = packages);
	add_place(ctx, plan, p);
	ADD(.type = &gp_user_type, .name = p->run_user, .spec = SPEC(struct gp_user, .user = p->run_user));
	ADD(.type = &gp_member_type, .name = gp_sprintf(ctx->arena, "%s in %s", deploy, p->run_user),
		.spec = SPEC(struct gp_member, .user = deploy, .group = p->run_user), .after = { deploy, p->run_user });
	add_folders(ctx, plan, deploy, p);
	GP_TRY(add_dotenv(ctx, plan, deploy, site, p, err));
	add_database(ctx, plan, host, site, p);
	GP_TRY(gp_provision_site_units(ctx, plan, site, p, err));
	GP_TRY(add_sudoers(ctx, plan, deploy, site, p, err));
	GP_TRY(add_caddy(ctx, plan, host, site, p, err));
	gp_provision_group(plan, first, site);
	return 0;
}
