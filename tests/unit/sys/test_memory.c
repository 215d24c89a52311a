/* Memory: what there is, what is available, what a group of processes takes; of a process that is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <limits.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "sys/memory.h"

static void test_host(void **state)
{
	struct gp_error err = { 0 };
	uint64_t total = 0, available = 0;

	(void)state;
	assert_int_equal(gp_memory_total(&total, &err), 0);
	assert_int_equal(gp_memory_available(&available, &err), 0);
	assert_true(total > 64 << 20);
	assert_true(available > 1 << 20);
}

static void test_group(void **state)
{
	uint64_t total = 0, taken = gp_memory_of_group(getpid());
	struct gp_error err = { 0 };

	(void)state;
	assert_int_equal(gp_memory_total(&total, &err), 0);
	/* Where the control groups are mounted, this process at least; never more than there is. */
	if (access("/sys/fs/cgroup/cgroup.controllers", R_OK) == 0)
		assert_true(taken > 100 << 10);
	assert_true(taken <= total);
	assert_int_equal(gp_memory_of_group(INT_MAX), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
