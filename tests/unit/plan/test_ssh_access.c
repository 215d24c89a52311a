/* The decision: what is closed, and for whose sake it is not. A table; each row says only what differs from a host where all is well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/str.h"
#include "plan/ssh_access.h"

#define NONE "has no usable key"

static const struct {
	const char *what;
	const char *deploy, *root, *admin, *session, *session_why; /* admin "-": there is none */
	const char *want;                                          /* root_login; NULL: prohibit-password */
	bool passwords;
	const char *root_is, *root_elsewhere;                      /* NULL: yes */
	const char *passwords_is, *passwords_elsewhere;            /* NULL: yes */
	/* and then */
	const char *root_login, *password, *root_why, *password_why; /* NULL: left to the others; nothing said */
} cases[] = {
	{ "all is well", .admin = "-", .root_login = "prohibit-password", .password = "no" },
	{ "a key for nobody", .deploy = NONE, .root = NONE, .admin = "-", .root_why = "root may still log in with a password: root has no",
		.password_why = "passwords stay on: deploy has no usable key" },
	{ "a key for deploy only", .root = NONE, .admin = "-", .root_why = "root has no usable key",
		.password_why = "passwords stay on: root has no usable key" },
	{ "a key for root only", .deploy = NONE, .admin = "-", .root_login = "prohibit-password", .password_why = "deploy has no" },
	{ "a sudoer's key will do", .root = NONE, .root_login = "prohibit-password", .password = "no" },
	{ "a sudoer without one is no help", .root = NONE, .admin = NONE, .root_why = "root has", .password_why = "root has" },
	{ "root came with a password", .root = NONE, .session = "root", .session_why = NONE, .root_why = "root has no usable key",
		.password_why = "passwords stay on: root, who runs this, has no" },
	{ "another came with a password", .session = "anna", .session_why = NONE, .root_login = "prohibit-password",
		.password_why = "passwords stay on: anna, who runs this, has no usable key" },
	{ "another came with a key", .session = "anna", .root_login = "prohibit-password", .password = "no" },
	/* what is closed stays closed */
	{ "off already", .deploy = NONE, .root = NONE, .admin = "-", .root_is = "prohibit-password", .passwords_is = "no",
		.root_login = "prohibit-password", .password = "no" },
	/* the owner's own files */
	{ "the owner says no", .root_is = "no", .root_elsewhere = "no", .password = "no" },
	{ "the owner says no, and there is only root", .admin = "-", .root_is = "no", .root_elsewhere = "no",
		.password_why = "passwords stay on: root may not log in" },
	{ "commands only", .root_is = "forced-commands-only", .root_elsewhere = "forced-commands-only", .password = "no" },
	{ "and yes is asked for", .want = "yes", .root_is = "no", .root_elsewhere = "no", .root_login = "yes", .password = "no" },
	/* root_login: no */
	{ "no, with a sudoer", .want = "no", .root_login = "no", .password = "no" },
	{ "no, without one", .want = "no", .admin = "-", .root_why = "root may still log in: no member of group sudo", .password = "no" },
	{ "no, without one; a key only, by us", .want = "no", .admin = NONE, .root_is = "prohibit-password",
		.root_login = "prohibit-password", .root_why = "no member", .password = "no" },
	{ "no already, the sudoer's key gone", .want = "no", .admin = NONE, .root_is = "no", .root_login = "no",
		.password_why = "root may not log in, and no member" },
	{ "from no back to a key", .admin = "-", .root_is = "no", .root_login = "prohibit-password", .password = "no" },
	/* kept, though the others' files would close it */
	{ "root with a password by us", .root = NONE, .admin = "-", .root_elsewhere = "prohibit-password", .root_login = "yes",
		.root_why = "root has", .password_why = "root has" },
	{ "passwords by us", .deploy = NONE, .passwords_elsewhere = "no", .root_login = "prohibit-password", .password = "yes",
		.password_why = "deploy has" },
	/* passwords: on */
	{ "on", .passwords = true, .root_login = "prohibit-password", .password = "yes" },
	{ "on again", .passwords = true, .passwords_is = "no", .root_login = "prohibit-password", .password = "yes" },
};

static const char *or(const char *text, const char *otherwise)
{
	return text ? text : otherwise;
}

static void same(const char *what, const char *which, const char *is, const char *want)
{
	if (!gp_streq(or(is, "(left)"), or(want, "(left)")))
		fail_msg("%s: %s is %s, not %s", what, which, or(is, "(left)"), or(want, "(left)"));
}

static void said(const char *what, const char *is, const char *want)
{
	if (!want != !is || (want && !strstr(is, want)))
		fail_msg("%s: says '%s', not '%s'", what, or(is, ""), or(want, ""));
}

static void test_table(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const bool no_admin = cases[i].admin && gp_streq(cases[i].admin, "-");
		const struct gp_ssh_person admin = { "berta", cases[i].admin };
		const struct gp_ssh_facts facts = {
			.deploy = { "deploy", cases[i].deploy },
			.root = { "root", cases[i].root },
			.session = { cases[i].session, cases[i].session_why },
			.admins = &admin,
			.admin_count = no_admin ? 0 : 1,
			.root_login_wanted = or(cases[i].want, "prohibit-password"),
			.passwords_wanted = cases[i].passwords,
			.root_login = { or(cases[i].root_is, "yes"), or(cases[i].root_elsewhere, "yes") },
			.passwords = { or(cases[i].passwords_is, "yes"), or(cases[i].passwords_elsewhere, "yes") },
			.keyboard = { "no", "no" },
		};
		struct gp_ssh_verdict v = gp_ssh_decide(arena, &facts);

		same(cases[i].what, "root_login", v.root_login, cases[i].root_login);
		same(cases[i].what, "passwords", v.passwords, cases[i].password);
		said(cases[i].what, v.root_login_why, cases[i].root_why);
		said(cases[i].what, v.passwords_why, cases[i].password_why);
	}
}

/* Both ways of asking for a password count: one that is open keeps the sentence. */
static void test_keyboard(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_ssh_facts facts = {
		.deploy = { "deploy", NONE }, .root = { "root", NONE }, .root_login_wanted = "yes",
		.root_login = { "yes", "yes" }, .passwords = { "no", "no" }, .keyboard = { "yes", "yes" },
	};
	struct gp_ssh_verdict v = gp_ssh_decide(arena, &facts);

	(void)state;
	assert_string_equal(v.passwords, "no");
	assert_null(v.keyboard);
	assert_non_null(v.passwords_why);
	facts.deploy.why = facts.root.why = NULL;
	v = gp_ssh_decide(arena, &facts);
	assert_string_equal(v.keyboard, "no");
	assert_null(v.passwords_why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_keyboard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
