/* SHA-256: the examples of FIPS 180-4, and bytes of every value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "sys/digest.h"

static void test_examples(void **state)
{
	static const struct {
		const char *text, *digest;
	} cases[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
			"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(gp_sha256(arena, cases[i].text, strlen(cases[i].text)), cases[i].digest);
}

static void test_any_bytes(void **state)
{
	enum { MILLION = 1000000 };
	GP_AUTO_ARENA arena = gp_arena_new();
	char *text = malloc(MILLION);
	unsigned char all[256];

	(void)state;
	memset(text, 'a', MILLION);
	assert_string_equal(gp_sha256(arena, text, MILLION), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	for (unsigned i = 0; i < 256; i++)
		all[i] = (unsigned char)i;
	assert_string_equal(gp_sha256(arena, all, 256), "40aff2e9d2d8922e47afd4648e6967497158785fbd1da870e7110266bf944880");
	assert_string_equal(gp_sha256(arena, "\0", 1), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
