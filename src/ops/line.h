/* JSON as goldpath writes it for itself, in journal, history and records: an object is a line. */
#ifndef GP_OPS_LINE_H
#define GP_OPS_LINE_H

#include <jansson.h>

struct gp_arena;

/* Set a text. NULL stays out, and so does what is no UTF-8 (a ref may be none), which cannot be in JSON. */
void gp_line_put(json_t *object, const char *key, const char *text);
/* The object as one line, without a newline; the object is let go of. */
const char *gp_line_of(struct gp_arena *arena, json_t *object);

#endif
