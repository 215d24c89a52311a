/* The grammars, by tables: what is taken and, the longer half, what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/parse.h"

#define X10(s) s s s s s s s s s s
#define A30 X10("aaa")
#define A60 X10("aaaaaa")
#define L63 A60 "aaa"
#define NAMES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void check(enum gp_name_kind kind, const char *const *good, const char *const *bad)
{
	for (; *good; good++)
		if (!gp_name_ok(kind, *good))
			fail_msg("%s refused: '%s'", gp_name_kind_name(kind), *good);
	for (; *bad; bad++)
		if (gp_name_ok(kind, *bad))
			fail_msg("%s accepted: '%s'", gp_name_kind_name(kind), *bad);
}

static void test_slug(void **state)
{
	(void)state;
	check(GP_NAME_slug, NAMES("a", "acme", "acme-kitchens", "a1-2", A30 "a"),
		NAMES("", A30 "aa", "../x", "a b", "-x", "1a", "Acme", "ACME", "a_b", "a.b", "a/b", "a\n", "\na", "ä", "a\x7f",
			"a;id", "$(id)", ".", ".."));
}

static void test_domain(void **state)
{
	(void)state;
	check(GP_NAME_domain,
		NAMES("example.com", "www.example.com", "localhost", "a.b", "1.example.com", "xn--kche-0ra.example", "A.Example.COM",
			"a-b.example.com", L63 ".com", L63 "." L63 "." L63 "." A60 "a" /* 253 */, "3com.com", "a.1b"),
		NAMES("", ".", "com", "example.com.", ".example.com", "a..b", A60 "aaaa.com", L63 "." L63 "." L63 "." A60 "aa" /* 254 */,
			"1.2.3.4", "127.0.0.1", "example.123", "-a.com", "a-.com", "a.-com", "a.com-", "a_b.com", "_dmarc.example.com",
			"*.example.com", "a b.com", "example.com/", "example.com:80", "http://example.com", "::1", "[::1]", "a.com\n",
			"küche.de", "a{b}.com", "a.com;id", "../x.com", "user@example.com"));
}

static void test_ref(void **state)
{
	(void)state;
	check(GP_NAME_ref,
		NAMES("main", "feature/x", "v1.2.3", "release-1", "0123456789abcdef0123456789abcdef01234567", "a@b", "lock",
			"a.locks", "Küche", "#12"),
		NAMES("", "-x", "--upload-pack=id", "/a", "a/", ".a", "a.", "a..b", "..", "a/../b", "a//b", "a/.b", "a@{1}",
			"@{u}", "a.lock", "a b", "a\tb", "a\nb", "a\x01", "a\x7f", "a~1", "a^", "a:b", "a?", "a*", "a[b", "a\\b",
			"a.lock/b"));
}

static void test_weburl(void **state)
{
	(void)state;
	check(GP_NAME_weburl, NAMES("https://example.com", "https://example.com/a/b", "http://127.0.0.1:8099/x", "http://[::1]/x"),
		NAMES("", "example.com", "ftp://example.com", "file:///x", "/x", "ssh://host/x", "https://", "https://user@host/x",
			"https://a b/x", "https://a/x\nSuites: y", "https://a/\"x", "HTTPS://a/x"));
}

static void test_clock(void **state)
{
	(void)state;
	check(GP_NAME_clock, NAMES("00:00", "03:15", "09:59", "19:00", "23:59"),
		NAMES("", "3:15", "24:00", "23:60", "29:00", "03:15:00", "03-15", "aa:bb", " 3:15", "03:1", "0315", "03:15 "));
	check(GP_NAME_weektime, NAMES("Mon 00:00", "Sun 04:15", "Sat 23:59", "Wed 12:00"),
		NAMES("", "Sun", "04:15", "Sun  04:15", "sun 04:15", "Son 04:15", "un  04:15", "Sunday 04:15", "Sun 24:00", "Sun,Mon 04:15", "Sun *:15"));
}

static void test_restic(void **state)
{
	(void)state;
	check(GP_NAME_restic,
		NAMES("/srv/vault", "/mnt/a.b/acme_1", "sftp:vault:acme", "sftp:backup@vault.example.com:/srv/acme", "sftp://vault/acme",
			"sftp://backup@vault.example.com:2222//srv/acme", "s3:https://s3.example.com/bucket/acme", "s3:s3.amazonaws.com/bucket"),
		NAMES("", "/", "vault", "./vault", "/a/../b", "/a b", "/a'b", "/a\nb", "/a$b", "rest:https://u:p@host/", "b2:bucket", "azure:x", "local:/x",
			/* what ssh would take for an option */
			"sftp:-oProxyCommand=id:x", "sftp:a@-oProxyCommand=id:x", "sftp:-a@b:x", "sftp://-oProxyCommand=id/x", "sftp:host", "sftp:host:",
			"sftp:@host:x", "sftp:a@:x", "sftp://host", "sftp://host:22", "sftp://host:x/y", "sftp://host:1234567/y",
			"s3:", "s3:-x", "s3:https://key:secret@host/bucket", "s3:/bucket", "-x"));
}

static void test_fingerprint(void **state)
{
	(void)state;
	check(GP_NAME_fingerprint, NAMES("65760C51EDEA2017CEA2CA15155B6D79CA56EA34", "65760c51edea2017cea2ca15155b6d79ca56ea34"),
		NAMES("", "65760C51EDEA2017CEA2CA15155B6D79CA56EA3", "65760C51EDEA2017CEA2CA15155B6D79CA56EA344", "155B6D79CA56EA34",
			"6576 0C51 EDEA 2017 CEA2 CA15 155B 6D79", "0x5760C51EDEA2017CEA2CA15155B6D79CA56EA3", "G5760C51EDEA2017CEA2CA15155B6D79CA56EA34"));
}

static void test_repo(void **state)
{
	(void)state;
	check(GP_NAME_repo,
		NAMES("https://github.com/acme/kitchens.git", "https://git.example:8443/x", "ssh://git@host/x.git",
			"ssh://git@host:2222/x.git", "ssh://host/x", "git://host/x", "git@github.com:acme/kitchens.git", "host:x",
			"git@host:~/x", "git@host:/srv/x.git", "git@my_host.lan:x", "file:///srv/git/x.git", "/srv/git/x.git",
			"https://[2001:db8::1]/x", "ssh://git@[::1]:22/x", "git@host:group/a@b.git"),
		NAMES("", "/", "x", "./x", "../x", "relative/path", "-oProxyCommand=id", "--upload-pack=id",
			/* remote helpers and transports that run or read something here */
			"ext::sh -c id", "ext::sh", "ext::sh%20-c%20id", "fd::17", "ext://x", "fd://17/x", "foo://host/x",
			"ftp://host/x", "rsync://host/x", "git+ssh://host/x", "HTTPS::x", "file://host/x", "file:x::y\n", "file://../x",
			/* a host or user that ssh takes for an option */
			"ssh://-oProxyCommand=x/y", "ssh://git@-oProxyCommand=x/y", "ssh://-oProxyCommand=x@host/y", "git@-host:x",
			"-git@host:x", "ssh://[-oProxyCommand=x]/y", "git@[-oProxyCommand=x]:y", "git@host:-x", "https://-x/y",
			/* passwords */
			"https://user:pw@host/x", "https://ghp_token@host/x", "https://:pw@host/x", "ssh://git:pw@host/x", "https://user:p@ss@host/x",
			"https://user:p/w@host/x", "user:hunter22@host:x", "user:hunter22@host/x", "ftp://user:pw@host/x",
			/* no host */
			"https://", "https:///x", "https://user@/x", "https://:80/x", "git@:x", "host:", ":x", "@host:x",
			/* odd ports and hosts */
			"https://host:/-", "https://host:pw/x", "https://ho%st/x", "https://host?x", "https://host#x", "https://[::1/x",
			"https://[]/x",
			/* blanks, quotes, shell */
			"https://host/a b", " https://host/x", "https://host/x\n", "https://host/'x", "https://host/\"x",
			"https://host/$(id)", "https://host/`id`", "https://host/x;id", "https://host/x|id", "https://host/x&id",
			"https://host/x>y", "git@host:a\\b", "https://host/\x01", "https://host/\x7f", "C:\\x"));
}

static void test_python_names(void **state)
{
	(void)state;
	check(GP_NAME_module, NAMES("a", "acme_kitchens.settings.production", "_x", "A1.b2"),
		NAMES("", ".", "a.", ".a", "a..b", "1a", "a.1b", "a-b", "a b", "a:b", "a/b", "a;b", "os\n", "ä", "a\"b"));
	check(GP_NAME_wsgi, NAMES("a:b", "acme_kitchens.wsgi:application"),
		NAMES("", ":", "a", "a:", ":b", "a:b:c", "a:b()", "a: b", "a:-b", "a.:b", "a:b;id", "a::b"));
	check(GP_NAME_python, NAMES("auto", "3.9", "3.12", "3.13", "3.12.1", "3.12.10"),
		NAMES("", "3", "3.", ".12", "3.12.", "3.123", "3.12.123", "2.7", "4.0", "33.1", "3.x", "3.12rc1", "v3.12",
			" 3.12", "3.12 ", "3.12\n", "3.-1", "3.12.1.2", "python3.12", "Auto", "../3.12"));
}

static void test_port(void **state)
{
	uint16_t port = 0;
	bool udp = true;

	(void)state;
	check(GP_NAME_port, NAMES("1", "8080", "65535", "8080/tcp", "51820/udp"),
		NAMES("", "0", "080", "65536", "99999999999", "-1", "+1", " 80", "80 ", "80\n", "/tcp", "80/", "80/TCP", "80/sctp", "80/tcp/udp",
			"80:90", "80,90", "ssh", "0x50", "8080.0"));
	assert_true(gp_port_parse("443", &port, &udp));
	assert_int_equal(port, 443);
	assert_false(udp);
	assert_true(gp_port_parse("51820/udp", &port, &udp));
	assert_int_equal(port, 51820);
	assert_true(udp);
}

static void test_system_names(void **state)
{
	(void)state;
	check(GP_NAME_user, NAMES("a", "_x", "www-data", "acme_1", A30 "a"),
		NAMES("", A30 "aa", "-a", "1a", "Root", "a.b", "a b", "a:b", "a$", "root\n", "../x"));
	check(GP_NAME_dropin, NAMES("memory.conf", "10-limits.conf", "a.conf", "A_b.c.conf"),
		NAMES("", ".conf", "a", "a.con", ".a.conf", "../a.conf", "a/b.conf", "a b.conf", "-a.conf", "a.conf "));
	check(GP_NAME_package, NAMES("gcc", "g++", "libpq5", "python3.11-venv", "0ad", "7z"),
		NAMES("", "a", "-y", "--purge", "+x", ".x", "Gcc", "a_b", "gcc=1", "gcc/sid", "gcc:i386", "./x.deb", "/tmp/x.deb",
			"a b", "gcc-\n"));
	check(GP_NAME_dbname, NAMES("a", "_a", "acme_kitchens", L63),
		NAMES("", L63 "a", "1a", "a-b", "A", "a.b", "a;b", "a\"b", "a'b", "a b", "dbname=x", "postgres://x"));
	check(GP_NAME_envkey, NAMES("A", "_", "PATH", "a1_B", A60 A60 A60),
		NAMES("", "1A", "A-B", "A.B", "A B", "A=", "A\n", "export A", "Ä", "BASH_FUNC_x%%"));
	check(GP_NAME_host,
		NAMES("localhost", "db", "db.example.com", "127.0.0.1", "::1", "2001:db8::1", "::ffff:1.2.3.4", "DB-1", "10.0.0.1"),
		NAMES("", "-x", ".x", "a..b", "a.", "a-", "a b", "db:5432", "127.0.0.1:5432", "cafe:80", "abc:5432", "[::1]", ":",
			":::", "1::2::3", "12345::", "a/b", "/run/postgresql", "a,b", "a=b", "a\n", "*", A60 A60 A60 A60 "." A30));
}

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} cases[] = { { "1K", 1024 }, { "500M", 500LL << 20 }, { "2G", 2LL << 30 }, { "999999T", 999999LL << 40 }, { "1", 0 }, { "auto", 0 } };

	(void)state;
	check(GP_NAME_size, NAMES("1K", "500M", "2G", "1T", "999999K"),
		NAMES("", "0", "0M", "05M", "500", "500m", "500MB", "500 M", " 500M", "500M ", "-1M", "+1M", "1.5G", "M", "1000000K", "1KM", "1K\n",
			"auto", "1e3M", "0x1M", "1K;id"));
	check(GP_NAME_swap, NAMES("auto", "off", "1G", "512M"), NAMES("", "on", "Auto", "none", "1", "0", "false", "1G,1G", "auto "));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(gp_parse_size(cases[i].text), cases[i].bytes);
}

static void test_sysctl(void **state)
{
	(void)state;
	check(GP_NAME_sysctl,
		NAMES("vm.swappiness", "net.ipv4.tcp_keepalive_time", "net.ipv4.conf.eth0/100.forwarding", "kernel.pid_max", "fs.file-max",
			"net.ipv6.conf.enp0S3.disable_ipv6"),
		NAMES("", ".", "..", "vm", "vm.", ".vm", "vm..x", "vm.x.", "-vm.x", "vm.-x", "vm/x", "/vm.x", "vm./x", "vm.x/", "vm.//", "net.//.x",
			"vm.x y", "vm.x=1", "vm.x\n", "vm.*", "net.ipv4.conf.*.x", "vm.\"x", "vm.ä", "a." A60 A60 A60 A30));
}

static void test_paths(void **state)
{
	char longest[502] = "/", longer[503] = "/";

	(void)state;
	memset(longest + 1, 'a', 499);
	memset(longer + 1, 'a', 500);
	check(GP_NAME_urlpath, NAMES("/", "/health/", "/a?b=c&d=e", "/%20", "/a/../b"),
		NAMES("", "a", "http://x/", "/a b", "/a\tb", "/a\n", "/\"", "/'", "/`", "/\\", "/{x}", "/a#b", "/\x7f", "/\x01", "-"));
	check(GP_NAME_relpath, NAMES("a", ".", "a/b", "./a", "a..b", "..a", "a../b", "...", ".env", "a/-b", "a/..b/c", "dist/"),
		NAMES("", "/a", "..", "../a", "a/..", "a/../b", "a//../b", "./..", "-a", "--x", "a b", "a\n", "a\"", "a'", "a`",
			"a\\b", "a{b}", "\x01"));
	check(GP_NAME_abspath, NAMES("/", "/srv/x", "/srv/..x", "/a..b", "/srv/.x/", longest),
		NAMES("", "a", "./a", "~/a", "/..", "/../etc", "/a/..", "/a/../b", "//..", "/a//../b", "/a b", "/a\tb", "/a\"",
			"/a'", "/a\n", "/a\x7f",
			longer));
}

static void test_sshkey(void **state)
{
#define KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMJ8byTNCLqwahltlN/ehaEA97lPCDZrkNCWf/g6l2vv"
	(void)state;
	check(GP_NAME_sshkey, NAMES(KEY, KEY " me", KEY " me @ home \"x\""),
		NAMES(" " KEY, KEY " ", KEY "\n", KEY " a\n" KEY, "pty " KEY, "command=\"id\" " KEY, "# " KEY, "ssh-ed25519 AAAA",
			"-----BEGIN OPENSSH PRIVATE KEY-----", KEY "\x7f"));
#undef KEY
}

static void test_every_kind(void **state)
{
	/* Nothing of these is a name of anything. */
	static const char *const never[] = { "", " ", "\n", "\x1b[2J", "-", "--help", "a\nb", "a\rb", "a\x7f", " a", "a " };

	(void)state;
	for (int kind = 0; kind <= GP_NAME_sshkey; kind++) {
		assert_true(strlen(gp_name_words((enum gp_name_kind)kind)) > 10);
		assert_false(gp_name_words((enum gp_name_kind)kind)[strlen(gp_name_words((enum gp_name_kind)kind)) - 1] == '.');
		for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
			if (gp_name_ok((enum gp_name_kind)kind, never[i]))
				fail_msg("%s accepted: '%s'", gp_name_kind_name((enum gp_name_kind)kind), never[i]);
	}
	assert_string_equal(gp_name_kind_name(GP_NAME_slug), "slug");
	assert_string_equal(gp_name_kind_name(GP_NAME_host), "host");
}

static void test_name_check(void **state)
{
	struct gp_error err = { 0 };

	(void)state;
	assert_int_equal(gp_name_check(GP_NAME_slug, "acme", GP_E_USAGE, &err), 0);
	assert_int_equal(err.kind, GP_E_NONE);
	assert_int_equal(gp_name_check(GP_NAME_slug, "A\x1b[2J!", GP_E_USAGE, &err), -1);
	assert_int_equal(err.kind, GP_E_USAGE);
	assert_non_null(strstr(err.msg, "slug"));
	assert_non_null(strstr(err.msg, "'A"));
	assert_null(strchr(err.msg, '\x1b'));
	assert_string_equal(err.hint, gp_name_words(GP_NAME_slug));
	assert_int_equal(gp_name_check(GP_NAME_domain, "x", GP_E_CONFIG, &err), -1);
	assert_int_equal(err.kind, GP_E_CONFIG);
	assert_int_equal(gp_name_check(GP_NAME_slug, "-", GP_E_USAGE, NULL), -1);
	/* what may hold a password is not repeated */
	assert_int_equal(gp_name_check(GP_NAME_repo, "https://u:hunter22@host/x", GP_E_USAGE, &err), -1);
	assert_null(strstr(err.msg, "hunter22"));
}

static void test_int(void **state)
{
	static const struct {
		const char *text;
		int64_t value;
	} good[] = { { "0", 0 }, { "7", 7 }, { "-7", -7 }, { "65535", 65535 }, { "9223372036854775807", INT64_MAX },
		{ "-9223372036854775808", INT64_MIN }, { "0010", 10 } };
	static const char *const bad[] = { "", " ", " 1", "1 ", "+1", "-", "--1", "- 1", "1.0", "1e3", "0x10", "a", "1a",
		"\n1", "1\n", "\v1",
		"9223372036854775808", "-9223372036854775809", "99999999999999999999999", "١" };
	int64_t got = 42;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(gp_parse_int(good[i].text, INT64_MIN, INT64_MAX, &got));
		assert_true(got == good[i].value);
	}
	got = 42;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (gp_parse_int(bad[i], INT64_MIN, INT64_MAX, &got))
			fail_msg("accepted: '%s'", bad[i]);
	assert_false(gp_parse_int("0", 1, 10, &got));
	assert_false(gp_parse_int("11", 1, 10, &got));
	assert_false(gp_parse_int("5", 10, 1, &got));
	assert_true(got == 42); /* written on success only */
	assert_true(gp_parse_int("1", 1, 10, &got));
	assert_true(gp_parse_int("10", 1, 10, &got));
	assert_true(got == 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slug),
		cmocka_unit_test(test_domain),
		cmocka_unit_test(test_ref),
		cmocka_unit_test(test_repo),
		cmocka_unit_test(test_weburl),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_restic),
		cmocka_unit_test(test_fingerprint),
		cmocka_unit_test(test_python_names),
		cmocka_unit_test(test_port),
		cmocka_unit_test(test_system_names),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_sysctl),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_sshkey),
		cmocka_unit_test(test_every_kind),
		cmocka_unit_test(test_name_check),
		cmocka_unit_test(test_int),
	};

	return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
