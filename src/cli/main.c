/* The program: which command, with which options, as whom; then its errors and exit code. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "cli/options.h"
#include "conf/host.h"
#include "conf/site.h"
#include "ops/paths.h"
#include "out/json.h"
#include "out/story.h"
#include "sys/account.h"
#include "sys/ctx.h"
#include "sys/proc.h"

enum { STDIN_OPTIONS_MAX = 65536 };

/* The old scripts' names: the same program, called as one of them, is that command. */
static const struct {
	const char *called, *command;
	bool yes; /* the script never asked */
} helper_names[] = {
	{ .called = "provision_vps.sh", .command = "provision", .yes = true },
	{ .called = "deploy.sh", .command = "deploy" },
	{ .called = "backup_db.sh", .command = "backup" },
	{ .called = "restore_db.sh", .command = "restore" },
};

static const struct gp_command *by_own_name(const char *argv0, struct gp_args *args)
{
	const char *slash = strrchr(argv0, '/'), *name = slash ? slash + 1 : argv0;

	for (size_t i = 0; i < sizeof(helper_names) / sizeof(helper_names[0]); i++)
		if (gp_streq(name, helper_names[i].called)) {
			args->yes = helper_names[i].yes;
			return gp_command_find(helper_names[i].command);
		}
	return NULL;
}

static int unknown_command(const char *name, struct gp_error *err)
{
	const char *names[16], *near;
	size_t n = 0;

	for (; gp_commands[n] && n < 16; n++)
		names[n] = gp_commands[n]->name;
	gp_fail(err, GP_E_USAGE, "there is no command '%.40s'", name);
	near = gp_closest(name, names, n);
	return near ? gp_hint(err, "did you mean %s?", near) : gp_hint(err, "goldpath help");
}

/* Options that the deploy user's own goldpath hands over through sudo: NUL-ended words on stdin, parsed like typed ones. */
static int options_from_stdin(struct gp_arena *arena, const struct gp_command *command, struct gp_args *args, struct gp_error *err)
{
	char *text = gp_alloc(arena, STDIN_OPTIONS_MAX + 1);
	size_t len = fread(text, 1, STDIN_OPTIONS_MAX + 1, stdin);
	struct gp_strv words = { 0 };

	if (len > STDIN_OPTIONS_MAX || (len && text[len - 1]))
		return gp_fail(err, GP_E_USAGE, "the options on standard input are not NUL-ended words of %d bytes at most", STDIN_OPTIONS_MAX);
	for (size_t i = 0; i < len; i += strlen(text + i) + 1)
		gp_strv_add(arena, &words, text + i);
	return gp_options_parse(command, words.v, words.n, args, err);
}

/* Without root: the same command again through sudo, by the one line that the site's sudoers file has for it. The line names no
 * options (a wildcard would match anything), so they go by stdin. */
static int through_sudo(struct gp_arena *arena, const struct gp_command *command, const struct gp_args *args, struct gp_error *err)
{
	struct gp_strv words = gp_options_words(arena, command, args);
	size_t len = 0;
	char *text, *p;

	for (size_t i = 0; i < words.n; i++)
		len += strlen(words.v[i]) + 1;
	p = text = gp_alloc(arena, len + 1);
	for (size_t i = 0; i < words.n; i++)
		p = stpcpy(p, words.v[i]) + 1;
	return gp_proc_become(GP_ARGV("sudo", "-n", "--", gp_program_path, command->name, args->slug, "--options-from-stdin"), text, len, err);
}

/* sudo's own refusal says nothing of goldpath: only the site's deploy user has the line. */
static bool may_use_sudo(struct gp_arena *arena, const char *slug)
{
	struct gp_site site;
	struct gp_host host;
	struct gp_ctx ctx;

	gp_ctx_init(&ctx, arena);
	if (gp_host_load(arena, ctx.etc_dir, &host, NULL) < 0 || gp_site_load(arena, ctx.etc_dir, slug, &site, NULL) < 0)
		return true;
	return gp_streq(gp_account_name(arena, getuid()), gp_deploy_user(&host, &site));
}

static int as_root(struct gp_arena *arena, const struct gp_command *command, const struct gp_args *args, struct gp_error *err)
{
	if (!command->root || geteuid() == 0)
		return 0;
	if (command->by_sudo && may_use_sudo(arena, args->slug))
		return through_sudo(arena, command, args, err);
	gp_fail(err, GP_E_FAILED, "%s needs root%s", command->name, command->by_sudo ? ", or the deploy user" : "");
	return gp_hint(err, "sudo goldpath %s", command->name);
}

static int run_command(struct gp_ctx *ctx, const struct gp_command *command, struct gp_args *args, struct gp_story *story,
	struct gp_error *err)
{
	if (args->options_from_stdin)
		GP_TRY(options_from_stdin(ctx->arena, command, args, err));
	GP_TRY(gp_options_complete(command, args, err));
	GP_TRY(as_root(ctx->arena, command, args, err));
	ctx->command = gp_sprintf(ctx->arena, "%s%s%s", command->name, args->slug ? " " : "", args->slug ? args->slug : "");
	gp_story_end(story);
	gp_story_begin(story, ctx, stderr, args->quiet, args->verbose, args->no_color);
	return command->run(ctx, args, err);
}

static int help(const char *topic, struct gp_error *err)
{
	const struct gp_command *command = topic ? gp_command_find(topic) : NULL;

	if (topic && !command)
		return unknown_command(topic, err);
	if (command)
		gp_help_command(stdout, command);
	else
		gp_help_all(stdout);
	return 0;
}

static bool asks_for_help(const char *word)
{
	return gp_streq(word, "help") || gp_streq(word, "--help") || gp_streq(word, "-h");
}

static int dispatch(struct gp_ctx *ctx, int argc, const char *const *argv, struct gp_args *args, const struct gp_command **ret_command,
	struct gp_story *story, struct gp_error *err)
{
	const struct gp_command *command = by_own_name(argv[0], args);
	int first = 1;

	if (!command) {
		if (argc < 2) {
			gp_help_all(stderr);
			return gp_fail(err, GP_E_USAGE, "no command");
		}
		if (asks_for_help(argv[1]))
			return help(argc > 2 && !asks_for_help(argv[2]) ? argv[2] : NULL, err);
		command = gp_command_find(gp_streq(argv[1], "--version") ? "version" : argv[1]);
		if (!command)
			return unknown_command(argv[1], err);
		first = 2;
	}
	*ret_command = command;
	GP_TRY(gp_options_parse(command, argv + first, (size_t)(argc - first), args, err));
	if (args->help) {
		gp_help_command(stdout, command);
		return 0;
	}
	return run_command(ctx, command, args, story, err);
}

int main(int argc, char **argv)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const struct gp_command *command = NULL;
	struct gp_args args = { 0 };
	struct gp_error err = { 0 };
	struct gp_story story;
	struct gp_ctx ctx;
	int result;

	signal(SIGPIPE, SIG_IGN);
	/* A connection that drops must not stop a deploy half-way. */
	signal(SIGHUP, SIG_IGN);
	umask(022);
	setvbuf(stdout, NULL, _IOLBF, 0); /* in step with the story on stderr */
	gp_ctx_init(&ctx, arena);
	gp_story_begin(&story, &ctx, stderr, false, false, false);
	result = argc < 1 ? -1 : dispatch(&ctx, argc, (const char *const *)argv, &args, &command, &story, &err);
	gp_story_end(&story);
	/* Asked for, even where the command line was refused before it came to that word. */
	for (int i = 1; i < argc && result < 0; i++)
		args.json = args.json || gp_streq(argv[i], "--json");
	/* Pending changes are a result that was printed already, not an error. */
	if (result < 0 && args.json && err.kind != GP_E_PENDING)
		gp_json_error(&ctx, stdout, command ? command->name : "", &err);
	if (result < 0 && err.kind != GP_E_PENDING)
		gp_story_error(&story, &err);
	gp_ctx_close(&ctx);
	if ((fflush(stdout) != 0 || ferror(stdout)) && result == 0) {
		fputs("error: standard output could not be written\n", stderr);
		return GP_E_FAILED;
	}
	/* All is written and closed. What thirty libraries would tidy up yet takes a millisecond, and is the kernel's to take back. */
	_exit(result < 0 ? (int)err.kind : 0);
}
