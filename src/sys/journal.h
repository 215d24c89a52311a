/* The journal: the last words of a unit. */
#ifndef GP_SYS_JOURNAL_H
#define GP_SYS_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

struct gp_arena;
struct gp_error;

/*
 * The last max_lines messages of a unit (its own and systemd's about it: _SYSTEMD_UNIT or UNIT) since `since_us` (CLOCK_REALTIME
 * microseconds; 0: ever), oldest first, one a line, control characters replaced. "" where there are none.
 */
int gp_journal_tail(struct gp_arena *arena, const char *unit, size_t max_lines, uint64_t since_us, const char **ret,
	struct gp_error *err);

/* Give a failure the unit's last lines as its detail, and the command that shows all of them as its hint. Returns -1, so that it ends a
 * function. */
int gp_journal_explain(const char *unit, struct gp_error *err);

#endif
