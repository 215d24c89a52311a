/* A site's file, key by key: what it says where it says nothing, what follows from other keys, the bounds, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "conf/host.h"
#include "conf/site.h"

#include "../scratch.h"
#include "../site_text.h"

#define BASE "domain: acme.example\nrepo: https://example.com/acme.git\nproject: acme\n"
static const char defaults[] =
	"acme-kitchens|acme.example|https://example.com/acme.git|main|.|acme|acme.settings.production|acme.wsgi:application"
	"| 0|0 0 acme 2|0|auto|||3 1 30 / 0|/health/ 0 60|/sitemap.xml|||acme_kitchens acme_kitchens 127.0.0.1 5432 0|0 - -|5";

static int parse(struct gp_arena *arena, const char *more, struct gp_site *ret, struct gp_error *err)
{
	const char *text = gp_sprintf(arena, "%s%s\n", BASE, more);

	return gp_site_parse(arena, "acme.yaml", "acme-kitchens", text, strlen(text), ret, err);
}

static void test_defaults(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_site site;

	(void)state;
	assert_int_equal(parse(arena, "", &site, NULL), 0);
	assert_string_equal(site_text(arena, &site), defaults);
}

/* One key set, and all it changes: the part of the text that is another one. */
static void test_each_key(void **state)
{
	static const struct {
		const char *more, *was, *is;
	} cases[] = {
		{ "aliases: [www.acme.example, acme.org]", "| 0|", "|www.acme.example,acme.org 0|" },
		{ "aliases: [WWW.Acme.Example]", "| 0|", "|www.acme.example 0|" }, /* Caddy's file and ALLOWED_HOSTS are compared as text */
		{ "aliases_serve: true", "| 0|", "| 1|" },
		{ "ref: release/1.2", "|main|", "|release/1.2|" },
		{ "ref: 0123456", "|main|", "|0123456|" },
		{ "subdir: web/app", "|.|", "|web/app|" },
		{ "settings: a.b", "acme.settings.production", "a.b" },
		{ "wsgi: a.b:c", "acme.wsgi:application", "a.b:c" },
		{ "celery: {enabled: true}", "|0 0 acme 2|", "|1 0 acme 2|" },
		{ "celery: {beat: true}", "|0 0 acme 2|", "|0 1 acme 2|" },
		{ "celery: {app: a.celery}", "|0 0 acme 2|", "|0 0 a.celery 2|" },
		{ "celery: {concurrency: 1}", "|0 0 acme 2|", "|0 0 acme 1|" },
		{ "celery: {concurrency: 64}", "|0 0 acme 2|", "|0 0 acme 64|" },
		{ "requirements: requirements.txt", "|0|auto|", "|1|auto|" },
		{ "requirements: uv.lock", "|0|auto|", "|2|auto|" },
		{ "requirements: pyproject.toml", "|0|auto|", "|3|auto|" },
		{ "requirements: auto", "|0|auto|", "|0|auto|" },
		{ "python: 3.10", "|auto|", "|3.10|" },
		{ "python: \"3.12.1\"", "|auto|", "|3.12.1|" },
		{ "packages: [libmagic1, g++]", "|auto||", "|auto|libmagic1,g++|" },
		{ "build: [[npm, ci], [npm, run, build]]", "||3 1", "|[npm,ci][npm,run,build]|3 1" },
		{ "gunicorn: {workers: 1}", "|3 1 30 / 0|", "|1 1 30 / 0|" },
		{ "gunicorn: {workers: 64}", "|3 1 30 / 0|", "|64 1 30 / 0|" },
		{ "gunicorn: {threads: 1}", "|3 1 30 / 0|", "|3 1 30 / 0|" },
		{ "gunicorn: {threads: 64}", "|3 1 30 / 0|", "|3 64 30 / 0|" },
		{ "gunicorn: {timeout: 5}", "|3 1 30 / 0|", "|3 1 5 / 0|" },
		{ "gunicorn: {timeout: 3600}", "|3 1 30 / 0|", "|3 1 3600 / 0|" },
		{ "gunicorn: {socket: true}", "|3 1 30 / 0|", "|3 1 30 / 1|" },
		{ "gunicorn: {warm: /menu/}", "|3 1 30 / 0|", "|3 1 30 /menu/ 0|" },
		{ "gunicorn: {warm: null}", "|3 1 30 / 0|", "|3 1 30 - 0|" },
		{ "health: {path: /}", "/health/ 0 60", "/ 0 60" },
		{ "health: {path: '/a?b=c'}", "/health/ 0 60", "/a?b=c 0 60" },
		{ "health: {contract: http}", "/health/ 0 60", "/health/ 1 60" },
		{ "health: {wait: 5}", "/health/ 0 60", "/health/ 0 5" },
		{ "health: {wait: 900}", "/health/ 0 60", "/health/ 0 900" },
		{ "sitemap: null", "|/sitemap.xml|", "|-|" },
		{ "sitemap: ~", "|/sitemap.xml|", "|-|" },
		{ "sitemap:", "|/sitemap.xml|", "|-|" },
		{ "sitemap: /map", "|/sitemap.xml|", "|/map|" },
		{ "env: {A: b, C: 'd e=f'}", "|/sitemap.xml||", "|/sitemap.xml|A=b,C=d e=f,|" },
		{ "secrets: [STRIPE_KEY]", "||acme_kitchens acme", "|STRIPE_KEY|acme_kitchens acme" },
		{ "database: {name: db}", "acme_kitchens acme_kitchens", "db db" }, /* the user follows the name */
		{ "database: {user: u}", "acme_kitchens acme_kitchens", "acme_kitchens u" },
		{ "database: {host: db.internal}", "127.0.0.1", "db.internal" },
		{ "database: {host: '::1'}", "127.0.0.1", "::1" },
		{ "database: {port: 1}", " 5432 ", " 1 " },
		{ "database: {port: 65535}", " 5432 ", " 65535 " },
		{ "database: {url: true}", " 5432 0|", " 5432 1|" },
		{ "tls: auto", "|0 - -|", "|0 - -|" },
		{ "tls: internal", "|0 - -|", "|1 - -|" },
		{ "tls: off", "|0 - -|", "|2 - -|" },
		{ "tls: {cert: /etc/a.pem, key: /etc/b.pem}", "|0 - -|", "|3 /etc/a.pem /etc/b.pem|" },
		{ "tls:\n  key: /etc/b.pem\n  x-note: mine\n  cert: /etc/a.pem", "|0 - -|", "|3 /etc/a.pem /etc/b.pem|" },
		{ "keep: {releases: 2}", "|5", "|2" },
		{ "keep: {releases: 100}", "|5", "|100" },
		{ "x-anything: [at, all]", "|5", "|5" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		GP_AUTO_ARENA arena = gp_arena_new();
		const char *from = gp_streq(cases[i].was, "|5") ? defaults + sizeof(defaults) - 3 : strstr(defaults, cases[i].was), *want;
		struct gp_site site;
		struct gp_error err = { 0 };

		assert_non_null(from);
		want = gp_sprintf(arena, "%.*s%s%s", (int)(from - defaults), defaults, cases[i].is, from + strlen(cases[i].was));
		if (parse(arena, cases[i].more, &site, &err) < 0)
			fail_msg("%s: %s", cases[i].more, err.msg);
		assert_string_equal(site_text(arena, &site), want);
	}
}

static void test_deploy_user(void **state)
{
	const struct gp_host host = { .deploy_user = "web" };
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_site site;

	(void)state;
	assert_int_equal(parse(arena, "", &site, NULL), 0);
	assert_string_equal(gp_deploy_user(&host, &site), "web");
	assert_int_equal(parse(arena, "deploy_user: shop", &site, NULL), 0);
	assert_string_equal(gp_deploy_user(&host, &site), "shop");
}

static void test_refused(void **state)
{
	static const struct {
		const char *more, *why;
	} cases[] = {
		{ "aliases: acme.org", "a list" },
		{ "aliases: [acme.example]", "the alias 'acme.example' is the domain itself" },
		{ "aliases: [ACME.example]", "the alias" }, /* names know no case */
		{ "aliases: [a.example, a.example]", "twice" },
		{ "aliases: ['*.acme.org']", "no valid domain" },
		{ "aliases: [1.2.3.4]", "no valid domain" },
		{ "aliases_serve: 1", "true or false" },
		{ "ref: -x", "no valid ref" },
		{ "ref: a..b", "no valid ref" },
		{ "ref: null", "given a value" },
		{ "subdir: ../x", "no valid relpath" },
		{ "subdir: /x", "no valid relpath" },
		{ "settings: a-b", "no valid module" },
		{ "settings: a.b;id", "no valid module" },
		{ "wsgi: a.b", "no valid wsgi" },
		{ "celery: true", "a mapping" },
		{ "celery: {enabled: 1}", "true or false" },
		{ "celery: {app: '-x'}", "no valid module" },
		{ "celery: {concurrency: 0}", "from 1 to 64" },
		{ "celery: {concurrency: 65}", "from 1 to 64" },
		{ "celery: {workers: 2}", "unknown key 'workers' in celery" },
		{ "requirements: poetry.lock", "one of: auto, requirements.txt, uv.lock, pyproject.toml" },
		{ "python: 2.7", "no valid python" },
		{ "python: 3", "no valid python" },
		{ "packages: [a]", "no valid package" },
		{ "build: [npm, ci]", "argument lists" },
		{ "build: npm ci", "argument lists" },
		{ "build: [[]]", "argument lists" },
		{ "gunicorn: {workers: 0}", "from 1 to 64" },
		{ "gunicorn: {workers: 65}", "from 1 to 64" },
		{ "gunicorn: {threads: 0}", "from 1 to 64" },
		{ "gunicorn: {threads: 65}", "from 1 to 64" },
		{ "gunicorn: {timeout: 4}", "from 5 to 3600" },
		{ "gunicorn: {timeout: 3601}", "from 5 to 3600" },
		{ "gunicorn: {socket: /run/x}", "true or false" },
		{ "health: {path: health/}", "no valid urlpath" },
		{ "health: {path: '/a b'}", "no valid urlpath" },
		{ "health: {contract: xml}", "one of: json, http" },
		{ "health: {wait: 4}", "from 5 to 900" },
		{ "health: {wait: 901}", "from 5 to 900" },
		{ "sitemap: false", "no valid urlpath" },
		{ "sitemap: [/a]", "a text" },
		{ "env: [A=b]", "a mapping" },
		{ "env: {A-B: c}", "no valid envkey" },
		{ "env: {A: b, A: c}", "comes twice" },
		{ "env: {A: \"b\\nC=d\"}", "one line" },
		{ "secrets: [stripe-key]", "no valid envkey" },
		{ "database: {name: A}", "no valid dbname" },
		{ "database: {name: 'a\"b'}", "no valid dbname" },
		{ "database: {name: postgres}", "'postgres' is Postgres' own" },
		{ "database: {user: postgres}", "'postgres' is Postgres' own" },
		{ "database: {name: template1}", "'template1' is Postgres' own" },
		{ "database: {user: a-b}", "no valid dbname" },
		{ "database: {host: 'a:5432'}", "no valid host" },
		{ "database: {port: 0}", "from 1 to 65535" },
		{ "database: {port: 65536}", "from 1 to 65535" },
		{ "database: {url: postgres://x}", "true or false" },
		{ "tls: on", "one of: auto, internal, off, or a mapping" },
		{ "tls: files", "one of: auto, internal, off, or a mapping" },
		{ "tls: null", "given a value" },
		{ "tls: {cert: /a}", "'tls.key' is missing" },
		{ "tls: {key: /a}", "'tls.cert' is missing" },
		{ "tls: {}", "'tls.cert' is missing" },
		{ "tls: {cert: a, key: /b}", "no valid abspath" },
		{ "tls: {cert: /a, key: /b, ca: /c}", "unknown key 'ca' in tls" },
		{ "tls: [auto]", "one of" },
		{ "keep: {releases: 1}", "from 2 to 100" },
		{ "keep: {releases: 101}", "from 2 to 100" },
		{ "domain: other.example", "comes twice" },
		{ "deploy_user: root", "the deploy user cannot be 'root'" },
		{ "deploy_user: sum-shop", "the deploy user cannot be 'sum-shop'" }, /* what a site runs as, perhaps another one */
		{ "deploy_user: null", "given a value" },
		{ "deploy_user: Shop", "no valid user" },
	};
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_site site = { .slug = "untouched" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gp_error err = { 0 };

		if (parse(arena, cases[i].more, &site, &err) == 0)
			fail_msg("taken: %s", cases[i].more);
		assert_int_equal(err.kind, GP_E_CONFIG);
		if (!strstr(err.msg, cases[i].why) || !gp_starts_with(err.msg, "acme.yaml"))
			fail_msg("%s: %s", cases[i].more, err.msg);
	}
	assert_string_equal(site.slug, "untouched");
}

static void test_required(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "", "acme.yaml: 'domain' is missing" },
		{ "repo: /x\nproject: a", "acme.yaml: 'domain' is missing" },
		{ "domain: a.b\nproject: a", "acme.yaml: 'repo' is missing" },
		{ "domain: a.b\nrepo: /x", "acme.yaml: 'project' is missing" },
		{ "domain:\nrepo: /x\nproject: a", "acme.yaml, line 1: 'domain' must be given a value" },
		{ "domain: a.b\nrepo: ext::sh -c id\nproject: a", "acme.yaml, line 2: 'repo': this is no repository goldpath takes" },
		{ "domain: a.b\nrepo: 'https://u:hunter2@h/x'\nproject: a", "acme.yaml, line 2: 'repo': this is no repository goldpath takes" },
		{ "domain: a.b/c\nrepo: /x\nproject: a", "acme.yaml, line 1: 'domain': 'a.b/c' is no valid domain" },
		{ "domain: a.b\nrepo: /x\nproject: a-b", "acme.yaml, line 3: 'project': 'a-b' is no valid module" },
	};
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gp_error err = { 0 };
		struct gp_site site;

		assert_int_equal(gp_site_parse(arena, "acme.yaml", "acme", cases[i].text, strlen(cases[i].text), &site, &err), -1);
		assert_string_equal(err.msg, cases[i].why);
	}
}

/* A slug whose database would be Postgres' own is refused as long as it does not name another. */
static void test_slug_and_database(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_site site;
	struct gp_error err = { 0 };

	(void)state;
	assert_int_equal(gp_site_parse(arena, "x", "postgres", BASE, strlen(BASE), &site, &err), -1);
	assert_int_equal(gp_site_parse(arena, "x", "postgres", BASE "database: {name: pg}\n", strlen(BASE "database: {name: pg}\n"), &site, &err), 0);
	assert_string_equal(gp_site_underscored(arena, "a-b-c"), "a_b_c");
	static const struct {
		const char *host;
		bool local;
	} hosts[] = { { "127.0.0.1", true }, { "127.1.2.3", true }, { "localhost", true }, { "::1", true }, { "10.0.0.1", false },
		{ "db.internal", false }, { "127.evil.example", false } };
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		site.database.host = hosts[i].host;
		assert_int_equal(gp_site_database_is_local(&site), hosts[i].local);
	}
}

static void test_load_and_list(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_site site;
	struct gp_strv slugs;
	struct gp_error err = { 0 };

	(void)state;
	assert_int_equal(gp_site_list(arena, scratch, &slugs, &err), 0);
	assert_int_equal(slugs.n, 0);
	assert_int_equal(mkdir(at("sites"), 0755), 0);
	put(at("sites/zeta.yaml"), BASE);
	put(at("sites/acme-kitchens.yaml"), BASE "celery: {enabled: yes}\n");
	put(at("sites/.acme.yaml.x~"), "");
	put(at("sites/.yaml"), "");
	put(at("sites/acme.yaml.bak"), "");
	put(at("sites/README"), "");
	assert_int_equal(gp_site_list(arena, scratch, &slugs, &err), 0);
	assert_string_equal(gp_strv_join(arena, &slugs, "|"), "acme-kitchens|zeta");
	assert_int_equal(gp_site_load(arena, scratch, "acme-kitchens", &site, &err), 0);
	assert_string_equal(site.slug, "acme-kitchens");
	assert_true(site.celery.enabled);
	assert_string_equal(site.database.name, "acme_kitchens");
	assert_int_equal(gp_site_load(arena, scratch, "none", &site, &err), -1);
	assert_int_equal(err.kind, GP_E_CONFIG);
	put(at("sites/Bad_Name.yaml"), BASE);
	assert_int_equal(gp_site_list(arena, scratch, &slugs, &err), 0);
	assert_string_equal(gp_strv_join(arena, &slugs, "|"), "Bad_Name|acme-kitchens|zeta");
	assert_int_equal(gp_site_load(arena, scratch, "Bad_Name", &site, &err), -1);
	assert_int_equal(err.kind, GP_E_CONFIG);
	assert_non_null(strstr(err.msg, "Bad_Name"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_each_key),
		cmocka_unit_test(test_deploy_user),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_required),
		cmocka_unit_test(test_slug_and_database),
		cmocka_unit_test_setup_teardown(test_load_and_list, scratch_begin, scratch_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
