/* Resource types that take away and keep: what they see, what they leave, and that a second look finds nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#include <cmocka.h>

#include "base/str.h"
#include "plan/types.h"
#include "sys/tree.h"

#include "../ctx.h"

static int begin(void **state)
{
	return ctx_begin(state) || mkdir(ctx.state_dir, 0700);
}

/* Run a plan of one; the marks of its changes, or "error". */
static const char *run(bool apply, const struct gp_resource_type *type, const char *name, const void *spec)
{
	struct gp_plan plan = { 0 };
	struct gp_changes changes;
	const char *marks = "";

	gp_plan_add(&ctx, &plan, (struct gp_resource){ .type = type, .name = gp_strdup(arena, name), .spec = spec });
	memset(&err, 0, sizeof(err));
	if (gp_plan_run(&ctx, &plan, apply, NULL, &changes, &err) < 0)
		return "error";
	for (size_t i = 0; i < changes.n; i++)
		marks = gp_sprintf(arena, "%s%c", marks, changes.v[i].mark);
	return marks;
}

static void assert_runs(const struct gp_resource_type *type, const char *name, const void *spec, const char *marks)
{
	const char *path = gp_strdup(arena, name);

	assert_string_equal(run(false, type, path, spec), marks);
	assert_string_equal(run(true, type, path, spec), marks);
	assert_string_equal(run(true, type, path, spec), "");
}

static void test_files_and_folders(void **state)
{
	(void)state;
	put(at("file"), "x");
	assert_runs(&gp_absent_file_type, at("file"), NULL, "-");
	assert_int_equal(symlink("/nowhere", at("link")), 0);
	assert_runs(&gp_absent_file_type, at("link"), NULL, "-");
	assert_int_equal(mkdir(at("folder"), 0755) | mkdir(at("folder/a"), 0755), 0);
	put(at("folder/a/x"), "x");
	assert_runs(&gp_absent_folder_type, at("folder"), NULL, "-");
	/* Not what a link leads to. */
	put(at("kept"), "x");
	assert_int_equal(mkdir(at("folder"), 0755) | symlink(at("kept"), at("folder/link")), 0);
	assert_runs(&gp_absent_folder_type, at("folder"), NULL, "-");
	assert_string_equal(said(at("kept")), "x");
}

static void test_a_folder_with_something_new(void **state)
{
	struct gp_absent known = { 0 };

	(void)state;
	gp_strv_add(arena, &known.known, "app");
	assert_int_equal(mkdir(at("site"), 0755), 0);
	put(at("site/app"), "x");
	put(at("site/upload"), "x");
	assert_string_equal(run(true, &gp_absent_folder_type, at("site"), &known), "error");
	assert_int_equal(err.kind, GP_E_REFUSED);
	assert_non_null(strstr(err.msg, "site/upload"));
	assert_int_equal(entries(at("site")), 2);
	unlink(at("site/upload"));
	assert_runs(&gp_absent_folder_type, at("site"), &known, "-");
}

static void test_left_alone(void **state)
{
	(void)state;
	assert_string_equal(run(true, &gp_left_alone_type, "database x", "another site names it"), "!");
}

static struct gp_kept kept(const char *from, const char *to)
{
	return (struct gp_kept){ .from = gp_strdup(arena, at("%s", from)), .to = gp_strdup(arena, at("%s", to)),
		.part = gp_strdup(arena, at("part")) };
}

static void test_copy(void **state)
{
	struct gp_kept spec = kept("from", "to");

	(void)state;
	assert_runs(&gp_copy_type, "nothing", &spec, "");
	assert_int_equal(mkdir(at("from"), 0750), 0);
	put(at("from/a"), "hello");
	assert_runs(&gp_copy_type, "new", &spec, "+");
	assert_string_equal(said(at("to/a")), "hello");
	assert_int_equal(mode_of(at("to")), 0750);
	put(at("from/b"), "more");
	assert_runs(&gp_copy_type, "more in it", &spec, "+");
	assert_string_equal(said(at("to/b")), "more");
	put(at("from/b"), "longer than it was");
	assert_runs(&gp_copy_type, "longer", &spec, "+");
	assert_string_equal(said(at("to/b")), "longer than it was");
	/* What a killed run has left half copied is no copy. */
	assert_int_equal(mkdir(at("to.new"), 0755), 0);
	put(at("to.new/half"), "x");
	unlink(at("to/a"));
	assert_runs(&gp_copy_type, "again", &spec, "+");
	assert_int_equal(entries(at("to")), 2);
	assert_int_equal(entries(at("to.new")), -1);
}

static void test_copy_of_what_a_link_leads_to(void **state)
{
	struct gp_kept spec = kept("link", "to");

	(void)state;
	put(at("file"), "domain: x\n");
	assert_int_equal(symlink(at("file"), at("link")), 0);
	spec.follow = true;
	assert_runs(&gp_copy_type, "link", &spec, "+");
	assert_string_equal(said(at("to")), "domain: x\n");
	assert_true(mode_of(at("to")) == 0644 && !gp_streq(said(at("to")), "(none)"));
}

static void test_move(void **state)
{
	struct gp_kept spec = kept("media", "keep");

	(void)state;
	assert_int_equal(mkdir(at("media"), 02775), 0);
	put(at("media/a"), "hello");
	assert_runs(&gp_move_type, "media", &spec, "~");
	assert_int_equal(entries(at("media")), -1);
	assert_string_equal(said(at("keep/a")), "hello");
	/* A second one does not take the place of the first. */
	assert_int_equal(mkdir(at("media"), 02775), 0);
	put(at("media/a"), "later");
	assert_runs(&gp_move_type, "media", &spec, "~");
	assert_string_equal(said(at("keep/a")), "hello");
	assert_string_equal(said(at("keep.2/a")), "later");
}

static void test_room(void **state)
{
	struct gp_room room = { .bytes = 1 };
	const char *deep = gp_strdup(arena, at("not/there/yet"));

	(void)state;
	assert_runs(&gp_room_type, deep, &room, "");
	room.bytes = UINT64_MAX;
	assert_string_equal(run(false, &gp_room_type, deep, &room), "!");
	room.must = true;
	assert_string_equal(run(true, &gp_room_type, deep, &room), "error");
	assert_non_null(strstr(err.msg, "MiB"));
}

static void test_redis_record_without_the_site(void **state)
{
	struct gp_absent_redis spec = { .port = 1, .number = 2, .line = "acme 2" };

	(void)state;
	spec.record = gp_strdup(arena, at("redis-databases"));
	assert_runs(&gp_absent_redis_type, "2 of acme", &spec, "");
	put(spec.record, "crm 1\nacme 2\n");
	assert_string_equal(run(false, &gp_absent_redis_type, "2 of acme", &spec), "-");
	/* Nothing answers on port 1: a database that could not be emptied is not given away. */
	assert_string_equal(run(true, &gp_absent_redis_type, "2 of acme", &spec), "error");
	assert_string_equal(said(spec.record), "crm 1\nacme 2\n");
}

static void test_measure(void **state)
{
	struct gp_tree tree;

	(void)state;
	assert_int_equal(gp_tree_measure(at("none"), false, &tree, &err), 0);
	assert_true(tree.entries == 0 && tree.bytes == 0);
	assert_int_equal(mkdir(at("t"), 0755) | mkdir(at("t/sub"), 0755), 0);
	put(at("t/a"), "12345");
	put(at("t/sub/b"), "678");
	assert_int_equal(symlink("/", at("t/root")), 0);
	assert_int_equal(mkfifo(at("t/fifo"), 0600), 0);
	assert_int_equal(gp_tree_measure(at("t"), false, &tree, &err), 0);
	assert_int_equal(tree.entries, 6);
	assert_int_equal(tree.bytes, 8);
	assert_int_equal(symlink(at("t"), at("l")), 0);
	assert_int_equal(gp_tree_measure(at("l"), false, &tree, &err), 0);
	assert_true(tree.entries == 1 && tree.bytes == 0);
}

static void test_mounts(void **state)
{
	static const char text[] =
		"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
		"40 22 8:2 / /srv/sum/acme/media rw - ext4 /dev/sdb1 rw\n"
		"41 22 8:2 / /srv/sum/acme-two/media rw - ext4 /dev/sdb1 rw\n"
		"42 22 8:3 / /srv/sum/acme/with\\040blank rw - ext4 /dev/sdc1 rw\n"
		"broken\n";
	struct gp_strv points = { 0 };

	(void)state;
	gp_tree_mounts_in(arena, text, "/srv/sum/acme", &points);
	assert_string_equal(gp_strv_join(arena, &points, "|"), "/srv/sum/acme/media|/srv/sum/acme/with blank");
	points = (struct gp_strv){ 0 };
	gp_tree_mounts_in(arena, text, "/srv/sum/acme/media", &points);
	assert_int_equal(points.n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_files_and_folders, begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_a_folder_with_something_new, begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_left_alone, begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_copy, begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_copy_of_what_a_link_leads_to, begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_move, begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_room, begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_redis_record_without_the_site, begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_measure, begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_mounts, begin, ctx_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
