/*
 * Locks: one for each site, one for the host. A kernel lock (flock on a file under /run/goldpath), so it ends with its holder
 * whatever ends it; the file's text only tells who holds it.
 */
#ifndef GP_SYS_LOCK_H
#define GP_SYS_LOCK_H

struct gp_arena;
struct gp_error;

struct gp_lock {
	int fd; /* -1: not held */
};

/* Take the lock `name` ("host", or a slug). Fails at once with kind GP_E_LOCKED, naming holder, pid and command, when it is held. */
int gp_lock_take(struct gp_lock *lock, const char *dir, const char *name, const char *command, struct gp_error *err);
/* Write down which step the holder is in. Never fails: the text is only for people. */
void gp_lock_step(const struct gp_lock *lock, const char *step);
void gp_lock_release(struct gp_lock *lock);
/* Who has it: what the kernel says of it, with what that process has written down. */
struct gp_lock_holder {
	int pid;
	const char *command;      /* "deploy acme"; of a holder that is no goldpath its process's name; "?" where that is gone */
	const char *since, *step; /* NULL: not written down */
};

/*
 * Look whether the lock `name` is held: 1 held, 0 free, -1 error. Nobody is disturbed: the kernel's own list is read. To try the lock
 * instead, however shortly, would turn away a taker that comes in the same moment.
 */
int gp_lock_look(struct gp_arena *arena, const char *dir, const char *name, struct gp_lock_holder *ret, struct gp_error *err);

#define GP_AUTO_LOCK __attribute__((cleanup(gp_lock_release))) struct gp_lock

#endif
