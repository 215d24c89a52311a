/* Unified diffs, by diff(1), which is essential on Debian and Ubuntu. */
#ifndef GP_SYS_DIFF_H
#define GP_SYS_DIFF_H

struct gp_arena;

/*
 * What changes between the file at path (NULL: there is none) and text, as `diff -u` writes it, both sides labelled with label. For
 * showing to a person: where it cannot be had (a binary file, no diff on the host), the first line says so instead of failing. The
 * path is opened by diff itself: for files in folders of root only.
 */
const char *gp_diff_unified(struct gp_arena *arena, const char *label, const char *path, const char *text);

#endif
