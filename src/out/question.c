/* Questions. */
#include "out/question.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/error.h"

int gp_ask(const char *question, const char *option, bool *ret, struct gp_error *err)
{
	char answer[16] = "";

	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
		gp_fail(err, GP_E_REFUSED, "%s: there is no terminal to ask on", question);
		return gp_hint(err, "%s says yes beforehand", option);
	}
	fprintf(stderr, "%s? [y/N] ", question);
	fflush(stderr);
	if (!fgets(answer, sizeof(answer), stdin))
		fputs("\n", stderr);
	answer[strcspn(answer, "\r\n")] = '\0';
	*ret = strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0;
	return 0;
}
