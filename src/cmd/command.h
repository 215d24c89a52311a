/* A command: one file, one struct; everything a person can type is a row. Help, parsing and checks walk the same rows. */
#ifndef GP_CMD_COMMAND_H
#define GP_CMD_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/parse.h"

struct gp_ctx;
struct gp_error;

/* Everything that options can say, for all commands together. */
struct gp_args {
	const char *slug, *ref, *domain, *repo, *project, *tls, *deploy_user, *topic, *to, *verb, *file, *repository, *password_file;
	bool celery, leave_uncommitted, no_restart, install_packages, options_from_stdin;
	bool plan, code_only, migrate_back, restore_db, resume;
	bool will_overwrite, undo, no_backup;
	bool latest, offsite, media, from_timer;
	bool will_delete, dry_run, yes, json, quiet, verbose, no_color, help;
};

enum gp_option_type { GP_OPT_FLAG, GP_OPT_NAME, GP_OPT_TEXT };

struct gp_option {
	const char *name;         /* "--ref"; NULL ends the list */
	enum gp_option_type type;
	size_t offset;            /* in struct gp_args */
	enum gp_name_kind kind;   /* NAME: checked while parsing, so no command ever sees a bad one */
	const char *value;        /* what the value is called in help: "REF" */
	const char *help;
	bool hidden, required;
};

struct gp_command {
	const char *name;
	const char *verb;         /* a word that always stands before the operand: "status" of `lock status`; NULL: none */
	const char *operand;      /* "SLUG", "[SLUG]", NULL: none. Also --site-slug. */
	const char *summary;      /* one line */
	const char *details;      /* for --help; may be NULL */
	const struct gp_option *options;
	bool root;                /* needs root */
	bool by_sudo;             /* without root it calls itself through the sudoers line of the site */
	int (*run)(struct gp_ctx *ctx, const struct gp_args *args, struct gp_error *err);
};

#define GP_OPT_END { .name = NULL }

extern const struct gp_command gp_cmd_init, gp_cmd_plan, gp_cmd_provision, gp_cmd_deploy, gp_cmd_rollback, gp_cmd_releases, gp_cmd_remove, gp_cmd_lock;
extern const struct gp_command gp_cmd_adopt, gp_cmd_backup, gp_cmd_backups, gp_cmd_restore, gp_cmd_rehearse, gp_cmd_clone, gp_cmd_version;

#endif
