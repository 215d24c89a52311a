/* git, run as the user that owns the repository. */
#ifndef GP_SYS_GIT_H
#define GP_SYS_GIT_H

#include <stddef.h>

#include "base/str.h"

struct gp_account;
struct gp_arena;
struct gp_error;

struct gp_git {
	struct gp_arena *arena;
	const struct gp_account *as;
	const char *dir; /* the bare repository */
	void (*line)(void *arg, _Bool is_stderr, const char *text);
	void *arg;
};

/* Make the bare repository if it is not there, and bring its branches and tags to what url has. url is checked (GP_NAME_repo). Asks
 * nobody anything; ssh takes a host's key the first time it sees it and insists on it afterwards. */
int gp_git_fetch(const struct gp_git *git, const char *url, struct gp_error *err);

/* The commit of a branch, a tag or a commit name (7 digits at least). No such thing, or more than one: an error of error_kind. */
int gp_git_resolve(const struct gp_git *git, const char *ref, int error_kind, const char **ret_sha, struct gp_error *err);

/* Does the commit have something at that path? */
int gp_git_has(const struct gp_git *git, const char *sha, const char *path, _Bool *ret, struct gp_error *err);

/* Write the commit's files into folder, which exists and is empty. No .git in it. */
int gp_git_checkout(const struct gp_git *git, const char *sha, const char *folder, struct gp_error *err);

/* A checkout that somebody works in. */
struct gp_git_work {
	const char *sha;
	const char *ref;          /* its branch; else a tag at that commit; else the commit */
	const char *origin;       /* the address of the remote of that name; NULL: none */
	struct gp_strv changed;   /* paths that differ from the commit or are not in it; compiled Python is left out */
	struct gp_strv ignored;   /* paths that .gitignore names, folders as a whole; the same left out */
};
/* git->dir is the folder. Nothing there is changed. No checkout, or no commit in it: an error of kind configuration. */
int gp_git_look(const struct gp_git *git, struct gp_git_work *ret, struct gp_error *err);

#endif
