/* host.yaml: what it says where it says nothing, and what it takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "conf/host.h"

#include "../scratch.h"

#define ED25519 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMJ8byTNCLqwahltlN/ehaEA97lPCDZrkNCWf/g6l2vv"

static int load(struct gp_arena *arena, const char *text, struct gp_host *ret, struct gp_error *err)
{
	put(at("host.yaml"), text);
	return gp_host_load(arena, scratch, ret, err);
}

static void test_defaults(void **state)
{
	static const char *const texts[] = { "", "# nothing set\n", "---\n", "{}\n", "x-mine: 1\n" };
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct gp_host host;
		struct gp_error err = { 0 };
		int result = load(arena, texts[i], &host, &err);

		if (i == 2) { /* a document that is there, and null */
			assert_int_equal(result, -1);
			continue;
		}
		assert_int_equal(result, 0);
		assert_string_equal(host.deploy_user, "deploy");
		assert_int_equal(host.packages.n, 0);
		assert_int_equal(host.firewall, GP_FIREWALL_AUTO);
		assert_int_equal(host.ports.n, 0);
		assert_true(host.uv);
		assert_int_equal(host.upgrades, GP_UPGRADES_SECURITY);
		assert_true(host.time_sync);
		assert_string_equal(host.journal_max, "500M");
		assert_string_equal(host.swap, "auto");
		assert_int_equal(host.sysctl.n, 0);
		assert_true(host.confine);
		assert_true(host.ssh.manage);
		assert_string_equal(gp_root_logins[host.ssh.root_login], "prohibit-password");
		assert_int_equal(host.ssh.passwords, GP_PASSWORDS_AUTO);
		assert_int_equal(host.ssh.authorized_keys.n, 0);
		assert_int_equal(host.caddy, GP_CADDY_DISTRIBUTION);
	}
}

static void test_set(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_host host;
	struct gp_error err = { 0 };

	(void)state;
	assert_int_equal(load(arena, "deploy_user: web-1\npackages: [htop, libmagic1, g++]\nfirewall: off\nports: [8080, 51820/udp]\nuv: no\nconfine: false\n",
		&host, &err), 0);
	assert_string_equal(host.deploy_user, "web-1");
	assert_string_equal(gp_strv_join(arena, &host.packages, " "), "htop libmagic1 g++");
	assert_int_equal(host.firewall, GP_FIREWALL_OFF);
	assert_string_equal(gp_strv_join(arena, &host.ports, " "), "8080 51820/udp");
	assert_false(host.uv);
	assert_false(host.confine);
	assert_int_equal(load(arena, "upgrades: off\ntime_sync: no\njournal_max: 16M\nswap: off\nsysctl: {vm.swappiness: 10, net.ipv4.tcp_rmem: "
		"4096 131072 6291456}\n", &host, &err), 0);
	assert_int_equal(host.upgrades, GP_UPGRADES_OFF);
	assert_false(host.time_sync);
	assert_string_equal(host.journal_max, "16M");
	assert_string_equal(host.swap, "off");
	assert_int_equal(host.sysctl.n, 2);
	assert_string_equal(host.sysctl.v[1].key, "net.ipv4.tcp_rmem");
	assert_string_equal(host.sysctl.v[1].value, "4096 131072 6291456");
	assert_int_equal(load(arena, "ssh:\n  manage: false\n  root_login: no\n  passwords: on\n  authorized_keys:\n    - " ED25519 " a b\n", &host,
		&err), 0);
	assert_false(host.ssh.manage);
	assert_string_equal(gp_root_logins[host.ssh.root_login], "no");
	assert_int_equal(host.ssh.passwords, GP_PASSWORDS_ON);
	assert_string_equal(host.ssh.authorized_keys.v[0], ED25519 " a b");
}

static void test_caddy(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_host host;
	struct gp_error err = { 0 };

	(void)state;
	assert_int_equal(load(arena, "caddy: official\n", &host, &err), 0);
	assert_int_equal(host.caddy, GP_CADDY_OFFICIAL);
	assert_int_equal(load(arena, "caddy: {repository: \"https://m.example/deb\", key: \"https://m.example/k.asc\",\n"
		"  fingerprint: 65760c51EDEA2017CEA2CA15155B6D79CA56EA34}\n", &host, &err), 0);
	assert_int_equal(host.caddy, GP_CADDY_REPOSITORY);
	assert_string_equal(host.caddy_repository.uri, "https://m.example/deb");
	assert_string_equal(host.caddy_repository.key, "https://m.example/k.asc");
	assert_string_equal(host.caddy_repository.fingerprint, "65760c51EDEA2017CEA2CA15155B6D79CA56EA34");
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "deploy_user: root", "the deploy user cannot be root" },
		{ "deploy_user: \"root\"", "cannot be root" },
		{ "deploy_user: Deploy", "no valid user" },
		{ "deploy_user: -x", "no valid user" },
		{ "deploy_user: ''", "no valid user" },
		{ "deploy_user: null", "given a value" },
		{ "deploy_user: [a]", "a text" },
		{ "deploy_user: a\ndeploy_user: a", "comes twice" },
		{ "packages: htop", "a list" },
		{ "packages: [\"htop;id\"]", "no valid package" },
		{ "packages: [-y]", "no valid package" },
		{ "packages: [nginx=1.0]", "no valid package" },
		{ "firewall: maybe", "one of: auto, ufw, off" },
		{ "firewall: true", "one of: auto, ufw, off" },
		{ "firewall: null", "given a value" },
		{ "ports: 8080", "a list" },
		{ "ports: [0]", "no valid port" },
		{ "ports: [8080:8090]", "no valid port" },
		{ "ports: [ssh]", "no valid port" },
		{ "ports: [80/sctp]", "no valid port" },
		{ "ports: [null]", "no valid port" },
		{ "ports: [8080, 5432]", "5432 is never opened" },
		{ "ports: [6379/tcp]", "6379 is never opened" },
		{ "confine: 0", "true or false" },
		{ "uv: null", "given a value" },
		{ "upgrades: all", "one of: security, off" },
		{ "journal_max: 500", "no valid size" },
		{ "journal_max: 15M", "'journal_max' must be 16M at least" },
		{ "journal_max: off", "no valid size" },
		{ "swap: 1K", "'swap' must be 16M at least" },
		{ "swap: yes", "no valid swap" },
		{ "sysctl: [a]", "a mapping" },
		{ "sysctl: {swappiness: 1}", "no valid sysctl" },
		{ "sysctl: {../x.y: 1}", "no valid sysctl" },
		{ "sysctl: {vm.swappiness: [1]}", "a text" },
		{ "sysctl: {vm.swappiness: \"1\\n2\"}", "one line" },
		{ "sysctl: {vm.swappiness: 1, vm.swappiness: 2}", "comes twice" },
		{ "ssh: {root_login: sometimes}", "prohibit-password, no, yes" },
		{ "ssh: {passwords: off}", "one of" },
		{ "ssh: {authorized_keys: " ED25519 "}", "a list" },
		{ "ssh: {authorized_keys: [ssh-ed25519 AAAA me]}", "no valid sshkey" },
		{ "ssh: {port: 22}", "unknown key 'port' in ssh" },
		{ "caddy: nginx", "one of: distribution, official, or a mapping" },
		{ "caddy: repository", "one of" },
		{ "caddy: {repository: \"https://m/deb\", key: \"https://m/k\"}", "fingerprint" },
		{ "caddy: {repository: \"/srv/deb\", key: \"https://m/k\", fingerprint: 65760C51EDEA2017CEA2CA15155B6D79CA56EA34}", "no valid weburl" },
		{ "caddy: {repository: \"https://m/deb\", key: \"https://m/k\", fingerprint: CA56EA34}", "no valid fingerprint" },
		{ "domain: example.com", "unknown key 'domain'" },
	};
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_host host = { .deploy_user = "untouched" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gp_error err = { 0 };

		assert_int_equal(load(arena, cases[i].text, &host, &err), -1);
		assert_int_equal(err.kind, GP_E_CONFIG);
		if (!strstr(err.msg, cases[i].why) || !strstr(err.msg, "host.yaml"))
			fail_msg("%s: %s", cases[i].text, err.msg);
	}
	assert_string_equal(host.deploy_user, "untouched");
	unlink(at("host.yaml"));
	assert_int_equal(gp_host_load(arena, scratch, &host, NULL), -1);
}

static void test_hint(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_host host;
	struct gp_error err = { 0 };

	(void)state;
	assert_int_equal(load(arena, "fierwall: true", &host, &err), -1);
	assert_string_equal(err.hint, "did you mean 'firewall'?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_defaults, scratch_begin, scratch_end),
		cmocka_unit_test_setup_teardown(test_set, scratch_begin, scratch_end),
		cmocka_unit_test_setup_teardown(test_caddy, scratch_begin, scratch_end),
		cmocka_unit_test_setup_teardown(test_refused, scratch_begin, scratch_end),
		cmocka_unit_test_setup_teardown(test_hint, scratch_begin, scratch_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
