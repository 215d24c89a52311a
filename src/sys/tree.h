/* Whole trees of files: how much is in them, what is mounted in them, and making them durable. */
#ifndef GP_SYS_TREE_H
#define GP_SYS_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct gp_arena;
struct gp_error;
struct gp_strv;

struct gp_tree {
	uint64_t entries; /* files, folders, links: all that has a name; the top counts too */
	uint64_t bytes;   /* in regular files */
	uint64_t disk;    /* what all of it takes on disk; a file with several names counts once */
};

/* Nothing there: all 0. No symlink is followed but, where that is asked for, one at the top. What goes while it is read is not counted. */
int gp_tree_measure(const char *path, bool follow, struct gp_tree *ret, struct gp_error *err);

struct gp_tree_shared {
	uint64_t shared;  /* had to be changed */
	uint64_t strange; /* belong to somebody else, and are left as they are */
};
/*
 * Let a group read and write what the owner has there: each file and folder of uid gets the group and its rights, folders hand the group on
 * (setgid). apply false: only count. Symlinks are neither followed nor changed. To be called as that user, who is in that group.
 */
int gp_tree_share(const char *path, uid_t uid, gid_t gid, bool apply, struct gp_tree_shared *ret, struct gp_error *err);

/* The mount points at path and below it, as this process sees them. */
int gp_tree_mounts(struct gp_arena *arena, const char *path, struct gp_strv *ret, struct gp_error *err);
/* The same from the text of /proc/self/mountinfo (proc(5)). */
void gp_tree_mounts_in(struct gp_arena *arena, const char *mountinfo, const char *path, struct gp_strv *ret);

/* Everything written to the filesystem of that folder is on disk. */
int gp_tree_sync(const char *path, struct gp_error *err);

#endif
