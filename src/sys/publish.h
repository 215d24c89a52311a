/*
 * The files of one tree in another, as hard links: several trees can share the one that is served, and each takes out again what it brought.
 * Only regular files and folders count; symlinks, in either tree, are neither made nor followed. A file in the served tree is replaced by a
 * rename: who reads it has the old one whole or the new one whole.
 */
#ifndef GP_SYS_PUBLISH_H
#define GP_SYS_PUBLISH_H

struct gp_error;
struct gp_strv;

enum gp_publish_how {
	GP_PUBLISH_ADD,     /* names that are missing */
	GP_PUBLISH_REPLACE, /* and those under which something else stands */
};

/* All files of `from` in `to`, which must be a folder. No `from`: nothing to do. Where links cannot be made (another filesystem), copies. */
int gp_publish(const char *from, const char *to, enum gp_publish_how how, struct gp_error *err);

/* Take out of `to` what is a link to a file of `from`. A name that one of the trees `others` (paths; the first that has it) has too is handed
 * over to that one. Folders that are empty then stay. */
int gp_publish_withdraw(const char *from, const char *to, const struct gp_strv *others, struct gp_error *err);

#endif
