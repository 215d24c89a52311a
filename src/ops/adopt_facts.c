/* What a site that was set up by hand is. Each fact has one place where it is read, and what cannot be read is asked for by its option. */
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/caddyfile.h"
#include "base/error.h"
#include "base/secret.h"
#include "ops/adopt.h"
#include "ops/releases.h"
#include "ops/redisdb.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/unit.h"

enum { FACTS_MAX = 32, FILE_MAX = 1 << 20, DRAIN_LEAST_S = 60 };

struct facts {
	struct gp_adopt *a;
	struct gp_dotenv env;
	struct gp_unit_service gunicorn, celery;
	struct gp_caddyfile_site caddy;
	struct gp_pair room[FACTS_MAX];
};

static int not_along_runbook(struct gp_error *err, const char *what, const char *hint)
{
	gp_fail(err, GP_E_REFUSED, "%s", what);
	return gp_hint(err, "%s", hint);
}

#define CANNOT(hint, ...) not_along_runbook(err, gp_sprintf(a->ctx->arena, __VA_ARGS__), hint)

/* ---- words of a command line ------------------------------------------------------------------------------------------ */

/* "--workers 3", "--workers=3", "-w 3", "-w3"; NULL: not there. letter 0: it has no short name. */
static const char *option(const struct gp_strv *argv, const char *name, char letter)
{
	size_t len = strlen(name);

	for (size_t i = 1; i < argv->n; i++) {
		const char *word = argv->v[i];

		bool is_short = letter && word[0] == '-' && word[1] == letter;

		if (gp_streq(word, name) || (is_short && !word[2]))
			return argv->v[i + 1] ? argv->v[i + 1] : "";
		if (strncmp(word, name, len) == 0 && word[len] == '=')
			return word + len + 1;
		if (is_short)
			return word + 2;
	}
	return NULL;
}

static bool flag(const struct gp_strv *argv, const char *name, const char *letter)
{
	return gp_strv_has(argv, name) || gp_strv_has(argv, letter);
}

static const char *wsgi_of(const struct gp_strv *argv)
{
	for (size_t i = argv->n; i-- > 1;)
		if (strchr(argv->v[i], ':') && gp_name_ok(GP_NAME_wsgi, argv->v[i]) && argv->v[i - 1][0] != '-')
			return argv->v[i];
	/* behind an option that takes no value */
	return argv->n > 1 && gp_name_ok(GP_NAME_wsgi, argv->v[argv->n - 1]) ? argv->v[argv->n - 1] : NULL;
}

/* ---- facts that become keys of the site's file ------------------------------------------------------------------------ */

static void fact(struct facts *f, const char *key, const char *value)
{
	struct gp_pairs *more = &f->a->init.more;

	if (value && more->n < FACTS_MAX)
		more->v[more->n++] = (struct gp_pair){ key, value };
}

/* YAML's single quotes: nothing in them means anything but the quote itself. */
static const char *quoted(struct gp_arena *arena, const char *text)
{
	const char *out = "'";

	for (; *text; text++)
		out = gp_sprintf(arena, *text == '\'' ? "%s'%c" : "%s%c", out, *text);
	return gp_sprintf(arena, "%s'", out);
}

static void number_fact(struct facts *f, const char *key, const char *text, int64_t lo, int64_t hi, int64_t plain)
{
	int64_t n;

	if (!text)
		return;
	if (!gp_parse_int(text, lo, hi, &n))
		gp_tell_warn(f->a->ctx, "%s: '%.40s' cannot be taken over, it will be %lld", key, text, (long long)plain);
	else if (n != plain)
		fact(f, key, gp_sprintf(f->a->ctx->arena, "%lld", (long long)n));
}

static const char *env(const struct facts *f, const char *key)
{
	const char *value = gp_dotenv_get(&f->env, key);

	return value && *value ? value : NULL;
}

static int read_env(struct facts *f, struct gp_error *err)
{
	/* Without one of these provision would make another database, password or key than the site has. */
	static const char *const needed[] = { "DJANGO_SETTINGS_MODULE", "DJANGO_SECRET_KEY", "DJANGO_DB_NAME", "DJANGO_DB_USER", "DJANGO_DB_PASSWORD" };
	struct gp_adopt *a = f->a;
	const struct { const char *key, *path; } roots[] = { { "DJANGO_STATIC_ROOT", a->paths.statics }, { "DJANGO_MEDIA_ROOT", a->paths.media } };
	int there;

	GP_TRY(there = gp_dotenv_read(a->ctx, a->paths.env, &f->env, err));
	if (!there)
		return CANNOT("the site's settings belong there, as in the runbook", "there is no %s", a->paths.env);
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!env(f, needed[i]))
			return CANNOT("write it there with the value that the site runs with", "%s has no %s", a->paths.env, needed[i]);
	for (size_t i = 0; i < 2; i++) {
		const char *is = env(f, roots[i].key);
		size_t len = strlen(roots[i].path);

		if (is && (strncmp(is, roots[i].path, len) != 0 || (is[len] && !gp_streq(is + len, "/"))))
			return CANNOT("move the files there and change the key first", "%s is %.200s in %s, and goldpath has %s", roots[i].key, is, a->paths.env,
				roots[i].path);
	}
	return 0;
}

/* What the unit itself sets, besides what every gunicorn of goldpath's gets. */
static int environment_fact(struct facts *f, struct gp_error *err)
{
	static const char *const own[] = { "PATH", "HOME", "LANG", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV", "PYTHONPATH" };
	struct gp_adopt *a = f->a;
	const char *list = "";

	for (size_t i = 0; i < f->gunicorn.environment.n; i++) {
		const char *pair = f->gunicorn.environment.v[i], *equals = strchr(pair, '=');
		const char *key = equals ? gp_strndup(a->ctx->arena, pair, (size_t)(equals - pair)) : pair;
		bool skip = !equals || gp_dotenv_get(&f->env, key);

		for (size_t k = 0; k < sizeof(own) / sizeof(own[0]); k++)
			skip = skip || gp_streq(key, own[k]);
		if (skip)
			continue;
		/* The site's file may be read by everybody. */
		if (gp_secret_key(key))
			return CANNOT("write it to the site's .env", "%s sets %s, which looks like a secret", a->paths.gunicorn, key);
		list = gp_sprintf(a->ctx->arena, "%s%s%s: %s", list, *list ? ", " : "", key, quoted(a->ctx->arena, equals + 1));
	}
	fact(f, "env", *list ? gp_sprintf(a->ctx->arena, "{%s}", list) : NULL);
	return 0;
}

static int gunicorn_facts(struct facts *f, struct gp_error *err)
{
	struct gp_adopt *a = f->a;
	const struct gp_strv *argv = &f->gunicorn.argv;
	const char *chdir = option(argv, "--chdir", '\0'), *folder = chdir ? chdir : f->gunicorn.folder, *wsgi = wsgi_of(argv);
	const char *timeout = option(argv, "--timeout", 't'), *class = option(argv, "--worker-class", 'k');
	size_t len = strlen(a->paths.app);
	int64_t seconds;

	if (option(argv, "--config", 'c'))
		gp_tell_warn(a->ctx, "gunicorn's configuration file is not read: what it says belongs under `gunicorn` in the site's file");
	if (class && !gp_streq(class, "sync") && !gp_streq(class, "gthread"))
		gp_tell_warn(a->ctx, "gunicorn's worker class '%.40s' is not kept: it will be the plain one", class);
	if (strncmp(folder, a->paths.app, len) == 0 && folder[len] == '/' && folder[len + 1])
		fact(f, "subdir", quoted(a->ctx->arena, folder + len + 1));
	if (wsgi && !gp_streq(wsgi, gp_sprintf(a->ctx->arena, "%s.wsgi:application", a->init.project)))
		fact(f, "wsgi", quoted(a->ctx->arena, wsgi));
	number_fact(f, "gunicorn.workers", option(argv, "--workers", 'w'), 1, 64, 3);
	number_fact(f, "gunicorn.threads", option(argv, "--threads", '\0'), 1, 64, 1);
	number_fact(f, "gunicorn.timeout", timeout, 5, 3600, 30);
	/* A request that the old gunicorn may take so long for is not cut off by the change. */
	if (timeout && gp_parse_int(timeout, DRAIN_LEAST_S + 1, 3600, &seconds))
		fact(f, "gunicorn.drain", timeout);
	return environment_fact(f, err);
}

static void celery_facts(struct facts *f)
{
	const struct gp_strv *argv = &f->celery.argv;
	const char *app = option(argv, "--app", 'A');

	if (!f->a->init.celery || !argv->n)
		return;
	/* "acme_kitchens", "acme_kitchens.celery:app": the module is enough, Celery finds the app in it */
	if (app && strchr(app, ':'))
		app = gp_strndup(f->a->ctx->arena, app, strcspn(app, ":"));
	if (app && gp_name_ok(GP_NAME_module, app) && !gp_streq(app, f->a->init.project))
		fact(f, "celery.app", quoted(f->a->ctx->arena, app));
	number_fact(f, "celery.concurrency", option(argv, "--concurrency", 'c'), 1, 64, 2);
	if (flag(argv, "--beat", "-B"))
		fact(f, "celery.beat", "true");
	if (option(argv, "--queues", 'Q'))
		gp_tell_warn(f->a->ctx, "the queues that Celery's worker is told are not kept: it will take the default one");
}

static void database_facts(struct facts *f)
{
	static const struct { const char *key, *env, *plain; } rows[] = {
		{ "database.name", "DJANGO_DB_NAME", NULL }, { "database.user", "DJANGO_DB_USER", NULL },
		{ "database.host", "DJANGO_DB_HOST", "127.0.0.1" }, { "database.port", "DJANGO_DB_PORT", "5432" },
	};
	const char *underscored = gp_site_underscored(f->a->ctx->arena, f->a->init.slug);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *value = env(f, rows[i].env);

		if (value && !gp_streq(value, rows[i].plain ? rows[i].plain : underscored))
			fact(f, rows[i].key, rows[i].plain ? value : quoted(f->a->ctx->arena, value));
	}
	if (env(f, "DATABASE_URL"))
		fact(f, "database.url", "true");
}

/* ---- Caddy -------------------------------------------------------------------------------------------------------------- */

static int read_caddy(struct facts *f, struct gp_error *err)
{
	struct gp_adopt *a = f->a;
	const char *text;
	int there;

	GP_TRY(there = gp_fs_read(a->ctx->arena, a->paths.caddy_file, FILE_MAX, &text, NULL, err));
	if (!there)
		return CANNOT("move the site's block there, and have Caddy's Caddyfile import it", "there is no %s", a->paths.caddy_file);
	gp_caddyfile_site(a->ctx->arena, text, &f->caddy);
	if (f->caddy.more)
		return CANNOT("merge them: goldpath's file has one", "%s has %zu further blocks that serve something", a->paths.caddy_file, f->caddy.more);
	return 0;
}

static const char *names_but(struct gp_arena *arena, const struct gp_strv *names, const char *but)
{
	struct gp_strv list = { 0 };

	for (size_t i = 0; i < names->n; i++)
		if (!gp_streq(names->v[i], but))
			gp_strv_add(arena, &list, names->v[i]);
	return list.n ? gp_sprintf(arena, "[%s]", gp_strv_join(arena, &list, ", ")) : NULL;
}

static void caddy_facts(struct facts *f)
{
	struct gp_adopt *a = f->a;
	const char *served = names_but(a->ctx->arena, &f->caddy.names, a->init.domain);
	const char *redirected = names_but(a->ctx->arena, &f->caddy.redirects, a->init.domain);
	struct gp_strv words = f->caddy.tls ? gp_words(a->ctx->arena, f->caddy.tls) : (struct gp_strv){ 0 };

	fact(f, "aliases", served ? served : redirected);
	if (served)
		fact(f, "aliases_serve", "true");
	if (served && redirected)
		gp_tell_warn(a->ctx, "names that Caddy only redirects are not taken over where others are served: %s", redirected);
	if (a->init.tls)
		return;
	if (f->caddy.plain)
		a->init.tls = "off";
	else if (words.n == 1 && gp_streq(words.v[0], "internal"))
		a->init.tls = "internal";
	else if (words.n == 2 && words.v[0][0] == '/')
		fact(f, "tls", gp_sprintf(a->ctx->arena, "{cert: \"%s\", key: \"%s\"}", words.v[0], words.v[1]));
	else if (words.n && !strchr(words.v[0], '@'))
		gp_tell_warn(a->ctx, "'tls %.80s' in %s is not taken over: it will be `auto`", f->caddy.tls, a->paths.caddy_file);
}

/* ---- the few that init knows ---------------------------------------------------------------------------------------- */

static const char *project_of(struct gp_arena *arena, const char *settings, const char *wsgi)
{
	const char *from = wsgi ? wsgi : settings, *end = strstr(from, wsgi ? ".wsgi" : ".settings");

	return end ? gp_strndup(arena, from, (size_t)(end - from)) : NULL;
}

static int init_facts(struct facts *f, struct gp_error *err)
{
	struct gp_adopt *a = f->a;
	const char *settings = env(f, "DJANGO_SETTINGS_MODULE");

	if (!a->init.domain)
		a->init.domain = env(f, "SITE_DOMAIN") ? env(f, "SITE_DOMAIN") : env(f, "DEPLOY_DOMAIN");
	if (!a->init.domain && f->caddy.names.n)
		a->init.domain = f->caddy.names.v[0];
	if (!a->init.domain)
		return CANNOT("say it: --domain DOMAIN", "neither %s nor %s says the site's domain", a->paths.env, a->paths.caddy_file);
	if (!a->init.project)
		a->init.project = project_of(a->ctx->arena, settings, wsgi_of(&f->gunicorn.argv));
	if (!a->init.project)
		return CANNOT("say it: --project MODULE", "the project's package does not follow from '%.200s'", settings);
	if (!gp_streq(settings, gp_sprintf(a->ctx->arena, "%s.settings.production", a->init.project)))
		fact(f, "settings", quoted(a->ctx->arena, settings));
	if (!a->init.repo)
		a->init.repo = a->work.origin;
	if (!a->init.repo)
		return CANNOT("say it: --repo URL", "%s has no remote called origin", a->paths.app);
	if (!gp_name_ok(GP_NAME_repo, a->init.repo))
		return CANNOT("give one without a password: --repo URL", "%s comes from an address that goldpath does not take", a->paths.app);
	if (!a->init.ref)
		a->init.ref = a->work.ref;
	return 0;
}

/* redis://HOST:6379/N of this host's own server. */
static bool redis_number(const char *url, int *ret)
{
	static const char *const hosts[] = { "127.0.0.1", "localhost", "[::1]" };
	const char *rest = url && gp_starts_with(url, "redis://") ? url + strlen("redis://") : NULL, *slash, *at;
	int64_t n = 0;

	if (!rest)
		return false;
	slash = strchrnul(rest, '/');
	at = memrchr(rest, '@', (size_t)(slash - rest));
	rest = at ? at + 1 : rest;
	if (slash[0] && slash[1] && !gp_parse_int(slash + 1, 0, GP_REDIS_DATABASES - 1, &n))
		return false;
	*ret = (int)n;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		size_t len = strlen(hosts[i]);

		if (strncmp(rest, hosts[i], len) == 0 && (rest + len == slash || strncmp(rest + len, ":6379", (size_t)(slash - rest) - len) == 0))
			return true;
	}
	return false;
}

static void redis_facts(struct facts *f)
{
	static const struct { const char *key, *suffix; } rows[] = {
		{ "REDIS_URL", "" }, { "CELERY_BROKER_URL", ":celery" }, { "CELERY_RESULT_BACKEND", ":results" },
	};
	struct gp_adopt *a = f->a;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool known = false;
		int number;

		if (!redis_number(env(f, rows[i].key), &number))
			continue;
		/* Results lie with the queue, as a rule. */
		for (size_t k = 1; k < a->redis_n && i == 2; k++)
			known = known || a->redis[k].number == number;
		if (!known)
			a->redis[a->redis_n++] = (struct gp_redis_use){ gp_sprintf(a->ctx->arena, "%s%s", a->init.slug, rows[i].suffix), number };
	}
}

/* A site without the health JSON is proven by what it has. */
static void health_facts(struct facts *f, const struct gp_site *site)
{
	struct gp_adopt *a = f->a;
	struct gp_site plain = *site;
	struct gp_health health = gp_health_ask(a->ctx, &plain, plain.domain, a->paths.socket, GP_HEALTH_TIMEOUT_MS);

	if (health.status >= GP_HEALTH_DEGRADED || health.status == GP_HEALTH_NO_ANSWER || health.status == GP_HEALTH_UNHEALTHY)
		return;
	plain.health.contract = GP_HEALTH_HTTP;
	for (int i = 0; i < 2; i++) {
		health = gp_health_ask(a->ctx, &plain, plain.domain, a->paths.socket, GP_HEALTH_TIMEOUT_MS);
		if (health.status == GP_HEALTH_OK) {
			fact(f, "health.contract", "http");
			fact(f, "health.path", i ? "/" : NULL);
			return;
		}
		plain.health.path = "/";
	}
}

/* ---- all together ------------------------------------------------------------------------------------------------------- */

static int find_units(struct facts *f, struct gp_error *err)
{
	struct gp_adopt *a = f->a;
	struct gp_unit_state state;
	struct stat st;
	struct gp_bus *bus;

	GP_TRY(gp_ctx_bus(a->ctx, &bus, err));
	GP_TRY(gp_unit_state(bus, a->ctx->arena, a->paths.gunicorn, &state, err));
	if (!gp_streq(state.active, "active"))
		return CANNOT("start it first: what does not run cannot be taken over without a gap", "%s is %s", a->paths.gunicorn,
			gp_streq(state.load, "loaded") ? state.active : state.load);
	GP_TRY(gp_unit_service(bus, a->ctx->arena, a->paths.gunicorn, &f->gunicorn, err));
	if (gp_fs_exists(gp_sprintf(a->ctx->arena, "/etc/systemd/system/%s", a->paths.gunicorn_socket)))
		return CANNOT("have gunicorn bind the socket itself, as in the runbook's first way, then adopt",
			"%s: a socket that systemd holds is not taken over", a->paths.gunicorn_socket);
	if (gp_fs_lstat(a->paths.socket, &st, NULL) != 1 || !S_ISSOCK(st.st_mode))
		return CANNOT("have gunicorn bind it, and Caddy ask it there, as in the runbook", "gunicorn does not listen at %s", a->paths.socket);
	GP_TRY(gp_unit_state(bus, a->ctx->arena, a->paths.celery, &state, err));
	GP_TRY(gp_unit_service(bus, a->ctx->arena, a->paths.celery, &f->celery, err));
	a->init.celery = a->init.celery || gp_streq(state.active, "active") || gp_streq(state.file, "enabled");
	return 0;
}

static int find_facts(struct facts *f, struct gp_error *err)
{
	struct gp_adopt *a = f->a;

	GP_TRY(read_env(f, err));
	GP_TRY(find_units(f, err));
	GP_TRY(read_caddy(f, err));
	GP_TRY(init_facts(f, err));
	GP_TRY(gunicorn_facts(f, err));
	celery_facts(f);
	database_facts(f);
	caddy_facts(f);
	redis_facts(f);
	if (!gp_streq(a->account.name, a->host.deploy_user))
		fact(f, "deploy_user", a->account.name);
	return 0;
}

/* Its own file, where there is one, says what it is: only Redis' numbers stand nowhere else. */
static int find_site(struct gp_adopt *a, struct gp_error *err)
{
	struct facts *f = memcpy(gp_alloc(a->ctx->arena, sizeof(*f)), &(struct facts){ .a = a }, sizeof(*f));

	if (gp_fs_exists(gp_sprintf(a->ctx->arena, "%s/sites/%s.yaml", a->ctx->etc_dir, a->init.slug))) {
		GP_TRY(gp_site_load(a->ctx->arena, a->ctx->etc_dir, a->init.slug, &a->site, err));
		GP_TRY(read_env(f, err));
		redis_facts(f);
		return 0;
	}
	a->init.more = (struct gp_pairs){ .v = f->room };
	GP_TRY(find_facts(f, err));
	GP_TRY(gp_init_site(a->ctx, &a->init, &a->text, &a->site, err));
	health_facts(f, &a->site);
	return gp_init_site(a->ctx, &a->init, &a->text, &a->site, err);
}

static int find_owner(struct gp_adopt *a, struct gp_error *err)
{
	struct stat st;
	int there;

	GP_TRY(there = gp_fs_lstat(a->paths.root, &st, err));
	if (!there || !S_ISDIR(st.st_mode))
		return CANNOT("adopt takes over what was set up along the runbook; `goldpath init` begins a new site", "there is no site in %s", a->paths.root);
	if (st.st_uid == 0)
		return CANNOT("chown it to the deploy user, with all that is in it", "%s belongs to root, not to a deploy user", a->paths.root);
	return gp_account_get(a->ctx->arena, gp_account_name(a->ctx->arena, st.st_uid), &a->account, err);
}

static int find_checkout(struct gp_adopt *a, struct gp_error *err)
{
	const struct gp_git git = { .arena = a->ctx->arena, .as = &a->account, .dir = a->paths.app };
	struct stat app, top;
	int there;

	GP_TRY(there = gp_fs_lstat(a->paths.app, &app, err));
	if (!there || !S_ISDIR(app.st_mode) || gp_fs_lstat(gp_sprintf(a->ctx->arena, "%s/.git", a->paths.app), &top, NULL) != 1)
		return CANNOT("adopt takes over a git checkout, which is where the release comes from", "%s is no git checkout", a->paths.app);
	if (app.st_uid != a->account.uid || top.st_uid != a->account.uid)
		return CANNOT("chown -R it to the owner of the site's folder", "%s does not belong to %s", a->paths.app, a->account.name);
	return gp_git_look(&git, &a->work, err);
}

int gp_adopt_look(struct gp_adopt *a, struct gp_error *err)
{
	const char *live = gp_releases_live(a->ctx, &a->paths), *host = gp_sprintf(a->ctx->arena, "%s/host.yaml", a->ctx->etc_dir);
	bool begun = gp_fs_exists(a->paths.adopting);

	if (gp_site_reserved(a->init.slug))
		return gp_fail(err, GP_E_REFUSED, "'%s' is a name that goldpath uses itself, and no site's", a->init.slug);
	a->done = live && !begun;
	if (a->done)
		return gp_site_load(a->ctx->arena, a->ctx->etc_dir, a->init.slug, &a->site, err);
	a->committed = live;
	if (gp_fs_exists(host))
		GP_TRY(gp_host_load(a->ctx->arena, a->ctx->etc_dir, &a->host, err));
	else
		GP_TRY(gp_host_default(a->ctx->arena, &a->host, err));
	GP_TRY(find_owner(a, err));
	if (!a->committed)
		GP_TRY(find_checkout(a, err));
	GP_TRY(find_site(a, err));
	if (!gp_streq(gp_deploy_user(&a->host, &a->site), a->account.name))
		return CANNOT("set deploy_user in the site's file", "%s belongs to %s, and the deploy user is %s", a->paths.root, a->account.name,
			gp_deploy_user(&a->host, &a->site));
	return 0;
}
