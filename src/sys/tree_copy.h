/* Copying a tree of files into a folder that is there, for somebody else. */
#ifndef GP_SYS_TREE_COPY_H
#define GP_SYS_TREE_COPY_H

#include <stdint.h>
#include <sys/types.h>

struct gp_error;

struct gp_tree_copied {
	uint64_t files, links, bytes;
	uint64_t left_out; /* sockets, pipes, devices; symlinks that lead out */
};

struct gp_tree_copy {
	uid_t owner; /* of what belongs to whoever owns the folder that is copied */
	uid_t other; /* of all else in it */
	gid_t group;
	void (*line)(void *arg, const struct gp_tree_copied *so_far); /* now and then; NULL: nobody */
	void *arg;
};

/*
 * All that is in `from` into `to`: files (sharing their blocks where the filesystem can), folders, symlinks as they are, but for absolute ones and those with "..". No symlink is
 * followed, set-id bits stay behind, folders hand their group on. What was copied by a run before, with the same size and time, stays; what
 * is in `to` besides does too. It is on disk at the end. No `from`: nothing is done. To be called as root.
 */
int gp_tree_copy(const char *from, const char *to, const struct gp_tree_copy *how, struct gp_tree_copied *ret, struct gp_error *err);

#endif
