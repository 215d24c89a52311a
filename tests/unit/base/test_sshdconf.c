/* sshd_config's grammar, and who is let in by its four lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/sshdconf.h"

static void test_effective(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_sshdconf conf;

	(void)state;
	/* as `sshd -T` prints it */
	gp_sshdconf_parse(arena, "port 22\nport 2222\npermitrootlogin without-password\nbanner none\nauthorizedkeysfile .ssh/a .ssh/b\n", &conf);
	assert_int_equal(conf.n, 5);
	assert_string_equal(gp_sshdconf_get(&conf, "port"), "22");
	assert_string_equal(gp_sshdconf_get(&conf, "permitrootlogin"), "without-password");
	assert_string_equal(gp_sshdconf_get(&conf, "authorizedkeysfile"), ".ssh/a .ssh/b");
	assert_null(gp_sshdconf_get(&conf, "passwordauthentication"));
	assert_null(gp_sshdconf_get(&conf, "por"));
}

static void test_grammar(void **state)
{
	static const struct {
		const char *line, *keyword, *value;
	} cases[] = {
		{ "PasswordAuthentication no", "passwordauthentication", "no" },
		{ " \tPasswordAuthentication\t no \r", "passwordauthentication", "no" },
		{ "PasswordAuthentication=no", "passwordauthentication", "no" },
		{ "PasswordAuthentication = no", "passwordauthentication", "no" },
		{ "PasswordAuthentication \"no\"", "passwordauthentication", "no" },
		{ "PasswordAuthentication no # not yet", "passwordauthentication", "no" },
		{ "Banner /a#b", "banner", "/a#b" },
		{ "ForceCommand echo \"a # b\" c", "forcecommand", "echo \"a # b\" c" },
		{ "ChallengeResponseAuthentication no", "kbdinteractiveauthentication", "no" },
		{ "Match all", "match", "all" },
		{ "Port", "port", "" },
	};
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gp_sshdconf conf;

		gp_sshdconf_parse(arena, gp_sprintf(arena, "# a comment\n\n%s\n   #PasswordAuthentication yes\n", cases[i].line), &conf);
		assert_int_equal(conf.n, 1);
		assert_string_equal(conf.v[0].keyword, cases[i].keyword);
		assert_string_equal(conf.v[0].value, cases[i].value);
		assert_int_equal(conf.v[0].line, 3);
	}
}

static void test_match(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_sshdconf conf;

	(void)state;
	gp_sshdconf_parse(arena, "A 1\nMatch User x\nA 2\nB 3\nmatch Group y\nB 4\n", &conf);
	assert_string_equal(gp_sshdconf_get(&conf, "a"), "1");
	assert_null(gp_sshdconf_get(&conf, "b"));
	assert_null(conf.v[0].match);
	assert_null(conf.v[1].match);
	assert_string_equal(conf.v[2].match, "User x");
	assert_string_equal(conf.v[5].match, "Group y");
}

static void test_patterns(void **state)
{
	(void)state;
	assert_true(gp_sshdconf_match("deploy", "deploy") && gp_sshdconf_match("*", "") && gp_sshdconf_match("d*y", "deploy"));
	assert_true(gp_sshdconf_match("?eploy", "deploy") && gp_sshdconf_match("*a*b", "xaxbab") && gp_sshdconf_match("**", "x"));
	assert_false(gp_sshdconf_match("deploy", "deploy2") || gp_sshdconf_match("", "x") || gp_sshdconf_match("?", ""));
	assert_false(gp_sshdconf_match("*a", "ab") || gp_sshdconf_match("d?", "d"));
}

static void test_excludes(void **state)
{
	static const struct {
		const char *conf, *by; /* of user deploy in the groups deploy and www-data */
	} cases[] = {
		{ "", NULL },
		{ "allowusers root", "AllowUsers" },
		{ "allowusers root\nallowusers deploy", NULL },
		{ "AllowUsers root dep*", NULL },
		{ "allowusers deploy@10.0.0.1", "AllowUsers" }, /* may let in, from there */
		{ "allowusers deploy@*", NULL },
		{ "denyusers root", NULL },
		{ "denyusers deploy@10.0.0.1", "DenyUsers" }, /* may be shut out, from there */
		{ "denyusers ?eploy\nallowusers deploy", "DenyUsers" },
		{ "allowgroups sudo", "AllowGroups" },
		{ "allowgroups sudo\nallowgroups www-*", NULL },
		{ "denygroups www-data", "DenyGroups" },
		{ "denygroups sudo", NULL },
		{ "allowusers deploy\nallowgroups sudo", "AllowGroups" },
		{ "Match Address 10.0.0.0/8\nDenyUsers deploy", NULL },
	};
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_strv groups = { 0 };

	(void)state;
	gp_strv_add(arena, &groups, "deploy");
	gp_strv_add(arena, &groups, "www-data");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gp_sshdconf conf;
		const char *by;

		gp_sshdconf_parse(arena, cases[i].conf, &conf);
		by = gp_sshdconf_excludes(arena, &conf, "deploy", &groups);
		if (!gp_streq(by ? by : "", cases[i].by ? cases[i].by : ""))
			fail_msg("%s: %s", cases[i].conf, by ? by : "let in");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_effective),
		cmocka_unit_test(test_grammar),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_excludes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
