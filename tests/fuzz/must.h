/* What a fuzzer promises of every input: broken, it ends the program, as the fuzzing engine wants it. */
#ifndef GP_TESTS_FUZZ_MUST_H
#define GP_TESTS_FUZZ_MUST_H

#include <stdio.h>
#include <stdlib.h>

static inline void must(int truth, const char *what)
{
	if (truth)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

#endif
