/* Resource type: a kernel setting as it is now. That it stays so is a file's business, in /etc/sysctl.d. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"

enum { VALUE_MAX = 65536 };

/* net.ipv4.conf.eth0/100.forwarding → net/ipv4/conf/eth0.100/forwarding, as systemd-sysctl does. */
static const char *path_of(struct gp_ctx *ctx, const struct gp_resource *resource)
{
	const struct gp_sysctl *spec = resource->spec;
	char *key = gp_strdup(ctx->arena, resource->name);

	for (char *p = key; *p; p++)
		*p = *p == '.' ? '/' : *p == '/' ? '.' : *p;
	return gp_sprintf(ctx->arena, "%s/%s", spec->root, key);
}

/* The kernel puts tabs between the numbers of a list. */
static const char *plain(struct gp_ctx *ctx, const char *value)
{
	struct gp_strv words = gp_words(ctx->arena, gp_trim(ctx->arena, value));

	return gp_strv_join(ctx->arena, &words, " ");
}

/* Not gp_fs_read: these files have no size, and many fail only when they are read. */
static int read_value(struct gp_ctx *ctx, const struct gp_resource *resource, const char **ret, struct gp_error *err)
{
	const char *path = path_of(ctx, resource);
	char *text = gp_alloc(ctx->arena, VALUE_MAX);
	ssize_t n;
	GP_AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0 && errno == ENOENT) {
		gp_fail(err, GP_E_CONFIG, "this kernel has no setting %s", resource->name);
		return gp_hint(err, "is it spelt right in host.yaml, or does a kernel module have to be loaded first? There is no %s", path);
	}
	n = fd < 0 ? -1 : read(fd, text, VALUE_MAX - 1);
	if (n < 0)
		return gp_fail_errno(err, errno, "read %s", path);
	text[n] = '\0';
	*ret = plain(ctx, text);
	return 0;
}

static int diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_sysctl *spec = resource->spec;
	const char *is = "";

	GP_TRY(read_value(ctx, resource, &is, err));
	if (!gp_streq(is, plain(ctx, spec->value)))
		gp_change_add(ctx, changes, '~', resource, "%s → %s", is, plain(ctx, spec->value));
	return 0;
}

static int apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_sysctl *spec = resource->spec;
	const char *path = path_of(ctx, resource), *value = plain(ctx, spec->value);
	GP_AUTO_FD fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value))
		return 0;
	if (errno == EROFS || errno == EACCES || errno == EPERM) {
		gp_fail_errno(err, errno, "set %s to '%s'", resource->name, value);
		return gp_hint(err, "in a container most kernel settings are the host's: take %s out of host.yaml", resource->name);
	}
	gp_fail_errno(err, errno, "the kernel refuses '%s' for %s", value, resource->name);
	return gp_hint(err, "what it takes is written in https://docs.kernel.org/admin-guide/sysctl/");
}

const struct gp_resource_type gp_sysctl_type = { .name = "sysctl", .diff = diff, .apply = apply };
