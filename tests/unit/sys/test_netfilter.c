/* The kernel's packet rules, in a network of the test's own: there are none. What they look like is for the end-to-end tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sched.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "sys/netfilter.h"

#include "../scratch.h"

static void test_none(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_error err = { 0 };
	struct gp_nft *found;
	size_t n = 1;
	int files = open_files();

	(void)state;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0 || gp_nft_tables(arena, &found, &n, &err) < 0)
		skip(); /* not allowed here, or a kernel without nf_tables */
	assert_int_equal(n, 0);
	n = 1;
	assert_int_equal(gp_nft_rules(arena, NULL, NULL, NULL, &found, &n, &err), 0);
	assert_int_equal(n, 0);
	n = 1;
	assert_int_equal(gp_nft_rules(arena, "ip", "filter", "INPUT", &found, &n, &err), 0); /* no such chain */
	assert_int_equal(n, 0);
	assert_int_equal(open_files(), files);
}

static void test_long_names(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_error err = { 0 };
	struct gp_nft *found;
	char name[400];
	size_t n;

	(void)state;
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(gp_nft_rules(arena, "ip", "filter", name, &found, &n, &err), -1);
	assert_non_null(strstr(err.msg, "too long"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
