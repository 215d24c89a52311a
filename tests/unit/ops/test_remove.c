/* Removing a site: what is its own and may go, and what stays because it is, or may be, somebody else's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#include <cmocka.h>

#include "ops/remove.h"

#include "../ctx.h"

static int begin(void **state)
{
	return ctx_begin(state) || mkdir(at("etc"), 0755) || mkdir(at("etc/sites"), 0755) || mkdir(at("state"), 0755) || mkdir(at("sites"), 0755);
}

static struct gp_remove_db own(void)
{
	return (struct gp_remove_db){ .name = "acme", .user = "acme", .host = "127.0.0.1", .port = 5432, .local = true, .there = true,
		.role_there = true, .owner = "acme", .elsewhere = "" };
}

static void assert_stays(const char *why, const char *words)
{
	assert_non_null(why);
	assert_non_null(strstr(why, words));
}

static void test_its_own(void **state)
{
	struct gp_remove_db db = own();

	(void)state;
	assert_null(gp_remove_keeps_database(arena, &db));
	assert_null(gp_remove_keeps_role(arena, &db));
	/* Cut off after the database was dropped: the role still goes. */
	db.there = false;
	db.owner = "";
	assert_null(gp_remove_keeps_role(arena, &db));
}

static void test_reserved(void **state)
{
	static const char *const names[] = { "postgres", "template0", "template1", "pg_monitor" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct gp_remove_db db = own();

		db.name = db.user = db.owner = names[i];
		assert_stays(gp_remove_keeps_database(arena, &db), "Postgres' own");
		assert_stays(gp_remove_keeps_role(arena, &db), "Postgres' own");
	}
}

static void test_of_others(void **state)
{
	struct gp_remove_db db = own();

	(void)state;
	db.owner = "crm";
	assert_stays(gp_remove_keeps_database(arena, &db), "'crm'");
	assert_stays(gp_remove_keeps_role(arena, &db), "stays");
	db = own();
	gp_strv_add(arena, &db.databases, "acme");
	assert_stays(gp_remove_keeps_database(arena, &db), "another site");
	assert_stays(gp_remove_keeps_role(arena, &db), "'acme' stays");
	db = own();
	gp_strv_add(arena, &db.roles, "acme");
	assert_null(gp_remove_keeps_database(arena, &db));
	assert_stays(gp_remove_keeps_role(arena, &db), "another site");
	db = own();
	db.elsewhere = "shop";
	assert_null(gp_remove_keeps_database(arena, &db));
	assert_stays(gp_remove_keeps_role(arena, &db), "shop");
	db = own();
	db.role_super = true;
	assert_stays(gp_remove_keeps_role(arena, &db), "superuser");
	db = own();
	db.local = false;
	db.host = "db.example.com";
	assert_stays(gp_remove_keeps_database(arena, &db), "db.example.com");
	assert_stays(gp_remove_keeps_role(arena, &db), "db.example.com");
}

static void test_what_goldpath_made(void **state)
{
	static const char *const made[] = { "app", "venv", "repo.git", "releases", "venvs", "static" };
	static const char *const kept[] = { "media", "backups", ".env", "app.old", "notes.txt", ".app.abcdefgh~", "" };

	(void)state;
	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		assert_true(gp_remove_is_made(made[i]));
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		assert_false(gp_remove_is_made(kept[i]));
}

/* The database of a site, whose server is elsewhere so that nobody is asked. */
static struct gp_remove_db found(const char *slug)
{
	struct gp_paths paths = gp_site_paths(&ctx, slug);
	struct gp_strv packages = { 0 };
	struct gp_remove_db db;

	if (gp_remove_find_db(&ctx, &paths, slug, &db, &packages, &err) < 0)
		fail_msg("%s", err.msg);
	return db;
}

static void put_env(const char *slug, const char *text)
{
	mkdir(at("state/%s", slug), 0700);
	put(at("state/%s/site.env", slug), text);
}

static void test_names_without_a_file(void **state)
{
	struct gp_remove_db db = found("acme");

	(void)state;
	assert_null(db.name);
	put_env("acme", "DJANGO_DB_NAME=acme_db\nDJANGO_DB_USER=acme_user\nDJANGO_DB_HOST=db.example.com\nDJANGO_DB_PORT=5433\n");
	db = found("acme");
	assert_string_equal(db.name, "acme_db");
	assert_string_equal(db.user, "acme_user");
	assert_int_equal(db.port, 5433);
	assert_false(db.local);
	/* A broken file: the same. */
	put(at("etc/sites/acme.yaml"), "domain: [\n");
	assert_string_equal(found("acme").name, "acme_db");
	/* One that can be read wins. */
	put(at("etc/sites/acme.yaml"), "domain: acme.test\nrepo: /srv/git/acme.git\nproject: acme\n"
		"database: {name: of_file, user: of_file, host: db.example.com}\n");
	assert_string_equal(found("acme").name, "of_file");
	put(at("etc/sites/acme.yaml"), "domain: [\n");
	put_env("acme", "DJANGO_DB_NAME=\"a b; drop\"\nDJANGO_DB_USER=acme\nDJANGO_DB_HOST=db.example.com\n");
	assert_null(found("acme").name);
}

static void test_names_of_others(void **state)
{
	struct gp_remove_db db;

	(void)state;
	put_env("acme", "DJANGO_DB_NAME=acme\nDJANGO_DB_USER=acme\nDJANGO_DB_HOST=db.example.com\n");
	put(at("etc/sites/shop.yaml"), "domain: shop.test\nrepo: /srv/git/shop.git\nproject: shop\ndatabase: {name: stock, user: clerk}\n");
	put_env("shop", "DJANGO_DB_NAME=really\nDJANGO_DB_USER=used\n");
	put(at("etc/sites/broken-one.yaml"), "domain: [\n");
	put_env("gone", "DJANGO_DB_NAME=left\nDJANGO_DB_USER=behind\n");
	db = found("acme");
	assert_true(gp_strv_has(&db.databases, "stock") && gp_strv_has(&db.roles, "clerk"));
	assert_true(gp_strv_has(&db.databases, "really") && gp_strv_has(&db.roles, "used"));
	assert_true(gp_strv_has(&db.databases, "broken_one") && gp_strv_has(&db.roles, "broken_one"));
	assert_true(gp_strv_has(&db.databases, "left") && gp_strv_has(&db.roles, "behind"));
	assert_false(gp_strv_has(&db.databases, "acme") || gp_strv_has(&db.roles, "acme"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_its_own, begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_reserved, begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_of_others, begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_what_goldpath_made, begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_names_without_a_file, begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_names_of_others, begin, ctx_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
