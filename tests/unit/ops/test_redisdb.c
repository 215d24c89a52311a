/* Redis database numbers: one for each use, for good, and never the same for two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "ops/redisdb.h"
#include "plan/plan.h"

#include "../ctx.h"

/* The number in a plan of its own; recorded, when that is run. */
static int number(const char *use, bool record)
{
	struct gp_plan plan = { 0 };
	struct gp_changes changes;
	int n = -1;

	err = (struct gp_error){ 0 };
	if (gp_redisdb_number(&ctx, &plan, use, &n, &err) < 0) {
		assert_string_not_equal(err.msg, "");
		return -1;
	}
	if (record && gp_plan_run(&ctx, &plan, true, NULL, &changes, &err) < 0)
		fail_msg("%s", err.msg);
	return n;
}

/* Two that are new in one plan do not get the same. */
static void test_two_in_a_plan(void **state)
{
	struct gp_plan plan = { 0 };
	struct gp_changes changes;
	int a, b, c;

	(void)state;
	assert_int_equal(number("old", true), 0);
	assert_int_equal(gp_redisdb_number(&ctx, &plan, "acme", &a, &err), 0);
	assert_int_equal(gp_redisdb_number(&ctx, &plan, "acme:celery", &b, &err), 0);
	assert_int_equal(gp_redisdb_number(&ctx, &plan, "old", &c, &err), 0);
	assert_int_equal(a, 1);
	assert_int_equal(b, 2);
	assert_int_equal(c, 0);
	assert_int_equal(gp_plan_run(&ctx, &plan, true, NULL, &changes, &err), 0);
	assert_int_equal(changes.n, 2);
	assert_string_equal(changes.v[0].what, "redis database of acme: 1");
	assert_string_equal(said(at("state/redis-databases")), "old 0\nacme 1\nacme:celery 2\n");
}

static void test_numbers(void **state)
{
	(void)state;
	assert_int_equal(number("acme", false), 0);
	assert_int_equal(number("zeta", false), 0); /* nothing is recorded by asking */
	assert_int_equal(entries(at("state")), -1);
	assert_int_equal(number("acme", true), 0);
	assert_int_equal(number("acme:celery", true), 1);
	assert_int_equal(number("acm", true), 2);
	assert_int_equal(number("acme", true), 0);
	assert_int_equal(number("acme:celery", false), 1);
	assert_int_equal(number("zeta", false), 3);
	assert_string_equal(said(at("state/redis-databases")), "acme 0\nacme:celery 1\nacm 2\n");
	assert_int_equal(mode_of(at("state/redis-databases")), 0600);
}

static void test_gaps(void **state)
{
	(void)state;
	assert_int_equal(mkdir(at("state"), 0755), 0);
	put(at("state/redis-databases"), "a 0\nb 2\nc 255");
	assert_int_equal(number("c", true), 255);
	assert_int_equal(number("d", true), 1);
	assert_int_equal(number("e", true), 3);
	assert_string_equal(said(at("state/redis-databases")), "a 0\nb 2\nc 255\nd 1\ne 3\n");
}

static void test_full(void **state)
{
	GP_AUTO_BUF text = { 0 };

	(void)state;
	assert_int_equal(mkdir(at("state"), 0755), 0);
	for (int i = 0; i < GP_REDIS_DATABASES; i++)
		gp_buf_printf(&text, "site-%d %d\n", i, i);
	put(at("state/redis-databases"), gp_buf_str(&text));
	assert_int_equal(number("site-255", true), 255);
	assert_int_equal(number("one-more", true), -1);
	assert_int_equal(number("one-more", false), -1);
	assert_string_equal(said(at("state/redis-databases")), gp_buf_str(&text));
}

/* A record that cannot be understood is never guessed at: a wrong guess empties somebody's queue. */
static void test_bad_records(void **state)
{
	static const char *const texts[] = { "a\n", "a 0 x\n", "a -1\n", "a 256\n", "a x\n", "a 1.5\n", "\n", "a 0\n\nb 1\n", "a 0\nb" };

	(void)state;
	assert_int_equal(mkdir(at("state"), 0755), 0);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		put(at("state/redis-databases"), texts[i]);
		assert_int_equal(number("other", true), -1);
		assert_string_equal(said(at("state/redis-databases")), texts[i]);
	}
	unlink(at("state/redis-databases"));
	assert_int_equal(mkdir(at("state/redis-databases"), 0755), 0);
	assert_int_equal(number("a", true), -1);
}

static void test_of_a_site(void **state)
{
	struct gp_redisdb *uses;
	size_t n;

	(void)state;
	assert_int_equal(gp_redisdb_of(&ctx, "acme", &uses, &n, &err), 0);
	assert_int_equal(n, 0);
	number("acme", true);
	number("acme-two", true);
	number("acme:celery", true);
	assert_int_equal(gp_redisdb_of(&ctx, "acme", &uses, &n, &err), 0);
	assert_int_equal(n, 2);
	assert_string_equal(uses[0].line, "acme 0");
	assert_string_equal(uses[1].line, "acme:celery 2");
	assert_int_equal(uses[1].number, 2);
}

/* Where a site that was set up by hand keeps what it has: that number is given to nobody else, and two such sites may share it. */
static void test_kept(void **state)
{
	struct gp_plan plan = { 0 };
	struct gp_changes changes;
	bool shared;
	int n;

	(void)state;
	assert_int_equal(gp_redisdb_keep(&ctx, &plan, "hand", 0, &err), 0);
	assert_int_equal(gp_redisdb_keep(&ctx, &plan, "hand:celery", 0, &err), 0);
	assert_int_equal(gp_redisdb_number(&ctx, &plan, "hand", &n, &err), 0);
	assert_int_equal(n, 0);
	assert_int_equal(gp_redisdb_number(&ctx, &plan, "new", &n, &err), 0);
	assert_int_equal(n, 1);
	assert_int_equal(gp_plan_run(&ctx, &plan, true, NULL, &changes, &err), 0);
	plan.n = 0;
	assert_int_equal(gp_redisdb_keep(&ctx, &plan, "hand", 5, &err), 0); /* it is recorded already */
	assert_int_equal(plan.n, 0);
	assert_int_equal(gp_redisdb_is_shared(&ctx, "hand", 0, &shared, &err), 0);
	assert_false(shared);
	assert_int_equal(gp_redisdb_keep(&ctx, &plan, "other", 0, &err), 0);
	assert_int_equal(gp_plan_run(&ctx, &plan, true, NULL, &changes, &err), 0);
	assert_int_equal(gp_redisdb_is_shared(&ctx, "hand", 0, &shared, &err), 0);
	assert_true(shared);
	assert_string_equal(said(at("state/redis-databases")), "hand 0\nhand:celery 0\nnew 1\nother 0\n");
}

/* A site that has a file and no numbers yet will want two. */
static void test_needed(void **state)
{
	int n;

	(void)state;
	assert_int_equal(gp_redisdb_needed(&ctx, &n, &err), 0);
	assert_int_equal(n, 0);
	assert_int_equal(number("acme", true), 0);
	assert_int_equal(number("acme:celery", true), 1);
	assert_int_equal(mkdir(at("etc"), 0755) + mkdir(at("etc/sites"), 0755), 0);
	put(at("etc/sites/acme.yaml"), "");
	assert_int_equal(gp_redisdb_needed(&ctx, &n, &err), 0);
	assert_int_equal(n, 2);
	put(at("etc/sites/shop.yaml"), "");
	assert_int_equal(gp_redisdb_needed(&ctx, &n, &err), 0);
	assert_int_equal(n, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_numbers, ctx_begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_two_in_a_plan, ctx_begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_of_a_site, ctx_begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_gaps, ctx_begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_full, ctx_begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_bad_records, ctx_begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_kept, ctx_begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_needed, ctx_begin, ctx_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
