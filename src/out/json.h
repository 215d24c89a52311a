/* --json: one object a line on stdout, each with "v": 1, the command, and whether it went well. */
#ifndef GP_OUT_JSON_H
#define GP_OUT_JSON_H

#include <jansson.h>
#include <stdio.h>

struct gp_ctx;
struct gp_error;

/* {"v":1,"command":NAME,"ok":true}, to be filled and given to gp_json_print. */
json_t *gp_json_result(const char *command);
/* Set a text; NULL leaves the key out. In a text that is no UTF-8 each byte above 0x7f becomes "?"; secrets are masked. */
void gp_json_text(struct gp_ctx *ctx, json_t *object, const char *key, const char *text);
/* Write the object as one line and let go of it. */
void gp_json_print(FILE *to, json_t *object);
/*
 * What there is to say although the command is about to fail: what would be overwritten, what was done so far. Takes the object, and
 * gp_json_error puts the error into it: a command prints one object.
 */
void gp_json_keep(struct gp_ctx *ctx, json_t *object);
/* An error as such an object, with what was kept. */
void gp_json_error(struct gp_ctx *ctx, FILE *to, const char *command, const struct gp_error *err);

#endif
