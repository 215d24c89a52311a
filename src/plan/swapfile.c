/* The swap file itself: whether it is whole, making one, and whether there should be one. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "plan/types.h"
#include "sys/fs.h"
#include "sys/proc.h"

enum { MKSWAP_TIMEOUT_MS = 120000, HEADER_AT = 1024 };

static const int64_t GIB = 1LL << 30;

/* mkswap writes the header in one page, its signature at the end of that page: a file with both is one that it was done with. */
static bool has_header(int fd, int64_t size)
{
	struct {
		uint32_t version, last_page;
	} header;
	char signature[10];
	int64_t page = sysconf(_SC_PAGESIZE);

	return pread(fd, &header, sizeof(header), HEADER_AT) == (ssize_t)sizeof(header) && header.version == 1 &&
		pread(fd, signature, sizeof(signature), page - 10) == 10 && memcmp(signature, "SWAPSPACE2", 10) == 0 &&
		((int64_t)header.last_page + 1) * page == size;
}

enum gp_swap_file gp_swap_file_state(const char *path, bool ours, int64_t *ret_size)
{
	struct stat st;
	GP_AUTO_FD fd = -1;

	*ret_size = 0;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? GP_SWAP_NO_FILE : GP_SWAP_THEIRS;
	*ret_size = st.st_size;
	if (!ours || !S_ISREG(st.st_mode))
		return GP_SWAP_THEIRS;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && st.st_uid == geteuid() && (st.st_mode & 07777) == 0600 && st.st_blocks * 512 >= st.st_size && has_header(fd, st.st_size))
		return GP_SWAP_WHOLE;
	*ret_size = st.st_blocks * 512;
	return GP_SWAP_HALF;
}

static int allocate(const char *path, int64_t size, struct gp_error *err)
{
	GP_AUTO_FD fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return gp_fail_errno(err, errno, "make %s", path);
	/* Never posix_fallocate: where the filesystem cannot, it would write holes full of zeros one by one. */
	if (fchmod(fd, 0600) < 0 || fallocate(fd, 0, 0, size) < 0 || fsync(fd) < 0)
		return gp_fail_errno(err, errno, "allocate %lld MiB for %s", (long long)(size >> 20), path);
	return 0;
}

int gp_swap_file_make(const char *path, int64_t size, struct gp_error *err)
{
	GP_TRY(gp_fs_remove(path, err));
	if (allocate(path, size, err) < 0 ||
		gp_proc_must(&(struct gp_proc){ .argv = GP_ARGV("mkswap", path), .timeout_ms = MKSWAP_TIMEOUT_MS }, NULL, err) < 0) {
		gp_fs_remove(path, NULL);
		return -1;
	}
	return 0;
}

static struct gp_swap_decision cannot(const char *why)
{
	return (struct gp_swap_decision){ .act = GP_SWAP_CANNOT, .why = why };
}

/*
 * 1 GiB where there are 2 or less: on such a host a build or a migration beside the running site is what runs out of memory, and that
 * much is what they are short of; more swap would only let a leak go on longer. With more memory nothing was seen to need any.
 */
static struct gp_swap_decision make(int64_t size, const struct gp_swap_facts *facts)
{
	int64_t free = facts->free + (facts->file == GP_SWAP_NO_FILE ? 0 : facts->file_size);

	if (facts->file == GP_SWAP_THEIRS)
		return cannot("the file is there and goldpath did not make it");
	if (!facts->can_hold)
		return cannot("no swap file on this filesystem (ext4 and XFS can): make one by hand, or a partition, or set `swap: off`");
	if (free - size < 2 * GIB)
		return cannot("there is too little room for a swap file: 2 GiB have to stay free (`swap: off` ends this line)");
	return (struct gp_swap_decision){ .act = GP_SWAP_MAKE, .size = size };
}

struct gp_swap_decision gp_swap_decide(const struct gp_swap *spec, const struct gp_swap_facts *facts)
{
	const struct gp_swap_decision leave = { .act = GP_SWAP_LEAVE }, removed = { .act = GP_SWAP_REMOVE };
	const struct gp_swap_decision keep = { .act = GP_SWAP_KEEP, .size = facts->file_size };
	bool ours = facts->file == GP_SWAP_HALF || facts->file == GP_SWAP_WHOLE;

	if (spec->want == GP_SWAP_OFF)
		return ours ? removed : leave;
	if (facts->container)
		return spec->want == GP_SWAP_AUTO ? leave : cannot("in a container, swap is a matter of its host");
	/* What was made once stays: memory may have been added since, but somebody counts on it. */
	if (facts->file == GP_SWAP_WHOLE && (spec->want == GP_SWAP_AUTO || facts->file_size == spec->size))
		return keep;
	if (spec->want == GP_SWAP_AUTO && (facts->other_swap || facts->memory > 2 * GIB))
		return ours ? removed : leave;
	if (facts->other_swap)
		return cannot("this host has other swap already, which goldpath leaves alone");
	return make(spec->want == GP_SWAP_AUTO ? GIB : spec->size, facts);
}
