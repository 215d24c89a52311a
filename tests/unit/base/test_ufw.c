/* UFW's rules files: every kind of rule as ufw 0.36 wrote it, what is no rule, what is open, and how a rule is told and deleted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/ufw.h"

/* Rules without "### tuple ### ", one a line. */
static struct gp_ufw_rules parse(struct gp_arena *arena, const char *tuples, bool v6)
{
	struct gp_strv lines = gp_lines(arena, tuples);
	struct gp_ufw_rules rules;
	struct gp_buf text = { 0 };

	for (size_t i = 0; i < lines.n; i++)
		gp_buf_printf(&text, "### tuple ### %s\n-A ufw-user-input -j ACCEPT\n\n", lines.v[i]);
	gp_ufw_parse(arena, gp_strdup(arena, gp_buf_str(&text)), text.len, v6, &rules);
	gp_buf_free(&text);
	return rules;
}

#define ANY "0.0.0.0/0 any 0.0.0.0/0"

static void test_words_and_commands(void **state)
{
	static const struct {
		const char *tuple, *words, *command;
	} cases[] = {
		{ "allow tcp 80 " ANY " in", "allow 80/tcp", "ufw delete allow 80/tcp" },
		{ "allow any 8080 " ANY " in", "allow 8080", "ufw delete allow 8080" },
		{ "limit tcp 2222 " ANY " in", "limit 2222/tcp", "ufw delete limit 2222/tcp" },
		{ "deny tcp 25 " ANY " in", "deny 25/tcp", "ufw delete deny 25/tcp" },
		{ "reject any 113 " ANY " in", "reject 113", "ufw delete reject 113" },
		{ "allow tcp 5432 0.0.0.0/0 any 10.0.0.0/8 in", "allow 5432/tcp from 10.0.0.0/8",
			"ufw delete allow from 10.0.0.0/8 to any port 5432 proto tcp" },
		{ "allow tcp 1000:2000 " ANY " in", "allow 1000:2000/tcp", "ufw delete allow 1000:2000/tcp" },
		{ "allow tcp 80,443 " ANY " in", "allow 80,443/tcp", "ufw delete allow 80,443/tcp" },
		{ "allow tcp 22 " ANY " OpenSSH - in", "allow OpenSSH", "ufw delete allow OpenSSH" },
		{ "allow tcp 80,443 " ANY " WWW%20Full - in", "allow WWW Full", "ufw delete allow 'WWW Full'" },
		{ "allow tcp 80,443 0.0.0.0/0 22 0.0.0.0/0 WWW%20Full OpenSSH in", "allow WWW Full from OpenSSH",
			"ufw delete allow from any app OpenSSH to any app 'WWW Full'" },
		{ "allow any 53 " ANY " in_eth0", "allow 53 on eth0", "ufw delete allow in on eth0 from any to any port 53" },
		{ "allow any any " ANY " in_eth0", "allow anywhere on eth0", "ufw delete allow in on eth0 from any to any" },
		{ "route:allow udp 99 " ANY " in_eth0!out_eth1", "route allow 99/udp in on eth0 out on eth1",
			"ufw route delete allow in on eth0 out on eth1 from any to any port 99 proto udp" },
		{ "route:deny any any 0.0.0.0/0 any 10.0.0.0/24 out_eth1", "route deny anywhere from 10.0.0.0/24 out on eth1",
			"ufw route delete deny out on eth1 from 10.0.0.0/24 to any" },
		{ "allow tcp any 0.0.0.0/0 22 0.0.0.0/0 - OpenSSH in_eth0", "allow anywhere/tcp from OpenSSH on eth0",
			"ufw delete allow in on eth0 from any app OpenSSH to any" },
		{ "limit_log tcp 80,443,8000:8100 " ANY " in comment=78", "limit log 80,443,8000:8100/tcp",
			"ufw delete limit log 80,443,8000:8100/tcp" },
		{ "deny any any 0.0.0.0/0 any 1.2.3.4 in", "deny anywhere from 1.2.3.4", "ufw delete deny from 1.2.3.4 to any" },
		{ "allow_log tcp 9001 " ANY " in", "allow log 9001/tcp", "ufw delete allow log 9001/tcp" },
		{ "allow_log-all tcp 9002 " ANY " in", "allow log-all 9002/tcp", "ufw delete allow log-all 9002/tcp" },
		{ "allow udp 53 " ANY " out", "allow out 53/udp", "ufw delete allow out from any to any port 53 proto udp" },
		{ "deny any 53 8.8.8.8 any 0.0.0.0/0 out_eth0", "deny out 8.8.8.8 53 on eth0",
			"ufw delete deny out on eth0 from any to 8.8.8.8 port 53" },
		{ "allow gre any " ANY " in", "allow anywhere/gre", "ufw delete allow from any to any proto gre" },
		{ "allow tcp 98 10.213.0.2 99 10.0.0.1 in", "allow 10.213.0.2 98/tcp from 10.0.0.1 99/tcp",
			"ufw delete allow from 10.0.0.1 port 99 to 10.213.0.2 port 98 proto tcp" },
		{ "allow udp any 0.0.0.0/0 53 0.0.0.0/0 in", "allow anywhere/udp from 53/udp", "ufw delete allow from any port 53 to any proto udp" },
		{ "allow any any " ANY " in", "allow anywhere", "ufw delete allow from any to any" },
		{ "allow any 22 ::/0 any 2001:db8::/32 in", "allow 22 from 2001:db8::/32", "ufw delete allow from 2001:db8::/32 to any port 22" },
		{ "allow tcp 9000 " ANY " in comment=666f7220746865", "allow 9000/tcp", "ufw delete allow 9000/tcp" },
		/* before ufw knew directions */
		{ "allow tcp 80 " ANY, "allow 80/tcp", "ufw delete allow 80/tcp" },
		{ "allow tcp 22 " ANY " OpenSSH -", "allow OpenSSH", "ufw delete allow OpenSSH" },
		{ "\t allow  tcp\t80 " ANY " in \r", "allow 80/tcp", "ufw delete allow 80/tcp" },
	};
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gp_ufw_rules rules = parse(arena, cases[i].tuple, false);

		if (rules.n != 1 || rules.unreadable)
			fail_msg("%s", cases[i].tuple);
		assert_string_equal(gp_ufw_words(arena, &rules.v[0]), cases[i].words);
		assert_string_equal(gp_ufw_delete(arena, &rules.v[0]), cases[i].command);
	}
}

static void test_no_rules(void **state)
{
	static const char *const tuples[] = {
		"", "allow", "allow tcp 80 0.0.0.0/0 any", "permit tcp 80 " ANY " in", "allow_all tcp 80 " ANY " in",
		"allow tcp 80,, " ANY " in", "allow tcp ,80 " ANY " in", "allow tcp 65536 " ANY " in", "allow tcp -1 " ANY " in",
		"allow tcp 2000:1000 " ANY " in", "allow tcp 1:2:3 " ANY " in", "allow tcp ssh " ANY " in",
		"allow tcp 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16 " ANY " in", "allow tcp 80 $(id) any 0.0.0.0/0 in",
		"allow tcp 80 0.0.0.0/0 any `id` in", "allow t;p 80 " ANY " in", "allow tcp 80 " ANY " sideways", "allow tcp 80 " ANY " in_",
		"allow tcp 80 " ANY " in_a'b", "allow tcp 80 " ANY " A'pp - in", "allow tcp 80 " ANY " in_eth0!in_eth1",
		"allow tcp 80 " ANY " in out in out", "allow tcp 80 0.0.0.0/0 any, 0.0.0.0/0 in", "allow tcp 80 \033[2J any 0.0.0.0/0 in",
	};
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(tuples) / sizeof(tuples[0]); i++) {
		struct gp_ufw_rules rules = parse(arena, gp_sprintf(arena, "%s\nallow tcp 80 " ANY " in", tuples[i]), false);

		if (rules.n != 1 || rules.unreadable != 1 || rules.line != 1)
			fail_msg("%s: %zu rules, %zu unreadable", tuples[i], rules.n, rules.unreadable);
	}
}

/* What stands around the tuples is iptables' and none of ours; a NUL or a line without end spoils one rule, not the file. */
static void test_odd_files(void **state)
{
	static const char rule[] = "### tuple ### allow tcp 80 " ANY " in";
	static const char nul[] = "### tuple ### allow tcp\0 80 " ANY " in\n### tuple ### allow tcp 80 " ANY " in";
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_ufw_rules rules;
	enum { LONG = 1 << 20 };
	char *text = gp_alloc(arena, LONG + 100);

	(void)state;
	gp_ufw_parse(arena, "", 0, false, &rules);
	assert_int_equal(rules.n + rules.unreadable, 0);
	gp_ufw_parse(arena, rule, strlen(rule), false, &rules); /* no newline at the end */
	assert_int_equal(rules.n, 1);
	for (size_t cut = 0; cut < strlen("### tuple ###"); cut++) {
		gp_ufw_parse(arena, rule, cut, false, &rules);
		assert_int_equal(rules.n + rules.unreadable, 0);
	}
	gp_ufw_parse(arena, nul, sizeof(nul) - 1, false, &rules);
	assert_int_equal(rules.n, 1);
	assert_int_equal(rules.unreadable, 1);
	gp_ufw_parse(arena, "# ### tuple ### allow tcp 80 " ANY " in\n", 50, false, &rules);
	assert_int_equal(rules.n, 0);
	memset(text, 'x', LONG);
	memcpy(text, "### tuple ### ", 14);
	text[LONG] = '\n';
	memcpy(text + LONG + 1, rule, strlen(rule));
	gp_ufw_parse(arena, text, LONG + 1 + strlen(rule), true, &rules);
	assert_int_equal(rules.unreadable, 1);
	assert_int_equal(rules.n, 1);
	assert_true(rules.v[0].v6);
}

/* Twice the rules, twice the time: a file that somebody's ban script has filled. */
static void test_many_rules(void **state)
{
	enum { MANY = 50000 };
	GP_AUTO_ARENA arena = gp_arena_new();
	GP_AUTO_BUF text = { 0 };
	const struct gp_ufw_rule *rule = NULL;
	struct gp_ufw_rules rules;
	int64_t began = gp_mono_ms();

	(void)state;
	for (int i = 0; i < MANY; i++)
		gp_buf_printf(&text, "### tuple ### deny any any 0.0.0.0/0 any 10.%d.%d.%d in\n", i >> 16, i >> 8 & 255, i & 255);
	gp_buf_puts(&text, "### tuple ### allow tcp 22 " ANY " in\n");
	gp_ufw_parse(arena, text.data, text.len, false, &rules);
	assert_int_equal(rules.n, MANY + 1);
	for (uint16_t port = 1; port < 100; port++)
		assert_int_equal(gp_ufw_judge(&rules, port, false, true, true, &rule), port == 22 ? GP_UFW_OPEN : GP_UFW_UNDECIDED);
	assert_true(gp_mono_ms() - began < 5000);
}

static void test_judge(void **state)
{
	enum { PLAIN = 1, LIMIT = 2, CAREFUL = 4, UDP = 8, SSH = LIMIT | CAREFUL };
	static const struct {
		const char *tuples;
		uint16_t port;
		int how;
		enum gp_ufw_verdict want;
	} cases[] = {
		{ "", 22, SSH, GP_UFW_UNDECIDED },
		{ "allow tcp 22 " ANY " in", 22, SSH, GP_UFW_OPEN },
		{ "allow any 22 " ANY " in", 22, SSH, GP_UFW_OPEN },
		{ "allow any any " ANY " in", 22, SSH, GP_UFW_OPEN },
		{ "allow_log tcp 22 " ANY " in", 22, SSH, GP_UFW_OPEN },
		{ "allow tcp 22 " ANY " OpenSSH - in", 22, SSH, GP_UFW_OPEN },
		{ "allow tcp 80,443 " ANY " in", 443, PLAIN, GP_UFW_OPEN },
		{ "allow tcp 80,443 " ANY " in", 81, PLAIN, GP_UFW_UNDECIDED },
		{ "allow tcp 20:30 " ANY " in", 20, PLAIN, GP_UFW_OPEN },
		{ "allow tcp 20:30 " ANY " in", 30, PLAIN, GP_UFW_OPEN },
		{ "allow tcp 20:30 " ANY " in", 31, PLAIN, GP_UFW_UNDECIDED },
		{ "allow tcp 443 " ANY " in", 443, UDP, GP_UFW_UNDECIDED },
		{ "allow udp 443 " ANY " in", 443, UDP, GP_UFW_OPEN },
		{ "allow udp 443 " ANY " in", 443, PLAIN, GP_UFW_UNDECIDED },
		{ "allow gre any " ANY " in", 443, PLAIN, GP_UFW_UNDECIDED },
		/* a limit is open for ssh, not for visitors */
		{ "limit tcp 22 " ANY " in", 22, SSH, GP_UFW_OPEN },
		{ "limit tcp 80 " ANY " in", 80, PLAIN, GP_UFW_SHUT },
		/* not from everywhere, not everywhere, not in */
		{ "allow tcp 22 0.0.0.0/0 any 10.0.0.0/8 in", 22, SSH, GP_UFW_UNDECIDED },
		{ "allow tcp 22 10.1.2.3 any 0.0.0.0/0 in", 22, SSH, GP_UFW_UNDECIDED },
		{ "allow tcp 22 0.0.0.0/0 99 0.0.0.0/0 in", 22, SSH, GP_UFW_UNDECIDED },
		{ "allow tcp 22 " ANY " in_eth0", 22, SSH, GP_UFW_UNDECIDED },
		{ "allow tcp 22 " ANY " out", 22, SSH, GP_UFW_UNDECIDED },
		{ "route:allow tcp 22 " ANY " in_eth0", 22, SSH, GP_UFW_UNDECIDED },
		{ "route:deny any any " ANY " in", 22, SSH, GP_UFW_UNDECIDED },
		{ "deny any any " ANY " out", 22, SSH, GP_UFW_UNDECIDED },
		/* the first that matches decides */
		{ "deny tcp 22 " ANY " in\nallow tcp 22 " ANY " in", 22, SSH, GP_UFW_SHUT },
		{ "allow tcp 22 " ANY " in\ndeny tcp 22 " ANY " in", 22, SSH, GP_UFW_OPEN },
		{ "reject any 22 " ANY " in\nallow tcp 22 " ANY " in", 22, SSH, GP_UFW_SHUT },
		{ "deny any any " ANY " in\nallow tcp 80 " ANY " in", 80, PLAIN, GP_UFW_SHUT },
		{ "deny tcp 1:1024 " ANY " in\nallow tcp 80 " ANY " in", 80, PLAIN, GP_UFW_SHUT },
		{ "deny udp any " ANY " in\nallow tcp 80 " ANY " in", 80, PLAIN, GP_UFW_OPEN },
		{ "deny any any 0.0.0.0/0 any 1.2.3.4 in\nallow tcp 22 " ANY " in", 22, SSH, GP_UFW_OPEN },
		/* everybody who comes by one interface or to one address */
		{ "deny tcp 22 " ANY " in_eth0\nallow tcp 22 " ANY " in", 22, SSH, GP_UFW_SHUT },
		{ "deny any any 10.1.2.3 any 0.0.0.0/0 in\nallow tcp 22 " ANY " in", 22, SSH, GP_UFW_SHUT },
		{ "deny tcp 80 " ANY " in_eth0\nallow tcp 80 " ANY " in", 80, PLAIN, GP_UFW_OPEN },
		{ "deny tcp 22 " ANY " in_lo\nallow tcp 22 " ANY " in", 22, SSH, GP_UFW_OPEN },
		{ "limit tcp 22 " ANY " in_eth0\nallow tcp 22 " ANY " in", 22, SSH, GP_UFW_OPEN },
	};
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gp_ufw_rules rules = parse(arena, cases[i].tuples, false);
		const struct gp_ufw_rule *rule = NULL;
		enum gp_ufw_verdict is;

		assert_int_equal(rules.unreadable, 0);
		is = gp_ufw_judge(&rules, cases[i].port, cases[i].how & UDP, cases[i].how & LIMIT, cases[i].how & CAREFUL, &rule);
		if (is != cases[i].want)
			fail_msg("%s: %u is %d", cases[i].tuples, cases[i].port, is);
		if (is != GP_UFW_UNDECIDED)
			assert_non_null(rule);
	}
}

static void test_setting(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "KEY=yes", "yes" },
		{ "KEY=\"DROP\"\n", "DROP" },
		{ "KEY='DROP'  \r\n", "DROP" },
		{ "KEY=no\nKEY=yes\n", "yes" },
		{ "KEY=\n", "" },
		{ "KEY=\"\n", "" },
		{ "#KEY=yes\n", NULL },
		{ " KEY=yes\n", NULL },
		{ "KEYS=yes\nAKEY=no\n", NULL },
		{ "KEY", NULL },
		{ "", NULL },
	};
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *is = gp_ufw_setting(arena, cases[i].text, "KEY");

		assert_int_equal(is == NULL, cases[i].want == NULL);
		if (is)
			assert_string_equal(is, cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words_and_commands),
		cmocka_unit_test(test_no_rules),
		cmocka_unit_test(test_odd_files),
		cmocka_unit_test(test_many_rules),
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_setting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
