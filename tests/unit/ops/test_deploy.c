/* Of deploys, what needs no host: which release is live, by the shapes that the `app` symlink can have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "ops/deploy.h"
#include "ops/paths.h"
#include "sys/ctx.h"

#include "../scratch.h"

static void test_live_release(void **state)
{
	static const struct {
		const char *target, *live;
	} cases[] = {
		{ "releases/20260131T235959Z-0123456", "20260131T235959Z-0123456" },
		{ "releases/r1", "r1" },
		{ "releases/none", NULL },    /* leads nowhere */
		{ "releases/r1/", NULL },
		{ "releases/r1/sub", NULL },
		{ "releases/", NULL },
		{ "releases/..", NULL },
		{ "releases/.", NULL },
		{ "./releases/r1", NULL },
		{ "venvs/r1", NULL },
		{ "/tmp", NULL },
		{ "..", NULL },
		{ "app", NULL },
	};
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_paths paths;
	struct gp_ctx ctx;

	(void)state;
	gp_ctx_init(&ctx, arena);
	ctx.sites_dir = scratch;
	paths = gp_site_paths(&ctx, "acme");
	assert_null(gp_live_release(&ctx, &paths)); /* no site yet */
	assert_int_equal(mkdir(at("acme"), 0755), 0);
	assert_null(gp_live_release(&ctx, &paths)); /* never deployed */
	assert_int_equal(mkdir(at("acme/venvs"), 0755), 0);
	assert_int_equal(mkdir(at("acme/venvs/r1"), 0755), 0);
	assert_int_equal(mkdir(at("acme/releases"), 0755), 0);
	assert_int_equal(mkdir(at("acme/releases/r1"), 0755), 0);
	assert_int_equal(mkdir(at("acme/releases/r1/sub"), 0755), 0);
	assert_int_equal(mkdir(at("acme/releases/20260131T235959Z-0123456"), 0755), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *live;

		assert_int_equal(symlink(cases[i].target, paths.app), 0);
		live = gp_live_release(&ctx, &paths);
		if (!live != !cases[i].live || (live && strcmp(live, cases[i].live) != 0))
			fail_msg("%s: %s", cases[i].target, live ? live : "none");
		assert_int_equal(unlink(paths.app), 0);
	}
	assert_int_equal(mkdir(paths.app, 0755), 0);
	assert_null(gp_live_release(&ctx, &paths)); /* a folder of the old scripts */
	assert_int_equal(rmdir(paths.app), 0);
	put(paths.app, "releases/r1");
	assert_null(gp_live_release(&ctx, &paths));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_live_release, scratch_begin, scratch_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
