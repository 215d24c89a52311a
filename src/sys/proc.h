/*
 * Running other programs: the only place that forks. An argument vector, never a shell; an explicit environment, user, folder and
 * umask; standard input, output and error in one poll loop together with the process itself; one deadline over all of it, at
 * which the whole session is killed, or all of its pid namespace where it is confined. A child never outlives goldpath (PR_SET_PDEATHSIG) nor gains rights (no_new_privs).
 */
#ifndef GP_SYS_PROC_H
#define GP_SYS_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

struct gp_account;
struct gp_arena;
struct gp_confine;
struct gp_error;

struct gp_proc {
	const char *const *argv;        /* argv[0] with a '/' is the file, else looked up in a fixed PATH */
	const char *name;               /* what failures call it, where argv[0] only starts it (setpriv); NULL: argv[0] */
	const char *const *env;         /* "KEY=value", on top of PATH, LANG=C.UTF-8 and, with as, HOME USER LOGNAME SHELL; NULL: none */
	const char *cwd;                /* NULL: "/" */
	const struct gp_account *as;    /* run as; NULL: as goldpath itself */
	/* Namespaces and a view of the machine of its own (sys/confine.h); all that it starts dies with it. Root only. NULL: none. */
	const struct gp_confine *confine;
	mode_t umask;                   /* 0: 022 */
	int nice;                       /* 1-19: processor and disk are others' first, other sessions' too; 0: as goldpath itself */
	const void *input;              /* what it reads on stdin; NULL: /dev/null */
	size_t input_len;
	int in_fd, out_fd;              /* above 2: an open file that is its stdin (from where it stands) or stdout, instead of all that; 0: none */
	int64_t timeout_ms;             /* over everything; 0: 60 s */
	size_t output_max;              /* bytes of stdout and of stderr kept, the newest; 0: 1 MiB */
	bool may_gain_privileges;       /* leave no_new_privs off: sudo and the like */
	/* Called for each line as it comes (no newline, at most 4096 bytes), from within gp_proc_run. NULL: nobody. */
	void (*line)(void *arg, bool is_stderr, const char *text);
	/* Called with stdout as it comes, piece by piece; nothing of it is kept then. -1 kills the program, and is what the run ends with. */
	int (*data)(void *arg, const char *data, size_t len, struct gp_error *err);
	/* With data, for much of it: where the next piece is to be read to, *ret_len bytes. Then the pipe is a large one and pieces are too. */
	char *(*room)(void *arg, size_t *ret_len);
	void *arg;
};

struct gp_proc_result {
	int status;       /* exit status, or -1 when a signal ended it */
	int signal;       /* that signal, or 0 */
	struct gp_buf out, err;
	int64_t ms;       /* wall time */
};

/*
 * Run to the end. -1 if it could not be started (exec's errno comes back), or the deadline passed; a program that exits with
 * another status than 0 is a result, not an error. *ret is always valid and freed by gp_proc_result_free.
 */
int gp_proc_run(const struct gp_proc *proc, struct gp_proc_result *ret, struct gp_error *err);

/*
 * The same in two steps, for what takes its time beside other work. Until the end nobody reads what it writes (a pipe holds 64 KiB), and its
 * deadline counts from the beginning. What proc points to has to last until then. The job is gone after end and abandon, which kills it.
 */
struct gp_proc_job;
int gp_proc_begin(const struct gp_proc *proc, struct gp_proc_job **ret, struct gp_error *err);
int gp_proc_end(struct gp_proc_job *job, struct gp_proc_result *ret, struct gp_error *err);
void gp_proc_abandon(struct gp_proc_job *job); /* NULL is fine */

/* Run, and fail unless it exits with 0: the message names the program, its status and the last line it did not indent; detail
 * has all of it. ret may be NULL. */
int gp_proc_must(const struct gp_proc *proc, struct gp_proc_result *ret, struct gp_error *err);

/* Turn an unsuccessful result into that failure. */
int gp_proc_fail(const struct gp_proc *proc, const struct gp_proc_result *result, struct gp_error *err);

/*
 * Become another program: the same process, standard output and error, with `input` to read on stdin. Returns only on failure.
 * For handing a whole command over to sudo.
 */
int gp_proc_become(const char *const *argv, const void *input, size_t input_len, struct gp_error *err);

/* Is there a program of that name in the fixed PATH? */
bool gp_proc_have(const char *name);

void gp_proc_result_free(struct gp_proc_result *result);
#define GP_AUTO_RESULT __attribute__((cleanup(gp_proc_result_free))) struct gp_proc_result

#define GP_ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })

#endif
