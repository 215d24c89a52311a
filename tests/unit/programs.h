/* Programs for the tests of the runner, and that none of them is left. */
#ifndef GP_TESTS_PROGRAMS_H
#define GP_TESTS_PROGRAMS_H

#include <errno.h>
#include <sys/wait.h>

#include "base/error.h"
#include "sys/proc.h"

#define SH(script) GP_ARGV("/bin/sh", "-c", script)

static inline int run_sh(const char *script, struct gp_proc_result *ret)
{
	struct gp_error err = { 0 };
	int result = gp_proc_run(&(struct gp_proc){ .argv = SH(script) }, ret, &err);

	if (result < 0)
		print_error("%s\n", err.msg);
	return result;
}

static inline void assert_no_children(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

#endif
