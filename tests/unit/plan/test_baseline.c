/* The types of the host's baseline: what must hold before anything is changed, files that are turned off, kernel settings, swap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdbool.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/str.h"
#include "plan/types.h"
#include "sys/proc.h"

#include "../ctx.h"

/* Run a plan of one; what it changed, without type and name, or "error". */
static const char *run(bool apply, const struct gp_resource_type *type, const char *name, const void *spec)
{
	struct gp_plan plan = { 0 };
	struct gp_changes changes;
	struct gp_strv all = { 0 };
	size_t skip = strlen(type->name) + 1 + strlen(name);

	gp_plan_add(&ctx, &plan, (struct gp_resource){ .type = type, .name = name, .spec = spec });
	memset(&err, 0, sizeof(err));
	if (gp_plan_run(&ctx, &plan, apply, NULL, &changes, &err) < 0)
		return "error";
	for (size_t i = 0; i < changes.n; i++) {
		const char *what = changes.v[i].what + skip;

		gp_strv_add(arena, &all, gp_sprintf(arena, "%c%s", changes.v[i].mark, *what ? what + 1 : ""));
	}
	return gp_strv_join(arena, &all, "; ");
}

static void test_absent(void **state)
{
	const char *path = gp_strdup(arena, at("file"));

	(void)state;
	assert_string_equal(run(true, &gp_absent_file_type, path, NULL), "");
	put(path, "x");
	assert_string_equal(run(false, &gp_absent_file_type, path, NULL), "-");
	assert_string_equal(said(path), "x");
	assert_string_equal(run(true, &gp_absent_file_type, path, NULL), "-");
	assert_string_equal(run(true, &gp_absent_file_type, path, NULL), "");
	/* a symlink goes, and what it points at stays */
	put(at("target"), "precious");
	assert_int_equal(symlink("target", path), 0);
	assert_string_equal(run(true, &gp_absent_file_type, path, NULL), "-");
	assert_string_equal(said(at("target")), "precious");
	/* a folder is nobody's to take */
	assert_int_equal(mkdir(path, 0755), 0);
	assert_string_equal(run(true, &gp_absent_file_type, path, NULL), "error");
	assert_int_equal(err.kind, GP_E_REFUSED);
	assert_int_equal(entries(path), 0);
}

/* --- the host --- */

static struct gp_host_check host_spec(const struct gp_strv *packages)
{
	mkdir(at("etc"), 0755);
	mkdir(at("run"), 0755);
	mkdir(at("var"), 0755);
	put(at("etc/hosts"), "127.0.0.1 localhost\n127.0.1.1\tweb1.example.com web1 # me\n");
	put(at("status"), "Package: there\nStatus: install ok installed\n");
	setenv("GP_DPKG_STATUS", at("status"), 1);
	return (struct gp_host_check){ .packages = packages, .root = scratch };
}

static void test_host(void **state)
{
	static const char *names[] = { "there" };
	static const struct gp_strv packages = { names, 1 };
	struct gp_host_check spec = host_spec(&packages);

	(void)state;
	assert_string_equal(run(true, &gp_host_check_type, "web1", &spec), "");
	put(at("run/reboot-required"), "*** System restart required ***\n");
	assert_string_equal(run(true, &gp_host_check_type, "web1", &spec), "! a reboot is required (/run/reboot-required)");
	assert_int_equal(unlink(at("run/reboot-required")), 0);
	/* a clock that is behind: told while nothing is to be installed, an error otherwise */
	spec.born = gp_now() + 86400;
	assert_non_null(strstr(run(true, &gp_host_check_type, "web1", &spec), "before goldpath was built: see `timedatectl`"));
	names[0] = "missing";
	assert_string_equal(run(false, &gp_host_check_type, "web1", &spec), "error");
	assert_non_null(strstr(err.msg, "packages cannot be verified"));
	assert_non_null(strstr(err.hint, "timedatectl"));
	spec.born = gp_now() - 10;
	assert_string_equal(run(false, &gp_host_check_type, "web1", &spec), "");
	names[0] = "there";
	unsetenv("GP_DPKG_STATUS");
}

static void test_host_name(void **state)
{
	static const struct {
		const char *hosts, *nsswitch;
		bool known;
	} cases[] = {
		{ "127.0.1.1 web1\n", "", true },
		{ "127.0.1.1 web1.example.com web1\n", "", true },
		{ "127.0.1.1 web1 # comment\n", "", true },
		{ "127.0.1.1\tweb1", "", true },
		{ "", "", false },
		{ "# 127.0.1.1 web1\n", "", false },
		{ "127.0.1.1 other # web1\n", "", false },
		{ "127.0.1.1 web10 aweb1 web1.example.com\n", "", false },
		{ "", "hosts: files myhostname dns\n", true },
		{ "", "hosts:\tfiles dns [NOTFOUND=return] myhostname\n", true },
		{ "", "#hosts: files myhostname\nhosts: files dns\n", false },
		{ "", "passwd: files myhostname\n", false },
	};
	static const struct gp_strv none = { 0 };
	struct gp_host_check spec = host_spec(&none);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *found;

		put(at("etc/hosts"), cases[i].hosts);
		put(at("etc/nsswitch.conf"), cases[i].nsswitch);
		found = run(true, &gp_host_check_type, "web1", &spec);
		if (cases[i].known != gp_streq(found, ""))
			fail_msg("%zu: %s", i, found);
		if (!cases[i].known)
			assert_string_equal(found, "! its own name is not in /etc/hosts, sudo waits for DNS: add '127.0.1.1 web1'");
	}
	assert_int_equal(unlink(at("etc/hosts")), 0);
	assert_int_equal(unlink(at("etc/nsswitch.conf")), 0);
	assert_string_not_equal(run(true, &gp_host_check_type, "web1", &spec), "");
	unsetenv("GP_DPKG_STATUS");
}

/* --- kernel settings --- */

static void test_sysctl(void **state)
{
	const struct gp_sysctl spec = { .value = "4096 131072  6291456", .root = gp_strdup(arena, at("sys")) };
	const struct gp_sysctl vlan = { .value = "1", .root = spec.root };

	(void)state;
	assert_int_equal(mkdir(at("sys"), 0755) | mkdir(at("sys/net"), 0755) | mkdir(at("sys/net/eth0.100"), 0755), 0);
	put(at("sys/net/rmem"), "4096\t131072\t6291456\n");
	assert_string_equal(run(false, &gp_sysctl_type, "net.rmem", &spec), "");
	put(at("sys/net/rmem"), "4096\t131072\t99\n");
	assert_string_equal(run(false, &gp_sysctl_type, "net.rmem", &spec), "~ 4096 131072 99 → 4096 131072 6291456");
	assert_string_equal(run(true, &gp_sysctl_type, "net.rmem", &spec), "~ 4096 131072 99 → 4096 131072 6291456");
	assert_string_equal(run(true, &gp_sysctl_type, "net.rmem", &spec), "");
	put(at("sys/net/eth0.100/fwd"), "0\n");
	assert_string_equal(run(false, &gp_sysctl_type, "net.eth0/100.fwd", &vlan), "~ 0 → 1");
	assert_string_equal(run(true, &gp_sysctl_type, "net.none", &vlan), "error");
	assert_int_equal(err.kind, GP_E_CONFIG);
	assert_non_null(strstr(err.msg, "this kernel has no setting net.none"));
}

/* This kernel's own: only settings that can do no harm. */
static void test_sysctl_of_the_kernel(void **state)
{
	const struct gp_sysctl spec = { .value = "goldpath", .root = "/proc/sys" };

	(void)state;
	assert_string_equal(run(true, &gp_sysctl_type, "kernel.ostype", &spec), "error");
	assert_non_null(strstr(err.msg, "set kernel.ostype to 'goldpath'"));
	if (geteuid() != 0 || access("/proc/sys/net/ipv4/tcp_keepalive_time", W_OK) < 0)
		skip();
	assert_string_equal(run(true, &gp_sysctl_type, "net.ipv4.tcp_keepalive_time", &spec), "error");
	assert_non_null(strstr(err.msg, "the kernel refuses 'goldpath' for net.ipv4.tcp_keepalive_time: Invalid argument"));
}

/* --- swap --- */

#define G (1LL << 30)

static void test_swap_decision(void **state)
{
	static const struct {
		struct gp_swap spec;
		struct gp_swap_facts facts;
		struct gp_swap_decision want;
	} cases[] = {
		/* auto: container, other swap, can hold, file, its size, memory, free */
		{ { GP_SWAP_AUTO, 0 }, { false, false, true, GP_SWAP_NO_FILE, 0, 1 * G, 20 * G }, { GP_SWAP_MAKE, G, NULL } },
		{ { GP_SWAP_AUTO, 0 }, { false, false, true, GP_SWAP_NO_FILE, 0, 2 * G, 3 * G }, { GP_SWAP_MAKE, G, NULL } },
		{ { GP_SWAP_AUTO, 0 }, { false, false, true, GP_SWAP_NO_FILE, 0, 2 * G, 3 * G - 1 }, { GP_SWAP_CANNOT, 0, "too little room" } },
		{ { GP_SWAP_AUTO, 0 }, { false, false, true, GP_SWAP_NO_FILE, 0, 2 * G + 1, 20 * G }, { GP_SWAP_LEAVE, 0, NULL } },
		{ { GP_SWAP_AUTO, 0 }, { false, true, true, GP_SWAP_NO_FILE, 0, 1 * G, 20 * G }, { GP_SWAP_LEAVE, 0, NULL } },
		{ { GP_SWAP_AUTO, 0 }, { true, false, true, GP_SWAP_NO_FILE, 0, 1 * G, 20 * G }, { GP_SWAP_LEAVE, 0, NULL } },
		{ { GP_SWAP_AUTO, 0 }, { false, false, false, GP_SWAP_NO_FILE, 0, 1 * G, 20 * G }, { GP_SWAP_CANNOT, 0, "on this filesystem" } },
		{ { GP_SWAP_AUTO, 0 }, { false, false, true, GP_SWAP_THEIRS, G, 1 * G, 20 * G }, { GP_SWAP_CANNOT, 0, "goldpath did not make it" } },
		{ { GP_SWAP_AUTO, 0 }, { false, true, true, GP_SWAP_THEIRS, G, 1 * G, 20 * G }, { GP_SWAP_LEAVE, 0, NULL } },
		{ { GP_SWAP_AUTO, 0 }, { false, false, true, GP_SWAP_THEIRS, G, 8 * G, 20 * G }, { GP_SWAP_LEAVE, 0, NULL } },
		{ { GP_SWAP_AUTO, 0 }, { false, false, true, GP_SWAP_WHOLE, G, 1 * G, 0 }, { GP_SWAP_KEEP, G, NULL } },
		{ { GP_SWAP_AUTO, 0 }, { false, false, true, GP_SWAP_WHOLE, 4 * G, 8 * G, 20 * G }, { GP_SWAP_KEEP, 4 * G, NULL } },
		{ { GP_SWAP_AUTO, 0 }, { false, false, true, GP_SWAP_HALF, G, 1 * G, 2 * G }, { GP_SWAP_MAKE, G, NULL } },
		{ { GP_SWAP_AUTO, 0 }, { false, false, true, GP_SWAP_HALF, 0, 1 * G, 2 * G }, { GP_SWAP_CANNOT, 0, "too little room" } },
		{ { GP_SWAP_AUTO, 0 }, { false, false, true, GP_SWAP_HALF, G, 8 * G, 20 * G }, { GP_SWAP_REMOVE, 0, NULL } },
		{ { GP_SWAP_AUTO, 0 }, { false, true, true, GP_SWAP_HALF, G, 1 * G, 20 * G }, { GP_SWAP_REMOVE, 0, NULL } },
		/* a size: however much memory there is */
		{ { GP_SWAP_SIZE, 4 * G }, { false, false, true, GP_SWAP_NO_FILE, 0, 64 * G, 20 * G }, { GP_SWAP_MAKE, 4 * G, NULL } },
		{ { GP_SWAP_SIZE, 4 * G }, { false, false, true, GP_SWAP_NO_FILE, 0, 64 * G, 6 * G - 1 }, { GP_SWAP_CANNOT, 0, "too little room" } },
		{ { GP_SWAP_SIZE, 4 * G }, { false, false, true, GP_SWAP_WHOLE, 4 * G, 1 * G, 0 }, { GP_SWAP_KEEP, 4 * G, NULL } },
		{ { GP_SWAP_SIZE, 4 * G }, { false, false, true, GP_SWAP_WHOLE, 1 * G, 1 * G, 5 * G }, { GP_SWAP_MAKE, 4 * G, NULL } },
		{ { GP_SWAP_SIZE, 4 * G }, { false, true, true, GP_SWAP_NO_FILE, 0, 1 * G, 20 * G }, { GP_SWAP_CANNOT, 0, "other swap" } },
		{ { GP_SWAP_SIZE, 4 * G }, { true, false, true, GP_SWAP_NO_FILE, 0, 1 * G, 20 * G }, { GP_SWAP_CANNOT, 0, "container" } },
		{ { GP_SWAP_SIZE, 4 * G }, { false, false, false, GP_SWAP_NO_FILE, 0, 1 * G, 20 * G }, { GP_SWAP_CANNOT, 0, "on this filesystem" } },
		{ { GP_SWAP_SIZE, 4 * G }, { false, false, true, GP_SWAP_THEIRS, 4 * G, 1 * G, 20 * G }, { GP_SWAP_CANNOT, 0, "did not make it" } },
		{ { GP_SWAP_SIZE, 999999LL << 40 }, { false, false, true, GP_SWAP_NO_FILE, 0, 1 * G, 20 * G }, { GP_SWAP_CANNOT, 0, "too little room" } },
		/* off: ours goes, nobody else's does */
		{ { GP_SWAP_OFF, 0 }, { false, false, true, GP_SWAP_NO_FILE, 0, 1 * G, 20 * G }, { GP_SWAP_LEAVE, 0, NULL } },
		{ { GP_SWAP_OFF, 0 }, { false, true, true, GP_SWAP_THEIRS, G, 1 * G, 20 * G }, { GP_SWAP_LEAVE, 0, NULL } },
		{ { GP_SWAP_OFF, 0 }, { false, false, true, GP_SWAP_WHOLE, G, 1 * G, 20 * G }, { GP_SWAP_REMOVE, 0, NULL } },
		{ { GP_SWAP_OFF, 0 }, { false, true, false, GP_SWAP_HALF, 0, 1 * G, 0 }, { GP_SWAP_REMOVE, 0, NULL } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gp_swap_decision is = gp_swap_decide(&cases[i].spec, &cases[i].facts);
		const char *why = cases[i].want.why;

		if (is.act != cases[i].want.act || is.size != cases[i].want.size || !is.why != !why || (why && !strstr(is.why, why)))
			fail_msg("case %zu: %d of %lld, %s", i, (int)is.act, (long long)is.size, is.why ? is.why : "");
	}
}

static void test_swap_file(void **state)
{
	enum { SIZE = 1 << 20 };
	const char *path = gp_strdup(arena, at("swapfile"));
	int64_t size;
	int fd;

	(void)state;
	assert_int_equal(gp_swap_file_state(path, true, &size), GP_SWAP_NO_FILE);
	if (!gp_proc_have("mkswap") || gp_swap_file_make(path, SIZE, &err) < 0) {
		if (err.sys_errno != EOPNOTSUPP && err.msg[0])
			fail_msg("%s", err.msg);
		skip();
	}
	assert_int_equal(gp_swap_file_state(path, true, &size), GP_SWAP_WHOLE);
	assert_int_equal(size, SIZE);
	assert_int_equal(mode_of(path), 0600);
	/* the same file, while our unit does not stand for it */
	assert_int_equal(gp_swap_file_state(path, false, &size), GP_SWAP_THEIRS);
	/* drift that makes it unfit */
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(gp_swap_file_state(path, true, &size), GP_SWAP_HALF);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(truncate(path, SIZE + 4096), 0);
	assert_int_equal(gp_swap_file_state(path, true, &size), GP_SWAP_HALF);
	assert_int_equal(truncate(path, SIZE), 0);
	assert_int_equal(gp_swap_file_state(path, true, &size), GP_SWAP_WHOLE);
	/* made anew, whatever is there */
	put_bytes(path, "half", 4, 0600);
	assert_int_equal(gp_swap_file_state(path, true, &size), GP_SWAP_HALF);
	assert_int_equal(gp_swap_file_make(path, 2 * SIZE, &err), 0);
	assert_int_equal(gp_swap_file_state(path, true, &size), GP_SWAP_WHOLE);
	assert_int_equal(size, 2 * SIZE);
	/* a file of holes: the kernel would refuse it */
	assert_int_equal(unlink(path), 0);
	put_bytes(path, "", 0, 0600);
	assert_int_equal(truncate(path, SIZE), 0);
	assert_int_equal(gp_proc_must(&(struct gp_proc){ .argv = GP_ARGV("mkswap", path) }, NULL, &err), 0);
	assert_int_equal(gp_swap_file_state(path, true, &size), GP_SWAP_HALF);
	/* allocated, and killed before mkswap was done */
	assert_int_equal(unlink(path), 0);
	put_bytes(path, "", 0, 0600);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(posix_fallocate(fd, 0, SIZE) | close(fd), 0);
	assert_int_equal(gp_swap_file_state(path, true, &size), GP_SWAP_HALF);
	assert_in_range(size, SIZE, SIZE + 65536);
	/* a symlink is no file of ours, and what it leads to stays */
	assert_int_equal(rename(path, at("other")), 0);
	assert_int_equal(symlink("other", path), 0);
	assert_int_equal(gp_swap_file_state(path, true, &size), GP_SWAP_THEIRS);
	/* no room: nothing is left */
	assert_int_equal(gp_swap_file_make(path, 1LL << 60, &err), -1);
	assert_int_equal(gp_swap_file_state(path, true, &size), GP_SWAP_NO_FILE);
	assert_true(mode_of(at("other")) == 0600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_absent, ctx_begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_host, ctx_begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_host_name, ctx_begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_sysctl, ctx_begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_sysctl_of_the_kernel, ctx_begin, ctx_end),
		cmocka_unit_test(test_swap_decision),
		cmocka_unit_test_setup_teardown(test_swap_file, ctx_begin, ctx_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
