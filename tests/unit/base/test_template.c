/* Templates: substitution, %if lines, and every mistake that must not pass silently. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/template.h"

static const struct gp_var vars[] = {
	{ "name", "acme" }, { "domain", "acme.example" }, { "yes", "1" }, { "no", "" }, { "null", NULL }, { "curly", "{{name}}" },
	{ "lines", "a\n%if nope\nb" },
};

static const struct {
	const char *text, *want;
} good[] = {
	{ "", "" },
	{ "plain", "plain" },
	{ "plain\n", "plain\n" },
	{ "\n\n", "\n\n" },
	{ "{{name}}", "acme" },
	{ "a {{name}} b {{domain}}.\n{{name}}{{name}}\n", "a acme b acme.example.\nacmeacme\n" },
	{ "<{{no}}|{{null}}>", "<|>" },
	{ "{{curly}}", "{{name}}" },                 /* a value is text, not a template */
	{ "{{lines}}\nc", "a\n%if nope\nb\nc" },
	{ "{ {{name}} }", "{ acme }" },              /* Caddy's blocks */
	{ "{name} }} {", "{name} }} {" },
	{ "100 %\n %if yes\n", "100 %\n %if yes\n" }, /* a directive starts its line */
	{ "%elsewhere\n%iffy\n", "%elsewhere\n%iffy\n" },
	{ "%if yes\na\n%endif\nb", "a\nb" },
	{ "%if no\na\n%endif\nb", "b" },
	{ "%if null\na\n%endif\n", "" },
	{ "%if yes\na\n%else\nb\n%endif\n", "a\n" },
	{ "%if no\na\n%else\nb\n%endif\n", "b\n" },
	{ "%if yes\na\n%endif", "a\n" },
	{ "%if no\n%if yes\na\n%else\nb\n%endif\n%else\nc\n%endif\n", "c\n" },
	{ "%if no\n%if no\na\n%else\nb\n%endif\n%endif\nd", "d" },
	{ "%if yes\n%if no\na\n%else\nb\n%endif\nc\n%else\nd\n%endif\n", "b\nc\n" },
	{ "%if yes\n1\n%if yes\n2\n%if yes\n3\n%endif\n4\n%endif\n5\n%endif\n", "1\n2\n3\n4\n5\n" },
	{ "%if yes\n{{name}}\n%endif\n", "acme\n" },
};

static const char *const bad[] = {
	"{{unknown}}",
	"{{}}",
	"{{ name }}",
	"%if unknown\n%endif\n",
	"%if\n%endif\n",
	"%if yes\na\n",
	"%if yes\n%if no\n%endif\n",
	"%endif\n",
	"a\n%else\nb\n",
	"%if yes\n%endif\n%endif\n",
	"%if yes\n%else\n%else\n%endif\n",
	"%if no\n{{unknown}}\n%endif\n", /* named, even where it is not shown */
	"%if no\n%if unknown\n%endif\n%endif\n",
};

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		GP_AUTO_ARENA arena = gp_arena_new();
		struct gp_error err = { 0 };
		const char *got = NULL;

		if (gp_template(arena, good[i].text, vars, sizeof(vars) / sizeof(vars[0]), &got, &err) < 0)
			fail_msg("%s: %s", good[i].text, err.msg);
		assert_string_equal(got, good[i].want);
	}
}

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		GP_AUTO_ARENA arena = gp_arena_new();
		struct gp_error err = { 0 };
		const char *got = "untouched";

		if (gp_template(arena, bad[i], vars, sizeof(vars) / sizeof(vars[0]), &got, &err) == 0)
			fail_msg("accepted: %s -> %s", bad[i], got);
		assert_int_not_equal(err.kind, GP_E_NONE);
		assert_true(err.msg[0]);
		assert_string_equal(got, "untouched");
	}
}

static void test_no_variables(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *got = NULL;

	(void)state;
	assert_int_equal(gp_template(arena, "text\n", NULL, 0, &got, NULL), 0);
	assert_string_equal(got, "text\n");
	assert_int_equal(gp_template(arena, "{{a}}", NULL, 0, &got, NULL), -1);
}

/* Depth is bounded: it may work or be refused, but not overrun. */
static void test_deep(void **state)
{
	(void)state;
	for (size_t depth = 1; depth < 40; depth++) {
		GP_AUTO_ARENA arena = gp_arena_new();
		char text[40 * 20] = "";
		const char *got = NULL;

		for (size_t i = 0; i < depth; i++)
			strcat(text, "%if yes\n");
		strcat(text, "x\n");
		for (size_t i = 0; i < depth; i++)
			strcat(text, "%endif\n");
		if (gp_template(arena, text, vars, sizeof(vars) / sizeof(vars[0]), &got, NULL) == 0)
			assert_string_equal(got, "x\n");
		else
			assert_true(depth > 4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_no_variables),
		cmocka_unit_test(test_deep),
	};

	return cmocka_run_group_tests_name("template", tests, NULL, NULL);
}
