/* The arena: what it promises about zeroes, alignment, overlap, sizes that overflow, and strings. */
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"

/* Runs call in a child and says whether it aborted; the child's words and core file are nobody's business. */
#define ABORTS(call)                                                                                                            \
	({                                                                                                                          \
		int status_;                                                                                                            \
		pid_t pid_ = fork();                                                                                                    \
		if (pid_ == 0) {                                                                                                        \
			setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });                                                                      \
			close(STDERR_FILENO);                                                                                               \
			(void)(call);                                                                                                       \
			_exit(0);                                                                                                           \
		}                                                                                                                       \
		assert_int_equal(waitpid(pid_, &status_, 0), pid_);                                                                     \
		WIFSIGNALED(status_);                                                                                                   \
	})

static void test_zeroed_aligned_and_apart(void **state)
{
	static const size_t sizes[] = { 1, 7, 16, 17, 255, 4096, 8191, 8192, 8193, 16383, 16384, 16385, 100000, 3, 64 };
	enum { N = sizeof(sizes) / sizeof(sizes[0]), ROUNDS = 40 };
	unsigned char *got[ROUNDS][N];
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t r = 0; r < ROUNDS; r++) {
		for (size_t i = 0; i < N; i++) {
			unsigned char *p = got[r][i] = gp_alloc(arena, sizes[i]);

			assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
			for (size_t k = 0; k < sizes[i]; k++)
				assert_int_equal(p[k], 0);
			memset(p, (int)(r * N + i) % 255 + 1, sizes[i]);
		}
	}
	for (size_t r = 0; r < ROUNDS; r++)
		for (size_t i = 0; i < N; i++)
			for (size_t k = 0; k < sizes[i]; k++)
				assert_int_equal(got[r][i][k], (r * N + i) % 255 + 1);
}

static void test_nothing_is_something(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	assert_non_null(gp_alloc(arena, 0));
	assert_non_null(gp_alloc_array(arena, 0, 8));
	assert_non_null(gp_alloc_array(arena, 8, 0));
	gp_arena_free(NULL);
}

static void test_overflow_aborts(void **state)
{
	volatile size_t huge = SIZE_MAX, half = SIZE_MAX / 2 + 1;
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	assert_true(ABORTS(gp_alloc(arena, huge)));
	assert_true(ABORTS(gp_alloc_array(arena, half, 2)));
	assert_true(ABORTS(gp_alloc_array(arena, huge, huge)));
	assert_false(ABORTS(gp_alloc_array(arena, 1000, 8)));
}

static void test_strings(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	char source[] = "acme", big[40000];
	const char *copy = gp_strdup(arena, source);

	(void)state;
	source[0] = 'X';
	assert_string_equal(copy, "acme");
	assert_string_equal(gp_strdup(arena, ""), "");
	assert_string_equal(gp_strndup(arena, "acme-kitchens", 4), "acme");
	assert_string_equal(gp_strndup(arena, "acme", 0), "");
	assert_string_equal(gp_strndup(arena, NULL, 0), ""); /* an empty gp_buf has no data */
	assert_string_equal(gp_sprintf(arena, "%s-%d", "a", 7), "a-7");
	assert_string_equal(gp_sprintf(arena, "%s", ""), "");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(strlen(gp_sprintf(arena, "<%s>", big)), sizeof(big) + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zeroed_aligned_and_apart),
		cmocka_unit_test(test_nothing_is_something),
		cmocka_unit_test(test_overflow_aborts),
		cmocka_unit_test(test_strings),
	};

	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
