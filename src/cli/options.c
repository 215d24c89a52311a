/* Options: --name VALUE or --name=VALUE; the site as the first operand or as --site-slug. */
#include "cli/options.h"

#include <string.h>

#include "base/arena.h"
#include "base/error.h"

const struct gp_command *const gp_commands[] = { &gp_cmd_init, &gp_cmd_adopt, &gp_cmd_plan, &gp_cmd_provision, &gp_cmd_deploy, &gp_cmd_rollback,
	&gp_cmd_releases, &gp_cmd_backup, &gp_cmd_backups, &gp_cmd_restore, &gp_cmd_rehearse, &gp_cmd_clone, &gp_cmd_remove, &gp_cmd_lock, &gp_cmd_version, NULL };

static const struct gp_option common_options[] = {
	{ "--json", GP_OPT_FLAG, offsetof(struct gp_args, json), .help = "the result as one JSON object on stdout" },
	{ "--quiet", GP_OPT_FLAG, offsetof(struct gp_args, quiet), .help = "no story, only warnings and errors" },
	{ "--verbose", GP_OPT_FLAG, offsetof(struct gp_args, verbose), .help = "what the programs that are run say, too" },
	{ "--no-color", GP_OPT_FLAG, offsetof(struct gp_args, no_color), .help = "no colors (also: NO_COLOR=1)" },
	{ "--help", GP_OPT_FLAG, offsetof(struct gp_args, help), .help = "this text (also: -h)" },
	GP_OPT_END,
};

static const struct gp_option site_slug_option = {
	"--site-slug", GP_OPT_NAME, offsetof(struct gp_args, slug), GP_NAME_slug, "SLUG", "the site, as in the old scripts",
};

const struct gp_command *gp_command_find(const char *name)
{
	for (const struct gp_command *const *c = gp_commands; *c; c++)
		if (gp_streq((*c)->name, name))
			return *c;
	return NULL;
}

static const struct gp_option *find_in(const struct gp_option *rows, const char *name, size_t len)
{
	for (; rows->name; rows++)
		if (strlen(rows->name) == len && strncmp(rows->name, name, len) == 0)
			return rows;
	return NULL;
}

static const struct gp_option *find(const struct gp_command *command, const char *name, size_t len)
{
	const struct gp_option *found = find_in(command->options, name, len);

	if (!found)
		found = find_in(common_options, name, len);
	if (!found && command->operand && strlen(site_slug_option.name) == len && strncmp(site_slug_option.name, name, len) == 0)
		found = &site_slug_option;
	return found;
}

static int unknown(const struct gp_command *command, const char *arg, struct gp_error *err)
{
	const char *names[32], *near;
	size_t n = 0;
	char name[64];

	for (const struct gp_option *o = command->options; o->name && n < 24; o++)
		names[n++] = o->name;
	for (const struct gp_option *o = common_options; o->name; o++)
		names[n++] = o->name;
	if (command->operand)
		names[n++] = site_slug_option.name;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(arg, "="), arg);
	gp_fail(err, GP_E_USAGE, "%s has no option '%s'", command->name, name);
	near = gp_closest(name, names, n);
	if (near)
		return gp_hint(err, "did you mean %s?", near);
	return gp_hint(err, "goldpath %s --help", command->name);
}

/* The word that a command wants before its operand. */
static int set_verb(const struct gp_command *command, const char *arg, struct gp_args *args, struct gp_error *err)
{
	if (arg && gp_streq(arg, command->verb)) {
		args->verb = command->verb;
		return 0;
	}
	if (arg)
		gp_fail(err, GP_E_USAGE, "%s has no '%.60s'", command->name, arg);
	else
		gp_fail(err, GP_E_USAGE, "%s needs a word more", command->name);
	return gp_hint(err, "goldpath %s %s", command->name, command->verb);
}

static int set_operand(const struct gp_command *command, const char *arg, struct gp_args *args, struct gp_error *err)
{
	if (command->verb && !args->verb)
		return set_verb(command, arg, args, err);
	if (!command->operand || args->slug) {
		gp_fail(err, GP_E_USAGE, "%s takes no '%.60s'", command->name, arg);
		return gp_hint(err, "goldpath %s --help", command->name);
	}
	GP_TRY(gp_name_check(GP_NAME_slug, arg, GP_E_USAGE, err));
	args->slug = arg;
	return 0;
}

static int set_value(const struct gp_option *option, const char *value, struct gp_args *args, struct gp_error *err)
{
	const char **to = (const char **)(void *)((char *)args + option->offset);

	if (*to)
		return gp_fail(err, GP_E_USAGE, "%s comes twice", option->name);
	if (option->type == GP_OPT_NAME)
		GP_TRY_TO(err, gp_name_check(option->kind, value, GP_E_USAGE, err), "%s", option->name);
	*to = value;
	return 0;
}

int gp_options_parse(const struct gp_command *command, const char *const *argv, size_t n, struct gp_args *ret, struct gp_error *err)
{
	for (size_t i = 0; i < n; i++) {
		const char *arg = gp_streq(argv[i], "-h") ? "--help" : argv[i], *equals = strchr(arg, '=');
		const struct gp_option *option;

		/* A slug never starts with '-': whatever does is meant as an option, a mistyped slug included. */
		if (arg[0] != '-') {
			GP_TRY(set_operand(command, arg, ret, err));
			continue;
		}
		option = find(command, arg, equals ? (size_t)(equals - arg) : strlen(arg));
		if (!option)
			return unknown(command, arg, err);
		if (option->type == GP_OPT_FLAG) {
			if (equals)
				return gp_fail(err, GP_E_USAGE, "%s takes no value", option->name);
			*(bool *)((char *)ret + option->offset) = true;
			continue;
		}
		if (!equals && (i + 1 == n))
			return gp_fail(err, GP_E_USAGE, "%s needs a value: %s", option->name, option->value);
		GP_TRY(set_value(option, equals ? equals + 1 : argv[++i], ret, err));
	}
	return 0;
}

int gp_options_complete(const struct gp_command *command, const struct gp_args *args, struct gp_error *err)
{
	if (command->verb && !args->verb)
		return set_verb(command, NULL, NULL, err);
	if (command->operand && command->operand[0] != '[' && !args->slug) {
		gp_fail(err, GP_E_USAGE, "%s needs a site: goldpath %s SLUG", command->name, command->name);
		return gp_hint(err, "goldpath %s --help", command->name);
	}
	for (const struct gp_option *o = command->options; o->name; o++)
		if (o->required && !*(const char *const *)(const void *)((const char *)args + o->offset)) {
			gp_fail(err, GP_E_USAGE, "%s needs %s %s", command->name, o->name, o->value);
			return gp_hint(err, "goldpath %s --help", command->name);
		}
	return 0;
}

static void add_words(struct gp_arena *arena, struct gp_strv *words, const struct gp_option *rows, const struct gp_args *args)
{
	for (; rows->name; rows++) {
		const void *at = (const char *)args + rows->offset;

		if (rows->hidden || (rows->type == GP_OPT_FLAG ? !*(const bool *)at : !*(const char *const *)at))
			continue;
		gp_strv_add(arena, words, rows->name);
		if (rows->type != GP_OPT_FLAG)
			gp_strv_add(arena, words, *(const char *const *)at);
	}
}

struct gp_strv gp_options_words(struct gp_arena *arena, const struct gp_command *command, const struct gp_args *args)
{
	struct gp_strv words = { 0 };

	add_words(arena, &words, command->options, args);
	add_words(arena, &words, common_options, args);
	return words;
}

void gp_help_all(FILE *to)
{
	fputs("goldpath keeps a small server for Django and Wagtail sites.\n\n"
	      "usage: goldpath COMMAND [SLUG] [OPTIONS]\n\n",
		to);
	for (const struct gp_command *const *c = gp_commands; *c; c++)
		fprintf(to, "  %-12s %s\n", (*c)->name, (*c)->summary);
	fprintf(to, "  %-12s %s\n", "help", "this text, or `goldpath help COMMAND`");
	fputs("\nA bare VPS to a live site: init, look at the two files, provision, deploy.\n"
	      "goldpath(1) has all of it.\n",
		to);
}

static void help_options(FILE *to, const struct gp_option *rows)
{
	for (; rows->name; rows++) {
		char left[40];

		if (rows->hidden)
			continue;
		snprintf(left, sizeof(left), "%s%s%s", rows->name, rows->value ? " " : "", rows->value ? rows->value : "");
		/* 80 columns: a long left side gets a line of its own */
		if (strlen(left) > 22)
			fprintf(to, "  %s\n  %-22s %s\n", left, "", rows->help);
		else
			fprintf(to, "  %-22s %s\n", left, rows->help);
	}
}

void gp_help_command(FILE *to, const struct gp_command *command)
{
	const struct gp_option slug[] = { site_slug_option, GP_OPT_END };

	fprintf(to, "goldpath %s: %s\n\nusage: goldpath %s%s%s%s%s [OPTIONS]\n", command->name, command->summary, command->name,
		command->verb ? " " : "", command->verb ? command->verb : "", command->operand ? " " : "", command->operand ? command->operand : "");
	if (command->details)
		fprintf(to, "\n%s\n", command->details);
	fputs("\n", to);
	help_options(to, command->options);
	if (command->operand)
		help_options(to, slug);
	help_options(to, common_options);
}
