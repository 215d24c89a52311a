/* apt: who holds its locks, waiting for them, and what its messages mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/apt.h"
#include "sys/ctx.h"

#include "../scratch.h"

static struct gp_arena *arena;
static struct gp_ctx ctx;
static char notes[1024];

static void on_event(void *arg, const struct gp_event *event)
{
	(void)arg;
	if (event->kind == GP_EVENT_NOTE)
		snprintf(notes + strlen(notes), sizeof(notes) - strlen(notes), "%s\n", event->text);
}

static int begin(void **state)
{
	static const char *const folders[] = { "var", "var/lib", "var/lib/dpkg", "var/lib/apt", "var/lib/apt/lists", "var/cache", "var/cache/apt",
		"var/cache/apt/archives" };

	if (scratch_begin(state) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (mkdir(at("%s", folders[i]), 0755) < 0)
			return -1;
	arena = gp_arena_new();
	gp_ctx_init(&ctx, arena);
	ctx.observer.on_event = on_event;
	notes[0] = '\0';
	return 0;
}

static int finish(void **state)
{
	gp_arena_free(arena);
	return scratch_end(state);
}

/* A child that calls itself `name` and holds the lock for so long; its pid once it does. */
static pid_t hold(const char *path, const char *name, int ms)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);

		prctl(PR_SET_NAME, name);
		if (fd < 0 || fcntl(fd, F_SETLK, &lock) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		usleep((useconds_t)ms * 1000);
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_nobody(void **state)
{
	struct gp_apt_holder holder;
	struct gp_error err = { 0 };

	(void)state;
	assert_false(gp_apt_held(scratch, &holder)); /* no files at all: a host before its first apt */
	put(at("var/lib/dpkg/lock"), "");
	put(at("var/lib/dpkg/lock-frontend"), "");
	assert_false(gp_apt_held(scratch, &holder));
	assert_int_equal(gp_apt_wait(&ctx, scratch, 0, &err), 0);
	assert_string_equal(notes, "");
}

static void test_each_lock(void **state)
{
	static const char *const locks[] = { "/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock",
		"/var/cache/apt/archives/lock" };
	int before = open_files();

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		pid_t pid = hold(at("%s", locks[i] + 1), "unattended-upgr", 60000);
		struct gp_apt_holder holder = { 0 };

		assert_true(gp_apt_held(scratch, &holder));
		assert_int_equal(holder.pid, pid);
		assert_string_equal(holder.name, "unattended-upgr");
		assert_string_equal(holder.file, locks[i]);
		end(pid);
		assert_false(gp_apt_held(scratch, &holder));
	}
	assert_int_equal(open_files(), before);
}

static void test_waits(void **state)
{
	struct gp_error err = { 0 };
	int64_t start = gp_mono_ms();
	pid_t pid = hold(at("var/lib/apt/lists/lock"), "apt-get", 500);
	const char *want = gp_sprintf(arena, "waiting for apt-get (pid %d), which holds apt's lock\n", (int)pid);

	(void)state;
	assert_int_equal(gp_apt_wait(&ctx, scratch, 20000, &err), 0);
	assert_in_range(gp_mono_ms() - start, 300, 15000);
	assert_string_equal(notes, want); /* once, not at every look */
	end(pid);
}

static void test_gives_up(void **state)
{
	struct gp_error err = { 0 };
	pid_t pid = hold(at("var/lib/dpkg/lock-frontend"), "a\033[2J b\n", 60000);

	(void)state;
	assert_int_equal(gp_apt_wait(&ctx, scratch, 300, &err), -1);
	end(pid);
	assert_int_equal(err.kind, GP_E_LOCKED);
	assert_string_equal(err.msg, gp_sprintf(arena, "a?[2J?b (pid %d) still holds apt's lock /var/lib/dpkg/lock-frontend after 300 ms", (int)pid));
	assert_string_equal(err.hint, gp_sprintf(arena, "`ps -fp %d` shows what it is; wait for it to end, then this again", (int)pid));
}

/* A lock of the kernel's other kind has no pid, as one from outside of a container has none. */
static void test_holder_that_cannot_be_seen(void **state)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct gp_error err = { 0 };
	int fd = open(at("var/lib/dpkg/lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0640);

	(void)state;
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	assert_int_equal(gp_apt_wait(&ctx, scratch, 0, &err), -1);
	assert_string_equal(err.msg, "a process outside of this system still holds apt's lock /var/lib/dpkg/lock after 0 ms");
	assert_string_equal(err.hint, "wait for it to end, then this again");
	assert_string_equal(notes, "waiting for a process outside of this system, which holds apt's lock\n");
	close(fd);
}

static void test_hints(void **state)
{
	static const struct {
		const char *said, *hint;
	} cases[] = {
		{ "E: Failed to fetch http://127.0.0.1:9/debian/pool/main/c/cowsay.deb  Could not connect to 127.0.0.1:9 (127.0.0.1). - connect (111: "
		  "Connection refused)\nE: Unable to fetch some archives, maybe run apt-get update or try with --fix-missing?",
			"the package source http://127.0.0.1:9/ cannot be reached; it stands in /etc/apt/sources.list or /etc/apt/sources.list.d" },
		{ "E: Failed to fetch http://deb.debian.org/debian/x.deb  Temporary failure resolving 'deb.debian.org'",
			"the name 'deb.debian.org' cannot be resolved: is the network up, and what does /etc/resolv.conf name?" },
		{ "Err:1 http://a.test Could not resolve 'a.test'\n", "the name 'a.test' cannot be resolved: is the network up" },
		{ "E: Failed to fetch http://a.test/x.deb  404  Not Found [IP: 1.2.3.4 80]", "http://a.test/ has not got that file (any longer)" },
		{ "dpkg: error: unable to write: No space left on device\nE: Failed to fetch http://x/y  404", "the disk is full" },
		{ "E: You don't have enough free space in /var/cache/apt/archives/.", "the disk is full" },
		{ "E: Release file for http://deb.debian.org/x/InRelease is not valid yet (invalid for another 4d). Updates for this repository will "
		  "not be applied.", "this host's clock is behind: `timedatectl`" },
		{ "E: Release file for http://x is expired (invalid since 4d).", "this host's clock is ahead, or that mirror" },
		{ "E: Unable to locate package caddy", "set `caddy: official` in host.yaml" },
		{ "E: Package 'caddy' has no installation candidate", "set `caddy: official` in host.yaml" },
		{ "E: Unable to locate package libmagick1", "is the name right" },
		{ "E: Unable to correct problems, you have held broken packages.", "`apt-mark showhold`" },
		{ "E: Held packages were changed and -y was used without --allow-change-held-packages.", "`apt-mark showhold`" },
		{ "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1 (x)", "another apt or dpkg is at work" },
		{ "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem.", "run `dpkg --configure -a`" },
		{ "E: Unmet dependencies. Try 'apt --fix-broken install'", "`apt-get --fix-broken install`" },
		{ "W: mkdir: Read-only file system", "mounted read-only" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *hint = gp_apt_hint(arena, cases[i].said, NULL);

		if (!hint || !strstr(hint, cases[i].hint))
			fail_msg("%s\n→ %s", cases[i].said, hint ? hint : "(none)");
	}
	assert_null(gp_apt_hint(arena, "", NULL));
	assert_null(gp_apt_hint(arena, "E: Sub-process /usr/bin/dpkg returned an error code (1)", NULL));
}

static void test_unreachable(void **state)
{
	static const char said[] =
		"W: Failed to fetch http://user:hunter22@127.0.0.1:9/debian/dists/x/InRelease  Could not connect to 127.0.0.1:9\n"
		"W: Failed to fetch http://user:hunter22@127.0.0.1:9/debian/dists/y/InRelease  Could not connect to 127.0.0.1:9\n"
		"W: Failed to fetch file:/nowhere/InRelease\n"
		"W: Some index files failed to download. They have been ignored, or old ones used instead.\n";
	struct gp_strv list = { 0 }, none = { 0 };

	(void)state;
	gp_apt_unreachable(arena, said, &list);
	assert_int_equal(list.n, 2);
	assert_string_equal(list.v[0], "http://127.0.0.1:9/debian/dists/x/InRelease: Could not connect to 127.0.0.1:9");
	assert_string_equal(list.v[1], "file:/nowhere/InRelease");
	/* a package that is not found then: for that reason, as likely as not */
	assert_string_equal(gp_apt_hint(arena, "E: Unable to locate package cowsay", &list), gp_sprintf(arena, "a package source could not be "
		"read: %s", list.v[0]));
	assert_non_null(strstr(gp_apt_hint(arena, "E: Unable to locate package cowsay", &none), "is the name right"));
	gp_apt_unreachable(arena, "", &none);
	assert_int_equal(none.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nobody, begin, finish),
		cmocka_unit_test_setup_teardown(test_each_lock, begin, finish),
		cmocka_unit_test_setup_teardown(test_waits, begin, finish),
		cmocka_unit_test_setup_teardown(test_gives_up, begin, finish),
		cmocka_unit_test_setup_teardown(test_holder_that_cannot_be_seen, begin, finish),
		cmocka_unit_test_setup_teardown(test_hints, begin, finish),
		cmocka_unit_test_setup_teardown(test_unreachable, begin, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
