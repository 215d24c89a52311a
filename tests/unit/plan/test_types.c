/* Resource types that are files: what they make, what drift they see and mend, and what they leave alone because somebody wrote it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#include <cmocka.h>

#include "base/dotenv.h"
#include "base/str.h"
#include "plan/types.h"
#include "sys/account.h"
#include "sys/fs.h"

#include "../ctx.h"

static const char *me, *mine; /* this user and its group, by name */

static int begin(void **state)
{
	struct gp_account account;

	if (ctx_begin(state) < 0 || mkdir(ctx.state_dir, 0700) < 0)
		return -1;
	me = gp_account_name(arena, geteuid());
	if (gp_account_get(arena, me, &account, NULL) < 0)
		return -1;
	mine = gp_group_name(arena, account.gid);
	return 0;
}

/* What the test itself has laid into its folder. */
static int things(void)
{
	return entries(scratch) - 1;
}

/* Run a plan of one; what it changed, without the path, or "error". */
static const char *run(bool apply, const struct gp_resource_type *type, const char *name, const void *spec)
{
	struct gp_plan plan = { 0 };
	struct gp_changes changes;
	struct gp_strv all = { 0 };

	gp_plan_add(&ctx, &plan, (struct gp_resource){ .type = type, .name = name, .spec = spec });
	memset(&err, 0, sizeof(err));
	if (gp_plan_run(&ctx, &plan, apply, NULL, &changes, &err) < 0)
		return "error";
	for (size_t i = 0; i < changes.n; i++) {
		const char *what = strstr(changes.v[i].what, name);

		what = what ? what + strlen(name) : changes.v[i].what;
		gp_strv_add(arena, &all, gp_sprintf(arena, "%c%s", changes.v[i].mark, gp_starts_with(what, ": ") ? what + 1 : what));
	}
	return gp_strv_join(arena, &all, "; ");
}

/* Needed as a dry run tells, made, and then no more. */
static void assert_mends(const struct gp_resource_type *type, const char *name, const void *spec, const char *changes)
{
	const char *dry = run(false, type, name, spec), *made = run(true, type, name, spec);

	if (gp_streq(made, "error"))
		fail_msg("%s: %s", name, err.msg);
	assert_string_equal(dry, changes);
	assert_string_equal(made, changes);
	assert_string_equal(run(true, type, name, spec), "");
	assert_string_equal(run(false, type, name, spec), "");
}

static void assert_refuses(const struct gp_resource_type *type, const char *name, const void *spec, enum gp_error_kind kind, const char *why)
{
	assert_string_equal(run(true, type, name, spec), "error");
	if (!strstr(err.msg, why))
		fail_msg("%s", err.msg);
	assert_int_equal(err.kind, kind);
}

static void test_file(void **state)
{
	const char *path = gp_strdup(arena, at("file"));
	struct gp_file spec = { .content = "one\n", .owner = me, .group = mine, .mode = 0640 };

	(void)state;
	assert_mends(&gp_file_type, path, &spec, "+");
	assert_string_equal(said(path), "one\n");
	assert_int_equal(mode_of(path), 0640);
	/* drift, one thing at a time */
	put_bytes(path, "two\n", 4, 0640);
	assert_mends(&gp_file_type, path, &spec, "~ content");
	put_bytes(path, "one\n\0", 5, 0640);
	assert_mends(&gp_file_type, path, &spec, "~ content");
	put_bytes(path, "one", 3, 0640);
	assert_mends(&gp_file_type, path, &spec, "~ content");
	assert_int_equal(chmod(path, 0666), 0);
	assert_mends(&gp_file_type, path, &spec, "~ mode 0666 → 0640");
	assert_int_equal(chmod(path, 04640), 0);
	assert_mends(&gp_file_type, path, &spec, "~ mode 4640 → 0640");
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 1, 54321), 0);
		assert_mends(&gp_file_type, path, &spec, "~ owner daemon → root; ~ group gid 54321 → root");
		put_bytes(path, "x", 1, 0600);
		assert_int_equal(chown(path, 54321, 0), 0);
		assert_mends(&gp_file_type, path, &spec, "~ content; ~ owner uid 54321 → root; ~ mode 0600 → 0640");
	}
	spec.content = "";
	assert_mends(&gp_file_type, path, &spec, "~ content");
	assert_int_equal(things(), 1);
}

static void test_file_in_the_place_of_something(void **state)
{
	const char *path = gp_strdup(arena, at("file"));
	struct gp_file spec = { .content = "one\n", .owner = me, .group = mine, .mode = 0644 };

	(void)state;
	/* a symlink is written over, never through: /dev/null is how units are masked */
	put(at("target"), "precious");
	assert_int_equal(symlink("target", path), 0);
	assert_mends(&gp_file_type, path, &spec, "~ a symlink to target → a file");
	assert_string_equal(said(at("target")), "precious");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/dev/full", path), 0);
	assert_mends(&gp_file_type, path, &spec, "~ a symlink to /dev/full → a file");
	/* folders and pipes are somebody's: an error that names them */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_refuses(&gp_file_type, path, &spec, GP_E_CONFIG, "no regular file");
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkfifo(path, 0644), 0);
	assert_refuses(&gp_file_type, path, &spec, GP_E_CONFIG, "no regular file");
	assert_refuses(&gp_file_type, at("none/file"), &spec, GP_E_FAILED, "none/");
	spec.owner = "goldpath-nobody";
	assert_int_equal(unlink(path), 0);
	assert_refuses(&gp_file_type, path, &spec, GP_E_FAILED, "there is no user 'goldpath-nobody'");
	spec.owner = me;
	spec.group = "goldpath-nobodies";
	assert_refuses(&gp_file_type, path, &spec, GP_E_FAILED, "there is no group 'goldpath-nobodies'");
	assert_int_equal(things(), 1);
}

static int refuse(void *arg, const char *candidate, struct gp_error *e)
{
	(void)arg;
	return strstr(said(candidate), "bad") ? gp_fail(e, GP_E_CHECK, "visudo says no") : 0;
}

static void test_file_checked(void **state)
{
	const char *path = gp_strdup(arena, at("sudoers"));
	struct gp_file good = { .content = "good\n", .owner = me, .group = mine, .mode = 0440, .check = refuse };
	struct gp_file bad = { .content = "bad\n", .owner = me, .group = mine, .mode = 0440, .check = refuse };

	(void)state;
	assert_refuses(&gp_file_type, path, &bad, GP_E_CHECK, "visudo says no");
	assert_int_equal(things(), 0);
	assert_mends(&gp_file_type, path, &good, "+");
	assert_refuses(&gp_file_type, path, &bad, GP_E_CHECK, "visudo says no");
	assert_string_equal(said(path), "good\n");
	assert_int_equal(mode_of(path), 0440);
	assert_int_equal(things(), 1);
}

static void test_file_line(void **state)
{
	static const struct {
		const char *before, *after;
	} cases[] = {
		{ "", "\nimport x\n" },
		{ "a\n", "a\n\nimport x\n" },
		{ "a", "a\n\nimport x\n" },
		{ "import xy\n", "import xy\n\nimport x\n" },
		{ "# import x\n", "# import x\n\nimport x\n" },
		{ "# import x\nimport x y import x\n", "# import x\nimport x y import x\n\nimport x\n" },
		{ "a\r\nb\r\n", "a\r\nb\r\n\nimport x\n" },
	};
	static const char *const there[] = { "import x\n", "import x", "# import x\nimport x\n", "a\nimport x\nb\n", "  import x\t\n", "a\r\nimport x\r\n" };
	const char *path = gp_strdup(arena, at("Caddyfile"));
	const struct gp_file_line spec = { .line = "import x" };

	(void)state;
	assert_refuses(&gp_file_line_type, path, &spec, GP_E_FAILED, "there is no ");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put_bytes(path, cases[i].before, strlen(cases[i].before), 0640);
		if (geteuid() == 0)
			assert_int_equal(chown(path, 1, 54321), 0);
		assert_mends(&gp_file_line_type, path, &spec, "~ add 'import x'");
		assert_string_equal(said(path), cases[i].after);
		assert_int_equal(mode_of(path), 0640); /* still theirs */
		assert_int_equal(owner_of(path), geteuid() == 0 ? 1 : geteuid());
	}
	for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++) {
		put(path, there[i]);
		assert_string_equal(run(true, &gp_file_line_type, path, &spec), "");
		assert_string_equal(said(path), there[i]);
	}
	/* bytes behind a NUL would be lost: left alone */
	put_bytes(path, "a\n\0b\n", 5, 0644);
	assert_refuses(&gp_file_line_type, path, &spec, GP_E_CONFIG, "no text");
	assert_int_equal(things(), 1);
}

/* A file that is a symlink into a folder kept under version control stays one. */
static void test_file_line_through_a_symlink(void **state)
{
	const char *path = gp_strdup(arena, at("Caddyfile"));
	const struct gp_file_line spec = { .line = "import x" };

	(void)state;
	assert_int_equal(mkdir(at("kept"), 0755), 0);
	put_bytes(at("kept/Caddyfile"), "a\n", 2, 0640);
	assert_int_equal(symlink("kept/Caddyfile", path), 0);
	assert_mends(&gp_file_line_type, path, &spec, "~ add 'import x'");
	assert_string_equal(gp_fs_readlink(arena, path), "kept/Caddyfile");
	assert_string_equal(said(at("kept/Caddyfile")), "a\n\nimport x\n");
	assert_int_equal(mode_of(at("kept/Caddyfile")), 0640);
}

static void test_link(void **state)
{
	const char *path = gp_strdup(arena, at("app"));
	struct gp_link spec = { .target = "releases/1" };

	(void)state;
	assert_mends(&gp_link_type, path, &spec, "+ → releases/1");
	spec.target = "releases/2";
	assert_mends(&gp_link_type, path, &spec, "~ releases/1 → releases/2");
	assert_string_equal(gp_fs_readlink(arena, path), "releases/2");
	assert_int_equal(unlink(path), 0);
	put(path, "mine");
	assert_refuses(&gp_link_type, path, &spec, GP_E_REFUSED, "is no symlink");
	assert_string_equal(said(path), "mine");
	assert_string_not_equal(err.hint, "");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_refuses(&gp_link_type, path, &spec, GP_E_REFUSED, "is no symlink");
	assert_int_equal(things(), 1);
}

static void test_folder(void **state)
{
	const char *path = gp_strdup(arena, at("folder"));
	struct gp_folder spec = { .owner = me, .group = mine, .mode = 02750 };

	(void)state;
	assert_mends(&gp_folder_type, path, &spec, "+");
	assert_int_equal(mode_of(path), 02750);
	put(at("folder/inside"), "kept");
	assert_int_equal(chmod(path, 0777), 0);
	assert_mends(&gp_folder_type, path, &spec, "~ mode 0777 → 2750");
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 1, 1), 0);
		assert_int_equal(chmod(path, 02750), 0);
		assert_mends(&gp_folder_type, path, &spec, "~ owner daemon → root; ~ group daemon → root");
	}
	assert_string_equal(said(at("folder/inside")), "kept");
	/* whatever else is there is left as it is */
	put(at("file"), "mine");
	assert_refuses(&gp_folder_type, gp_strdup(arena, at("file")), &spec, GP_E_REFUSED, "is a file where a folder belongs");
	assert_int_equal(symlink("folder", at("link")), 0);
	assert_refuses(&gp_folder_type, gp_strdup(arena, at("link")), &spec, GP_E_REFUSED, "is a symlink to folder where a folder belongs");
	assert_refuses(&gp_folder_type, at("none/folder"), &spec, GP_E_FAILED, "none/");
	assert_int_equal(mode_of(path), 02750);
}

/* A symlink is in a folder's place: it goes where nothing is lost with it. */
static void test_folder_for_a_symlink(void **state)
{
	const char *path = gp_strdup(arena, at("link"));
	struct gp_folder spec = { .owner = me, .group = mine, .mode = 0755 };

	(void)state;
	assert_int_equal(symlink("nowhere", path), 0);
	assert_mends(&gp_folder_type, path, &spec, "~ a symlink to nowhere, with nothing there → a folder");
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkdir(at("empty"), 0700), 0);
	assert_int_equal(symlink("empty", path), 0);
	assert_mends(&gp_folder_type, path, &spec, "~ a symlink to empty, with nothing there → a folder");
	assert_int_equal(mode_of(at("empty")), 0700);
	assert_int_equal(rmdir(path), 0);
	put(at("empty/file"), "mine");
	assert_int_equal(symlink("empty", path), 0);
	assert_refuses(&gp_folder_type, path, &spec, GP_E_REFUSED, "is a symlink to empty");
	assert_string_equal(said(at("link/file")), "mine");
}

static void test_vacant(void **state)
{
	const char *path = gp_strdup(arena, at("site"));
	struct gp_vacant spec = { .ours_if = gp_strdup(arena, at("ours")) };

	(void)state;
	gp_strv_add(arena, &spec.welcome, ".env");
	gp_strv_add(arena, &spec.welcome, "media");
	assert_string_equal(run(true, &gp_vacant_type, path, &spec), ""); /* nothing there */
	assert_int_equal(mkdir(path, 0755), 0);
	assert_string_equal(run(true, &gp_vacant_type, path, &spec), "");
	put(at("site/.env"), "A=b\n");
	assert_int_equal(mkdir(at("site/media"), 0755), 0);
	assert_string_equal(run(true, &gp_vacant_type, path, &spec), "");
	put(at("site/thesis.odt"), "mine");
	put(at("site/\033[2J"), "mine");
	assert_refuses(&gp_vacant_type, path, &spec, GP_E_REFUSED, "?[2J, thesis.odt");
	/* once it is ours nobody is asked */
	put(at("ours"), "");
	assert_string_equal(run(true, &gp_vacant_type, path, &spec), "");
	/* but while it is being adopted nobody else works on it */
	spec.not_while = gp_strdup(arena, at("adopting"));
	assert_string_equal(run(true, &gp_vacant_type, path, &spec), "");
	put(at("adopting"), "");
	assert_refuses(&gp_vacant_type, path, &spec, GP_E_REFUSED, "its adoption has not been finished");
}

static const char *derive_url(struct gp_ctx *c, const void *arg, const char *(*get)(const void *env, const char *key), const void *env)
{
	const char *password = get(env, "DB_PASSWORD");

	return gp_sprintf(c->arena, "postgres://%s:%s@h", (const char *)arg, password ? password : "");
}

static const struct gp_dotenv_key keys[] = {
	{ .key = "DEBUG", .value = "false" },
	{ .key = "SECRET_KEY", .secret_len = 50 },
	{ .key = "DB_PASSWORD", .secret_len = 32 },
	{ .key = "URL", .derive = derive_url, .arg = "me" },
	{ .key = "ODD", .value = " a 'b' \"c\" $d \\ #" },
};

static const char *value(const char *path, const char *key)
{
	struct gp_dotenv env;

	assert_int_equal(gp_dotenv_read(&ctx, path, &env, &err), 1);
	return gp_dotenv_get(&env, key);
}

static void test_dotenv_is_made(void **state)
{
	const char *path = gp_strdup(arena, at(".env")), *password;
	const struct gp_dotenv_file spec = { .owner = me, .group = mine, .keys = keys, .n = 5 };

	(void)state;
	assert_mends(&gp_dotenv_type, path, &spec, "+ 5 keys");
	assert_int_equal(mode_of(path), 0600);
	assert_string_equal(value(path, "DEBUG"), "false");
	assert_int_equal(strlen(value(path, "SECRET_KEY")), 50);
	password = value(path, "DB_PASSWORD");
	assert_int_equal(strlen(password), 32);
	assert_string_equal(value(path, "URL"), gp_sprintf(arena, "postgres://me:%s@h", password));
	assert_string_equal(value(path, "ODD"), " a 'b' \"c\" $d \\ #");
	/* known from now on, and never shown */
	assert_null(strstr(gp_secret_mask(&ctx.secrets, arena, said(path)), password));
	/* another one is made elsewhere */
	assert_mends(&gp_dotenv_type, gp_strdup(arena, at("other")), &spec, "+ 5 keys");
	assert_string_not_equal(value(at("other"), "DB_PASSWORD"), password);
	assert_int_equal(things(), 2);
}

/* What stands in the file stays, byte by byte; what is missing comes behind it. */
static void test_dotenv_only_adds(void **state)
{
	static const char *const texts[] = {
		"",
		"\n",
		"# mine\nDEBUG=true\n",
		"DEBUG=true",
		"DEBUG=true\r\nOTHER='x'\r\n",
		"DEBUG=\nSECRET_KEY=\n", /* set to nothing is set */
		"DEBUG=1\nDEBUG=2\n",
		"  DEBUG = x  \n\n\n",
		"DEBUG='a\nb'\n",
		"OTHER=\"quoted\"",
		"OTHER='quoted'  ",
		"# no newline",
		"no assignment",
		"export DEBUG=true\n",
		"DEBUG=x # not a comment\nZZ=Küche\n",
		"DEBUG='$(id)' \n",
		"A=b\\\nc\n",
	};
	const char *path = gp_strdup(arena, at(".env"));
	const struct gp_dotenv_file spec = { .owner = me, .group = mine, .keys = keys, .n = 5 };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct gp_dotenv before, after;
		const char *changes;

		put_bytes(path, texts[i], strlen(texts[i]), 0600);
		assert_int_equal(gp_dotenv_read(&ctx, path, &before, &err), 1);
		changes = run(false, &gp_dotenv_type, path, &spec);
		assert_string_not_equal(changes, "error");
		assert_mends(&gp_dotenv_type, path, &spec, changes);
		assert_true(gp_starts_with(said(path), texts[i]));
		assert_int_equal(gp_dotenv_read(&ctx, path, &after, &err), 1);
		for (size_t k = 0; k < before.n; k++)
			assert_string_equal(gp_dotenv_get(&after, before.pairs[k].key), before.pairs[k].value);
		for (size_t k = 0; k < 5; k++)
			assert_non_null(gp_dotenv_get(&after, keys[k].key));
	}
	/* mode and owner are mended without a word of it changed */
	assert_int_equal(chmod(path, 0644), 0);
	assert_mends(&gp_dotenv_type, path, &spec, "~ mode 0644 → 0600");
	assert_int_equal(things(), 1);
}

static void test_dotenv_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "A='open\n", "not finished" },
		{ "A=\"open", "not finished" },
		{ "A=b\\", "not finished" },
		{ "B=c\nA='", "not finished" },
		{ "1A='open\n", "not finished" }, /* no key at all, but it would swallow what is added */
		{ "1A=x\\", "not finished" },
		{ "A=\xff\n", "UTF-8" },
	};
	const char *path = gp_strdup(arena, at(".env"));
	const struct gp_dotenv_file spec = { .owner = me, .group = mine, .keys = keys, .n = 5 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put_bytes(path, cases[i].text, strlen(cases[i].text), 0600);
		for (int again = 0; again < 2; again++) {
			assert_refuses(&gp_dotenv_type, path, &spec, GP_E_CONFIG, cases[i].why);
			assert_non_null(strstr(err.msg, path));
			assert_string_equal(said(path), cases[i].text);
		}
	}
	/* a symlink laid there by the folder's owner is neither read nor replaced */
	assert_int_equal(rename(path, at("target")), 0);
	assert_int_equal(symlink("target", path), 0);
	assert_refuses(&gp_dotenv_type, path, &spec, GP_E_REFUSED, "symlink");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("nowhere", path), 0);
	assert_refuses(&gp_dotenv_type, path, &spec, GP_E_REFUSED, "symlink");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_refuses(&gp_dotenv_type, path, &spec, GP_E_CONFIG, "no regular file");
	assert_int_equal(things(), 2);
}

static void test_dotenv_disagrees(void **state)
{
	static const struct gp_dotenv_key reported[] = { { .key = "DEBUG", .value = "false", .report = true },
		{ .key = "DB_PASSWORD", .value = "x" }, { .key = "URL", .derive = derive_url, .arg = "me" } };
	const char *path = gp_strdup(arena, at(".env")), *changes;
	const struct gp_dotenv_file spec = { .owner = me, .group = mine, .keys = reported, .n = 3 };

	(void)state;
	put_bytes(path, "DEBUG=true\nDB_PASSWORD=hunts\nURL=postgres://mine\n", 49, 0600);
	for (int apply = 0; apply < 2; apply++) {
		changes = run(apply, &gp_dotenv_type, path, &spec);
		assert_true(gp_starts_with(changes, "! DEBUG is 'true'"));
		assert_non_null(strstr(changes, "; ! URL does not agree"));
		assert_null(strstr(changes, "hunts"));
		assert_string_equal(said(path), "DEBUG=true\nDB_PASSWORD=hunts\nURL=postgres://mine\n");
	}
}

static void test_user_and_member(void **state)
{
	(void)state;
	assert_string_equal(run(false, &gp_user_type, "goldpath-nobody", &(struct gp_user){ "goldpath-nobody", NULL }), "+");
	assert_string_equal(run(false, &gp_user_type, "daemon", &(struct gp_user){ "daemon", NULL }), "");
	assert_string_equal(run(false, &gp_user_type, "root", &(struct gp_user){ "root", "/root" }), "error");
	assert_int_equal(err.kind, GP_E_REFUSED);
	assert_string_equal(run(false, &gp_user_type, "nobody", &(struct gp_user){ "nobody", NULL }), "error"); /* its uid is no system user's */
	assert_int_equal(err.kind, GP_E_REFUSED);
	assert_string_equal(run(false, &gp_member_type, "x", &(struct gp_member){ "daemon", "daemon" }), "");
	assert_string_equal(run(false, &gp_member_type, "x", &(struct gp_member){ "daemon", "root" }), "+");
	assert_string_equal(run(false, &gp_member_type, "x", &(struct gp_member){ "goldpath-nobody", "root" }), "error");
	assert_string_equal(run(false, &gp_member_type, "x", &(struct gp_member){ "daemon", "goldpath-nobodies" }), "error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, begin, ctx_end)
		IN_SCRATCH(test_file),
		IN_SCRATCH(test_file_in_the_place_of_something),
		IN_SCRATCH(test_file_checked),
		IN_SCRATCH(test_file_line),
		IN_SCRATCH(test_file_line_through_a_symlink),
		IN_SCRATCH(test_link),
		IN_SCRATCH(test_folder),
		IN_SCRATCH(test_folder_for_a_symlink),
		IN_SCRATCH(test_vacant),
		IN_SCRATCH(test_dotenv_is_made),
		IN_SCRATCH(test_dotenv_only_adds),
		IN_SCRATCH(test_dotenv_refused),
		IN_SCRATCH(test_dotenv_disagrees),
		IN_SCRATCH(test_user_and_member),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
