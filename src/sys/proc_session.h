/* What is left of a session. */
#ifndef GP_SYS_PROC_SESSION_H
#define GP_SYS_PROC_SESSION_H

#include <sys/types.h>

/*
 * Kill whatever runs in the session of a child that is not reaped yet, so that its number cannot have been given away. Its process
 * group goes at once; process groups of its own (job control) are looked for, again until none is found: they may be forking.
 */
void gp_proc_kill_session(pid_t leader);

#endif
