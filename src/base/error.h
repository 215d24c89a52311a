/*
 * Errors. A function that can fail returns 0 or -1 and describes the failure in the struct gp_error it was handed: what failed
 * in one line, what to do about it in another, the kind that decides the exit code. Nothing below the command line prints or exits.
 */
#ifndef GP_BASE_ERROR_H
#define GP_BASE_ERROR_H

#include <stddef.h>

/* kind, exit code, name. The codes are public (goldpath(1), EXIT STATUS) and never change. */
#define GP_ERROR_KINDS(X)                                                                          \
	X(GP_E_FAILED, 1, "failed")                                                                    \
	X(GP_E_USAGE, 2, "usage")                                                                      \
	X(GP_E_CONFIG, 3, "configuration")                                                             \
	X(GP_E_PENDING, 4, "changes pending")                                                          \
	X(GP_E_CHECK, 5, "check failed")                                                               \
	X(GP_E_DEPLOY, 6, "deploy failed, old release still serving")                                  \
	X(GP_E_REFUSED, 7, "refused")                                                                  \
	X(GP_E_LOCKED, 75, "locked")

enum gp_error_kind {
	GP_E_NONE = 0,
#define X(id, code, name) id = (code),
	GP_ERROR_KINDS(X)
#undef X
};

enum { GP_ERROR_MSG_MAX = 768, GP_ERROR_HINT_MAX = 512, GP_ERROR_DETAIL_MAX = 8192, GP_ERROR_TRACE_MAX = 512 };

struct gp_error {
	enum gp_error_kind kind;
	int sys_errno;                     /* the errno behind it, 0 where there is none */
	char msg[GP_ERROR_MSG_MAX];        /* one line, no newline, lower case, no "error:" */
	char hint[GP_ERROR_HINT_MAX];      /* what to do next; may be empty */
	char detail[GP_ERROR_DETAIL_MAX];  /* last lines of what a program said; may be empty */
	char state[GP_ERROR_HINT_MAX];     /* how things stand now: "still serving ..."; may be empty */
	char trace[GP_ERROR_TRACE_MAX];    /* where in the code, innermost first; shown by --verbose */
};

/* All of these overwrite or extend *err (which may be NULL: the caller does not care) and return -1, so that they end a function. */

/* Fill in a new failure. Control characters in the formatted text are replaced, so hostile names cannot draw on a terminal. */
#define gp_fail(err, kind, ...) gp_error_set((err), (kind), 0, __FILE__, __LINE__, __VA_ARGS__)
/* The same with `: strerror(number)` at the end. A full disk brings its hint along. */
#define gp_fail_errno(err, number, ...) gp_error_set((err), GP_E_FAILED, (number), __FILE__, __LINE__, __VA_ARGS__)
int gp_error_set(struct gp_error *err, enum gp_error_kind kind, int sys_errno, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 6, 7), cold));

/* Say what was being done when *err came up: "<text>: <message so far>". */
#define gp_context(err, ...) gp_error_context((err), __FILE__, __LINE__, __VA_ARGS__)
int gp_error_context(struct gp_error *err, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5), cold));

/* Set the hint. A hint that is there already stays: the innermost one knows most. */
int gp_hint(struct gp_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));

/* Say how things stand after the failure. */
int gp_state(struct gp_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));

/* Keep the last GP_ERROR_DETAIL_MAX bytes, whole lines, of what a program said. */
int gp_detail(struct gp_error *err, const char *text, size_t len);

/* Forward a failure untouched. */
#define GP_TRY(call)                                                                               \
	do {                                                                                           \
		if ((call) < 0)                                                                            \
			return -1;                                                                             \
	} while (0)

/* Forward a failure and say what was being done: GP_TRY_TO(err, pg_connect(...), "connect to %s", name). */
#define GP_TRY_TO(err, call, ...)                                                                  \
	do {                                                                                           \
		if ((call) < 0)                                                                            \
			return gp_context((err), __VA_ARGS__);                                                 \
	} while (0)

/* The kind's name, for --json ("failed", "usage", ...). */
const char *gp_error_kind_name(enum gp_error_kind kind);

#endif
