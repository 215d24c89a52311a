/* The site's keys. Order here is the order in the file that `goldpath init` writes. */
#include "conf/site.h"

#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/error.h"
#include "conf/host.h"
#include "sys/fs.h"

#define AT(field) offsetof(struct gp_site, field)
#define END { .name = NULL }

static const struct gp_key celery_keys[] = {
	{ "enabled", GP_KEY_BOOL, AT(celery.enabled), .def = "false", .help = "run a worker" },
	{ "app", GP_KEY_NAME, AT(celery.app), .kind = GP_NAME_module, .help = "the module with the Celery app; default: project" },
	{ "concurrency", GP_KEY_INT, AT(celery.concurrency), .lo = 1, .hi = 64, .def = "2", .help = "worker processes" },
	{ "beat", GP_KEY_BOOL, AT(celery.beat), .def = "false", .help = "run the scheduler inside the worker" },
	END,
};

static const struct gp_key gunicorn_keys[] = {
	{ "workers", GP_KEY_INT, AT(gunicorn.workers), .lo = 1, .hi = 64, .def = "3", .help = "worker processes" },
	{ "threads", GP_KEY_INT, AT(gunicorn.threads), .lo = 1, .hi = 64, .def = "1", .help = "threads in each worker" },
	{ "timeout", GP_KEY_INT, AT(gunicorn.timeout), .lo = 5, .hi = 3600, .def = "30", .help = "seconds a request may take" },
	{ "drain", GP_KEY_INT, AT(gunicorn.drain), .lo = 1, .hi = 3600, .def = "60",
		.help = "seconds a deploy waits for requests that the old release is still answering" },
	{ "warm", GP_KEY_NAME, AT(gunicorn.warm), .kind = GP_NAME_urlpath, .nullable = true, .def = "/",
		.help = "what each worker is asked for once before visitors are led to it; null: nothing" },
	{ "socket", GP_KEY_BOOL, AT(gunicorn.socket), .def = "false", .help = "let systemd hold the socket (sum-<slug>-gunicorn.socket)" },
	END,
};

static const struct gp_key health_keys[] = {
	{ "path", GP_KEY_NAME, AT(health.path), .kind = GP_NAME_urlpath, .def = "/health/", .help = "what is asked for" },
	{ "contract", GP_KEY_CHOICE, AT(health.contract), .choices = (const char *const[]){ "json", "http", NULL }, .def = "json",
		.help = "json: the health JSON; http: any 2xx will do, for sites without it" },
	{ "wait", GP_KEY_INT, AT(health.wait), .lo = 5, .hi = 900, .def = "60", .help = "seconds a new release has to become healthy" },
	END,
};

static const struct gp_key database_keys[] = {
	{ "name", GP_KEY_NAME, AT(database.name), .kind = GP_NAME_dbname, .help = "default: the slug, with _ for -" },
	{ "user", GP_KEY_NAME, AT(database.user), .kind = GP_NAME_dbname, .help = "default: the same" },
	{ "host", GP_KEY_NAME, AT(database.host), .kind = GP_NAME_host, .def = "127.0.0.1",
		.help = "on another host, role and database must be there already" },
	{ "port", GP_KEY_INT, AT(database.port), .lo = 1, .hi = 65535, .def = "5432", .help = "TCP port" },
	{ "url", GP_KEY_BOOL, AT(database.url), .def = "false", .help = "write DATABASE_URL to .env too" },
	END,
};

static const struct gp_key tls_keys[] = {
	{ "cert", GP_KEY_NAME, AT(tls_cert), .kind = GP_NAME_abspath, .required = true, .help = "certificate chain, PEM" },
	{ "key", GP_KEY_NAME, AT(tls_key), .kind = GP_NAME_abspath, .required = true, .help = "private key, PEM" },
	END,
};

static const struct gp_key backup_keep_keys[] = {
	{ "daily", GP_KEY_INT, AT(backup.daily), .lo = 0, .hi = 1000, .def = "7", .help = "the last of each of so many days" },
	{ "weekly", GP_KEY_INT, AT(backup.weekly), .lo = 0, .hi = 1000, .def = "4", .help = "the last of each of so many weeks" },
	{ "monthly", GP_KEY_INT, AT(backup.monthly), .lo = 0, .hi = 1000, .def = "6", .help = "the last of each of so many months" },
	END,
};

static const struct gp_key backup_keys[] = {
	{ "keep", GP_KEY_GROUP, .group = backup_keep_keys, .help = "which backups stay in the folder" },
	{ "time", GP_KEY_NAME, AT(backup.time), .kind = GP_NAME_clock, .nullable = true, .def = "\"03:15\"",
		.help = "when the daily one is made, by the host's clock; null: none is" },
	{ "rehearse", GP_KEY_NAME, AT(backup.rehearse), .kind = GP_NAME_weektime, .nullable = true, .def = "\"Sun 04:15\"",
		.help = "when the newest one is rehearsed each week; null: never" },
	{ "offsite", GP_KEY_NAME, AT(backup.offsite), .kind = GP_NAME_restic, .nullable = true, .def = "null",
		.help = "a restic repository that each daily one goes to: /path, sftp:user@host:path, s3:https://host/bucket; null: none" },
	{ "media", GP_KEY_BOOL, AT(backup.media), .def = "true", .help = "media go to that repository too" },
	{ "keep_old", GP_KEY_INT, AT(backup.keep_old), .lo = 0, .hi = 365, .def = "3",
		.help = "days that a database is kept which a restore has replaced" },
	END,
};

static const struct gp_key keep_keys[] = {
	{ "releases", GP_KEY_INT, AT(keep.releases), .lo = 2, .hi = 100, .def = "5", .help = "good releases that stay on disk" },
	END,
};

const struct gp_key gp_site_keys[] = {
	{ "domain", GP_KEY_NAME, AT(domain), .kind = GP_NAME_domain, .required = true, .help = "the name visitors use" },
	{ "aliases", GP_KEY_NAMES, AT(aliases), .kind = GP_NAME_domain, .def = "[]", .help = "other names, redirected to domain" },
	{ "aliases_serve", GP_KEY_BOOL, AT(aliases_serve), .def = "false", .help = "serve the aliases instead of redirecting them" },
	{ "repo", GP_KEY_NAME, AT(repo), .kind = GP_NAME_repo, .required = true, .help = "the git repository; no password in it" },
	{ "ref", GP_KEY_NAME, AT(ref), .kind = GP_NAME_ref, .def = "main", .help = "what `deploy` without --ref takes" },
	{ "subdir", GP_KEY_NAME, AT(subdir), .kind = GP_NAME_relpath, .def = ".", .help = "where manage.py lies in the checkout" },
	{ "project", GP_KEY_NAME, AT(project), .kind = GP_NAME_module, .required = true,
		.help = "the Django project's package; settings, wsgi and celery.app follow from it" },
	{ "settings", GP_KEY_NAME, AT(settings), .kind = GP_NAME_module, .help = "default: <project>.settings.production" },
	{ "wsgi", GP_KEY_NAME, AT(wsgi), .kind = GP_NAME_wsgi, .help = "default: <project>.wsgi:application" },
	{ "deploy_user", GP_KEY_NAME, AT(deploy_user), .kind = GP_NAME_user,
		.help = "owns this site alone, for sites that do not trust each other; default: the host's" },
	{ "celery", GP_KEY_GROUP, .group = celery_keys, .help = "background tasks" },
	{ "requirements", GP_KEY_CHOICE, AT(requirements),
		.choices = (const char *const[]){ "auto", "requirements.txt", "uv.lock", "pyproject.toml", NULL }, .def = "auto",
		.help = "auto: uv.lock, requirements.txt or pyproject.toml, the first that is there" },
	{ "python", GP_KEY_NAME, AT(python), .kind = GP_NAME_python, .def = "auto",
		.help = "auto: the system's; a version like \"3.12\" has uv bring it" },
	{ "packages", GP_KEY_NAMES, AT(packages), .kind = GP_NAME_package, .def = "[]",
		.help = "Debian packages that the site's Python code loads, like libmagic1" },
	{ "build", GP_KEY_ARGVS, AT(build), .def = "[]",
		.help = "commands run in each new release as the deploy user: [[npm, ci], [npm, run, build]]" },
	{ "drop_ins", GP_KEY_NAMES, AT(drop_ins), .kind = GP_NAME_dropin, .def = "[]",
		.help = "drop-ins of the site's units that are yours ([memory.conf]); any other is drift and taken away" },
	{ "gunicorn", GP_KEY_GROUP, .group = gunicorn_keys, .help = "the application server" },
	{ "health", GP_KEY_GROUP, .group = health_keys, .help = "how goldpath finds out whether a release works" },
	{ "sitemap", GP_KEY_NAME, AT(sitemap), .kind = GP_NAME_urlpath, .nullable = true, .def = "/sitemap.xml",
		.help = "looked at after a deploy, reported only; null: none" },
	{ "env", GP_KEY_PAIRS, AT(env), .kind = GP_NAME_envkey, .def = "{}", .help = "plain values for .env, added where missing" },
	{ "secrets", GP_KEY_NAMES, AT(secrets), .kind = GP_NAME_envkey, .def = "[]",
		.help = "further keys of .env to make a random secret for, like SECRET_KEY" },
	{ "database", GP_KEY_GROUP, .group = database_keys, .help = "Postgres" },
	{ "tls", GP_KEY_CHOICE, AT(tls), .choices = (const char *const[]){ "auto", "internal", "off", "files", NULL }, .group = tls_keys,
		.group_choice = "files", .def = "auto",
		.help = "auto: a public certificate; internal: Caddy's own CA; off: plain http; {cert: /path, key: /path}: your own" },
	{ "backup_before_migrate", GP_KEY_BOOL, AT(backup_before_migrate), .def = "true",
		.help = "dump the database before a deploy that migrates it" },
	{ "backup", GP_KEY_GROUP, .group = backup_keys, .help = "backups of the database" },
	{ "keep", GP_KEY_GROUP, .group = keep_keys, .help = "what pruning leaves" },
	END,
};

const char *gp_site_underscored(struct gp_arena *arena, const char *slug)
{
	char *name = gp_strdup(arena, slug);

	for (char *p = name; *p; p++)
		if (*p == '-')
			*p = '_';
	return name;
}

bool gp_database_host_is_local(const char *host)
{
	return !*host || *host == '/' || (gp_starts_with(host, "127.") && strspn(host, "0123456789.") == strlen(host)) ||
	       gp_streq(host, "localhost") || gp_streq(host, "::1");
}

bool gp_site_database_is_local(const struct gp_site *site)
{
	return gp_database_host_is_local(site->database.host);
}

const char *gp_deploy_user(const struct gp_host *host, const struct gp_site *site)
{
	return site->deploy_user ? site->deploy_user : host->deploy_user;
}

/* Names of hosts are the same in either case (RFC 4343), but Caddy's file, ALLOWED_HOSTS and a Host header are compared as text. */
static const char *lower(struct gp_arena *arena, const char *name)
{
	char *copy = gp_strdup(arena, name);

	for (char *p = copy; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + 'a' - 'A');
	return copy;
}

static void derive(struct gp_arena *arena, struct gp_site *site)
{
	site->domain = lower(arena, site->domain);
	for (size_t i = 0; i < site->aliases.n; i++)
		site->aliases.v[i] = lower(arena, site->aliases.v[i]);
	if (!site->settings)
		site->settings = gp_sprintf(arena, "%s.settings.production", site->project);
	if (!site->wsgi)
		site->wsgi = gp_sprintf(arena, "%s.wsgi:application", site->project);
	if (!site->celery.app)
		site->celery.app = site->project;
	if (!site->database.name)
		site->database.name = gp_site_underscored(arena, site->slug);
	if (!site->database.user)
		site->database.user = site->database.name;
}

bool gp_site_reserved(const char *slug)
{
	/* /srv/sum/bin, and what lies in /var/lib/goldpath and /run/goldpath beside the sites. */
	static const char *const taken[] = { "bin", "caddy", "host", "pending", "redis-databases", "unfinished", "uv" };

	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		if (gp_streq(slug, taken[i]))
			return true;
	return false;
}

/* Names that mean something to Postgres or to goldpath's own restore path are not a site's. */
static int check(const struct gp_site *site, const char *label, struct gp_error *err)
{
	static const char *const reserved[] = { "postgres", "template0", "template1" };
	if (gp_site_reserved(site->slug))
		return gp_fail(err, GP_E_CONFIG, "%s: '%s' is a name that goldpath uses itself: choose another slug", label, site->slug);
	if (site->deploy_user && (gp_streq(site->deploy_user, "root") || gp_starts_with(site->deploy_user, "sum-")))
		return gp_fail(err, GP_E_CONFIG, "%s: the deploy user cannot be '%s'", label, site->deploy_user);
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (gp_streq(site->database.name, reserved[i]) || gp_streq(site->database.user, reserved[i]))
			return gp_fail(err, GP_E_CONFIG, "%s: '%s' is Postgres' own and cannot be a site's database or user", label, reserved[i]);
	for (size_t i = 0; i < site->aliases.n; i++) {
		if (strcasecmp(site->aliases.v[i], site->domain) == 0)
			return gp_fail(err, GP_E_CONFIG, "%s: the alias '%s' is the domain itself", label, site->aliases.v[i]);
		for (size_t k = 0; k < i; k++)
			if (strcasecmp(site->aliases.v[i], site->aliases.v[k]) == 0)
				return gp_fail(err, GP_E_CONFIG, "%s: the alias '%s' comes twice", label, site->aliases.v[i]);
	}
	return 0;
}

int gp_site_parse(struct gp_arena *arena, const char *label, const char *slug, const char *text, size_t len, struct gp_site *ret,
	struct gp_error *err)
{
	struct gp_site site = { .slug = gp_strdup(arena, slug) };

	GP_TRY(gp_conf_parse(arena, label, text, len, gp_site_keys, &site, err));
	derive(arena, &site);
	GP_TRY(check(&site, label, err));
	*ret = site;
	return 0;
}

int gp_site_load(struct gp_arena *arena, const char *dir, const char *slug, struct gp_site *ret, struct gp_error *err)
{
	const char *path = gp_sprintf(arena, "%s/sites/%s.yaml", dir, slug);
	struct gp_site site = { .slug = gp_strdup(arena, slug) };

	GP_TRY_TO(err, gp_name_check(GP_NAME_slug, slug, GP_E_CONFIG, err), "%s", path);
	GP_TRY(gp_conf_load(arena, path, gp_site_keys, &site, err));
	derive(arena, &site);
	GP_TRY(check(&site, path, err));
	*ret = site;
	return 0;
}

int gp_site_list(struct gp_arena *arena, const char *dir, struct gp_strv *ret, struct gp_error *err)
{
	struct gp_strv names, slugs = { 0 };

	GP_TRY(gp_fs_list(arena, gp_sprintf(arena, "%s/sites", dir), &names, err));
	for (size_t i = 0; i < names.n; i++) {
		if (names.v[i][0] != '.' && gp_ends_with(names.v[i], ".yaml"))
			gp_strv_add(arena, &slugs, gp_strndup(arena, names.v[i], strlen(names.v[i]) - strlen(".yaml")));
	}
	*ret = slugs;
	return 0;
}
