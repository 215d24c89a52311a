/* The command line by rows: what is taken, what each mistake is answered with, that what is handed on says the same, and the help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "cli/options.h"

/* Parse a command and its words, split at single blanks; "''" is an empty word. */
static int parse(struct gp_arena *arena, const char *line, struct gp_args *ret, struct gp_error *err)
{
	struct gp_strv words = gp_words(arena, line);
	const struct gp_command *command = gp_command_find(words.v[0]);

	assert_non_null(command);
	for (size_t i = 1; i < words.n; i++)
		if (gp_streq(words.v[i], "''"))
			words.v[i] = "";
	memset(ret, 0, sizeof(*ret));
	GP_TRY(gp_options_parse(command, words.v + 1, words.n - 1, ret, err));
	return gp_options_complete(command, ret, err);
}

static const char *text_of(struct gp_arena *arena, const struct gp_args *a)
{
	const char *const texts[] = { a->slug, a->ref, a->domain, a->repo, a->project, a->tls, a->deploy_user, a->topic };
	const bool flags[] = { a->celery, a->no_restart, a->install_packages, a->options_from_stdin, a->dry_run, a->json, a->quiet, a->verbose,
		a->no_color, a->help };
	const char *text = "";

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		text = gp_sprintf(arena, "%s%s|", text, texts[i] ? texts[i] : "");
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		text = gp_sprintf(arena, "%s%d", text, flags[i]);
	return text;
}

static const char *const good[][2] = {
	/* slug ref domain repo project tls deploy_user topic; celery no_restart install_packages stdin dry_run json quiet verbose no_color help */
	{ "deploy acme", "acme||||||||0000000000" },
	{ "deploy --site-slug acme", "acme||||||||0000000000" },
	{ "deploy --site-slug=acme", "acme||||||||0000000000" },
	{ "deploy acme --ref v1", "acme|v1|||||||0000000000" },
	{ "deploy --ref v1 acme", "acme|v1|||||||0000000000" },
	{ "deploy --ref=v1 acme", "acme|v1|||||||0000000000" },
	{ "deploy acme --ref=a=b", "acme|a=b|||||||0000000000" },
	{ "deploy acme --domain www.acme.example --no-restart", "acme||www.acme.example||||||0100000000" },
	{ "deploy acme --options-from-stdin", "acme||||||||0001000000" },
	{ "deploy acme --json --quiet --verbose --no-color", "acme||||||||0000011110" },
	{ "deploy acme --json --json", "acme||||||||0000010000" },
	{ "deploy acme -h", "acme||||||||0000000001" },
	{ "deploy acme --help", "acme||||||||0000000001" },
	{ "deploy a123456789012345678901234567890", "a123456789012345678901234567890||||||||0000000000" },
	{ "provision", "||||||||0000000000" },
	{ "provision acme --dry-run", "acme||||||||0000100000" },
	{ "provision --deploy-user deploy --install-packages", "||||||deploy||0010000000" },
	{ "init acme --domain a.b --repo /x", "acme||a.b|/x|||||0000000000" },
	{ "init acme --domain=a.b --repo=/x --project=p.q --ref=r --tls=off --celery", "acme|r|a.b|/x|p.q|off|||1000000000" },
	{ "init acme --domain a.b --repo https://h/x?a=b", "acme||a.b|https://h/x?a=b|||||0000000000" },
	{ "lock status", "||||||||0000000000" },
	{ "lock status acme --json", "acme||||||||0000010000" },
	{ "lock --json status --site-slug acme", "acme||||||||0000010000" },
	{ "version --json", "||||||||0000010000" },
};

static void test_good(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct gp_error err = { 0 };
		struct gp_args args;

		if (parse(arena, good[i][0], &args, &err) < 0)
			fail_msg("%s: %s", good[i][0], err.msg);
		assert_string_equal(text_of(arena, &args), good[i][1]);
	}
}

static void test_bad(void **state)
{
	static const char *const bad[][3] = {
		/* the line, the message, the hint */
		{ "deploy", "deploy needs a site", "goldpath deploy --help" },
		{ "init acme", "init needs --domain DOMAIN", "--help" },
		{ "init acme --domain a.b", "init needs --repo URL", "--help" },
		{ "init --domain a.b --repo /x", "init needs a site", "" },
		{ "deploy acme --reff v1", "deploy has no option '--reff'", "did you mean --ref?" },
		{ "deploy acme --reff=v1", "deploy has no option '--reff", "did you mean --ref?" },
		{ "deploy acme --rfe v1", "deploy has no option", "did you mean --ref?" },
		{ "deploy --site-slg acme", "deploy has no option", "did you mean --site-slug?" },
		{ "provision --dryrun", "provision has no option", "did you mean --dry-run?" },
		{ "deploy acme --dry-run", "deploy has no option '--dry-run'", "goldpath deploy --help" },
		{ "version --site-slug acme", "version has no option", "" },
		{ "deploy acme -v", "deploy has no option '-v'", "" },
		{ "deploy acme -", "deploy has no option '-'", "" },
		{ "deploy acme --", "deploy has no option '--'", "" },
		{ "deploy acme --=x", "deploy has no option", "" },
		{ "deploy acme -h=x", "deploy has no option", "" },
		{ "deploy acme --ref", "--ref needs a value: REF", "" },
		{ "deploy acme --ref=", "--ref: '' is no valid ref", "a ref is" },
		{ "deploy acme --ref ''", "--ref: '' is no valid ref", "" },
		{ "deploy acme --ref --json", "--ref: '--json' is no valid ref", "" },
		{ "deploy acme --ref -x", "is no valid ref", "" },
		{ "deploy acme --ref a --ref b", "--ref comes twice", "" },
		{ "deploy acme --ref a --ref=a", "--ref comes twice", "" },
		{ "deploy acme --json=yes", "--json takes no value", "" },
		{ "deploy acme --no-restart=", "--no-restart takes no value", "" },
		{ "deploy acme --domain a/b", "--domain: 'a/b' is no valid domain", "" },
		{ "deploy acme other", "deploy takes no 'other'", "" },
		{ "deploy acme acme", "deploy takes no 'acme'", "" },
		{ "deploy --site-slug acme acme", "deploy takes no 'acme'", "" },
		{ "deploy acme --site-slug acme", "--site-slug comes twice", "" },
		{ "deploy --site-slug a --site-slug b", "--site-slug comes twice", "" },
		{ "version acme", "version takes no 'acme'", "" },
		{ "lock", "lock needs a word more", "goldpath lock status" },
		{ "lock acme", "lock has no 'acme'", "goldpath lock status" },
		{ "lock --site-slug acme", "lock needs a word more", "goldpath lock status" },
		{ "lock status status acme", "lock takes no 'acme'", "" },
		/* the grammar of slugs */
		{ "deploy Acme", "'Acme' is no valid slug", "a slug is" },
		{ "deploy 1acme", "no valid slug", "" },
		{ "deploy acme_x", "no valid slug", "" },
		{ "deploy acme.yaml", "no valid slug", "" },
		{ "deploy ../acme", "no valid slug", "" },
		{ "deploy ''", "'' is no valid slug", "" },
		{ "deploy --site-slug=", "--site-slug: '' is no valid slug", "" },
		{ "deploy a1234567890123456789012345678901", "no valid slug", "" },
		{ "deploy acme\x1b[2J", "no valid slug", "" },
		{ "init acme --domain a.b --repo https://u:hunter2@h/x", "--repo: this is no repository goldpath takes", "" },
		{ "init acme --domain a.b --repo ext::id", "--repo: this is no repository goldpath takes", "" },
	};
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct gp_error err = { 0 };
		struct gp_args args;

		if (parse(arena, bad[i][0], &args, &err) == 0)
			fail_msg("taken: %s", bad[i][0]);
		assert_int_equal(err.kind, GP_E_USAGE);
		if (!strstr(err.msg, bad[i][1]) || !strstr(err.hint, bad[i][2]))
			fail_msg("%s: %s (%s)", bad[i][0], err.msg, err.hint);
		assert_null(strstr(err.msg, "hunter2"));
		assert_null(strchr(err.msg, '\x1b'));
	}
}

/* What is handed to another goldpath is what was typed, the site left out. */
static void test_words(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		const struct gp_command *command = gp_command_find(gp_words(arena, good[i][0]).v[0]);
		struct gp_args args, again = { 0 };
		struct gp_strv words;

		assert_int_equal(parse(arena, good[i][0], &args, NULL), 0);
		words = gp_options_words(arena, command, &args);
		assert_false(gp_strv_has(&words, "--options-from-stdin")); /* never again and again */
		assert_int_equal(gp_options_parse(command, words.v, words.n, &again, NULL), 0);
		again.slug = args.slug;
		again.options_from_stdin = args.options_from_stdin;
		assert_string_equal(text_of(arena, &again), text_of(arena, &args));
	}
	/* and to one that has options already */
	struct gp_args twice = { 0 };
	assert_int_equal(gp_options_parse(gp_command_find("deploy"), (const char *const[]){ "acme", "--ref", "a" }, 3, &twice, NULL), 0);
	assert_int_equal(gp_options_parse(gp_command_find("deploy"), (const char *const[]){ "--ref", "b" }, 2, &twice, NULL), -1);
}

static const char *help_of(struct gp_arena *arena, const struct gp_command *command)
{
	char *text = NULL;
	const char *copy;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (command)
		gp_help_command(f, command);
	else
		gp_help_all(f);
	fclose(f);
	copy = gp_strdup(arena, text);
	free(text);
	return copy;
}

static void test_help(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *all = help_of(arena, NULL);

	(void)state;
	for (size_t c = 0;; c++) {
		const struct gp_command *command = gp_commands[c];
		const char *text = help_of(arena, command);
		struct gp_strv lines = gp_lines(arena, text);

		assert_true(gp_ends_with(text, "\n"));
		for (size_t i = 0; i < lines.n; i++) {
			if (strlen(lines.v[i]) > 80)
				fail_msg("%zu columns: %s", strlen(lines.v[i]), lines.v[i]);
			assert_null(strchr(lines.v[i], '\t'));
			assert_false(gp_ends_with(lines.v[i], " "));
		}
		if (!command)
			break;
		assert_non_null(strstr(all, gp_sprintf(arena, "\n  %s ", command->name)));
		assert_non_null(strstr(all, command->summary));
		assert_non_null(strstr(text, gp_sprintf(arena, "usage: goldpath %s", command->name)));
		for (const struct gp_option *o = command->options; o->name; o++)
			assert_int_equal(strstr(text, gp_sprintf(arena, "\n  %s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "")) != NULL,
				!o->hidden);
		assert_int_equal(strstr(text, "--site-slug SLUG") != NULL, command->operand != NULL);
		for (size_t i = 0; i < 5; i++)
			assert_non_null(strstr(text, (const char *const[]){ "--json", "--quiet", "--verbose", "--no-color", "--help" }[i]));
	}
}

/* -h is --help in every command, and either is enough without the rest. */
static void test_ask_for_help(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (const struct gp_command *const *c = gp_commands; *c; c++) {
		struct gp_args brief = { 0 }, full = { 0 };

		assert_int_equal(gp_options_parse(*c, (const char *const[]){ "-h" }, 1, &brief, NULL), 0);
		assert_int_equal(gp_options_parse(*c, (const char *const[]){ "--help" }, 1, &full, NULL), 0);
		assert_true(brief.help);
		assert_string_equal(text_of(arena, &brief), text_of(arena, &full));
	}
}

static void test_rows(void **state)
{
	(void)state;
	assert_null(gp_command_find("deplo"));
	assert_null(gp_command_find(""));
	assert_null(gp_command_find("--help"));
	for (const struct gp_command *const *c = gp_commands; *c; c++) {
		assert_ptr_equal(gp_command_find((*c)->name), *c);
		for (const struct gp_option *o = (*c)->options; o->name; o++) {
			assert_true(gp_starts_with(o->name, "--") && !strchr(o->name, '='));
			assert_non_null(o->help);
			assert_int_equal(o->value != NULL, o->type != GP_OPT_FLAG);
			assert_true(o->offset < sizeof(struct gp_args));
			for (const struct gp_option *other = o + 1; other->name; other++)
				assert_string_not_equal(o->name, other->name);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_ask_for_help),
		cmocka_unit_test(test_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
