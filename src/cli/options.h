/* Parsing a command line by the rows of its command, and writing its help from the same rows. */
#ifndef GP_CLI_OPTIONS_H
#define GP_CLI_OPTIONS_H

#include <stdio.h>

#include "base/str.h"
#include "cmd/command.h"

extern const struct gp_command *const gp_commands[]; /* ends with NULL */

/* The command of that name, or NULL. */
const struct gp_command *gp_command_find(const char *name);

/* argv[0..n): what stands behind the command's name. Every failure is of kind usage. */
int gp_options_parse(const struct gp_command *command, const char *const *argv, size_t n, struct gp_args *ret, struct gp_error *err);
/* Are the operand and the required options there? */
int gp_options_complete(const struct gp_command *command, const struct gp_args *args, struct gp_error *err);

/* The words that would set args the same way, the site left out: what is handed to another goldpath. */
struct gp_strv gp_options_words(struct gp_arena *arena, const struct gp_command *command, const struct gp_args *args);

void gp_help_all(FILE *to);
void gp_help_command(FILE *to, const struct gp_command *command);

#endif
