/* What restic says, of several versions: snapshots, and the end of a backup. It runs for real in tests/e2e/test_offsite.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "sys/restic.h"

#define ID(c) c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c

static int read_text(struct gp_arena *arena, const char *text, struct gp_restic_snapshots *ret, struct gp_error *err)
{
	return gp_restic_read_snapshots(arena, text, strlen(text), ret, err);
}

static void test_snapshots(void **state)
{
	static const char text[] =
		"[{\"time\":\"2026-11-21T18:00:00.123456789+01:00\",\"tree\":\"x\",\"paths\":[\"/a\",\"/b\"],\"hostname\":\"one\",\"username\":\"root\","
		"\"tags\":[\"site=acme\",\"release=1\"],\"id\":\"" ID("a") "\",\"short_id\":\"aaaaaaaa\"},"
		"{\"time\":\"2026-11-21T12:30:00.5-05:30\",\"hostname\":\"two\\u001b[31m\",\"paths\":null,\"id\":\"" ID("b") "\","
		"\"summary\":{\"total_bytes_processed\":1234}},"
		"{\"time\":\"2026-11-21T17:00:01Z\",\"id\":\"" ID("c") "\"},{\"time\":\"yesterday\",\"id\":\"" ID("d") "\"}]";
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_restic_snapshots list;
	struct gp_error err = { 0 };

	(void)state;
	assert_int_equal(read_text(arena, text, &list, &err), 0);
	assert_int_equal(list.n, 4);
	/* The newest first, whatever clock they were made by. */
	assert_int_equal(list.v[0].id[0], 'b');
	assert_int_equal(list.v[1].id[0], 'c');
	assert_int_equal(list.v[2].id[0], 'a');
	assert_int_equal(list.v[3].when, 0);
	assert_int_equal(list.v[0].when - list.v[2].when, 3600);
	assert_int_equal(list.v[1].when - list.v[2].when, 1);
	assert_int_equal(read_text(arena, "null", &list, &err), 0); /* none, in old versions */
	assert_int_equal(list.n, 0);
	assert_int_equal(read_text(arena, "[]\n", &list, &err), 0);
}

static void test_no_snapshots(void **state)
{
	static const char *const texts[] = { "", "{}", "[1]", "[{}]", "[{\"id\":\"abc\"}]", "[{\"id\":\"" ID("g") "\"}]", "[{\"id\":\"" ID("a") "a\"}]",
		"[{\"id\":[\"" ID("a") "\"]}]", "snapshots", "[" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		GP_AUTO_ARENA arena = gp_arena_new();
		struct gp_restic_snapshots list;
		struct gp_error err = { 0 };

		if (read_text(arena, texts[i], &list, &err) != -1)
			fail_msg("%s", texts[i]);
		assert_non_null(strstr(err.msg, "not understood"));
	}
}

static void test_done(void **state)
{
	static const char text[] =
		"{\"message_type\":\"status\",\"percent_done\":1}\n"
		"{\"message_type\":\"summary\",\"files_new\":3,\"data_added\":4096,\"total_files_processed\":10,\"total_bytes_processed\":99,"
		"\"snapshot_id\":\"4125f2e1aa\"}\n";
	static const char *const others[] = { "", "{\"message_type\":\"status\"}\n", "{\"message_type\":\"summary\"}", "no JSON",
		"{\"message_type\":\"summary\",\"snapshot_id\":\"\"}", "{\"message_type\":\"summary\",\"snapshot_id\":7}" };
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_restic_done done;

	(void)state;
	assert_true(gp_restic_read_done(arena, text, &done));
	assert_string_equal(done.snapshot, "4125f2e1");
	assert_int_equal(done.files, 10);
	assert_int_equal(done.bytes, 99);
	assert_int_equal(done.added, 4096);
	assert_int_equal(done.unread, 0);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (gp_restic_read_done(arena, others[i], &done))
			fail_msg("%s", others[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_snapshots),
		cmocka_unit_test(test_no_snapshots),
		cmocka_unit_test(test_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
