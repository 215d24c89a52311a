/* Questions to whoever sits at the terminal. */
#ifndef GP_OUT_QUESTION_H
#define GP_OUT_QUESTION_H

#include <stdbool.h>

struct gp_error;

/*
 * Ask on stderr, read a line from stdin: *ret is true for y or yes. Where either is no terminal nobody can answer: an error of kind
 * refused that names the option to give instead.
 */
int gp_ask(const char *question, const char *option, bool *ret, struct gp_error *err);

#endif
