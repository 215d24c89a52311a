/* What a program is started with: its file, found in a fixed PATH, and an environment that holds nothing of ours. */
#ifndef GP_SYS_PROGRAM_H
#define GP_SYS_PROGRAM_H

#include "base/str.h"

struct gp_account;

/* The file of a program: name itself if it has a '/', else the first executable of that name in a fixed PATH; NULL: there is none. */
const char *gp_program_find(struct gp_arena *arena, const char *name);

/* PATH, LANG=C.UTF-8, HOME and, for a user, USER LOGNAME SHELL; then `more` ("KEY=value", NULL-terminated or NULL), whose keys win. */
struct gp_strv gp_program_env(struct gp_arena *arena, const struct gp_account *as, const char *const *more);

#endif
