/*
 * `.env` by systemd's rules: tables of files and what comes out, what is refused, that what is written is read back, and, where
 * systemd's own parser can be had, that it says the same of every file in this test and of thousands of made-up ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/dotenv.h"
#include "base/error.h"
#include "base/str.h"

#include "../../fuzz/systemd_env.h"

/* A file and its pairs, one a line, "\n" in a value written as it is: "KEY=value" joined by '|'. */
static const struct {
	const char *text, *want;
} files[] = {
	{ "", "" },
	{ "\n\n", "" },
	{ "A=b", "A=b" },
	{ "A=b\n", "A=b" },
	{ "A=b\nC=d\n", "A=b|C=d" },
	{ "A=", "A=" },
	{ "A=\n", "A=" },
	{ "A", "" },
	{ "A\nB=c\n", "B=c" },
	{ "=b\nC=d\n", "C=d" },
	{ "A=b=c\n", "A=b=c" },
	/* blanks */
	{ "  A=b\n\t\tC=d\n", "A=b|C=d" },
	{ "A =b\nC\t = d\n", "A=b|C=d" },
	{ "A=b  \t\n", "A=b" },
	{ "A=b  ", "A=b" },
	{ "A=   \n", "A=" },
	{ "A=b c  d\n", "A=b c  d" },
	{ "A=b\\ \n", "A=b " },
	{ "A=b \\\n", "A=b " },
	{ "A=b \\\n \n", "A=b " },
	/* line ends */
	{ "A=b\r\nC=d\r\n", "A=b|C=d" },
	{ "A='b'\r\nC=\"d\"\r\n", "A=b|C=d" },
	{ "A=b\rC=d", "A=b|C=d" },
	{ "A=\"b\r\nc\"\n", "A=b\r\nc" },
	{ "A=b\\\r\nC=d\n", "A=b|C=d" },
	/* comments */
	{ "# A=b\n; C=d\nE=f\n", "E=f" },
	{ "   # A=b\nE=f\n", "E=f" },
	{ "#", "" },
	{ "A=b # c\nD=e ; f\n", "A=b # c|D=e ; f" },
	{ "A=#b\nC=;d\n", "A=#b|C=;d" },
	{ "# a \\ b\nC=d\n", "C=d" },
	/* quotes */
	{ "A='b c'\n", "A=b c" },
	{ "A=\"b c\"\n", "A=b c" },
	{ "A=''\nB=\"\"\n", "A=|B=" },
	{ "A='  b  '  \n", "A=  b  " },
	{ "A='b\"c'\nD=\"e'f\"\n", "A=b\"c|D=e'f" },
	{ "A='b\nc'\nD=\"e\nf\"\n", "A=b\nc|D=e\nf" },
	{ "A='# b'\nC=\"; d\"\n", "A=# b|C=; d" },
	{ "A='b\\nc\\'\n", "A=b\\nc\\" },
	{ "A='b'c\n", "A=bc" },
	{ "A='b' c\n", "A=bc" },
	{ "A='b'\"c\"\n", "A=bc" },
	{ "A='b' 'c'\n", "A=bc" },
	{ "A=b'c'\nD=e\"f\"\n", "A=b'c'|D=e\"f\"" },
	{ "A='b'  c  \n", "A=bc" },
	{ "A='unclosed\nB=c\n", "A=unclosed\nB=c\n" },
	{ "A=\"unclosed", "A=unclosed" },
	{ "A='b'\nB=c", "A=b|B=c" },
	/* escapes */
	{ "A=b\\nc\n", "A=bnc" },
	{ "A=\\'b\n", "A='b" },
	{ "A=\\\\b\n", "A=\\b" },
	{ "A=b\\", "A=b" },
	{ "A=\\", "A=" },
	{ "A=\"b\\nc\"\n", "A=b\\nc" },
	{ "A=\"\\\"\\\\\\`\\$\"\n", "A=\"\\`$" },
	{ "A=\"b\\'c\"\n", "A=b\\'c" },
	{ "A=\"b\\", "A=b" },
	/* continuation */
	{ "A=b\\\nc\n", "A=bc" },
	{ "A=b\\\n  c\n", "A=b  c" },
	{ "A=\\\nb\n", "A=b" },
	{ "A=\"b\\\nc\"\n", "A=bc" },
	{ "A=b \\\n\\\n c\n", "A=b  c" },
	{ "A=b\\\n# c\nD=e\n", "A=b# c|D=e" },
	/* nothing is executed or replaced */
	{ "A=$(id)\nB=`id`\nC=${A}\nD=$A\nE=~\nF=*\n", "A=$(id)|B=`id`|C=${A}|D=$A|E=~|F=*" },
	{ "A=\"$(id) ${B}\"\n", "A=$(id) ${B}" },
	/* keys */
	{ "export A=b\nC=d\n", "C=d" },
	{ "1A=b\nA-B=c\nA.B=d\nÄ=e\n_=f\nA1=g\n", "_=f|A1=g" },
	{ "'A'=b\n\"C\"=d\nE=f\n", "E=f" },
	{ "A B=c\n", "" },
	{ "A=1\nB=2\nA=3\n", "A=3|B=2" },
	{ "A=1\nA=\n", "A=" },
	{ "a=1\nA=2\n", "a=1|A=2" },
	{ "\xef\xbb\xbf" "A=b\nC=d\n", "C=d" }, /* a byte order mark is part of the first key */
	/* text */
	{ "A=Küche 台所 🍳\n", "A=Küche 台所 🍳" },
	{ "A=\x01\x1b\x7f\n", "A=\x01\x1b\x7f" },
	{ "A=\xf4\x8f\xbf\xbd\n", "A=\xf4\x8f\xbf\xbd" }, /* U+10FFFD */
	{ "A=\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbd\n", "A=\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbd" },
};

static const struct {
	const char *text;
	size_t len;
} refused[] = {
#define R(s) { s, sizeof(s) - 1 }
	R("A=b\0c\n"),
	R("\0"),
	R("A=b\n\0"),
	R("A=\xff\n"),
	R("A=\x80\n"),
	R("A=\xc3\n"),
	R("A=\xc3"),
	R("A=\xe2\x82"),
	R("A=\xf0\x9f\x8d"),
	R("\xff=b\n"),
	R("# \xff\n"),
	R("A=\xc0\xaf\n"),         /* overlong */
	R("A=\xe0\x80\xaf\n"),
	R("A=\xf0\x80\x80\xaf\n"),
	R("A=\xed\xa0\x80\n"),     /* a surrogate */
	R("A=\xf4\x90\x80\x80\n"), /* above U+10FFFF */
	R("A=\xf5\x80\x80\x80\n"),
	R("A=\xef\xb7\x90\n"),     /* U+FDD0, U+FFFE, U+FFFF, U+1FFFE: systemd refuses what Unicode calls no characters */
	R("A=\xef\xbf\xbe\n"),
	R("A=\xef\xbf\xbf\n"),
	R("A=\xf0\x9f\xbf\xbe\n"),
	R("A=b\n# c \\\nD=e\n"),   /* versions differ on the line after it */
	R("; c\\\r\nD=e\n"),
#undef R
};

static const char *joined(struct gp_arena *arena, const struct gp_dotenv *env)
{
	struct gp_strv list = { 0 };

	for (size_t i = 0; i < env->n; i++)
		gp_strv_add(arena, &list, gp_sprintf(arena, "%s=%s", env->pairs[i].key, env->pairs[i].value));
	return gp_strv_join(arena, &list, "|");
}

static void test_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		GP_AUTO_ARENA arena = gp_arena_new();
		struct gp_error err = { 0 };
		struct gp_dotenv env;

		if (gp_dotenv_parse(arena, files[i].text, strlen(files[i].text), &env, &err) < 0)
			fail_msg("%s: %s", files[i].text, err.msg);
		assert_string_equal(joined(arena, &env), files[i].want);
	}
}

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		GP_AUTO_ARENA arena = gp_arena_new();
		struct gp_error err = { 0 };
		struct gp_dotenv env = { .n = 42 };

		if (gp_dotenv_parse(arena, refused[i].text, refused[i].len, &env, &err) == 0)
			fail_msg("accepted no. %zu: %s", i, refused[i].text);
		assert_int_equal(err.kind, GP_E_CONFIG);
		assert_true(err.msg[0]);
		assert_int_equal(env.n, 42);
	}
}

static void test_refusal_names_the_line(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_error err = { 0 };
	struct gp_dotenv env;
	const char *text = "A=b\n\n# c \\\nD=e\n";

	(void)state;
	assert_int_equal(gp_dotenv_parse(arena, text, strlen(text), &env, &err), -1);
	assert_non_null(strstr(err.msg, "line 3"));
	assert_true(err.hint[0]);
}

static void test_sizes(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	GP_AUTO_BUF text = { 0 };
	struct gp_error err = { 0 };
	struct gp_dotenv env;

	(void)state;
	assert_int_equal(gp_dotenv_parse(arena, NULL, 0, &env, &err), 0); /* an empty file read into a gp_buf has no data */
	assert_int_equal(env.n, 0);
	gp_buf_puts(&text, "A=");
	while (text.len < GP_DOTENV_MAX)
		gp_buf_puts(&text, "x");
	assert_int_equal(gp_dotenv_parse(arena, text.data, text.len, &env, &err), 0);
	assert_int_equal(strlen(gp_dotenv_get(&env, "A")), GP_DOTENV_MAX - 2);
	gp_buf_puts(&text, "x");
	assert_int_equal(gp_dotenv_parse(arena, text.data, text.len, &env, &err), -1);
	assert_int_equal(err.kind, GP_E_CONFIG);

	gp_buf_free(&text);
	for (int i = 0; i < 5000; i++)
		gp_buf_printf(&text, "KEY_%d=%d\n", i, i * 3);
	assert_int_equal(gp_dotenv_parse(arena, text.data, text.len, &env, &err), 0);
	assert_int_equal(env.n, 5000);
	assert_string_equal(gp_dotenv_get(&env, "KEY_0"), "0");
	assert_string_equal(gp_dotenv_get(&env, "KEY_4999"), "14997");
	/* a key may be long: systemd knows no bound that a file of this size could pass */
	gp_buf_free(&text);
	for (int i = 0; i < 1000; i++)
		gp_buf_puts(&text, "K");
	gp_buf_puts(&text, "=v\n");
	assert_int_equal(gp_dotenv_parse(arena, text.data, text.len, &env, &err), 0);
	assert_int_equal(env.n, 1);
}

/* The text is not NUL-terminated where it ends: the parser must not look further. */
static void test_length_counts(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_error err = { 0 };
	struct gp_dotenv env;
	char *exact = malloc(3);

	(void)state;
	memcpy(exact, "A=\\", 3);
	assert_int_equal(gp_dotenv_parse(arena, exact, 3, &env, &err), 0);
	memcpy(exact, "A=\xc3", 3);
	assert_int_equal(gp_dotenv_parse(arena, exact, 3, &env, &err), -1);
	free(exact);
}

static void test_get(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_error err = { 0 };
	struct gp_dotenv env;

	(void)state;
	assert_int_equal(gp_dotenv_parse(arena, "A=1\nAB=\n", 8, &env, &err), 0);
	assert_string_equal(gp_dotenv_get(&env, "A"), "1");
	assert_string_equal(gp_dotenv_get(&env, "AB"), "");
	assert_null(gp_dotenv_get(&env, "a"));
	assert_null(gp_dotenv_get(&env, ""));
	assert_null(gp_dotenv_get(&(struct gp_dotenv){ 0 }, "A"));
}

static uint64_t rng = 0x9e3779b97f4a7c15u;

static uint32_t rnd(uint32_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 32) % below;
}

/* A text out of pieces that mean something to the parser, and some that do not. */
static const char *made_up(struct gp_arena *arena, uint32_t pieces)
{
	static const char *const piece[] = { "a", "Z", "0", " ", "\t", "\n", "\r", "'", "\"", "\\", "$", "`", "#", ";", "=",
		"\\\n", "$(id)",
		"ä", "🍳", "A=", "\nB=", "\nC='", "\nD=\"", "\x01", "\x7f", "export ", "{", "%", "&", "~", "\n# ", "_", "\r\n" };
	GP_AUTO_BUF out = { 0 };

	for (uint32_t i = rnd(pieces); i > 0; i--)
		gp_buf_puts(&out, piece[rnd(sizeof(piece) / sizeof(piece[0]))]);
	return gp_strdup(arena, gp_buf_str(&out));
}

static void test_what_is_written_is_read(void **state)
{
	enum { ROUNDS = 5000 };

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		GP_AUTO_ARENA arena = gp_arena_new();
		const char *one = made_up(arena, 12), *two = made_up(arena, 40);
		const char *text = gp_sprintf(arena, "%s%s", gp_dotenv_line(arena, "ONE", one), gp_dotenv_line(arena, "TWO", two));
		struct gp_dotenv env;

		assert_int_equal(text[strlen(text) - 1], '\n');
		assert_int_equal(gp_dotenv_parse(arena, text, strlen(text), &env, NULL), 0);
		assert_int_equal(env.n, 2);
		assert_string_equal(gp_dotenv_get(&env, "ONE"), one);
		assert_string_equal(gp_dotenv_get(&env, "TWO"), two);
	}
}

static void test_plain_values_stay_plain(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	assert_string_equal(gp_dotenv_line(arena, "A", "b"), "A=b\n");
	assert_string_equal(gp_dotenv_line(arena, "A", ""), "A=\n");
	assert_string_equal(gp_dotenv_line(arena, "A", "postgres:///acme?host=/run/postgresql"),
		"A=postgres:///acme?host=/run/postgresql\n");
}

/* What systemd says of a file must be what gp_dotenv_parse says, unless that refuses it. */
static void agree(const char *text, size_t len)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_dotenv env;
	char **judged;

	if (len == 0 || gp_dotenv_parse(arena, text, len, &env, NULL) < 0)
		return;
	judged = judge_parse(text, len);
	if (!judged)
		fail_msg("systemd refuses: %s", text);
	for (size_t i = 0; i < env.n; i++) {
		assert_non_null(judged[i]);
		assert_string_equal(gp_sprintf(arena, "%s=%s", env.pairs[i].key, env.pairs[i].value), judged[i]);
	}
	if (judged[env.n])
		fail_msg("systemd also reads %s out of: %s", judged[env.n], text);
	judge_free(judged);
}

static void test_systemd_says_the_same(void **state)
{
	enum { ROUNDS = 20000 };

	(void)state;
	if (!judge_found())
		skip();
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		agree(files[i].text, strlen(files[i].text));
	for (int i = 0; i < ROUNDS; i++) {
		GP_AUTO_ARENA arena = gp_arena_new();
		const char *text = made_up(arena, 30);

		agree(text, strlen(text));
		text = gp_dotenv_line(arena, "KEY", text);
		agree(text, strlen(text));
	}
	/* and every code point is text to both or to neither: around each edge */
	for (uint32_t c = 0x80; c < 0x110000; c += (c & 0xff) == 0x03 && c < 0x10fff0 ? 0xe8 : 1) {
		char text[8] = "A=";
		size_t len = 2;

		if (c >= 0x10000)
			text[len++] = (char)(0xf0 | c >> 18);
		if (c >= 0x800)
			text[len++] = (char)(c >= 0x10000 ? 0x80 | (c >> 12 & 0x3f) : 0xe0 | c >> 12);
		text[len++] = (char)(c >= 0x800 ? 0x80 | (c >> 6 & 0x3f) : 0xc0 | c >> 6);
		text[len++] = (char)(0x80 | (c & 0x3f));
		agree(text, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_refusal_names_the_line),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_length_counts),
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_what_is_written_is_read),
		cmocka_unit_test(test_plain_values_stay_plain),
		cmocka_unit_test(test_systemd_says_the_same),
	};

	return cmocka_run_group_tests_name("dotenv", tests, NULL, NULL);
}
