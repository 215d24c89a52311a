/*
 * Everything that writes, with every system call that can fail made to fail once: the first, the second, ... until none is left. Each
 * time there is a clean error, no descriptor and no temporary file left, what was there before is whole, and the next run, with
 * nothing failing, ends as if nothing had happened. The linker puts the functions below between the program and libc (--wrap); with
 * large file support it calls the ones whose names end in 64.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdbool.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/arena.h"
#include "base/dotenv.h"
#include "base/error.h"
#include "base/str.h"
#include "conf/host.h"
#include "conf/site.h"
#include "ops/backup.h"
#include "ops/backups.h"
#include "ops/deploy.h"
#include "ops/init.h"
#include "ops/paths.h"
#include "ops/record.h"
#include "ops/redisdb.h"
#include "plan/types.h"
#include "sys/account.h"
#include "sys/ctx.h"
#include "sys/digest.h"
#include "sys/fs.h"
#include "sys/lock.h"

#include "../fake_pg_dump.h"
#include "../scratch.h"

/* How a call fails. SHORT: a write gets half of it down first; anything else fails with ENOSPC. */
enum fault { FULL, BROKEN, SHORT, FAULTS };

static struct {
	bool armed, fired;
	int calls, fail_at;
	enum fault fault;
	bool write_next; /* the other half of SHORT */
} faults;

static bool fails(void)
{
	if (!faults.armed || ++faults.calls != faults.fail_at)
		return false;
	faults.fired = true;
	errno = faults.fault == BROKEN ? EIO : ENOSPC;
	return true;
}

#define WRAP(type, name, params, args, failure)                                                                                  \
	type __real_##name params;                                                                                               \
	type __wrap_##name params;                                                                                               \
	type __wrap_##name params                                                                                                \
	{                                                                                                                        \
		if (fails())                                                                                                     \
			return failure;                                                                                          \
		return __real_##name args;                                                                                       \
	}

WRAP(int, fsync, (int fd), (fd), -1)
WRAP(int, rename, (const char *from, const char *to), (from, to), -1)
WRAP(int, renameat, (int from_fd, const char *from, int to_fd, const char *to), (from_fd, from, to_fd, to), -1)
WRAP(int, renameat2, (int from_fd, const char *from, int to_fd, const char *to, unsigned flags), (from_fd, from, to_fd, to, flags), -1)
WRAP(int, fstatat, (int fd, const char *path, struct stat *st, int flags), (fd, path, st, flags), -1)
WRAP(int, fstatat64, (int fd, const char *path, struct stat *st, int flags), (fd, path, st, flags), -1)
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode), -1)
WRAP(int, symlink, (const char *target, const char *path), (target, path), -1)
WRAP(int, unlink, (const char *path), (path), -1)
WRAP(int, unlinkat, (int fd, const char *path, int flags), (fd, path, flags), -1)
WRAP(int, rmdir, (const char *path), (path), -1)
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode), -1)
WRAP(int, fchown, (int fd, uid_t uid, gid_t gid), (fd, uid, gid), -1)
WRAP(int, ftruncate, (int fd, off_t size), (fd, size), -1)
WRAP(int, ftruncate64, (int fd, off_t size), (fd, size), -1)
WRAP(int, stat, (const char *path, struct stat *st), (path, st), -1)
WRAP(int, stat64, (const char *path, struct stat *st), (path, st), -1)
WRAP(int, lstat, (const char *path, struct stat *st), (path, st), -1)
WRAP(int, lstat64, (const char *path, struct stat *st), (path, st), -1)
WRAP(int, fstat, (int fd, struct stat *st), (fd, st), -1)
WRAP(int, fstat64, (int fd, struct stat *st), (fd, st), -1)
WRAP(int, flock, (int fd, int how), (fd, how), -1)
WRAP(ssize_t, read, (int fd, void *data, size_t len), (fd, data, len), -1)
WRAP(ssize_t, pread, (int fd, void *data, size_t len, off_t offset), (fd, data, len, offset), -1)
WRAP(ssize_t, pread64, (int fd, void *data, size_t len, off_t offset), (fd, data, len, offset), -1)
WRAP(ssize_t, pwrite, (int fd, const void *data, size_t len, off_t offset), (fd, data, len, offset), -1)
WRAP(ssize_t, pwrite64, (int fd, const void *data, size_t len, off_t offset), (fd, data, len, offset), -1)
WRAP(ssize_t, readlink, (const char *path, char *to, size_t len), (path, to, len), -1)
WRAP(char *, realpath, (const char *path, char *to), (path, to), NULL)
WRAP(DIR *, opendir, (const char *path), (path), NULL)
WRAP(DIR *, fdopendir, (int fd), (fd), NULL)

/* Defined by hand: the last parameter of these is not always there. */
#define WRAP_OPEN(name, params, args)                                                                                            \
	int __real_##name params;                                                                                                \
	int __wrap_##name params;                                                                                                \
	int __wrap_##name params                                                                                                 \
	{                                                                                                                        \
		mode_t mode = 0;                                                                                                 \
		va_list ap;                                                                                                      \
                                                                                                                                 \
		va_start(ap, flags);                                                                                             \
		if (flags & O_CREAT)                                                                                             \
			mode = va_arg(ap, mode_t);                                                                               \
		va_end(ap);                                                                                                      \
		return fails() ? -1 : __real_##name args;                                                                        \
	}

WRAP_OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
WRAP_OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))
WRAP_OPEN(openat, (int fd, const char *path, int flags, ...), (fd, path, flags, mode))
WRAP_OPEN(openat64, (int fd, const char *path, int flags, ...), (fd, path, flags, mode))

/* A diff is for showing, and starting a program for each of a thousand runs takes a minute under ASan. */
const char *__wrap_gp_diff_unified(struct gp_arena *arena, const char *label, const char *path, const char *text);
const char *__wrap_gp_diff_unified(struct gp_arena *arena, const char *label, const char *path, const char *text)
{
	(void)arena, (void)label, (void)path, (void)text;
	return "";
}

/* And a write can be cut short. */
ssize_t __real_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len)
{
	if (faults.armed && faults.write_next) {
		faults.write_next = false;
		errno = ENOSPC;
		return -1;
	}
	if (!fails())
		return __real_write(fd, data, len);
	if (faults.fault != SHORT || len < 2)
		return -1;
	faults.write_next = true;
	return __real_write(fd, data, len / 2);
}

static struct gp_arena *arena;
static struct gp_ctx ctx;
static struct gp_paths paths;
static const char *me, *mine;

/* No name below that folder is a temporary one. */
static int no_temporary(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag;
	if (path[ftw->base] == '.' && gp_ends_with(path, "~"))
		fail_msg("left behind: %s", path);
	return 0;
}

/* --- init --- */

static int run_init(struct gp_error *err)
{
	const struct gp_init request = { .slug = "acme", .domain = "acme.example", .repo = "/srv/acme.git" };
	struct gp_init_result result;

	return gp_init_run(&ctx, &request, &result, err);
}

static void check_init(bool done)
{
	struct gp_site site;
	struct gp_host host;

	/* a file that is there is whole, after a failure too */
	if (done || access(at("etc/sites/acme.yaml"), F_OK) == 0)
		assert_int_equal(gp_site_load(arena, ctx.etc_dir, "acme", &site, NULL), 0);
	if (done || access(at("etc/host.yaml"), F_OK) == 0)
		assert_int_equal(gp_host_load(arena, ctx.etc_dir, &host, NULL), 0);
}

/* --- journal and history --- */

static void set_up_record(void)
{
	assert_int_equal(mkdir(paths.state, 0755), 0);
	assert_int_equal(gp_journal_begin(&ctx, &paths, &(struct gp_unfinished){ .what = "deploy", .ref = "v1", .previous = NULL }, NULL), 0);
	assert_int_equal(gp_journal_note(&ctx, &paths, "end", "smoke", "r1", NULL), 0);
	assert_int_equal(gp_history_add(&ctx, &paths, &(struct gp_history){ .release = "r1" }, NULL), 0);
}

static int run_record(struct gp_error *err)
{
	struct gp_unfinished u;

	GP_TRY(gp_journal_read(&ctx, &paths, &u, err));
	GP_TRY(gp_journal_begin(&ctx, &paths, &(struct gp_unfinished){ .what = "deploy", .ref = "v2", .previous = "r1" }, err));
	GP_TRY(gp_journal_note(&ctx, &paths, "begin", "fetch", "r2", err));
	GP_TRY(gp_journal_note(&ctx, &paths, "done", "fetch", "r2", err));
	GP_TRY(gp_history_add(&ctx, &paths, &(struct gp_history){ .release = "r2", .ref = "v2", .result = "ok" }, err));
	return gp_journal_note(&ctx, &paths, "end", "fetch", "r2", err);
}

static void check_lines(const char *path)
{
	struct gp_strv lines = gp_lines(arena, said(path));

	assert_true(lines.n > 0);
	assert_true(gp_ends_with(said(path), "\n"));
	for (size_t i = 0; i < lines.n; i++) {
		json_t *line = json_loads(lines.v[i], 0, NULL);

		if (!line)
			fail_msg("%s: %s", path, lines.v[i]);
		json_decref(line);
	}
}

static void check_record(bool done)
{
	struct gp_unfinished u;

	check_lines(at("state/acme/journal"));
	check_lines(at("state/acme/history"));
	assert_non_null(strstr(said(at("state/acme/history")), "\"r1\""));
	assert_int_equal(gp_journal_read(&ctx, &paths, &u, NULL), 0);
	if (done)
		assert_false(u.found);
	else
		assert_true(gp_streq(u.ref, "v1") || gp_streq(u.ref, "v2"));
}

/* --- a file with a check --- */

static int look(void *arg, const char *candidate, struct gp_error *err)
{
	const char *text = NULL;
	int there;

	(void)arg;
	GP_TRY(there = gp_fs_read(arena, candidate, 100, &text, NULL, err));
	return there && gp_streq(text, "new\n") ? 0 : gp_fail(err, GP_E_CHECK, "not what was written");
}

static void set_up_checked(void)
{
	put(at("file"), "old\n");
}

static int run_checked(struct gp_error *err)
{
	return gp_fs_write_checked(at("file"), "new\n", 4, 0640, geteuid(), getegid(), look, NULL, err);
}

static void check_checked(bool done)
{
	const char *text = said(at("file"));

	assert_true(gp_streq(text, "new\n") || (!done && gp_streq(text, "old\n")));
	assert_int_equal(mode_of(at("file")), gp_streq(text, "new\n") ? 0640 : 0644);
}

/* --- folders, links, trees --- */

static void set_up_tree(void)
{
	assert_int_equal(gp_fs_mkdirs(at("old/a/b"), NULL), 0);
	put(at("old/a/file"), "");
	put(at("old/a/b/file"), "");
	assert_int_equal(symlink("releases/1", at("app")), 0);
}

static int run_tree(struct gp_error *err)
{
	GP_TRY(gp_fs_mkdirs(at("releases/2"), err));
	GP_TRY(gp_fs_mkdir(at("releases/2/private"), 0750, geteuid(), getegid(), err));
	GP_TRY(gp_fs_relink(at("app"), "releases/2", err));
	return gp_fs_remove(at("old"), err);
}

static void check_tree(bool done)
{
	const char *target = gp_fs_readlink(arena, at("app"));

	assert_non_null(target);
	if (!done) {
		assert_true(gp_streq(target, "releases/1") || gp_streq(target, "releases/2"));
		return;
	}
	assert_string_equal(target, "releases/2");
	assert_int_equal(mode_of(at("releases/2/private")), 0750);
	assert_int_equal(access(at("old"), F_OK), -1);
}

/* --- redis numbers, under a lock --- */

static int run_redisdb(struct gp_error *err)
{
	GP_AUTO_LOCK lock = { .fd = -1 };
	struct gp_plan plan = { 0 };
	struct gp_changes changes;
	int a, b;

	GP_TRY(gp_lock_take(&lock, at("locks"), "host", "test", err));
	gp_lock_step(&lock, "numbers");
	GP_TRY(gp_redisdb_number(&ctx, &plan, "acme", &a, err));
	GP_TRY(gp_redisdb_number(&ctx, &plan, "acme:celery", &b, err));
	GP_TRY(gp_plan_run(&ctx, &plan, true, NULL, &changes, err));
	return a == 0 && b == 1 ? 0 : gp_fail(err, GP_E_FAILED, "other numbers: %d %d", a, b);
}

static void check_redisdb(bool done)
{
	const char *text = said(at("state/redis-databases"));

	if (done)
		assert_string_equal(text, "acme 0\nacme:celery 1\n");
}

/* --- a plan --- */

static const struct gp_dotenv_key keys[] = { { .key = "DEBUG", .value = "false" }, { .key = "SECRET_KEY", .secret_len = 50 } };

static int reload(struct gp_ctx *c, struct gp_error *err)
{
	(void)c;
	return gp_fs_write(at("reloaded"), "x", 1, 0600, (uid_t)-1, (gid_t)-1, err);
}

static const struct gp_handler handler = { .run = reload };

static void set_up_plan(void)
{
	put(at("Caddyfile"), "theirs\n");
	put(at("conf"), "old\n");
	put_bytes(at("env"), "DEBUG=mine\n", 11, 0644);
	assert_int_equal(symlink("old", at("link")), 0);
}

static int run_plan_for(struct gp_changes *changes, struct gp_error *err)
{
	struct gp_folder folder = { me, mine, 02750 };
	struct gp_file file = { "new\n", me, mine, 0640, .check = look }, inside = { "inside\n", me, mine, 0600 };
	struct gp_file_line line = { "import x" };
	struct gp_link link = { "new" };
	struct gp_dotenv_file env = { me, mine, keys, 2 };
	struct gp_plan plan = { 0 };
	const char *folder_name = gp_strdup(arena, at("folder"));
	const struct gp_resource all[] = {
		{ &gp_folder_type, folder_name, &folder },
		{ &gp_file_type, gp_strdup(arena, at("folder/inside")), &inside, { folder_name } },
		{ &gp_file_type, gp_strdup(arena, at("conf")), &file, .notify = "reload" },
		{ &gp_file_line_type, gp_strdup(arena, at("Caddyfile")), &line, .notify = "reload" },
		{ &gp_link_type, gp_strdup(arena, at("link")), &link },
		{ &gp_dotenv_type, gp_strdup(arena, at("env")), &env },
		{ &gp_handler_type, "reload", &handler },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		gp_plan_add(&ctx, &plan, all[i]);
	return gp_plan_run(&ctx, &plan, true, NULL, changes, err);
}

static int run_plan(struct gp_error *err)
{
	struct gp_changes changes;

	return run_plan_for(&changes, err);
}

static void check_plan(bool done)
{
	struct gp_dotenv env;
	struct gp_changes changes;
	const char *text = gp_strdup(arena, said(at("conf")));

	assert_true(gp_streq(text, "new\n") || (!done && gp_streq(text, "old\n")));
	assert_true(gp_starts_with(said(at("Caddyfile")), "theirs\n"));
	assert_true(gp_starts_with(said(at("env")), "DEBUG=mine\n"));
	assert_int_equal(gp_dotenv_read(&ctx, at("env"), &env, NULL), 1);
	assert_string_equal(gp_dotenv_get(&env, "DEBUG"), "mine");
	if (!done)
		return;
	assert_string_equal(said(at("Caddyfile")), "theirs\n\nimport x\n"); /* once */
	assert_int_equal(strlen(gp_dotenv_get(&env, "SECRET_KEY")), 50);
	assert_int_equal(mode_of(at("env")), 0600);
	assert_string_equal(said(at("reloaded")), "x"); /* whatever failed in between, the handler was not forgotten */
	assert_int_equal(entries(at("state/pending")), 0);
	assert_int_equal(run_plan_for(&changes, NULL), 0);
	assert_int_equal(changes.n, 0);
}

/* --- a backup, and what it makes superfluous --- */

static struct gp_deploy deploy;

static void old_backup(const char *stamp)
{
	GP_AUTO_FD folder = open(at("sites/acme/backups"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *name = gp_sprintf(arena, "acme_db_%s.sql.gz", stamp);
	struct gp_manifest m = { .file = name, .sha256 = gp_sha256(arena, "old", 3), .bytes = 3, .at = "2020-01-31T03:15:00Z",
		.verified = "2020-01-31T03:15:12Z", .site = "acme", .database = "acme", .server = "15.20", .client = "15.20", .release = "" };

	put(at("sites/acme/backups/%s", name), "old");
	assert_int_equal(gp_manifest_write(arena, folder, &m, &deploy.account, NULL), 0);
}

static void set_up_backup(void)
{
	static const char *const folders[] = { "state/acme", "sites", "sites/acme", "sites/acme/releases", "sites/acme/backups" };

	ctx.sites_dir = gp_strdup(arena, at("sites"));
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		assert_int_equal(mkdir(at("%s", folders[i]), 0755), 0);
	deploy = (struct gp_deploy){ .ctx = &ctx, .paths = gp_site_paths(&ctx, "acme"), .site = { .slug = "acme",
		.database = { .name = "acme", .host = "127.0.0.1", .port = 5432 }, .backup = { 1, 1, 1, 3 } } };
	assert_int_equal(gp_account_get(arena, me, &deploy.account, NULL), 0);
	old_backup("20200101T000000Z");
	old_backup("20200102T000000Z");
}

static int run_backup(struct gp_error *err)
{
	struct gp_backup backup;

	GP_TRY(gp_backup_run(&deploy, GP_BACKUP_BY_HAND, &backup, err));
	return gp_backups_prune(&deploy, err);
}

/* Whatever is called like a backup is one, and has a manifest that says the same of it. */
static void check_backup(bool done)
{
	GP_AUTO_FD folder = open(at("sites/acme/backups"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t backups = 0, others = 0;
	struct gp_strv names;

	assert_int_equal(gp_fs_list(arena, at("sites/acme/backups"), &names, NULL), 0);
	for (size_t i = 0; i < names.n; i++) {
		struct gp_manifest m;
		const char *file;
		int64_t when;
		size_t len;

		if (!gp_backup_name_ok(arena, "acme", names.v[i], &when)) {
			others++;
			assert_true(gp_ends_with(names.v[i], ".sql.gz.json"));
			continue;
		}
		backups++;
		assert_int_equal(gp_fs_read(arena, at("sites/acme/backups/%s", names.v[i]), 4096, &file, &len, NULL), 1);
		/* A manifest goes after its backup: where that failed there is one too many, and never one too few. */
		assert_int_equal(gp_manifest_read(arena, folder, names.v[i], &m, NULL), 1);
		assert_string_equal(m.sha256, gp_sha256(arena, file, len));
	}
	assert_true(backups >= 1);
	if (done)
		assert_true(others == backups && access(at("sites/acme/backups/acme_db_20200101T000000Z.sql.gz"), F_OK) < 0);
}

static const struct scenario {
	const char *name;
	void (*set_up)(void);
	int (*run)(struct gp_error *err);
	void (*check)(bool done); /* done false: after a failure, anything between before and after */
	int least;                /* calls that can fail, at least: else the functions above are not in between */
} scenarios[] = {
	{ "init", NULL, run_init, check_init, 12 },
	{ "record", set_up_record, run_record, check_record, 15 },
	{ "checked", set_up_checked, run_checked, check_checked, 8 },
	{ "tree", set_up_tree, run_tree, check_tree, 12 },
	{ "redisdb", NULL, run_redisdb, check_redisdb, 8 },
	{ "plan", set_up_plan, run_plan, check_plan, 40 },
	{ "backup", set_up_backup, run_backup, check_backup, 40 },
};

static void begin(const struct scenario *s)
{
	struct gp_account account;

	assert_int_equal(scratch_begin(NULL), 0);
	arena = gp_arena_new();
	gp_ctx_init(&ctx, arena);
	ctx.etc_dir = gp_strdup(arena, at("etc"));
	ctx.state_dir = gp_strdup(arena, at("state"));
	assert_int_equal(mkdir(ctx.state_dir, 0755), 0);
	paths = gp_site_paths(&ctx, "acme");
	me = gp_account_name(arena, geteuid());
	assert_int_equal(gp_account_get(arena, me, &account, NULL), 0);
	mine = gp_group_name(arena, account.gid);
	if (s->set_up)
		s->set_up();
}

/* One run with the n-th call failing, and one without. False: there was no n-th call. */
static bool fail_once(const struct scenario *s, int n, enum fault fault)
{
	struct gp_error err = { 0 };
	int before, result;
	bool fired;

	begin(s);
	before = open_files();
	memset(&faults, 0, sizeof(faults));
	faults.fail_at = n;
	faults.fault = fault;
	faults.armed = true;
	result = s->run(&err);
	faults.armed = false;
	fired = faults.fired;
	if (!fired && result < 0)
		fail_msg("%s: %s", s->name, err.msg);
	if (result < 0 && (err.kind == GP_E_NONE || !err.msg[0] || err.sys_errno == ENOENT))
		fail_msg("%s, call %d: '%s'", s->name, n, err.msg);
	if (open_files() != before)
		fail_msg("%s, call %d (%s): %d descriptors more", s->name, n, err.msg, open_files() - before);
	assert_int_equal(nftw(scratch, no_temporary, 16, FTW_PHYS), 0);
	s->check(result == 0 && !fired);
	memset(&err, 0, sizeof(err));
	if (s->run(&err) < 0)
		fail_msg("%s, again after call %d failed: %s", s->name, n, err.msg);
	s->check(true);
	assert_int_equal(open_files(), before);
	gp_arena_free(arena);
	assert_int_equal(scratch_end(NULL), 0);
	return fired;
}

static void test_every_call_fails_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
		for (int fault = 0; fault < FAULTS; fault++) {
			int n = 1;

			while (fail_once(&scenarios[i], n, (enum fault)fault))
				n++;
			if (n <= scenarios[i].least)
				fail_msg("%s: only %d calls could fail", scenarios[i].name, n - 1);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_call_fails_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
