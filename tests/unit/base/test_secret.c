/* Secrets: how they are made, and that none is left in a text after masking. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/secret.h"
#include "base/str.h"

#define ALPHABET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define STARS "********"

static void test_alphabet_and_length(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t len = 0; len < 200; len++) {
		const char *s = gp_secret_new(arena, len);

		assert_int_equal(strlen(s), len);
		assert_int_equal(strspn(s, ALPHABET), len);
	}
	assert_string_not_equal(gp_secret_new(arena, 32), gp_secret_new(arena, 32));
}

/* 62000 characters: each letter 1000 times give or take 31; 8 of those off would not happen in the age of the universe. */
static void test_distribution(void **state)
{
	enum { LEN = 62000, SLACK = 250 };
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *s = gp_secret_new(arena, LEN);
	int seen[256] = { 0 };

	(void)state;
	for (size_t i = 0; i < LEN; i++)
		seen[(unsigned char)s[i]]++;
	for (const char *p = ALPHABET; *p; p++)
		assert_in_range(seen[(unsigned char)*p], LEN / 62 - SLACK, LEN / 62 + SLACK);
}

static void test_keys(void **state)
{
	static const char *const secret[] = { "DB_PASSWORD", "SECRET_KEY", "DJANGO_SECRET_KEY", "GITHUB_TOKEN", "AWS_ACCESS_KEY_ID",
		"SENTRY_DSN", "GOOGLE_CREDENTIALS", "DATABASE_URL", "REDIS_URL", "smtp_password", "database_url", "Api_Key" };
	static const char *const open[] = { "DEBUG", "ALLOWED_HOSTS", "DJANGO_SETTINGS_MODULE", "EMAIL_HOST", "LANG", "URLS", "" };

	(void)state;
	for (size_t i = 0; i < sizeof(secret) / sizeof(secret[0]); i++)
		if (!gp_secret_key(secret[i]))
			fail_msg("shown: %s", secret[i]);
	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
		if (gp_secret_key(open[i]))
			fail_msg("hidden: %s", open[i]);
}

/* Each row: secrets, a text, what is left of it. */
static void test_masking(void **state)
{
	static const struct {
		const char *secrets[4], *text, *want;
	} cases[] = {
		{ { "hunter22" }, "pw hunter22.", "pw " STARS "." },
		{ { "hunter22" }, "hunter22", STARS },
		{ { "hunter22" }, "hunter22 and hunter22", STARS " and " STARS },
		{ { "hunter22" }, "hunter2", "hunter2" },
		{ { "hunter22" }, "", "" },
		/* words are no secrets */
		{ { "true", "" , "abcde" }, "true abcde", "true abcde" },
		{ { "abcdef" }, "xabcdefx", "x" STARS "x" },
		/* one holds the other, whichever came first */
		{ { "secret", "secret-longer" }, "secret-longer secret", STARS " " STARS },
		{ { "secret-longer", "secret" }, "secret-longer secret", STARS " " STARS },
		{ { "longer", "secret-longer-tail" }, "secret-longer-tail", STARS },
		/* overlapping: no end of either stays */
		{ { "abcdefgh", "ghijklmnop" }, "<abcdefghijklmnop>", "<" STARS ">" },
		{ { "ghijklmnop", "abcdefgh" }, "<abcdefghijklmnop>", "<" STARS ">" },
		{ { "aaaaaa" }, "<aaaaaaaa>", "<" STARS ">" },
		{ { "abcabcabc" }, "<abcabcabcabc>", "<" STARS ">" },
		/* side by side */
		{ { "hunter22", "letmein!" }, "hunter22letmein!", STARS STARS },
		/* what masks is itself no secret's text */
		{ { "******", "hunter22" }, "hunter22", STARS },
		/* URLs: the password, wherever it stands */
		{ { "postgres://app:hunter22@db/app" }, "app hunter22 db", "app " STARS " db" },
		{ { "postgres://app:hunter22@db/app" }, "postgres://app:hunter22@db/app", "postgres://app:" STARS "@db/app" },
		{ { "redis://:hunter22@localhost:6379/0" }, "AUTH hunter22", "AUTH " STARS },
		{ { "redis://localhost:6379/0" }, "redis://localhost:6379/0", "redis://localhost:6379/0" },
		{ { "https://user@host/path" }, "https://user@host/path", "https://user@host/path" },
		{ { "postgres://app:p@ssw0rd@db/app" }, "p@ssw0rd", STARS },
		{ { "postgres://app:hunter22@db/app?options=a@b" }, "app hunter22 db", "app " STARS " db" },
		{ { "postgres://app:hunter22@db?x=1@2" }, "app hunter22 db", "app " STARS " db" },
		{ { "postgres://app:hunter/22@db/app" }, "hunter/22", STARS }, /* not encoded as it should be */
		{ { "postgres://app:abc@db/app" }, "abc", "abc" },
		/* a value that only mentions an URL is no URL */
		{ { "{\"uri\":\"https://a.example/o\",\"key\":\"k3y\"}" }, "<{\"uri\":\"https://a.example/o\",\"key\":\"k3y\"}>",
			"<" STARS ">" },
		{ { "x%k9://yz" }, "is x%k9://yz", "is " STARS },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		GP_AUTO_ARENA arena = gp_arena_new();
		struct gp_secrets secrets = { .arena = arena };

		for (size_t k = 0; k < 4 && cases[i].secrets[k]; k++)
			gp_secret_add(&secrets, cases[i].secrets[k]);
		assert_string_equal(gp_secret_mask(&secrets, arena, cases[i].text), cases[i].want);
	}
}

static void test_untouched_text_is_itself(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_secrets secrets = { .arena = arena };
	const char *text = "nothing here";

	(void)state;
	assert_ptr_equal(gp_secret_mask(&secrets, arena, text), text);
	gp_secret_add(&secrets, "hunter22");
	assert_ptr_equal(gp_secret_mask(&secrets, arena, text), text);
}

/* The caller's text may change or go. */
static void test_values_are_copied(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_secrets secrets = { .arena = arena };
	char value[] = "hunter22";

	(void)state;
	gp_secret_add(&secrets, value);
	memset(value, 'x', sizeof(value) - 1);
	assert_string_equal(gp_secret_mask(&secrets, arena, "hunter22"), STARS);
	assert_string_equal(gp_secret_mask(&secrets, arena, "xxxxxxxx"), "xxxxxxxx");
}

static void test_many(void **state)
{
	enum { N = 300 };
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_secrets secrets = { .arena = arena };
	struct gp_strv all = { 0 };

	(void)state;
	for (size_t i = 0; i < N; i++) {
		const char *s = gp_secret_new(arena, 20 + i % 30);

		gp_secret_add(&secrets, s);
		gp_secret_add(&secrets, s);
		gp_strv_add(arena, &all, s);
	}
	const char *masked = gp_secret_mask(&secrets, arena, gp_strv_join(arena, &all, " "));
	assert_int_equal(strspn(masked, "* "), strlen(masked));
	assert_int_equal(gp_words(arena, masked).n, N);
}

static void test_assignments(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "", "" },
		{ "plain\n", "plain\n" },
		{ "-Environment=AWS_SECRET_ACCESS_KEY=abc123 LANG=C\n", "-Environment=AWS_SECRET_ACCESS_KEY=" STARS " LANG=C\n" },
		{ "+Environment=\"DB_PASSWORD=two words\" X=y\n", "+Environment=\"DB_PASSWORD=" STARS "\" X=y\n" },
		{ "SENTRY_DSN='a b'c\nNEXT=1\n", "SENTRY_DSN=" STARS "'c\nNEXT=1\n" },
		{ "DATABASE_URL=postgres://a:b=c@h/d", "DATABASE_URL=" STARS },
		{ "KeyringMode=private\nKEY=\n", "KeyringMode=private\nKEY=\n" },
		{ "A_TOKEN=x B_TOKEN=y", "A_TOKEN=" STARS " B_TOKEN=" STARS },
		{ "=x ==\n", "=x ==\n" },
	};
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(gp_secret_mask_assignments(arena, cases[i].text), cases[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alphabet_and_length),
		cmocka_unit_test(test_distribution),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_masking),
		cmocka_unit_test(test_assignments),
		cmocka_unit_test(test_untouched_text_is_itself),
		cmocka_unit_test(test_values_are_copied),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
