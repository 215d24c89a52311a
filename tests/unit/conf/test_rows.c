/* Configuration by rows: every type with rows made up for it, what of YAML is taken and what not, and the document that is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "conf/rows.h"

#include "../scratch.h"

struct made_up {
	const char *name, *text, *maybe;
	int64_t number;
	bool flag;
	int choice;
	struct gp_strv names;
	struct gp_argvs argvs;
	struct gp_pairs pairs;
	int64_t inner;
	const char *path;
};

#define AT(field) offsetof(struct made_up, field)

static const struct gp_key inner[] = {
	{ "inner", GP_KEY_INT, AT(inner), .lo = -5, .hi = 5, .def = "-1", .help = "a number inside" },
	{ .name = NULL },
};
static const struct gp_key choice_keys[] = {
	{ "path", GP_KEY_NAME, AT(path), .kind = GP_NAME_abspath, .required = true, .help = "a path" },
	{ .name = NULL },
};
static const struct gp_key rows[] = {
	{ "name", GP_KEY_NAME, AT(name), .kind = GP_NAME_slug, .required = true, .help = "a name" },
	{ "text", GP_KEY_TEXT, AT(text), .def = "\"some text\"", .help = "a text" },
	{ "maybe", GP_KEY_NAME, AT(maybe), .kind = GP_NAME_slug, .nullable = true, .def = "there", .help = "a name or none" },
	{ "number", GP_KEY_INT, AT(number), .lo = 0, .hi = 100, .def = "7", .help = "a number" },
	{ "flag", GP_KEY_BOOL, AT(flag), .def = "true", .help = "a flag" },
	{ "choice", GP_KEY_CHOICE, AT(choice), .choices = (const char *const[]){ "a", "b", "own", NULL }, .group = choice_keys,
		.group_choice = "own", .def = "b", .help = "a choice" },
	{ "names", GP_KEY_NAMES, AT(names), .kind = GP_NAME_slug, .hi = 3, .def = "[]", .help = "some names" },
	{ "argvs", GP_KEY_ARGVS, AT(argvs), .hi = 4, .def = "[]", .help = "some commands" },
	{ "pairs", GP_KEY_PAIRS, AT(pairs), .kind = GP_NAME_envkey, .hi = 2, .def = "{}", .help = "some pairs" },
	{ "group", GP_KEY_GROUP, .group = inner, .help = "a group" },
	{ .name = NULL },
};

static int parse(struct gp_arena *arena, const char *text, struct made_up *ret, struct gp_error *err)
{
	memset(ret, 0, sizeof(*ret));
	return gp_conf_parse(arena, "test.yaml", text, strlen(text), rows, ret, err);
}

static void parsed(struct gp_arena *arena, const char *text, struct made_up *ret)
{
	struct gp_error err = { 0 };

	if (parse(arena, text, ret, &err) < 0)
		fail_msg("%s\n%s", text, err.msg);
}

static void test_defaults(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct made_up m;

	(void)state;
	parsed(arena, "name: acme", &m);
	assert_string_equal(m.name, "acme");
	assert_string_equal(m.text, "some text");
	assert_string_equal(m.maybe, "there");
	assert_int_equal(m.number, 7);
	assert_true(m.flag);
	assert_int_equal(m.choice, 1);
	assert_int_equal(m.names.n + m.argvs.n + m.pairs.n, 0);
	assert_int_equal(m.inner, -1);
	assert_null(m.path);
}

static void test_every_type(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct made_up m;

	(void)state;
	parsed(arena,
		"# a comment\n---\nname: 'acme'\ntext: Küche = 台所 # and no more\nmaybe: null\nnumber: 100\nflag: off\nchoice: {path: /x}\n"
		"names: [one, \"two\"]\nargvs:\n  - [npm, ci]\n  - - echo\n    - a b\n    - ''\npairs:\n  A: b c\n  _1: \"x: y\"\n"
		"group:\n  inner: 5\n",
		&m);
	assert_string_equal(m.name, "acme");
	assert_string_equal(m.text, "Küche = 台所");
	assert_null(m.maybe);
	assert_int_equal(m.number, 100);
	assert_false(m.flag);
	assert_int_equal(m.choice, 2);
	assert_string_equal(m.path, "/x");
	assert_string_equal(gp_strv_join(arena, &m.names, "|"), "one|two");
	assert_int_equal(m.argvs.n, 2);
	assert_string_equal(gp_strv_join(arena, &m.argvs.v[1], "|"), "echo|a b|");
	assert_null(m.argvs.v[0].v[2]); /* each is an argv */
	assert_int_equal(m.pairs.n, 2);
	assert_string_equal(m.pairs.v[0].key, "A");
	assert_string_equal(m.pairs.v[0].value, "b c");
	assert_string_equal(m.pairs.v[1].value, "x: y");
	assert_int_equal(m.inner, 5);
}

/* Taken, each behind "name: acme". */
static void test_taken(void **state)
{
	static const char *const texts[] = {
		"number: 0", "number: '12'", "number: 007", "group: {inner: -5}", "group: {}",
		"flag: yes", "flag: no", "flag: on", "flag: true", "flag: false", "flag: 'true'",
		"choice: a", "text: ''", "text: null", "text: 1.5", "text: |-\n  one line", "maybe: ~", "maybe:",
		"names: []", "names: [a, b, c]", "names:\n- a\n- b", "names: &x [a, b]\nx-other: *x", "argvs: []", "pairs: {}", "pairs: {A: }",
		"x-mine: [anything, {at: all}]", "x-: 1", "x-a: 1\nx-a: 2", "group: {x-mine: 1, inner: 2}", "# nothing", "\n\n", "...", "...\n# the end\n",
	};
	GP_AUTO_ARENA arena = gp_arena_new();
	struct made_up m;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		parsed(arena, gp_sprintf(arena, "name: acme\n%s", texts[i]), &m);
	parsed(arena, "\xef\xbb\xbfname: acme\r\nnumber: 3\r\n", &m); /* a byte order mark, and lines as Windows ends them */
	assert_int_equal(m.number, 3);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		/* bounds and types */
		{ "number: -1", "line 2: 'number' must be a number from 0 to 100" },
		{ "number: 101", "a number from 0 to 100" },
		{ "number: 99999999999999999999", "a number from 0 to 100" },
		{ "number: 1.0", "a number from" },
		{ "number: 0x10", "a number from" },
		{ "number: 1_0", "a number from" },
		{ "number: ten", "a number from" },
		{ "number: ''", "a number from" },
		{ "number: [1]", "a number from" },
		{ "number: {a: 1}", "a number from" },
		{ "number:", "'number' must be given a value" },
		{ "number: null", "given a value" },
		{ "group: {inner: 6}", "'inner' must be a number from -5 to 5" },
		{ "group: {inner: -6}", "a number from -5 to 5" },
		{ "flag: 1", "'flag' must be true or false" },
		{ "flag: True", "true or false" },
		{ "flag: [true]", "true or false" },
		{ "flag:", "given a value" },
		{ "choice: c", "'choice' must be one of: a, b" },
		{ "choice: own", "one of: a, b" },
		{ "choice: [a]", "one of: a, b" },
		{ "choice: null", "given a value" },
		{ "choice: {}", "'choice.path' is missing" },
		{ "choice: {path: x}", "'path': 'x' is no valid abspath" },
		{ "choice: {path: /x, more: 1}", "unknown key 'more' in choice" },
		{ "text: [a]", "'text' must be a text" },
		{ "text: \"a\\nb\"", "one line without control characters" },
		{ "text: \"a\\tb\"", "one line without control characters" },
		{ "text: \"a\\0b\"", "'text' must be a text" },
		{ "text: |\n  a\n  b", "one line" },
		{ "maybe: Not-a-slug", "line 2: 'maybe': 'Not-a-slug' is no valid slug" },
		{ "names: a", "'names' must be a list, like [one, two]" },
		{ "names: {a: b}", "a list" },
		{ "names: null", "given a value" },
		{ "names: [a, [b]]", "'names' must be a text" },
		{ "names: [a, B]", "'B' is no valid slug" },
		{ "names: [a, null]", "" }, /* the word is a slug like any other, or nothing: it must not crash */
		{ "names: [a, b, c, d]", "'names' must be a shorter list" },
		{ "argvs: [npm, ci]", "'argvs' must be a list of argument lists" },
		{ "argvs: [[]]", "a list of argument lists" },
		{ "argvs: [[a, [b]]]", "'argvs' must be a text" },
		{ "argvs: [[\"a\\nb\"]]", "one line" },
		{ "argvs: [[a], [b], [c], [d], [e]]", "a shorter list" },
		{ "pairs: [A, b]", "'pairs' must be a mapping" },
		{ "pairs: {1A: b}", "'1A' is no valid envkey" },
		{ "pairs: {A: [b]}", "'A' must be a text" },
		{ "pairs: {A: \"b\\nC=d\"}", "'A' must be one line" },
		{ "pairs: {A: b, A: c}", "'A' comes twice" },
		{ "pairs: {A: 1, B: 2, C: 3}", "a smaller mapping" },
		{ "group: 5", "'group' must be a mapping" },
		{ "group: [inner]", "'group' must be a mapping" },
		/* keys */
		{ "nmae: x", "line 2: unknown key 'nmae'" },
		{ "inner: 1", "unknown key 'inner'" },
		{ "group: {name: a}", "unknown key 'name' in group" },
		{ "x_mine: 1", "unknown key 'x_mine'" },
		{ "<<: {number: 1}", "unknown key '<<'" },
		{ "number: 1\nnumber: 1", "line 3: 'number' comes twice" },
		{ "name: acme", "'name' comes twice" },
		{ "group: {inner: 1, inner: 1}", "'inner' comes twice" },
		{ "group: {inner: 1}\ngroup: {}", "'group' comes twice" },
		{ "? [a]\n: b", "must be a plain word" },
		{ "\"num\\0ber\": 1", "must be a plain word" },
		/* the file as a whole */
		{ "number: 1\n\tflag: true", "line 3" },
		{ "number: [1", "line" },
		{ "number: *nothing", "undefined alias" },
		{ "--- \nname: more", "more than one document" },
		{ "---\n---\n", "more than one document" },
		{ "---\n\t@", "line" },
		{ "...\n]garbage", "line" },
		{ "text: \x80", "line" },
		{ "text: \x01", "line" },
		{ "text: \xed\xa0\x80", "line" },
		{ "%YAML 3.0\n---\nnumber: 1", "line" },
	};
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *text = gp_sprintf(arena, "name: acme\n%s", cases[i].text);
		struct gp_error err = { 0 };
		struct made_up m;
		int result = parse(arena, text, &m, &err);

		if (!*cases[i].why)
			continue;
		if (result == 0)
			fail_msg("taken: %s", cases[i].text);
		assert_int_equal(err.kind, GP_E_CONFIG);
		if (!strstr(err.msg, cases[i].why) || strncmp(err.msg, "test.yaml", 9) != 0)
			fail_msg("%s\n%s", cases[i].text, err.msg);
		assert_int_equal(parse(arena, text, &m, NULL), -1);
	}
}

static void test_whole_files(void **state)
{
	static const char binary[] = "\x7f" "ELF\2\1\1\0\0\0\0\0\0\0\0\0\3\0>\0", nul[] = "name: acme\0number: 5\n";
	GP_AUTO_ARENA arena = gp_arena_new();
	GP_AUTO_BUF big = { 0 };
	struct gp_error err = { 0 };
	struct made_up m = { 0 };
	static const char *const nothing[] = { "", "\n", "# only a comment\n", "---\n", "--- {}\n", "null", "just a text", "[a, list]" };

	(void)state;
	for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++) {
		assert_int_equal(parse(arena, nothing[i], &m, &err), -1);
		assert_int_equal(err.kind, GP_E_CONFIG);
	}
	assert_int_equal(parse(arena, "", &m, &err), -1);
	assert_string_equal(err.msg, "test.yaml: 'name' is missing");
	assert_int_equal(gp_conf_parse(arena, "b", binary, sizeof(binary), rows, &m, &err), -1);
	assert_int_equal(gp_conf_parse(arena, "b", nul, sizeof(nul) - 1, rows, &m, &err), -1);
	assert_int_equal(err.kind, GP_E_CONFIG);

	/* as large as may be, then 10 MB */
	gp_buf_puts(&big, "name: acme\n#");
	while (big.len < GP_CONF_MAX)
		gp_buf_puts(&big, "x");
	assert_int_equal(gp_conf_parse(arena, "big", big.data, big.len, rows, &m, &err), 0);
	while (big.len < 10000000)
		gp_buf_puts(&big, "x: 0123456789012345678901234567890123456789\n");
	assert_int_equal(gp_conf_parse(arena, "big", big.data, big.len, rows, &m, &err), -1);
	assert_string_equal(err.msg, "big is larger than 256 KiB");
}

/* What would grow without bounds if aliases were copied, or recursion were ours. */
static void test_bombs(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	GP_AUTO_BUF deep = { 0 };
	GP_AUTO_BUF laughs = { 0 };
	struct gp_error err = { 0 };
	struct made_up m;

	(void)state;
	gp_buf_puts(&laughs, "name: acme\nx-0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
	for (int i = 1; i < 30; i++)
		gp_buf_printf(&laughs, "x-%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1,
			i - 1, i - 1);
	parsed(arena, gp_buf_str(&laughs), &m);
	gp_buf_puts(&laughs, "argvs: *a29\n");
	assert_int_equal(parse(arena, gp_buf_str(&laughs), &m, &err), -1);

	assert_int_equal(parse(arena, "name: acme\nargvs: &a [*a]", &m, &err), -1); /* a list that holds itself */
	assert_int_equal(parse(arena, "name: acme\ngroup: &a {inner: *a}", &m, &err), -1);
	assert_int_equal(parse(arena, "name: acme\nchoice: &a {path: *a}", &m, &err), -1);
	assert_int_equal(parse(arena, "&a name: acme\n*a : again", &m, &err), -1);

	gp_buf_puts(&deep, "name: acme\nx-deep: ");
	while (deep.len < GP_CONF_MAX - 10)
		gp_buf_puts(&deep, "[");
	assert_int_equal(parse(arena, gp_buf_str(&deep), &m, &err), -1);
	assert_string_equal(err.msg, "test.yaml: nested deeper than 50 levels");
}

static void test_hints(void **state)
{
	static const struct {
		const char *text, *hint;
	} cases[] = {
		{ "nubmer: 1", "did you mean 'number'?" },
		{ "Name: a", "did you mean 'name'?" },
		{ "group: {iner: 1}", "did you mean 'inner'?" },
		{ "zzzzzzzz: 1", "known here: name, text, maybe, number, flag, choice, names, argvs, pairs, group; keys that start with x- are yours" },
		{ "number: 1\n\tflag: on", "YAML takes no tabs: indent with blanks" },
		{ "group:\n\tinner: 1", "YAML takes no tabs: indent with blanks" },
	};
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gp_error err = { 0 };
		struct made_up m;

		assert_int_equal(parse(arena, gp_sprintf(arena, "name: acme\n%s\n", cases[i].text), &m, &err), -1);
		if (strcmp(err.hint, cases[i].hint) != 0)
			fail_msg("%s\n%s\n%s", cases[i].text, err.msg, err.hint);
	}
}

static void test_load(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_error err = { 0 };
	struct made_up m = { 0 };
	const char *path = at("test.yaml");

	(void)state;
	assert_int_equal(gp_conf_load(arena, path, rows, &m, &err), -1);
	assert_int_equal(err.kind, GP_E_CONFIG);
	assert_non_null(strstr(err.hint, "goldpath init"));
	put(path, "name: acme\n");
	assert_int_equal(gp_conf_load(arena, path, rows, &m, &err), 0);
	assert_int_equal(symlink("test.yaml", at("link.yaml")), 0);
	assert_int_equal(gp_conf_load(arena, at("link.yaml"), rows, &m, &err), 0);
	for (mode_t mode = 0664; mode <= 0666; mode += 2) { /* whoever may write it decides what root does */
		assert_int_equal(chmod(path, mode), 0);
		assert_int_equal(gp_conf_load(arena, path, rows, &m, &err), -1);
		assert_int_equal(err.kind, GP_E_CONFIG);
		assert_non_null(strstr(err.hint, "chmod"));
		assert_int_equal(gp_conf_load(arena, at("link.yaml"), rows, &m, &err), -1);
	}
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(gp_conf_load(arena, path, rows, &m, &err), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 12345, 0), 0);
		assert_int_equal(gp_conf_load(arena, path, rows, &m, &err), -1);
		assert_non_null(strstr(err.msg, "others than root"));
	}
	assert_int_equal(gp_conf_load(arena, scratch, rows, &m, &err), -1);
	assert_int_equal(mkfifo(at("fifo.yaml"), 0600), 0);
	assert_int_equal(gp_conf_load(arena, at("fifo.yaml"), rows, &m, &err), -1);
}

static void test_document(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_pair set_v[] = { { "name", "acme" }, { "number", "8" } }, deeper_v[] = { { "name", "acme" }, { "group.inner", "3" } };
	struct gp_pair derived_v[] = { { "name", "other" }, { "text", "shown not" } };
	const struct gp_pairs set = { set_v, 2 }, derived = { derived_v, 2 }, deeper = { deeper_v, 2 }, none = { 0 };
	static const char want[] = "# Top.\n"
				   "\n# a name\nname: acme\n"
				   "\n# a text\n#text: \"some text\"\n"
				   "\n# a name or none\n#maybe: there\n"
				   "\n# a number\nnumber: 8\n"
				   "\n# a flag\n#flag: true\n"
				   "\n# a choice\n#choice: b\n"
				   "\n# some names\n#names: []\n"
				   "\n# some commands\n#argvs: []\n"
				   "\n# some pairs\n#pairs: {}\n"
				   "\n# a group\n#group:\n";
	const char *text = gp_conf_document(arena, "# Top.\n", rows, &set, &derived);
	struct made_up m;

	(void)state;
	assert_memory_equal(text, want, sizeof(want) - 1);
	parsed(arena, text, &m);
	assert_int_equal(m.number, 8);
	assert_int_equal(m.inner, -1);
	text = gp_conf_document(arena, "", rows, &deeper, &none);
	assert_non_null(strstr(text, "\ngroup:\n"));
	parsed(arena, text, &m);
	assert_int_equal(m.inner, 3);
}

/* A group in a group, with nothing of it set, with something beside it, and itself. */
static void test_document_of_groups(void **state)
{
	static const struct {
		const char *key, *want;
	} cases[] = {
		{ "none", "\n# outer\n#outer:\n  # inner\n#  inner:\n    # deep\n#    deep: 5\n  # beside\n#  beside: 6\n" },
		{ "outer.beside", "\n# outer\nouter:\n  # inner\n  #inner:\n    # deep\n#    deep: 5\n  # beside\n  beside: 9\n" },
		{ "outer.inner.deep", "\n# outer\nouter:\n  # inner\n  inner:\n    # deep\n    deep: 9\n  # beside\n  #beside: 6\n" },
	};
	struct values {
		int64_t deep, beside;
	};
	static const struct gp_key deepest[] = { { "deep", GP_KEY_INT, offsetof(struct values, deep), .lo = 0, .hi = 9, .def = "5", .help = "deep" },
		{ .name = NULL } };
	static const struct gp_key middle[] = { { "inner", GP_KEY_GROUP, .group = deepest, .help = "inner" },
		{ "beside", GP_KEY_INT, offsetof(struct values, beside), .lo = 0, .hi = 9, .def = "6", .help = "beside" }, { .name = NULL } };
	static const struct gp_key top[] = { { "outer", GP_KEY_GROUP, .group = middle, .help = "outer" }, { .name = NULL } };
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gp_pair pair = { cases[i].key, "9" };
		const struct gp_pairs set = { &pair, 1 }, none = { 0 };
		const char *text = gp_conf_document(arena, "", top, &set, &none);
		struct values v = { 0 };

		assert_string_equal(text, cases[i].want);
		assert_int_equal(gp_conf_parse(arena, "f", text, strlen(text), top, &v, NULL), 0);
		assert_int_equal(v.deep, i == 2 ? 9 : 5);
		assert_int_equal(v.beside, i == 1 ? 9 : 6);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_every_type),
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_whole_files),
		cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_hints),
		cmocka_unit_test_setup_teardown(test_load, scratch_begin, scratch_end),
		cmocka_unit_test(test_document),
		cmocka_unit_test(test_document_of_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
