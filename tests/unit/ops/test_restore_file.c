/* A file that is about to be restored: what people are told of its migrations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ops/deploy.h"
#include "ops/releases.h"
#include "ops/restore.h"

#include "../ctx.h"

#define HEAD "--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 15.20\n-- Dumped by pg_dump version 15.20\n\n"
#define COPY "COPY public.django_migrations (id, app, name) FROM stdin;\n"
#define END "--\n-- PostgreSQL database dump complete\n--\n\n"
#define RELEASE "20260101T000000Z-0123abc"

static struct gp_deploy d;
static const char *warned; /* every warning, one after the other */

int __wrap_gp_database_room(const struct gp_database *db, uint64_t *ret_bytes, int *ret_version, struct gp_error *e);
int __wrap_gp_database_room(const struct gp_database *db, uint64_t *ret_bytes, int *ret_version, struct gp_error *e)
{
	(void)db, (void)e;
	*ret_bytes = 1 << 20;
	*ret_version = 150020;
	return 0;
}

static void on_event(void *arg, const struct gp_event *event)
{
	(void)arg;
	if (event->kind == GP_EVENT_WARN)
		warned = gp_sprintf(arena, "%s%s\n", warned, event->text);
}

/* The release that serves has two migrations. */
static int begin(void **state)
{
	static const char *const folders[] = { "state", "state/acme", "state/acme/releases", "sites", "sites/acme" };

	if (ctx_begin(state) < 0)
		return -1;
	ctx.observer.on_event = on_event;
	d = (struct gp_deploy){ .ctx = &ctx, .paths = gp_site_paths(&ctx, "acme"), .site = { .slug = "acme" }, .release = RELEASE };
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (mkdir(at("%s", folders[i]), 0755) < 0)
			return -1;
	put(at("state/acme/releases/" RELEASE ".json"), "{\"v\":1,\"release\":\"" RELEASE "\",\"sha\":\"0123abc\",\"ref\":\"main\",\"result\":\"ok\","
		"\"migrations\":[\"auth.0001_initial\",\"shop.0001_initial\"]}");
	return gp_account_find(arena, gp_account_name(arena, geteuid()), &d.account, NULL) == 1 ? 0 : -1;
}

static const char *warnings_of(const char *text)
{
	const char *file = gp_strdup(arena, at("dump.sql"));
	const struct gp_restore_request request = { .slug = "acme", .file = file };
	struct gp_restore r = { .request = &request, .local = true, .dump.fd = -1 };

	put(file, text);
	warned = "";
	if (gp_restore_find(&d, &r, &err) < 0 || gp_restore_check(&d, &r, &err) < 0)
		fail_msg("%s", err.msg);
	gp_dump_close(&r.dump);
	return warned;
}

static void test_migrations(void **state)
{
	(void)state;
	assert_string_equal(warnings_of(HEAD COPY "1\tauth\t0001_initial\n2\tshop\t0001_initial\n\\.\n" END), "");
	assert_string_equal(warnings_of(HEAD COPY "1\tauth\t0001_initial\n2\tshop\t0002_x\n\\.\n" END),
		"it has 1 migration that " RELEASE " does not know\n1 migration of " RELEASE " is not in it: a deploy applies it\n");
	/* A table with none in it says so. */
	assert_string_equal(warnings_of(HEAD COPY "\\.\n" END), "2 migrations of " RELEASE " are not in it: a deploy applies them\n");
}

/* pg_dump --inserts: which are in it, nobody has read. */
static void test_migrations_by_insert(void **state)
{
	(void)state;
	assert_string_equal(warnings_of(HEAD "INSERT INTO public.django_migrations VALUES (1, 'auth', '0001_initial');\n" END), "");
	assert_string_equal(warnings_of(HEAD "COPY public.page (id) FROM stdin;\n1\n\\.\n" END), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_migrations, begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_migrations_by_insert, begin, ctx_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
