/* What stands in apt's way: who holds its locks, and what its messages mean for the person who reads them. */
#ifndef GP_SYS_APT_H
#define GP_SYS_APT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct gp_arena;
struct gp_ctx;
struct gp_error;
struct gp_strv;

struct gp_apt_holder {
	pid_t pid;         /* 0: a process that cannot be seen from here */
	char name[32];     /* its name, cleaned; "a process" where it has none */
	const char *file;  /* the lock, below root */
};

/* Does somebody hold one of the four locks of apt and dpkg below root ("" is the host itself)? */
bool gp_apt_held(const char *root, struct gp_apt_holder *ret);

/* Wait until nobody does, telling by whom it is kept waiting. Fails, naming the holder, after timeout_ms. */
int gp_apt_wait(struct gp_ctx *ctx, const char *root, int64_t timeout_ms, struct gp_error *err);

/* What to do about a failure, by what apt or dpkg said; NULL: nothing known. unreachable: sources that failed before, or none. */
const char *gp_apt_hint(struct gp_arena *arena, const char *said, const struct gp_strv *unreachable);

/* The package sources that could not be read, by what `apt-get update` said: "http://host/path: reason", each host once. */
void gp_apt_unreachable(struct gp_arena *arena, const char *said, struct gp_strv *ret);

#endif
