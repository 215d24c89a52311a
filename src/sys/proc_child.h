/* The child's side of the process runner: what happens between fork and exec. */
#ifndef GP_SYS_PROC_CHILD_H
#define GP_SYS_PROC_CHILD_H

#include <stdbool.h>

struct gp_proc;

/* What the child could not do, told to the parent through a close-on-exec pipe. */
struct gp_start_failure {
	int number;
	bool confining;
	char doing[96];
};

/* What the child is handed, besides what it is to run. */
struct gp_child_fds {
	int std[3];
	int report; /* closes at exec */
	int status; /* confined: where pid 1 writes how the program ended; else -1 */
};

/* Become the program: session, descriptors, namespaces, user, limits, exec. What fails is told through fds.report. */
void gp_proc_child(const struct gp_proc *proc, const char *program, const char *const *env, struct gp_child_fds fds)
	__attribute__((noreturn));

#endif
