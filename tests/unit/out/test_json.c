/* --json: one object for one run, also where it failed after there was something to say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "out/json.h"

#include "../ctx.h"

/* What went out for the error, which is one line and one object; to be let go of. */
static json_t *printed(const char *command)
{
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);
	json_t *object;

	assert_non_null(to);
	gp_json_error(&ctx, to, command, &err);
	fclose(to);
	assert_ptr_equal(strchr(text, '\n'), text + len - 1);
	object = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(object);
	free(text);
	return object;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static void test_error_alone(void **state)
{
	json_t *object, *error;

	(void)state;
	gp_fail(&err, GP_E_CONFIG, "there is no repository /a");
	object = printed("backup");
	error = json_object_get(object, "error");
	assert_string_equal(text_of(object, "command"), "backup");
	assert_true(json_is_false(json_object_get(object, "ok")));
	assert_int_equal(json_integer_value(json_object_get(object, "exit")), 3);
	assert_string_equal(text_of(error, "kind"), "configuration");
	assert_string_equal(text_of(error, "message"), "there is no repository /a");
	assert_null(json_object_get(error, "hint"));
	json_decref(object);
}

static void test_error_with_what_was_kept(void **state)
{
	json_t *object = gp_json_result("restore"), *error;

	(void)state;
	gp_json_text(&ctx, object, "database", "former");
	gp_json_keep(&ctx, object);
	/* What was kept last is what goes out. */
	object = gp_json_result("restore");
	gp_json_text(&ctx, object, "database", "acme");
	gp_json_keep(&ctx, object);
	gp_fail(&err, GP_E_REFUSED, "it would be overwritten");
	gp_hint(&err, "say so");
	object = printed("restore");
	error = json_object_get(object, "error");
	assert_int_equal(json_integer_value(json_object_get(object, "v")), 1);
	assert_string_equal(text_of(object, "command"), "restore");
	assert_string_equal(text_of(object, "database"), "acme");
	assert_true(json_is_false(json_object_get(object, "ok")));
	assert_int_equal(json_integer_value(json_object_get(object, "exit")), 7);
	assert_string_equal(text_of(error, "message"), "it would be overwritten");
	assert_string_equal(text_of(error, "hint"), "say so");
	json_decref(object);
	/* It has gone out: not once more. */
	object = printed("restore");
	assert_null(json_object_get(object, "database"));
	json_decref(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_error_alone, ctx_begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_error_with_what_was_kept, ctx_begin, ctx_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
