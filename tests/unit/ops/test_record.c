/* Journal and history: where a deploy died is known whatever byte its last line ends at, and every line is JSON whatever is in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/str.h"
#include "ops/paths.h"
#include "ops/record.h"

#include "../ctx.h"

static struct gp_paths paths;

static int begin(void **state)
{
	if (ctx_begin(state) < 0)
		return -1;
	ctx.command = "deploy acme";
	paths = gp_site_paths(&ctx, "acme");
	return mkdir(ctx.state_dir, 0755) || mkdir(paths.state, 0755);
}

static struct gp_unfinished unfinished(void)
{
	struct gp_unfinished u;

	if (gp_journal_read(&ctx, &paths, &u, &err) < 0)
		fail_msg("%s", err.msg);
	return u;
}

static void note(const char *what, const char *step, const char *release)
{
	assert_int_equal(gp_journal_note(&ctx, &paths, what, step, release, &err), 0);
}

static void test_journal_of_a_restore(void **state)
{
	struct gp_unfinished u;

	(void)state;
	assert_int_equal(gp_journal_begin(&ctx, &paths, &(struct gp_unfinished){ .what = "restore", .ref = "a.sql.gz", .release = "r1" }, &err), 0);
	note("begin", "swap", "r1");
	u = unfinished();
	assert_string_equal(u.kept, "");
	assert_int_equal(gp_journal_kept(&ctx, &paths, "acme_gp_old_1", &err), 0);
	u = unfinished();
	assert_string_equal(u.kept, "acme_gp_old_1");
	assert_string_equal(u.step, "swap");
	assert_false(u.undo);
	note("undo", "smoke", "r1");
	u = unfinished();
	assert_true(u.found && u.undo);
	assert_string_equal(u.kept, "acme_gp_old_1");
	note("end", "smoke", "r1");
	assert_false(unfinished().found);
	assert_int_equal(gp_journal_begin(&ctx, &paths, &(struct gp_unfinished){ .what = "deploy", .ref = "v3" }, &err), 0);
	u = unfinished();
	assert_true(u.found && !u.undo);
	assert_string_equal(u.kept, "");
}

static void test_journal(void **state)
{
	struct gp_unfinished u = unfinished();

	(void)state;
	assert_false(u.found); /* no journal at all */
	assert_int_equal(gp_journal_begin(&ctx, &paths, &(struct gp_unfinished){ .what = "deploy", .ref = "v2", .previous = "r1" }, &err), 0);
	u = unfinished();
	assert_true(u.found);
	assert_string_equal(u.what, "deploy");
	assert_false(u.no_restart);
	assert_string_equal(u.ref, "v2");
	assert_string_equal(u.previous, "r1");
	assert_string_equal(u.release, "");
	assert_string_equal(u.step, "");
	assert_false(u.beside);
	note("begin", "fetch", NULL);
	note("done", "fetch", NULL);
	note("begin", "checkout", "r2");
	u = unfinished();
	assert_string_equal(u.step, "checkout");
	assert_string_equal(u.release, "r2");
	assert_false(u.beside);
	note("done", "checkout", "r2");
	note("begin", "start", "r2");
	assert_true(unfinished().beside);
	note("done", "switch", "r2");
	note("begin", "healthy", "r2");
	u = unfinished();
	assert_true(u.found && u.beside);
	assert_string_equal(u.step, "healthy");
	note("end", "smoke", "r2");
	assert_false(unfinished().found);
	/* the next one knows nothing of it */
	assert_int_equal(gp_journal_begin(&ctx, &paths, &(struct gp_unfinished){ .what = "deploy", .ref = "v3", .previous = NULL }, &err), 0);
	u = unfinished();
	assert_true(u.found);
	assert_false(u.beside);
	assert_string_equal(u.previous, "");
	assert_string_equal(u.ref, "v3");
	assert_int_equal(mode_of(at("state/acme/journal")), 0600);
	assert_int_equal(entries(paths.state), 1);
}

/* The last line ends at every byte it can: it counts when it is whole, and never spoils the ones before or after it. */
static void test_cut_anywhere(void **state)
{
	char *text, *last;
	size_t len;

	(void)state;
	assert_int_equal(gp_journal_begin(&ctx, &paths, &(struct gp_unfinished){ .what = "deploy", .ref = "v2", .previous = "r1" }, &err), 0);
	note("begin", "migrate", "r2");
	note("begin", "start", "r2");
	text = gp_strdup(arena, said(at("state/acme/journal")));
	len = strlen(text);
	last = strstr(strstr(text, "\n") + 1, "\n") + 1;
	for (size_t cut = (size_t)(last - text); cut <= len; cut++) {
		struct gp_unfinished u;

		put_bytes(at("state/acme/journal"), text, cut, 0600);
		u = unfinished();
		assert_true(u.found);
		assert_string_equal(u.ref, "v2");
		assert_string_equal(u.previous, "r1");
		assert_string_equal(u.release, "r2");
		assert_int_equal(u.beside, cut >= len - 1); /* all but the newline is enough */
		assert_string_equal(u.step, cut >= len - 1 ? "start" : "migrate");
		note("begin", "healthy", "r2");
		assert_string_equal(unfinished().step, "healthy");
		note("end", "healthy", "r2");
		assert_false(unfinished().found);
	}
}

static void test_strange_journals(void **state)
{
	static const struct {
		const char *text;
		bool found;
	} cases[] = {
		{ "", false },
		{ "\n\n", false },
		{ "not json\n", false },
		{ "[]\n{}\n7\nnull\n\"what\"\n", false },
		{ "{\"what\":7,\"ref\":\"x\"}\n", false },
		{ "{\"what\":\"begin\",\"step\":\"switch\"}\n", false },
		{ "{\"what\":\"deploy\"}\n", true },
		{ "{\"what\":\"deploy\",\"ref\":7,\"previous\":null}\n", true },
		{ "{\"what\":\"deploy\"}\ngarbage\n{\"what\":\"end\"}\n", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gp_unfinished u;

		put(at("state/acme/journal"), cases[i].text);
		u = unfinished();
		assert_int_equal(u.found, cases[i].found);
		assert_non_null(u.ref);
		assert_non_null(u.release);
		assert_non_null(u.previous);
		assert_non_null(u.step);
	}
	unlink(at("state/acme/journal"));
	assert_int_equal(mkdir(at("state/acme/journal"), 0755), 0);
	struct gp_unfinished u = { .step = "untouched" };
	assert_int_equal(gp_journal_read(&ctx, &paths, &u, &err), -1);
	assert_string_equal(u.step, "untouched");
	assert_int_equal(gp_journal_begin(&ctx, &paths, &(struct gp_unfinished){ .what = "deploy", .ref = "v", .previous = NULL }, &err), -1);
	assert_int_equal(gp_journal_note(&ctx, &paths, "end", "x", NULL, &err), -1);
}

static const char *const hostile[] = { "", "a\"b\\c", "a\nb\r\t", "\x1b[31m", "Küche 🍳", "\x01\x7f", "{\"what\":\"end\"}", "\xff\xfe", "\xed\xa0\x80",
	"</script>" };

static void test_hostile_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		struct gp_unfinished u;
		bool text = strcmp(hostile[i], "\xff\xfe") != 0 && strcmp(hostile[i], "\xed\xa0\x80") != 0;

		assert_int_equal(gp_journal_begin(&ctx, &paths, &(struct gp_unfinished){ .what = "deploy", .ref = hostile[i], .previous = hostile[i] }, &err), 0);
		note("begin", hostile[i], hostile[i]);
		u = unfinished();
		assert_true(u.found);
		assert_string_equal(u.ref, text ? hostile[i] : ""); /* what is no UTF-8 stays out */
		assert_string_equal(u.step, text ? hostile[i] : "");
		assert_int_equal(gp_lines(arena, said(at("state/acme/journal"))).n, 2);
	}
}

static void test_history(void **state)
{
	struct gp_strv lines;

	(void)state;
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		const struct gp_history entry = { .release = "r1", .ref = hostile[i], .sha = hostile[i], .result = "ok", .error = hostile[i],
			.ms = INT64_MAX };

		setenv("SUDO_USER", hostile[i], 1);
		assert_int_equal(gp_history_add(&ctx, &paths, &entry, &err), 0);
	}
	unsetenv("SUDO_USER");
	assert_int_equal(gp_history_add(&ctx, &paths, &(struct gp_history){ .ms = -1 }, &err), 0);
	lines = gp_lines(arena, said(at("state/acme/history")));
	assert_int_equal(lines.n, sizeof(hostile) / sizeof(hostile[0]) + 1);
	for (size_t i = 0; i < lines.n; i++) {
		json_t *line = json_loads(lines.v[i], JSON_REJECT_DUPLICATES, NULL);

		assert_non_null(line);
		assert_int_equal(json_integer_value(json_object_get(line, "v")), 1);
		assert_int_equal(strlen(json_string_value(json_object_get(line, "at"))), strlen("2026-01-31T23:59:59Z"));
		if (i + 1 < lines.n) {
			assert_string_equal(json_string_value(json_object_get(line, "release")), "r1");
			assert_true(json_integer_value(json_object_get(line, "ms")) == INT64_MAX);
			assert_null(json_object_get(line, "step"));
		} else {
			assert_int_equal(json_object_size(line), 4); /* v, at, by and ms */
			assert_non_null(json_string_value(json_object_get(line, "by")));
		}
		for (const char *p = lines.v[i]; *p; p++)
			assert_true(*p >= 0x20);
		json_decref(line);
	}
	assert_int_equal(mode_of(at("state/acme/history")), 0600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_journal, begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_journal_of_a_restore, begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_cut_anywhere, begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_strange_journals, begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_hostile_words, begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_history, begin, ctx_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
