/* Of deploys, what needs no host: which release is live, by what can stand in the file that says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "ops/deploy.h"
#include "ops/paths.h"
#include "ops/releases.h"
#include "sys/ctx.h"

#include "../scratch.h"

static void test_release_live(void **state)
{
	static const struct {
		const char *env, *live;
	} cases[] = {
		{ "GIT_SHA=1\nRELEASE=20260131T000000Z-0000001\nGOLDPATH_RELEASE_DIR=/x\n", "20260131T000000Z-0000001" },
		{ "RELEASE=\"20260131T235959Z-0123456\"\n", "20260131T235959Z-0123456" },
		{ "RELEASE=gone\n", NULL },
		{ "RELEASE=\n", NULL },
		{ "RELEASE=..\n", NULL },
		{ "RELEASE=20260131T000000Z-0000001/sub\n", NULL },
		{ "GIT_SHA=1\n", NULL },
		{ "", NULL },
	};
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_paths paths;
	struct gp_ctx ctx;

	(void)state;
	gp_ctx_init(&ctx, arena);
	ctx.sites_dir = gp_strdup(arena, at("sites"));
	ctx.state_dir = gp_strdup(arena, at("state"));
	paths = gp_site_paths(&ctx, "acme");
	assert_null(gp_releases_live(&ctx, &paths)); /* no site yet */
	assert_int_equal(mkdir(at("sites"), 0755), 0);
	assert_int_equal(mkdir(at("state"), 0755), 0);
	assert_int_equal(mkdir(at("state/acme"), 0755), 0);
	assert_int_equal(mkdir(at("sites/acme"), 0755), 0);
	assert_int_equal(mkdir(at("sites/acme/releases"), 0755), 0);
	assert_int_equal(mkdir(at("sites/acme/releases/20260131T000000Z-0000001"), 0755), 0);
	assert_int_equal(mkdir(at("sites/acme/releases/20260131T000000Z-0000001/sub"), 0755), 0);
	assert_int_equal(mkdir(at("sites/acme/releases/20260131T235959Z-0123456"), 0755), 0);
	assert_null(gp_releases_live(&ctx, &paths)); /* never deployed */
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *live;

		put(paths.release_env, cases[i].env);
		live = gp_releases_live(&ctx, &paths);
		if (!live != !cases[i].live || (live && strcmp(live, cases[i].live) != 0))
			fail_msg("%s: %s", cases[i].env, live ? live : "none");
	}
	/* Not by a link: what it leads to is somebody else's word. */
	put(at("elsewhere"), "RELEASE=20260131T000000Z-0000001\n");
	assert_int_equal(unlink(paths.release_env), 0);
	assert_int_equal(symlink(at("elsewhere"), paths.release_env), 0);
	assert_null(gp_releases_live(&ctx, &paths));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_release_live, scratch_begin, scratch_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
