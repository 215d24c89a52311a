/*
 * A command line made of any words, each ended by NUL, as they come through sudo: the first is the command. What is accepted holds
 * names only, and the words made of it are accepted again and say the same.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "cli/options.h"

#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && gp_streq(a, b));
}

static void check_names(const struct gp_args *a)
{
	must(!a->slug || gp_name_ok(GP_NAME_slug, a->slug), "slug");
	must(!a->ref || gp_name_ok(GP_NAME_ref, a->ref), "ref");
	must(!a->domain || gp_name_ok(GP_NAME_domain, a->domain), "domain");
	must(!a->repo || gp_name_ok(GP_NAME_repo, a->repo), "repo");
	must(!a->project || gp_name_ok(GP_NAME_module, a->project), "project");
	must(!a->deploy_user || gp_name_ok(GP_NAME_user, a->deploy_user), "deploy_user");
}

static void check_words(struct gp_arena *arena, const struct gp_command *command, const struct gp_args *a)
{
	struct gp_strv words = gp_options_words(arena, command, a);
	struct gp_args b = { 0 };

	must(gp_options_parse(command, words.v, words.n, &b, NULL) == 0, "what is handed on is taken");
	must(!b.slug && !b.options_from_stdin, "the site and the way are not handed on");
	must(same(a->ref, b.ref) && same(a->domain, b.domain) && same(a->repo, b.repo) && same(a->project, b.project) && same(a->tls, b.tls) &&
			same(a->deploy_user, b.deploy_user), "the same texts");
	must(a->celery == b.celery && a->no_restart == b.no_restart && a->install_packages == b.install_packages && a->dry_run == b.dry_run &&
			a->json == b.json && a->quiet == b.quiet && a->verbose == b.verbose && a->no_color == b.no_color && a->help == b.help,
		"the same flags");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *text = gp_strndup(arena, (const char *)data, size);
	const struct gp_command *command = gp_command_find(text);
	struct gp_strv words = { 0 };
	struct gp_error err = { 0 };
	struct gp_args args = { 0 };
	char *copy;

	if (!command)
		return 0;
	copy = gp_alloc(arena, size + 1);
	if (size)
		memcpy(copy, data, size);
	for (size_t i = strlen(copy) + 1; i < size; i += strlen(copy + i) + 1)
		gp_strv_add(arena, &words, copy + i);
	if (gp_options_parse(command, words.v, words.n, &args, &err) < 0) {
		must(err.kind == GP_E_USAGE && err.msg[0], "a refusal says why");
		for (const unsigned char *p = (const unsigned char *)err.msg; *p; p++)
			must(*p >= 0x20 && *p != 0x7f, "in a tame message");
		return 0;
	}
	check_names(&args);
	check_words(arena, command, &args);
	gp_options_complete(command, &args, &err);
	return 0;
}
