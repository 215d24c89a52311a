/* What follows from what a site that was set up by hand has: the keys of its file. What cannot be known is asked for by its option. */
#include "ops/adopt_facts.h"

#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/secret.h"
#include "ops/adopt.h"
#include "ops/redisdb.h"
#include "plan/types.h"
#include "sys/ctx.h"

enum { DRAIN_LEAST_S = 60 };

const char *gp_adopt_env(const struct gp_adopt_facts *f, const char *key)
{
	const char *value = gp_dotenv_get(&f->env, key);

	return value && *value ? value : NULL;
}

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

static void fact(struct gp_adopt_facts *f, const char *key, const char *value)
{
	struct gp_pairs *more = &f->a->init.more;

	if (value && more->n < GP_ADOPT_FACTS_MAX)
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

static void number_fact(struct gp_adopt_facts *f, const char *key, const char *text, int64_t lo, int64_t hi, int64_t plain)
{
	int64_t n;

	if (!text)
		return;
	if (!gp_parse_int(text, lo, hi, &n))
		gp_tell_warn(f->a->ctx, "%s: '%.40s' cannot be taken over, it will be %lld", key, text, (long long)plain);
	else if (n != plain)
		fact(f, key, gp_sprintf(f->a->ctx->arena, "%lld", (long long)n));
}

/* What the unit itself sets, besides what every gunicorn of goldpath's gets. */
static int environment_fact(struct gp_adopt_facts *f, struct gp_error *err)
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
			return GP_ADOPT_CANNOT("write it to the site's .env", "%s sets %s, which looks like a secret", a->paths.gunicorn, key);
		list = gp_sprintf(a->ctx->arena, "%s%s%s: %s", list, *list ? ", " : "", key, quoted(a->ctx->arena, equals + 1));
	}
	fact(f, "env", *list ? gp_sprintf(a->ctx->arena, "{%s}", list) : NULL);
	return 0;
}

static int gunicorn_facts(struct gp_adopt_facts *f, struct gp_error *err)
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

static void celery_facts(struct gp_adopt_facts *f)
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

static void database_facts(struct gp_adopt_facts *f)
{
	static const struct { const char *key, *env, *plain; } rows[] = {
		{ "database.name", "DJANGO_DB_NAME", NULL }, { "database.user", "DJANGO_DB_USER", NULL },
		{ "database.host", "DJANGO_DB_HOST", "127.0.0.1" }, { "database.port", "DJANGO_DB_PORT", "5432" },
	};
	const char *underscored = gp_site_underscored(f->a->ctx->arena, f->a->init.slug);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *value = gp_adopt_env(f, rows[i].env);

		if (value && !gp_streq(value, rows[i].plain ? rows[i].plain : underscored))
			fact(f, rows[i].key, rows[i].plain ? value : quoted(f->a->ctx->arena, value));
	}
	if (gp_adopt_env(f, "DATABASE_URL"))
		fact(f, "database.url", "true");
}

/* ---- Caddy -------------------------------------------------------------------------------------------------------------- */

static const char *names_but(struct gp_arena *arena, const struct gp_strv *names, const char *but)
{
	struct gp_strv list = { 0 };

	for (size_t i = 0; i < names->n; i++)
		if (!gp_streq(names->v[i], but))
			gp_strv_add(arena, &list, names->v[i]);
	return list.n ? gp_sprintf(arena, "[%s]", gp_strv_join(arena, &list, ", ")) : NULL;
}

static void caddy_facts(struct gp_adopt_facts *f)
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

static int init_facts(struct gp_adopt_facts *f, struct gp_error *err)
{
	struct gp_adopt *a = f->a;
	const char *settings = gp_adopt_env(f, "DJANGO_SETTINGS_MODULE");

	if (!a->init.domain)
		a->init.domain = gp_adopt_env(f, "SITE_DOMAIN") ? gp_adopt_env(f, "SITE_DOMAIN") : gp_adopt_env(f, "DEPLOY_DOMAIN");
	if (!a->init.domain && f->caddy.names.n)
		a->init.domain = f->caddy.names.v[0];
	if (!a->init.domain)
		return GP_ADOPT_CANNOT("say it: --domain DOMAIN", "neither %s nor %s says the site's domain", a->paths.env, a->paths.caddy_file);
	if (!a->init.project)
		a->init.project = project_of(a->ctx->arena, settings, wsgi_of(&f->gunicorn.argv));
	if (!a->init.project)
		return GP_ADOPT_CANNOT("say it: --project MODULE", "the project's package does not follow from '%.200s'", settings);
	if (!gp_streq(settings, gp_sprintf(a->ctx->arena, "%s.settings.production", a->init.project)))
		fact(f, "settings", quoted(a->ctx->arena, settings));
	if (!a->init.repo)
		a->init.repo = a->work.origin;
	if (!a->init.repo)
		return GP_ADOPT_CANNOT("say it: --repo URL", "%s has no remote called origin", a->paths.app);
	if (!gp_name_ok(GP_NAME_repo, a->init.repo))
		return GP_ADOPT_CANNOT("give one without a password: --repo URL", "%s comes from an address that goldpath does not take", a->paths.app);
	if (!a->init.ref)
		a->init.ref = a->work.ref;
	return 0;
}

void gp_adopt_redis_facts(struct gp_adopt_facts *f)
{
	static const struct { const char *key, *suffix; } rows[] = {
		{ "REDIS_URL", "" }, { "CELERY_BROKER_URL", ":celery" }, { "CELERY_RESULT_BACKEND", ":results" },
	};
	struct gp_adopt *a = f->a;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool known = false;
		int number;

		if (!gp_redisdb_of_url(gp_adopt_env(f, rows[i].key), &number))
			continue;
		/* Results lie with the queue, as a rule. */
		for (size_t k = 1; k < a->redis_n && i == 2; k++)
			known = known || a->redis[k].number == number;
		if (!known)
			a->redis[a->redis_n++] = (struct gp_redis_use){ gp_sprintf(a->ctx->arena, "%s%s", a->init.slug, rows[i].suffix), number };
	}
}

/* A site without the health JSON is proven by what it has. */
void gp_adopt_health_facts(struct gp_adopt_facts *f, const struct gp_site *site)
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

int gp_adopt_facts(struct gp_adopt_facts *f, struct gp_error *err)
{
	struct gp_adopt *a = f->a;

	GP_TRY(init_facts(f, err));
	GP_TRY(gunicorn_facts(f, err));
	celery_facts(f);
	database_facts(f);
	caddy_facts(f);
	gp_adopt_redis_facts(f);
	if (!gp_streq(a->account.name, a->host.deploy_user))
		fact(f, "deploy_user", a->account.name);
	return 0;
}
