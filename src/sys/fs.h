/* Files and folders. Writes are whole or not at all: temporary file beside the target, owner, mode, fsync, rename, fsync of the folder. */
#ifndef GP_SYS_FS_H
#define GP_SYS_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct gp_arena;
struct gp_error;

void gp_closep(int *fd);
#define GP_AUTO_FD __attribute__((cleanup(gp_closep))) int

/*
 * Read a regular file of at most max bytes into the arena, NUL-terminated. 1 read, 0 no such file, -1 error. Never blocks on a
 * FIFO or a device. A symlink at the end of the path is followed; gp_fs_read_nofollow refuses it.
 */
int gp_fs_read(struct gp_arena *arena, const char *path, size_t max, const char **ret, size_t *ret_len, struct gp_error *err);
int gp_fs_read_nofollow(struct gp_arena *arena, const char *path, size_t max, const char **ret, size_t *ret_len,
	struct gp_error *err);

/* Replace path by data. uid or gid -1: as goldpath runs. What an earlier writer of path that was killed left beside it goes. */
int gp_fs_write(const char *path, const void *data, size_t len, mode_t mode, uid_t uid, gid_t gid, struct gp_error *err);
/* The same with another name for the moment before: check(arg, temporary path) may refuse it, and then path stays as it was. */
int gp_fs_write_checked(const char *path, const void *data, size_t len, mode_t mode, uid_t uid, gid_t gid,
	int (*check)(void *arg, const char *candidate, struct gp_error *err), void *arg, struct gp_error *err);
/* Append a whole line to a file (made 0600 if new) and fsync it. */
int gp_fs_append(const char *path, const char *line, struct gp_error *err);

/* 1 and *ret filled (lstat: a symlink is itself), 0 nothing there, -1 error. */
int gp_fs_lstat(const char *path, struct stat *ret, struct gp_error *err);
bool gp_fs_exists(const char *path);
/* Where a symlink points, or NULL (no symlink, nothing there). */
const char *gp_fs_readlink(struct gp_arena *arena, const char *path);

/* Make one folder with exactly that owner and mode; one that exists is left as it is. Its parent must exist. */
int gp_fs_mkdir(const char *path, mode_t mode, uid_t uid, gid_t gid, struct gp_error *err);
/* Make a folder and its missing parents, root-owned, 0755. */
int gp_fs_mkdirs(const char *path, struct gp_error *err);

/* Point path at target in one step: a new symlink renamed over whatever link was there. A folder or file there is an error. */
int gp_fs_relink(const char *path, const char *target, struct gp_error *err);

/* The same where a socket may lie there: whoever listens on it goes on doing so, and is led to by other names of it only. */
int gp_fs_relink_over_socket(const char *path, const char *target, struct gp_error *err);
/* Whatever path is, it is called aside from now on, and path is a symlink to target: in one step where the filesystem can
 * do that. A symlink at aside is what a run that was killed has left; anything else there is an error. */
int gp_fs_set_aside(const char *path, const char *aside, const char *target, struct gp_error *err);

/* Delete a file or a whole tree, never following symlinks, never leaving its filesystem. Nothing there is fine. */
int gp_fs_remove(const char *path, struct gp_error *err);

/* Make a rename or a new file in a folder durable. */
int gp_fs_sync_dir(const char *path, struct gp_error *err);

/* Free bytes and inodes for unprivileged use on the filesystem that holds path. */
int gp_fs_free(const char *path, uint64_t *ret_bytes, uint64_t *ret_inodes, struct gp_error *err);

/* The names in a folder, sorted, without . and ..; a missing folder has none. */
struct gp_strv;
int gp_fs_list(struct gp_arena *arena, const char *path, struct gp_strv *ret, struct gp_error *err);

/* All of it, through interruptions and short writes. -1 and errno where it cannot be. */
int gp_fs_write_all(int fd, const char *data, size_t len);

#endif
