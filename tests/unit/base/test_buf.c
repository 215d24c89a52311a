/* The buffer: appending, the ceiling, the tail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

static void test_empty(void **state)
{
	GP_AUTO_BUF buf = { 0 };

	(void)state;
	assert_string_equal(gp_buf_str(&buf), "");
	gp_buf_add(&buf, NULL, 0);
	gp_buf_keep_tail(&buf, NULL, 0);
	gp_buf_puts(&buf, "");
	assert_string_equal(gp_buf_str(&buf), "");
	assert_false(buf.truncated);
}

static void test_append(void **state)
{
	GP_AUTO_BUF buf = { 0 };

	(void)state;
	gp_buf_add(&buf, "ab\0c", 4);
	gp_buf_puts(&buf, "d");
	gp_buf_printf(&buf, "%d-%s", 42, "e");
	assert_int_equal(buf.len, 9);
	assert_memory_equal(buf.data, "ab\0cd42-e", 10); /* with the NUL at its end */
	assert_false(buf.truncated);
	for (int i = 0; i < 100000; i++) {
		gp_buf_add(&buf, "xyz", 3);
		assert_int_equal(buf.data[buf.len], 0);
	}
	assert_int_equal(buf.len, 9 + 300000);
	assert_memory_equal(buf.data + 9 + 3 * 99999, "xyz", 4);
	gp_buf_free(&buf);
	assert_string_equal(gp_buf_str(&buf), "");
	gp_buf_puts(&buf, "again");
	assert_string_equal(gp_buf_str(&buf), "again");
}

static void test_printf_of_much(void **state)
{
	GP_AUTO_BUF buf = { 0 };

	(void)state;
	gp_buf_printf(&buf, "%*d", 70000, 1);
	assert_int_equal(buf.len, 70000);
	assert_int_equal(buf.data[69999], '1');
}

static void test_ceiling_drops_the_rest(void **state)
{
	GP_AUTO_BUF buf = { .max = 10 };

	(void)state;
	gp_buf_puts(&buf, "0123456789");
	assert_false(buf.truncated);
	gp_buf_add(&buf, "", 0);
	assert_false(buf.truncated);
	gp_buf_puts(&buf, "x");
	assert_true(buf.truncated);
	assert_string_equal(gp_buf_str(&buf), "0123456789");

	GP_AUTO_BUF other = { .max = 10 };
	gp_buf_puts(&other, "01234");
	gp_buf_printf(&other, "%s", "56789abc");
	assert_true(other.truncated);
	assert_string_equal(gp_buf_str(&other), "0123456789");
}

static void test_tail_forgets_the_oldest(void **state)
{
	GP_AUTO_BUF buf = { .max = 10 };

	(void)state;
	gp_buf_keep_tail(&buf, "0123456789", 10);
	assert_false(buf.truncated);
	assert_string_equal(gp_buf_str(&buf), "0123456789");
	gp_buf_keep_tail(&buf, "abc", 3);
	assert_true(buf.truncated);
	assert_string_equal(gp_buf_str(&buf), "3456789abc");
	gp_buf_keep_tail(&buf, "ABCDEFGHIJKLMNOPQRSTUVWXYZ", 26);
	assert_string_equal(gp_buf_str(&buf), "QRSTUVWXYZ");

	GP_AUTO_BUF fresh = { .max = 4 };
	gp_buf_keep_tail(&fresh, "longer", 6);
	assert_true(fresh.truncated);
	assert_string_equal(gp_buf_str(&fresh), "nger");

	GP_AUTO_BUF open = { 0 };
	for (int i = 0; i < 5000; i++)
		gp_buf_keep_tail(&open, "line\n", 5);
	assert_int_equal(open.len, 25000);
	assert_false(open.truncated);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_printf_of_much),
		cmocka_unit_test(test_ceiling_drops_the_rest),
		cmocka_unit_test(test_tail_forgets_the_oldest),
	};

	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
