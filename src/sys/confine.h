/*
 * A view of the machine in which code that nobody here wrote may run. sys/proc.c starts the program in mount, pid and ipc namespaces of
 * its own; this file makes the view in them, and is the small init that a pid namespace needs. Linux only, by system calls.
 */
#ifndef GP_SYS_CONFINE_H
#define GP_SYS_CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct gp_error;

enum gp_view_how {
	GP_VIEW_EMPTY, /* an empty folder, read-only, whatever lies there */
	GP_VIEW_READ,  /* `from` as it is outside, read-only */
	GP_VIEW_WRITE, /* the same, writable by who may */
};

/* One line of the view. What does not exist on this host is left out. A symlink in the place of `from` is not followed. */
struct gp_view {
	enum gp_view_how how;
	const char *path;
	const char *from; /* NULL: path itself */
};

enum { GP_VIEWS_MAX = 48 };

struct gp_confine {
	const struct gp_view *views; /* made in this order: what lies inside something comes after it */
	size_t n;                    /* GP_VIEWS_MAX at most */
	/* Neither symlinks nor mounts: for programs that write into folders which Caddy serves, and Caddy follows links. */
	bool no_symlinks;
};

/* CLONE_* for the program's own namespaces. */
extern const unsigned long long gp_confine_flags;

/*
 * In the child, as root, before it becomes anybody: everything is read-only but the views, /proc shows its own processes only, /dev/shm,
 * /dev/pts and message queues are its own. -1: errno, and what failed in *ret_doing.
 */
int gp_confine_enter(const struct gp_confine *confine, const char **ret_doing);

/* In the program itself, after no_new_privs. */
int gp_confine_filter(const struct gp_confine *confine);

/* Be pid 1: reap, and when `program` has ended write its wait status to fd and end; with pid 1 all that it started is killed. */
void gp_confine_init(pid_t program, int fd) __attribute__((noreturn));

/* goldpath itself, from here on: only the views, everything else as it was. */
int gp_confine_self(const struct gp_confine *confine, struct gp_error *err);

/* The error for a host that has no namespaces to give. */
int gp_confine_refused(int number, const char *doing, struct gp_error *err);

#endif
