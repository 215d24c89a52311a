/* clone, the pure part: what the new site's file and `.env` are, from the old one's, however that is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "ops/clone.h"

static struct gp_arena *arena;
static struct gp_error err;

static int begin(void **state)
{
	(void)state;
	arena = gp_arena_new();
	memset(&err, 0, sizeof(err));
	return 0;
}

static int finish(void **state)
{
	(void)state;
	gp_arena_free(arena);
	return 0;
}

#define REST "repo: /srv/git/a.git\nproject: acme\n"

/* As text: what is written over, and nothing else. */
static void test_file(void **state)
{
	static const struct {
		const char *text, *to, *domain, *want;
	} cases[] = {
		/* A comment stays, and so does the order. */
		{ "# ours\ndomain: acme.test # the name\n" REST, "two", NULL, "# ours\ndomain: two.acme.test # the name\n" REST },
		{ "domain: \"www.acme.test\"\n" REST, "two", NULL, "domain: two.acme.test\n" REST },
		{ "domain: acme.test\n" REST, "two", "Other.test", "domain: Other.test\n" REST },
		{ REST "domain: >-\n  acme.test\nkeep:\n  releases: 9\n", "two", NULL, REST "domain: two.acme.test\nkeep:\n  releases: 9\n" },
		/* Aliases in either style; the comment behind them is the next key's. */
		{ "domain: acme.test\naliases: [www.acme.test, a.test]\n" REST, "two", NULL, "domain: two.acme.test\naliases: []\n" REST },
		{ "domain: acme.test\naliases:\n  - www.acme.test\n  - a.test\n\n# of the code\n" REST, "two", NULL,
			"domain: two.acme.test\naliases:\n  []\n\n# of the code\n" REST },
		{ "domain: acme.test\naliases:\n- www.acme.test\n" REST, "two", NULL, "domain: two.acme.test\naliases:\n []\n" REST },
		/* Database and repository. */
		{ "domain: acme.test\ndatabase:\n  name: acme_db\n  user: acme_db\n  url: true\n" REST, "acme-two", "b.test",
			"domain: b.test\ndatabase:\n  name: acme_two\n  user: acme_two\n  url: true\n" REST },
		{ "domain: acme.test\ndatabase: {name: acme_db, user: u}\nbackup: {offsite: /vault/acme, time: \"01:00\"}\n" REST, "two", "b.test",
			"domain: b.test\ndatabase: {name: two, user: two}\nbackup: {offsite: null, time: \"01:00\"}\n" REST },
		/* Characters are not bytes. */
		{ "# Küche – äöü 𝄞\nx-note: größer\ndomain: acme.test\n" REST, "two", NULL,
			"# Küche – äöü 𝄞\nx-note: größer\ndomain: two.acme.test\n" REST },
		{ "domain: acme.test\r\nbackup:\r\n  offsite: /vault\r\n" REST, "two", "b.test", "domain: b.test\r\nbackup:\r\n  offsite: null\r\n" REST },
		/* The same site elsewhere: its name and its database are its own. */
		{ "domain: acme.test\naliases: [a.test]\ndatabase: {name: db}\nbackup: {offsite: /v}\n" REST, "acme", NULL,
			"domain: acme.test\naliases: [a.test]\ndatabase: {name: db}\nbackup: {offsite: null}\n" REST },
		{ "domain: acme.test\naliases: [a.test]\n" REST, "acme", "b.test", "domain: b.test\naliases: []\n" REST },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gp_site from, site;
		const char *text;

		if (gp_clone_site(arena, "acme", cases[i].text, cases[i].to, cases[i].domain, &text, &from, &site, &err) < 0)
			fail_msg("case %zu: %s", i, err.msg);
		if (!gp_streq(text, cases[i].want))
			fail_msg("case %zu: %s", i, text);
		assert_string_equal(from.slug, "acme");
		assert_string_equal(site.slug, cases[i].to);
		assert_null(site.backup.offsite);
	}
}

static void test_file_refused(void **state)
{
	static const struct {
		const char *text, *to, *domain, *why;
	} cases[] = {
		{ "domain: acme.test\n", "two", NULL, "'repo' is missing" },
		{ "domain: [\n" REST, "two", NULL, "line" },
		{ "domain: acme.test\n" REST, "uv", NULL, "goldpath uses itself" },
		{ "domain: acme.test\n" REST, "template0", NULL, "Postgres' own" },
		{ "domain: acme.test\n" REST, "two", "not a domain", "not a domain" },
		/* An anchor that others lean on would go, or what they mean would change with it. */
		{ "domain: &d acme.test\nx-same: *d\n" REST, "two", NULL, "the file of acme" },
		{ "database:\n  name: &p acme\ndomain: acme.test\nproject: *p\nrepo: /a.git\n", "two", NULL, "the file of" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gp_site from, site;
		const char *text;

		if (gp_clone_site(arena, "acme", cases[i].text, cases[i].to, cases[i].domain, &text, &from, &site, &err) == 0)
			fail_msg("case %zu was taken: %s", i, text);
		if (err.kind != GP_E_CONFIG || !strstr(err.msg, cases[i].why))
			fail_msg("case %zu: %d, %s", i, err.kind, err.msg);
	}
}

static const char env_text[] =
	"DJANGO_SETTINGS_MODULE=acme.settings.production\nDJANGO_SECRET_KEY=k\nPAY_KEY=p\nALLOWED_HOSTS=acme.test\nDJANGO_DB_NAME=acme\n"
	"DJANGO_DB_USER=acme\nDJANGO_DB_PASSWORD=wordless\nDJANGO_DB_HOST=127.0.0.1\nDJANGO_STATIC_ROOT=/srv/sum/acme/static\nSITE_DOMAIN=acme.test\n"
	"REDIS_URL=redis://localhost/0\nOTHER_QUEUE=redis://u:p@[::1]:6379/3\nREPORTS_DB=postgres://acme:wordless@db/acme\nCELERY_BROKER_URL=redis://queue.test:6379/0\nMAIL=\"a \\\"b\\\" $c\"\nDATABASE_URL=postgres://x\n";

static void env_is(const char *to, const char *domain, const char *want)
{
	static const char file[] = "domain: acme.test\nsecrets: [PAY_KEY]\n" REST;
	struct gp_site from, site;
	struct gp_dotenv env, again;
	struct gp_strv keys, left;
	const char *text, *lines;

	assert_int_equal(gp_clone_site(arena, "acme", file, to, domain, &text, &from, &site, &err), 0);
	assert_int_equal(gp_dotenv_parse(arena, env_text, strlen(env_text), &env, &err), 0);
	lines = gp_clone_env(arena, &env, &from, &site, &keys, &left);
	assert_string_equal(gp_strv_join(arena, &left, " "), gp_streq(to, "acme") ? "" : "OTHER_QUEUE REPORTS_DB");
	assert_string_equal(gp_strv_join(arena, &keys, " "), want);
	assert_int_equal(gp_dotenv_parse(arena, lines, strlen(lines), &again, &err), 0);
	assert_int_equal(again.n, keys.n);
	for (size_t i = 0; i < again.n; i++)
		assert_string_equal(again.pairs[i].value, gp_dotenv_get(&env, again.pairs[i].key));
}

static void test_env(void **state)
{
	(void)state;
	env_is("two", NULL, "DJANGO_SETTINGS_MODULE DJANGO_DB_HOST CELERY_BROKER_URL MAIL");
	/* The same site on another host: sessions and signed links stay good. Redis' numbers are that host's. */
	env_is("acme", NULL, "DJANGO_SETTINGS_MODULE DJANGO_SECRET_KEY PAY_KEY ALLOWED_HOSTS DJANGO_DB_NAME DJANGO_DB_USER DJANGO_DB_PASSWORD"
		" DJANGO_DB_HOST DJANGO_STATIC_ROOT SITE_DOMAIN OTHER_QUEUE REPORTS_DB CELERY_BROKER_URL MAIL DATABASE_URL");
	env_is("acme", "b.test", "DJANGO_SETTINGS_MODULE DJANGO_SECRET_KEY PAY_KEY DJANGO_DB_NAME DJANGO_DB_USER DJANGO_DB_PASSWORD"
		" DJANGO_DB_HOST DJANGO_STATIC_ROOT OTHER_QUEUE REPORTS_DB CELERY_BROKER_URL MAIL DATABASE_URL");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_file, begin, finish),
		cmocka_unit_test_setup_teardown(test_file_refused, begin, finish),
		cmocka_unit_test_setup_teardown(test_env, begin, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
