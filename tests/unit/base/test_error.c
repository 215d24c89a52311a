/* Errors: one line each, bounded, nothing in them that a terminal acts upon, the innermost hint first. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"

static char huge[20001];

static int fill_huge(void **state)
{
	(void)state;
	memset(huge, 'x', sizeof(huge) - 1);
	return 0;
}

/* No C0, DEL or C1 (as UTF-8) but the ones named. */
static void assert_tame(const char *text, const char *but)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (strchr(but, *p))
			continue;
		assert_true(*p >= 0x20 && *p != 0x7f);
		assert_false(*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0);
	}
}

static void test_a_new_failure(void **state)
{
	struct gp_error err;
	char where[64];

	(void)state;
	memset(&err, 'z', sizeof(err)); /* whatever was there is gone */
	snprintf(where, sizeof(where), "test_error.c:%d", __LINE__ + 1);
	assert_int_equal(gp_fail(&err, GP_E_CONFIG, "no site '%s'", "acme"), -1);
	assert_int_equal(err.kind, GP_E_CONFIG);
	assert_int_equal(err.sys_errno, 0);
	assert_string_equal(err.msg, "no site 'acme'");
	assert_string_equal(err.hint, "");
	assert_string_equal(err.detail, "");
	assert_non_null(strstr(err.trace, where));
}

static void test_errno(void **state)
{
	struct gp_error err = { 0 };

	(void)state;
	assert_int_equal(gp_fail_errno(&err, ENOENT, "open %s", "/x"), -1);
	assert_int_equal(err.kind, GP_E_FAILED);
	assert_int_equal(err.sys_errno, ENOENT);
	assert_string_equal(err.msg, "open /x: No such file or directory");
	gp_fail_errno(&err, EACCES, "%s", huge);
	assert_int_equal(strlen(err.msg), GP_ERROR_MSG_MAX - 1);
}

static void test_nobody_cares(void **state)
{
	(void)state;
	assert_int_equal(gp_fail(NULL, GP_E_FAILED, "x"), -1);
	assert_int_equal(gp_fail_errno(NULL, EIO, "x"), -1);
	assert_int_equal(gp_context(NULL, "x"), -1);
	assert_int_equal(gp_hint(NULL, "x"), -1);
	assert_int_equal(gp_detail(NULL, "x", 1), -1);
}

static void test_hostile_text_is_tamed(void **state)
{
	struct gp_error err = { 0 };

	(void)state;
	gp_fail(&err, GP_E_FAILED, "a\nb\tc\r\x1b[2J\x7f\x01z");
	assert_tame(err.msg, "");
	assert_non_null(strstr(err.msg, "a b c"));
	assert_non_null(strstr(err.msg, "z"));
	gp_context(&err, "do\n%s", "\x1b]0;title\a");
	assert_tame(err.msg, "");
	gp_hint(&err, "see\n%s", "\x1b[31m");
	assert_tame(err.hint, "");
	gp_fail(&err, GP_E_FAILED, "Küche – 台所 🍳");
	assert_string_equal(err.msg, "Küche – 台所 🍳");
}

/* U+009B is CSI to a terminal just as ESC [ is; U+00A0 and what follows are ordinary characters. */
static void test_c1_controls_are_controls(void **state)
{
	struct gp_error err = { 0 };
	static const char text[] = "x\xc2\x9b" "2Jy\xc2\x80\xc2\x9f\xc2\xa0\xc3\x9b";

	(void)state;
	gp_fail(&err, GP_E_FAILED, "%s", text);
	assert_tame(err.msg, "");
	assert_non_null(strstr(err.msg, "\xc2\xa0\xc3\x9b"));
	gp_hint(&err, "%s", text);
	assert_tame(err.hint, "");
	gp_detail(&err, text, sizeof(text) - 1);
	assert_tame(err.detail, "");
	assert_non_null(strstr(err.detail, "2Jy"));
}

static void test_context_goes_in_front(void **state)
{
	struct gp_error err = { 0 };

	(void)state;
	gp_fail_errno(&err, EIO, "job failed");
	gp_hint(&err, "look");
	gp_detail(&err, "log\n", 4);
	assert_int_equal(gp_context(&err, "restart %s", "acme.service"), -1);
	assert_string_equal(err.msg, "restart acme.service: job failed: Input/output error");
	assert_int_equal(err.kind, GP_E_FAILED);
	assert_int_equal(err.sys_errno, EIO);
	assert_string_equal(err.hint, "look");
	assert_string_equal(err.detail, "log\n");
}

static void test_bounds_of_a_message(void **state)
{
	struct gp_error err = { 0 };

	(void)state;
	gp_fail(&err, GP_E_FAILED, "%s", huge);
	assert_int_equal(strlen(err.msg), GP_ERROR_MSG_MAX - 1);
	gp_context(&err, "deploy");
	assert_memory_equal(err.msg, "deploy: xxx", 11);
	assert_int_equal(strlen(err.msg), GP_ERROR_MSG_MAX - 1);
	gp_context(&err, "%s", huge);
	assert_true(strlen(err.msg) < GP_ERROR_MSG_MAX);
	/* every pair of lengths around the edge */
	for (int head = GP_ERROR_MSG_MAX - 8; head < GP_ERROR_MSG_MAX + 3; head++) {
		for (int tail = 0; tail < 9; tail++) {
			gp_fail(&err, GP_E_FAILED, "%.*s", tail, "123456789");
			gp_context(&err, "%.*s", head, huge);
			assert_true(strlen(err.msg) < GP_ERROR_MSG_MAX);
			assert_memory_equal(err.msg, huge, 100);
		}
	}
	for (int i = 0; i < 1000; i++)
		gp_context(&err, "step %d", i);
	assert_memory_equal(err.msg, "step 999: step 998: ", 20);
	assert_true(strlen(err.msg) < GP_ERROR_MSG_MAX);
}

static void test_hint_innermost_stays(void **state)
{
	struct gp_error err = { 0 };

	(void)state;
	gp_fail(&err, GP_E_FAILED, "x");
	assert_int_equal(gp_hint(&err, "run %s", "this"), -1);
	gp_hint(&err, "no, that");
	assert_string_equal(err.hint, "run this");
	gp_fail(&err, GP_E_FAILED, "y");
	assert_string_equal(err.hint, "");
	gp_hint(&err, "%s", huge);
	assert_int_equal(strlen(err.hint), GP_ERROR_HINT_MAX - 1);
}

static void test_detail_keeps_whole_last_lines(void **state)
{
	struct gp_error err = { 0 };
	GP_AUTO_BUF text = { 0 };
	size_t len;

	(void)state;
	assert_int_equal(gp_detail(&err, "one\ntwo", 7), -1);
	assert_string_equal(err.detail, "one\ntwo");
	for (int i = 0; i < 3000; i++)
		gp_buf_printf(&text, "line %d\n", i);
	gp_detail(&err, text.data, text.len);
	len = strlen(err.detail);
	assert_true(len < GP_ERROR_DETAIL_MAX && len > GP_ERROR_DETAIL_MAX - 20);
	assert_memory_equal(err.detail, "line ", 5);
	assert_string_equal(err.detail, text.data + text.len - len);
	assert_int_equal(text.data[text.len - len - 1], '\n');
	for (size_t n = GP_ERROR_DETAIL_MAX - 2; n <= GP_ERROR_DETAIL_MAX + 2; n++) {
		gp_detail(&err, text.data, n);
		assert_true(strlen(err.detail) < GP_ERROR_DETAIL_MAX);
	}
}

static void test_detail_of_strange_things(void **state)
{
	struct gp_error err = { 0 };
	GP_AUTO_BUF none = { 0 };

	(void)state;
	gp_detail(&err, huge, sizeof(huge) - 1); /* one line longer than all room: its end */
	assert_int_equal(strlen(err.detail), GP_ERROR_DETAIL_MAX - 1);
	huge[sizeof(huge) - 2] = '\n'; /* and with a newline at its end that must not cost everything */
	gp_detail(&err, huge, sizeof(huge) - 1);
	assert_true(strlen(err.detail) > 1000);
	huge[sizeof(huge) - 2] = 'x';
	gp_detail(&err, "a\0b\x1b[2J\tc\r\n", 11);
	assert_int_equal(strlen(err.detail), 11);
	assert_tame(err.detail, "\n\t");
	assert_non_null(strstr(err.detail, "b"));
	gp_detail(&err, none.data, none.len); /* a program that said nothing */
	assert_string_equal(err.detail, "");
}

static void test_trace(void **state)
{
	struct gp_error err = { 0 };

	(void)state;
	gp_error_set(&err, GP_E_FAILED, 0, "../src/sys/unit.c", 7, "x");
	gp_error_context(&err, "/build/src/ops/deploy.c", 70, "y");
	assert_string_equal(err.trace, "sys/unit.c:7 < ops/deploy.c:70");
	for (int i = 0; i < 500; i++)
		gp_error_context(&err, "src/a.c", i, "z");
	assert_true(strlen(err.trace) < GP_ERROR_TRACE_MAX);
	assert_memory_equal(err.trace, "sys/unit.c:7 < ops/deploy.c:70 < a.c:0", 38);
	gp_error_set(&err, GP_E_FAILED, 0, huge, 1, "x");
	assert_true(strlen(err.trace) < GP_ERROR_TRACE_MAX);
}

/* The numbers are public. */
static void test_kinds(void **state)
{
	(void)state;
	assert_int_equal(GP_E_NONE, 0);
	assert_int_equal(GP_E_FAILED, 1);
	assert_int_equal(GP_E_USAGE, 2);
	assert_int_equal(GP_E_CONFIG, 3);
	assert_int_equal(GP_E_PENDING, 4);
	assert_int_equal(GP_E_CHECK, 5);
	assert_int_equal(GP_E_DEPLOY, 6);
	assert_int_equal(GP_E_REFUSED, 7);
	assert_int_equal(GP_E_LOCKED, 75);
	assert_string_equal(gp_error_kind_name(GP_E_FAILED), "failed");
	assert_string_equal(gp_error_kind_name(GP_E_CONFIG), "configuration");
	assert_string_equal(gp_error_kind_name(GP_E_LOCKED), "locked");
	assert_non_null(gp_error_kind_name(GP_E_NONE));
	assert_non_null(gp_error_kind_name((enum gp_error_kind)1234));
}

static int inner(struct gp_error *err, int fails)
{
	return fails ? gp_fail(err, GP_E_CHECK, "inner") : 0;
}

static int forward(struct gp_error *err, int fails)
{
	GP_TRY(inner(err, fails));
	return 0;
}

static int wrap(struct gp_error *err, int fails)
{
	GP_TRY_TO(err, forward(err, fails), "wrap %d", 1);
	return 0;
}

static void test_try(void **state)
{
	struct gp_error err = { 0 };

	(void)state;
	assert_int_equal(wrap(&err, 0), 0);
	assert_int_equal(err.kind, GP_E_NONE);
	assert_int_equal(forward(&err, 1), -1);
	assert_string_equal(err.msg, "inner");
	assert_int_equal(wrap(&err, 1), -1);
	assert_string_equal(err.msg, "wrap 1: inner");
	assert_int_equal(err.kind, GP_E_CHECK);
}

/* Whoever it happens to: a full disk says what to look at, and nothing else does. */
static void test_full_disk(void **state)
{
	static const int full[] = { ENOSPC, EDQUOT }, other[] = { EACCES, EIO, EROFS, 0 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct gp_error err = { 0 };

		gp_fail_errno(&err, full[i], "write %s", "/x");
		assert_non_null(strstr(err.hint, "`df -h`, `df -i`"));
		gp_hint(&err, "another");
		assert_null(strstr(err.hint, "another"));
	}
	for (size_t i = 0; i < 4; i++) {
		struct gp_error err = { 0 };

		gp_fail_errno(&err, other[i], "write /x");
		assert_string_equal(err.hint, "");
	}
	assert_int_equal(gp_fail_errno(NULL, ENOSPC, "nobody looks"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_a_new_failure),
		cmocka_unit_test(test_errno),
		cmocka_unit_test(test_nobody_cares),
		cmocka_unit_test(test_hostile_text_is_tamed),
		cmocka_unit_test(test_c1_controls_are_controls),
		cmocka_unit_test(test_context_goes_in_front),
		cmocka_unit_test(test_bounds_of_a_message),
		cmocka_unit_test(test_hint_innermost_stays),
		cmocka_unit_test(test_detail_keeps_whole_last_lines),
		cmocka_unit_test(test_detail_of_strange_things),
		cmocka_unit_test(test_trace),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_try),
	};

	return cmocka_run_group_tests_name("error", tests, fill_huge, NULL);
}
