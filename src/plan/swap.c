/*
 * Resource type: a swap file. A unit, not a line in /etc/fstab: it is a whole file of ours that can be compared and taken away, it says
 * whose the swap file is, and a mistake in it does not stop the host from booting.
 */
#include <errno.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include "base/arena.h"
#include "base/error.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/unit.h"

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

enum { JOB_TIMEOUT_MS = 300000, TEXT_MAX = 1 << 20 };

/* /swapfile → swapfile.swap, the name that systemd wants. */
static const char *unit_of(struct gp_ctx *ctx, const struct gp_resource *resource)
{
	char *name = gp_strdup(ctx->arena, resource->name + 1);

	for (char *p = name; *p; p++)
		*p = *p == '/' ? '-' : *p;
	return gp_sprintf(ctx->arena, "%s.swap", name);
}

static const char *unit_path(struct gp_ctx *ctx, const struct gp_resource *resource)
{
	return gp_sprintf(ctx->arena, "/etc/systemd/system/%s", unit_of(ctx, resource));
}

static const char *unit_text(struct gp_ctx *ctx, const struct gp_resource *resource)
{
	return gp_sprintf(ctx->arena,
		"# Written by goldpath, for `swap` in /etc/goldpath/host.yaml. While this file is there, the swap file is goldpath's.\n"
		"[Unit]\nDescription=Swap file of goldpath\n\n[Swap]\nWhat=%s\n\n[Install]\nWantedBy=swap.target\n", resource->name);
}

/* Does a table (/proc/swaps, /etc/fstab) name swap in another file or device? at: the word that must be "swap", 0: none. */
static bool other_in(struct gp_ctx *ctx, const char *path, size_t at, const char *but)
{
	const char *text = "";
	struct gp_strv lines;

	if (gp_fs_read(ctx->arena, path, TEXT_MAX, &text, NULL, NULL) != 1)
		return false;
	lines = gp_lines(ctx->arena, text);
	for (size_t i = 0; i < lines.n; i++) {
		struct gp_strv words = gp_words(ctx->arena, lines.v[i]);

		if (words.n < 3 || words.v[0][0] == '#' || gp_streq(words.v[0], "Filename") || gp_streq(words.v[0], but))
			continue;
		if (!at || gp_streq(words.v[at], "swap"))
			return true;
	}
	return false;
}

static int look(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_swap_facts *ret, struct gp_error *err)
{
	bool ours = gp_fs_exists(unit_path(ctx, resource));
	const char *folder = gp_strndup(ctx->arena, resource->name, (size_t)(strrchr(resource->name, '/') - resource->name) + 1);
	const char *mine = ours ? resource->name : "";
	uint64_t free_bytes, inodes;
	struct sysinfo info;
	struct statfs fs;

	if (sysinfo(&info) < 0 || statfs(folder, &fs) < 0)
		return gp_fail_errno(err, errno, "look at memory and %s", folder);
	GP_TRY(gp_fs_free(folder, &free_bytes, &inodes, err));
	*ret = (struct gp_swap_facts){
		.container = gp_fs_exists("/run/systemd/container"),
		.other_swap = other_in(ctx, "/proc/swaps", 0, mine) || other_in(ctx, "/etc/fstab", 2, mine),
		.can_hold = fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC,
		.memory = (int64_t)info.totalram * info.mem_unit,
		.free = (int64_t)free_bytes,
	};
	ret->file = gp_swap_file_state(resource->name, ours, &ret->file_size);
	return 0;
}

/* The unit's own text, and whether it is in use and will be after a boot. */
static int diff_unit(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	struct gp_unit_state state;
	const char *text = "";
	struct gp_bus *bus;

	GP_TRY(gp_ctx_bus(ctx, &bus, err));
	GP_TRY(gp_unit_state(bus, ctx->arena, unit_of(ctx, resource), &state, err));
	GP_TRY(gp_fs_read_nofollow(ctx->arena, unit_path(ctx, resource), TEXT_MAX, &text, NULL, err));
	if (!gp_streq(text, unit_text(ctx, resource)))
		gp_change_add(ctx, changes, '~', resource, "%s: content", unit_of(ctx, resource));
	if (!gp_streq(state.file, "enabled"))
		gp_change_add(ctx, changes, '~', resource, "%s → enabled", state.file);
	if (!gp_streq(state.active, "active"))
		gp_change_add(ctx, changes, '~', resource, "not in use → in use");
	return 0;
}

static const char *mib(struct gp_ctx *ctx, int64_t bytes)
{
	return gp_sprintf(ctx->arena, "%lld MiB", (long long)(bytes >> 20));
}

static int diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	struct gp_swap_decision decision;
	struct gp_swap_facts facts;

	GP_TRY(look(ctx, resource, &facts, err));
	decision = gp_swap_decide(resource->spec, &facts);
	switch (decision.act) {
	case GP_SWAP_LEAVE:
		return 0;
	case GP_SWAP_CANNOT:
		gp_change_add(ctx, changes, '!', resource, "%s", decision.why);
		return 0;
	case GP_SWAP_REMOVE:
		gp_change_add(ctx, changes, '-', resource, "%s", "");
		return 0;
	case GP_SWAP_KEEP:
		return diff_unit(ctx, resource, changes, err);
	case GP_SWAP_MAKE:
		break;
	}
	if (facts.file == GP_SWAP_NO_FILE)
		gp_change_add(ctx, changes, '+', resource, "%s", mib(ctx, decision.size));
	else if (facts.file == GP_SWAP_HALF)
		gp_change_add(ctx, changes, '~', resource, "half made → %s", mib(ctx, decision.size));
	else
		gp_change_add(ctx, changes, '~', resource, "%s → %s", mib(ctx, facts.file_size), mib(ctx, decision.size));
	return 0;
}

static int stop(struct gp_ctx *ctx, struct gp_bus *bus, const struct gp_resource *resource, struct gp_error *err)
{
	struct gp_unit_state state;

	GP_TRY(gp_unit_state(bus, ctx->arena, unit_of(ctx, resource), &state, err));
	if (!gp_streq(state.active, "active"))
		return 0;
	if (gp_unit_run(bus, unit_of(ctx, resource), GP_UNIT_STOP, JOB_TIMEOUT_MS, err) < 0)
		return gp_hint(err, "what is swapped out has to fit into memory again: `free -m`");
	return 0;
}

/* The unit goes last: while it is there, the file is known to be ours. */
static int take_away(struct gp_ctx *ctx, struct gp_bus *bus, const struct gp_resource *resource, struct gp_error *err)
{
	GP_TRY(stop(ctx, bus, resource, err));
	GP_TRY(gp_fs_remove(resource->name, err));
	GP_TRY(gp_unit_disable(bus, unit_of(ctx, resource), err));
	GP_TRY(gp_fs_remove(unit_path(ctx, resource), err));
	return gp_unit_daemon_reload(bus, err);
}

/* And comes first, for the same reason. */
static int write_unit(struct gp_ctx *ctx, struct gp_bus *bus, const struct gp_resource *resource, struct gp_error *err)
{
	const char *text = unit_text(ctx, resource);

	GP_TRY(gp_fs_write(unit_path(ctx, resource), text, strlen(text), 0644, 0, 0, err));
	return gp_unit_daemon_reload(bus, err);
}

static int apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	struct gp_swap_decision decision;
	struct gp_swap_facts facts;
	struct gp_bus *bus;

	GP_TRY(look(ctx, resource, &facts, err));
	GP_TRY(gp_ctx_bus(ctx, &bus, err));
	decision = gp_swap_decide(resource->spec, &facts);
	if (decision.act == GP_SWAP_REMOVE)
		return take_away(ctx, bus, resource, err);
	if (decision.act != GP_SWAP_MAKE && decision.act != GP_SWAP_KEEP)
		return 0;
	GP_TRY(write_unit(ctx, bus, resource, err));
	if (decision.act == GP_SWAP_MAKE) {
		GP_TRY(stop(ctx, bus, resource, err));
		GP_TRY(gp_swap_file_make(resource->name, decision.size, err));
	}
	GP_TRY(gp_unit_enable(bus, unit_of(ctx, resource), err));
	return gp_unit_run(bus, unit_of(ctx, resource), GP_UNIT_START, JOB_TIMEOUT_MS, err);
}

const struct gp_resource_type gp_swap_type = { .name = "swap", .diff = diff, .apply = apply };
