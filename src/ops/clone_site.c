/* What the new site is: its file and its `.env` from the old one's. */
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "ops/clone.h"
#include "ops/redisdb.h"

enum { VALUES_MAX = 5 };

/* "www.acme.test" → "acme-two.acme.test" */
static const char *domain_below(struct gp_arena *arena, const char *domain, const char *slug)
{
	return gp_sprintf(arena, "%s.%s", slug, gp_starts_with(domain, "www.") ? domain + strlen("www.") : domain);
}

static void set(struct gp_pairs *values, const char *key, const char *value)
{
	values->v[values->n++] = (struct gp_pair){ key, value };
}

static bool is_as_wanted(const struct gp_site *site, const struct gp_site *from, const char *domain, const char *database)
{
	return strcasecmp(site->domain, domain) == 0 && (gp_streq(site->domain, from->domain) || site->aliases.n == 0) && !site->backup.offsite &&
		gp_streq(site->database.name, database) && gp_streq(site->repo, from->repo) && gp_streq(site->project, from->project);
}

int gp_clone_site(struct gp_arena *arena, const char *slug, const char *text, const char *to, const char *domain, const char **ret_text,
	struct gp_site *from, struct gp_site *ret, struct gp_error *err)
{
	const char *label = gp_sprintf(arena, "the file of %s", slug), *database;
	struct gp_pair room[VALUES_MAX];
	struct gp_pairs values = { .v = room };
	bool same = gp_streq(slug, to);

	GP_TRY(gp_site_parse(arena, label, slug, text, strlen(text), from, err));
	if (!domain)
		domain = same ? from->domain : domain_below(arena, from->domain, to);
	if (gp_name_check(GP_NAME_domain, domain, GP_E_CONFIG, err) < 0)
		return gp_hint(err, "say one: --domain");
	database = same ? from->database.name : gp_site_underscored(arena, to);
	set(&values, "domain", domain);
	if (strcasecmp(domain, from->domain) != 0)
		set(&values, "aliases", "[]");
	set(&values, "backup.offsite", "null");
	if (!same) {
		set(&values, "database.name", database);
		set(&values, "database.user", database);
	}
	GP_TRY(gp_conf_replace(arena, label, text, &values, ret_text, err));
	label = gp_sprintf(arena, "the file of %s, made from that of %s", to, slug);
	GP_TRY(gp_site_parse(arena, label, to, *ret_text, strlen(*ret_text), ret, err));
	if (is_as_wanted(ret, from, domain, database))
		return 0;
	gp_fail(err, GP_E_CONFIG, "%s cannot be rewritten for %s", label, to);
	return gp_hint(err, "write its domain, aliases, database and backup.offsite without anchors");
}

/* What of goldpath's own in `.env` holds for what. */
enum of { OF_SLUG, OF_DOMAIN, OF_HOST };

static const struct {
	const char *key;
	enum of of;
} own[] = {
	{ "DJANGO_SECRET_KEY", OF_SLUG },
	{ "DJANGO_DB_NAME", OF_SLUG },
	{ "DJANGO_DB_USER", OF_SLUG },
	{ "DJANGO_DB_PASSWORD", OF_SLUG },
	{ "DATABASE_URL", OF_SLUG },
	{ "DJANGO_STATIC_ROOT", OF_SLUG },
	{ "DJANGO_MEDIA_ROOT", OF_SLUG },
	{ "ALLOWED_HOSTS", OF_DOMAIN },
	{ "SITE_DOMAIN", OF_DOMAIN },
	{ "WAGTAILADMIN_BASE_URL", OF_DOMAIN },
	{ "REDIS_URL", OF_HOST },
	{ "CELERY_BROKER_URL", OF_HOST },
	{ "CELERY_RESULT_BACKEND", OF_HOST },
};

static bool is_own(const char *key)
{
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (gp_streq(own[i].key, key))
			return true;
	return false;
}

/* The clone's worker would take the source's tasks, and its migrations go into the source's database. */
static bool leads_to_source(const struct gp_dotenv *env, const struct gp_dotenv_pair *pair, const struct gp_site *from, const struct gp_site *to)
{
	const char *password = gp_dotenv_get(env, "DJANGO_DB_PASSWORD");
	int number;

	return !gp_streq(from->slug, to->slug) && !is_own(pair->key) &&
	       (gp_redisdb_of_url(pair->value, &number) || (password && *password && strstr(pair->value, password)));
}

static bool is_made_anew(const struct gp_dotenv_pair *pair, const struct gp_site *from, const struct gp_site *to)
{
	int number;
	bool other_slug = !gp_streq(from->slug, to->slug), other_domain = !gp_streq(from->domain, to->domain);

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		if (!gp_streq(own[i].key, pair->key))
			continue;
		/* The numbers of this host's Redis are given out by goldpath; another Redis is somebody's choice. */
		if (own[i].of == OF_HOST)
			return gp_redisdb_of_url(pair->value, &number);
		return own[i].of == OF_SLUG ? other_slug : other_domain;
	}
	return other_slug && gp_strv_has(&from->secrets, pair->key);
}

const char *gp_clone_env(struct gp_arena *arena, const struct gp_dotenv *env, const struct gp_site *from, const struct gp_site *to,
	struct gp_strv *ret_keys, struct gp_strv *ret_left)
{
	GP_AUTO_BUF out = { 0 };

	*ret_keys = *ret_left = (struct gp_strv){ 0 };
	for (size_t i = 0; i < env->n; i++) {
		if (is_made_anew(&env->pairs[i], from, to))
			continue;
		if (leads_to_source(env, &env->pairs[i], from, to)) {
			gp_strv_add(arena, ret_left, env->pairs[i].key);
			continue;
		}
		gp_buf_puts(&out, gp_dotenv_line(arena, env->pairs[i].key, env->pairs[i].value));
		gp_strv_add(arena, ret_keys, env->pairs[i].key);
	}
	return gp_strdup(arena, gp_buf_str(&out));
}
