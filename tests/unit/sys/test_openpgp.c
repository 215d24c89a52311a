/* OpenPGP keys: whose they are, armored and binary, and what is not handed to apt. The keys were made by gpg for this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/openpgp.h"

/* With a subkey that signs, as Caddy's has one. */
static const char one[] =
	"-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
	"\n"
	"mDMEawF1zRYJKwYBBAHaRw8BAQdAtHyRvODoZ/ZlIlXM5ImrRy47POTIBdjf0Y7i\n"
	"v1+xb5y0D29uZUBleGFtcGxlLmNvbYiQBBMWCAA4FiEE+RsPOTlffYksefnnfxoW\n"
	"SlkYpQEFAmsBdc0CGwMFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQfxoWSlkY\n"
	"pQGV7AD/WdhL93PJvDcOuU8xZLp4rAYqp76TZUgn4eKwC+hxyW4BAPKSwM8qY6zm\n"
	"fJEUK+CkVkklotnSkMWVaHqTaYfDopUCuDMEawF1zRYJKwYBBAHaRw8BAQdA9sNS\n"
	"SceVgN0M7aSbHrNUV286n3qhRE4MMizoPH4elq2I7wQYFggAIBYhBPkbDzk5X32J\n"
	"LHn5538aFkpZGKUBBQJrAXXNAhsCAIEJEH8aFkpZGKUBdiAEGRYIAB0WIQRFy1wW\n"
	"pza7eFKUaAAnyaImnpK0AgUCawF1zQAKCRAnyaImnpK0Ar2lAQCm13B6M2NA92TZ\n"
	"JNctbSPapeyj848GO0+5rhcazBtzOQD+M2cim1NfTPBg5H0ZnZOw+iPZ7zg9oTKi\n"
	"btw5KpsV8AOdaQD+L3LP+iPcoAM07I/9bQ1pAgVu0rdmIRJImOy/rADLjYkA/Ri3\n"
	"C5u5gqN6Dq5hELtr4IBlZBTbjUr+woG2jJmfQ7gE\n"
	"=8904\n"
	"-----END PGP PUBLIC KEY BLOCK-----\n";
static const char one_fingerprint[] = "F91B0F39395F7D892C79F9E77F1A164A5918A501";

static const char two[] =
	"-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
	"\n"
	"mDMEawF1zRYJKwYBBAHaRw8BAQdAlHhYFwJEh5fduSGErdekewh0I2UqXnC2f6P+\n"
	"zHW9Oe60D3R3b0BleGFtcGxlLmNvbYiQBBMWCAA4FiEEOojzDXTZWgcWO9hV3PCh\n"
	"usQ9RQgFAmsBdc0CGwMFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQ3PChusQ9\n"
	"RQg0JwD/Qih7YnMOu985Vbf7cHRuxbBUSROzPFZrlcrBYmowOnkA/Rmrta4Btq4X\n"
	"DQ3/LwZwPTpYpXXrof8wKY+24a1T/LAP\n"
	"=ZTZr\n"
	"-----END PGP PUBLIC KEY BLOCK-----\n";
static const char two_fingerprint[] = "3A88F30D74D95A07163BD855DCF0A1BAC43D4508";

static struct gp_error err;

static bool takes(struct gp_arena *arena, const void *data, size_t len, struct gp_openpgp_key *ret)
{
	memset(&err, 0, sizeof(err));
	return gp_openpgp_read(arena, data, len, ret, &err) == 0;
}

static void test_fingerprint(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_openpgp_key key, again;

	(void)state;
	if (!takes(arena, one, strlen(one), &key))
		fail_msg("%s", err.msg);
	assert_string_equal(key.fingerprint, one_fingerprint);
	/* What came out is the binary form, which is read the same. */
	assert_true(takes(arena, key.packets, key.len, &again));
	assert_string_equal(again.fingerprint, one_fingerprint);
	assert_int_equal(again.len, key.len);
	assert_true(takes(arena, two, strlen(two), &key));
	assert_string_equal(key.fingerprint, two_fingerprint);
}

static void test_armor(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_openpgp_key key;
	char *text = gp_strdup(arena, two), *blank = strstr(text, "\n\n"), *cr = gp_alloc(arena, sizeof(two) * 2), *p = cr;

	(void)state;
	assert_non_null(blank);
	*blank = '\0';
	text = gp_sprintf(arena, "words before\n%s\nVersion: x\nComment: y\n\n%swords after\n", text, blank + 2);
	assert_true(takes(arena, text, strlen(text), &key));
	assert_string_equal(key.fingerprint, two_fingerprint);
	for (const char *q = two; *q; q++) { /* as a web server may hand it out */
		if (*q == '\n')
			*p++ = '\r';
		*p++ = *q;
	}
	assert_true(takes(arena, cr, strlen(cr), &key));
	assert_string_equal(key.fingerprint, two_fingerprint);
}

/* A second key behind a known first one would be trusted by apt as well. */
static void test_two_keys(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_openpgp_key a, b;
	const char *text = gp_sprintf(arena, "%s%s", one, two);
	char *both;

	(void)state;
	assert_false(takes(arena, text, strlen(text), &a));
	assert_non_null(strstr(err.msg, "more than one"));
	assert_true(takes(arena, one, strlen(one), &a) && takes(arena, two, strlen(two), &b));
	both = gp_alloc(arena, a.len + b.len);
	memcpy(both, a.packets, a.len);
	memcpy(both + a.len, b.packets, b.len);
	assert_false(takes(arena, both, a.len + b.len, &a));
	assert_non_null(strstr(err.msg, "more than one"));
}

static void test_no_key(void **state)
{
	static const char *const texts[] = { "", "<html>not found</html>", "-----BEGIN PGP PUBLIC KEY BLOCK-----",
		"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n-----END PGP PUBLIC KEY BLOCK-----\n",
		"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!!!!\n-----END PGP PUBLIC KEY BLOCK-----\n",
		"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n",
		"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nAAAA\n-----END PGP PRIVATE KEY BLOCK-----\n",
		"\xff", "\xc6", "\x98", "\xc6\xff\xff\xff\xff\xff", "\xc6\x02\x04\x01", "\x99\xff\xff\x04", "\xc6\x07\x05\x01\x01\x01\x01\x01\x01",
		"\x9b\x04", "\xc6\xe0\x04", "\xb4\x01x" };
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_openpgp_key key;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (takes(arena, texts[i], strlen(texts[i]), &key) || !err.msg[0])
			fail_msg("text %zu was taken for a key", i);
}

/* Cut off anywhere, it is no key: or, cut between two packets, still the same one. */
static void test_cut(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_openpgp_key key, part;

	(void)state;
	assert_true(takes(arena, one, strlen(one), &key));
	for (size_t len = 0; len < key.len; len++) {
		void *copy = gp_alloc(arena, len + 1);

		memcpy(copy, key.packets, len);
		if (takes(arena, copy, len, &part))
			assert_string_equal(part.fingerprint, one_fingerprint);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fingerprint),
		cmocka_unit_test(test_armor),
		cmocka_unit_test(test_two_keys),
		cmocka_unit_test(test_no_key),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
