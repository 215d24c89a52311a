/* The names of the contract, which units, sudoers and people rely on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "ops/paths.h"
#include "sys/ctx.h"

static void test_site(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_paths p;
	struct gp_ctx ctx;

	(void)state;
	gp_ctx_init(&ctx, arena);
	p = gp_site_paths(&ctx, "acme-kitchens");
	assert_string_equal(p.root, "/srv/sum/acme-kitchens");
	assert_string_equal(p.app, "/srv/sum/acme-kitchens/app");
	assert_string_equal(p.venv, "/srv/sum/acme-kitchens/venv");
	assert_string_equal(p.env, "/srv/sum/acme-kitchens/.env");
	assert_string_equal(p.statics, "/srv/sum/acme-kitchens/static");
	assert_string_equal(p.media, "/srv/sum/acme-kitchens/media");
	assert_string_equal(p.backups, "/srv/sum/acme-kitchens/backups");
	assert_string_equal(p.repo, "/srv/sum/acme-kitchens/repo.git");
	assert_string_equal(p.releases, "/srv/sum/acme-kitchens/releases");
	assert_string_equal(p.venvs, "/srv/sum/acme-kitchens/venvs");
	assert_string_equal(p.cache, "/srv/sum/acme-kitchens/.cache");
	assert_string_equal(p.tmp, "/srv/sum/acme-kitchens/.tmp");
	assert_string_equal(p.logs, "/var/log/sum/acme-kitchens");
	assert_string_equal(p.state, "/var/lib/goldpath/acme-kitchens");
	assert_string_equal(p.run_user, "sum-acme-kitchens");
	assert_string_equal(p.gunicorn, "sum-acme-kitchens-gunicorn.service");
	assert_string_equal(p.gunicorn_socket, "sum-acme-kitchens-gunicorn.socket");
	assert_string_equal(p.celery, "sum-acme-kitchens-celery.service");
	assert_string_equal(p.socket, "/run/sum-acme-kitchens/gunicorn.sock");
	assert_string_equal(p.caddy_file, "/etc/caddy/sites-enabled/sum-acme-kitchens.caddy");
	assert_string_equal(p.sudoers_file, "/etc/sudoers.d/goldpath-acme-kitchens");
	assert_string_equal(gp_program_path, "/usr/bin/goldpath");
	assert_string_equal(gp_uv_folder(&ctx), "/var/lib/goldpath/uv");
}

/* Everything below the folders of the ctx follows them. */
static void test_elsewhere(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_paths p;
	struct gp_ctx ctx;

	(void)state;
	gp_ctx_init(&ctx, arena);
	ctx.sites_dir = "/a";
	ctx.state_dir = "/b";
	p = gp_site_paths(&ctx, "x");
	assert_string_equal(p.env, "/a/x/.env");
	assert_string_equal(p.state, "/b/x");
	assert_string_equal(gp_uv_folder(&ctx), "/b/uv");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_site),
		cmocka_unit_test(test_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
