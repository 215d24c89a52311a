/* dpkg's status file: what counts as installed, what as provided, and what stands in the way of apt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "sys/pkg.h"

#include "../scratch.h"

static const char fixture[] =
	"Package: caddy\nStatus: install ok installed\nPriority: optional\nMaintainer: A <a@example.com>\nVersion: 2.6.2-5\n"
	"Provides: httpd, httpd-cgi (= 1.0)\nDescription: web server\n Package: not-a-field\n Status: install ok installed\n\n"
	"Package: removed\nStatus: deinstall ok config-files\nProvides: ghost\n\n"
	"Package: purged\nStatus: purge ok not-installed\n\n"
	"Package: held\nStatus: hold ok installed\n\n"
	"Package: leaving\nStatus: deinstall ok installed\n\n"
	"Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: same\n\n"
	"Package: libc6\nStatus: install ok installed\nArchitecture: i386\nMulti-Arch: same\n\n"
	"Package: mta\nStatus: install ok installed\nProvides: mail-transport-agent,default-mta (= 4.96) , last-mta\n\n"
	"Package: no-status\nVersion: 1\n\n"
	"Status: install ok installed\nVersion: nameless\n\n"
	"Package: last\nStatus: install ok installed\n";

static struct gp_pkg_db *open_text(struct gp_arena *arena, const char *text)
{
	struct gp_pkg_db *db = NULL;
	struct gp_error err = { 0 };

	put(at("status"), text);
	setenv("GP_DPKG_STATUS", at("status"), 1);
	if (gp_pkg_open(arena, &db, &err) < 0)
		fail_msg("%s", err.msg);
	unsetenv("GP_DPKG_STATUS");
	return db;
}

static void test_version(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *version;
	struct gp_error err = { 0 };

	(void)state;
	put(at("status"), fixture);
	setenv("GP_DPKG_STATUS", at("status"), 1);
	assert_int_equal(gp_pkg_version(arena, "caddy", &version, &err), 0);
	assert_string_equal(version, "2.6.2-5");
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(gp_pkg_version(arena, (const char *const[]){ "removed", "no-status", "cadd", "not-a-field" }[i], &version, &err), 0);
		assert_null(version);
	}
	unsetenv("GP_DPKG_STATUS");
}

static void test_installed(void **state)
{
	static const char *const yes[] = { "caddy", "httpd", "httpd-cgi", "held", "leaving", "libc6", "mta", "mail-transport-agent",
		"default-mta", "last-mta", "last" };
	static const char *const no[] = { "removed", "ghost", "purged", "no-status", "not-a-field", "nameless", "", "cadd", "caddyy", "1.0)",
		"(=", "=", "4.96)" };
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_pkg_db *db = open_text(arena, fixture);

	(void)state;
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		if (!gp_pkg_installed(db, yes[i]))
			fail_msg("%s is installed", yes[i]);
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		if (gp_pkg_installed(db, no[i]))
			fail_msg("%s is not installed", no[i]);
	assert_null(gp_pkg_broken(db));
}

static void test_broken(void **state)
{
	static const struct {
		const char *status;
		int broken, installed;
	} cases[] = {
		{ "install ok installed", 0, 1 },
		{ "install ok half-configured", 1, 0 },
		{ "install ok half-installed", 1, 0 },
		{ "install ok unpacked", 1, 0 },
		{ "install reinstreq half-installed", 1, 0 },
		{ "install reinstreq installed", 1, 0 },
		{ "deinstall ok config-files", 0, 0 },
		{ "unknown ok not-installed", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		GP_AUTO_ARENA arena = gp_arena_new();
		const char *text = gp_sprintf(arena, "Package: a\nStatus: install ok installed\n\nPackage: x\nStatus: %s\n\n"
						     "Package: half-life\nStatus: install ok installed\n", cases[i].status);
		struct gp_pkg_db *db = open_text(arena, text);

		assert_int_equal(gp_pkg_installed(db, "x"), cases[i].installed);
		if (cases[i].broken)
			assert_string_equal(gp_pkg_broken(db), "x");
		else
			assert_null(gp_pkg_broken(db));
		assert_true(gp_pkg_installed(db, "half-life"));
	}
}

static void test_strange_files(void **state)
{
	static const char *const texts[] = { "", "\n", "\n\n\n\n", "Package:", "Package: \n", "Package: a", "Status: install ok installed",
		"Package: a\nStatus:", "Provides: \n\nPackage: a\nProvides: ,, ,\nStatus: install ok installed\n\n\n\n" };
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_pkg_db *db = NULL;
	struct gp_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		db = open_text(arena, texts[i]);
		assert_int_equal(gp_pkg_installed(db, "a"), i == 8);
		assert_false(gp_pkg_installed(db, ""));
		assert_null(gp_pkg_broken(db));
	}
	db = NULL;
	setenv("GP_DPKG_STATUS", at("none"), 1);
	assert_int_equal(gp_pkg_open(arena, &db, &err), -1);
	assert_non_null(strstr(err.msg, "no Debian or Ubuntu host"));
	assert_string_not_equal(err.hint, "");
	setenv("GP_DPKG_STATUS", scratch, 1);
	assert_int_equal(gp_pkg_open(arena, &db, &err), -1);
	unsetenv("GP_DPKG_STATUS");
	assert_null(db);
}

/* As many packages as a desktop with everything, in a file of 12 MB. */
static void test_big(void **state)
{
	enum { PACKAGES = 20000 };
	GP_AUTO_ARENA arena = gp_arena_new();
	GP_AUTO_BUF text = { 0 };
	struct gp_pkg_db *db;
	int64_t start;
	char line[560];

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "Description: ", 13);
	line[sizeof(line) - 1] = '\0';
	for (int i = PACKAGES; i > 0; i--)
		gp_buf_printf(&text, "Package: package-%d\nStatus: %s\n%s\n\n", i, i % 2 ? "install ok installed" : "deinstall ok config-files", line);
	start = gp_mono_ms();
	db = open_text(arena, gp_buf_str(&text));
	for (int i = 1; i <= PACKAGES; i++) {
		char name[32];

		snprintf(name, sizeof(name), "package-%d", i);
		assert_int_equal(gp_pkg_installed(db, name), i % 2);
	}
	assert_true(gp_mono_ms() - start < 10000);
}

/* The host that this runs on, where it is one of dpkg's. */
static void test_this_host(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_pkg_db *db;

	(void)state;
	if (access("/var/lib/dpkg/status", R_OK) < 0)
		skip();
	assert_int_equal(gp_pkg_open(arena, &db, NULL), 0);
	assert_true(gp_pkg_installed(db, "dpkg"));
	assert_false(gp_pkg_installed(db, "goldpath-no-such-package"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_version, scratch_begin, scratch_end),
		cmocka_unit_test_setup_teardown(test_installed, scratch_begin, scratch_end),
		cmocka_unit_test_setup_teardown(test_broken, scratch_begin, scratch_end),
		cmocka_unit_test_setup_teardown(test_strange_files, scratch_begin, scratch_end),
		cmocka_unit_test_setup_teardown(test_big, scratch_begin, scratch_end),
		cmocka_unit_test(test_this_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
