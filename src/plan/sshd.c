/*
 * Resource type: how sshd lets people in. sshd takes the first value it meets, so a drop-in only counts where it is read first: what
 * was meant is read back with `sshd -T`, and where something else comes out, the drop-in that was there before comes back.
 */
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "plan/owner.h"
#include "plan/ssh_access.h"
#include "plan/sshd_former.h"
#include "plan/types.h"
#include "sys/account.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/sshd.h"

#define DROP_IN GP_SSHD_DROP_IN

enum { SETTINGS = 5 };

struct setting {
	const char *keyword, *lower, *value; /* value NULL: left to the others */
};

struct wanted {
	struct setting v[SETTINGS];
	struct gp_ssh_verdict verdict;
	const char *text;
};

static bool same(const char *a, const char *b)
{
	return strcasecmp(a, b) == 0 || (strcasecmp(a, "without-password") == 0 && gp_streq(b, "prohibit-password"));
}

/* --- what should be --- */

static const struct gp_sshd_setting *first_of_others(const struct gp_sshd_settings *settings, const char *keyword)
{
	for (size_t i = 0; i < settings->n; i++) {
		const struct gp_sshd_setting *s = &settings->v[i];

		if (!s->line.match && gp_streq(s->line.keyword, keyword) && !gp_streq(s->file, DROP_IN))
			return s;
	}
	return NULL;
}

static struct gp_ssh_value value_of(const struct gp_sshdconf *conf, const struct gp_sshd_settings *settings, const char *keyword,
	const char *built_in)
{
	const struct gp_sshd_setting *other = first_of_others(settings, keyword);
	const char *is = gp_sshdconf_get(conf, keyword), *elsewhere = other ? other->line.value : built_in;

	is = is ? is : built_in;
	return (struct gp_ssh_value){
		.is = same(is, "prohibit-password") ? "prohibit-password" : is,
		.elsewhere = same(elsewhere, "prohibit-password") ? "prohibit-password" : elsewhere,
	};
}

static int read_admins(struct gp_ctx *ctx, const struct gp_sshd_rules *spec, struct gp_ssh_facts *facts, struct gp_error *err)
{
	static const char *const groups[] = { "sudo", "admin", "wheel" };
	struct gp_strv names = { 0 };
	struct gp_ssh_person *admins;

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		struct gp_strv members;

		gp_group_members(ctx->arena, groups[i], &members);
		for (size_t k = 0; k < members.n; k++)
			if (!gp_streq(members.v[k], "root") && !gp_strv_has(&names, members.v[k]))
				gp_strv_add(ctx->arena, &names, members.v[k]);
	}
	facts->admins = admins = gp_alloc_array(ctx->arena, names.n + 1, sizeof(*admins));
	for (size_t i = 0; i < names.n; i++) {
		struct gp_account account;
		int found;

		GP_TRY(found = gp_account_find(ctx->arena, names.v[i], &account, err));
		if (found)
			GP_TRY(gp_ssh_person_read(ctx, spec->sshd, names.v[i], false, &admins[facts->admin_count++], err));
	}
	return 0;
}

/* The deploy user's keys: those that can be read, or, in a dry run, those that will have been added by then. */
enum keys { KEYS_THERE, KEYS_COMING, NO_KEYS_COMING };

static int find_keys(struct gp_ctx *ctx, const struct gp_sshd_rules *spec, enum keys *ret, struct gp_error *err)
{
	struct gp_changes changes = { 0 };

	GP_TRY(spec->keys->type->diff(ctx, spec->keys, &changes, err));
	*ret = changes.n ? KEYS_COMING : KEYS_THERE;
	return 0;
}

static int read_deploy(struct gp_ctx *ctx, const struct gp_sshd_rules *spec, enum keys keys, struct gp_ssh_person *ret,
	struct gp_error *err)
{
	GP_TRY(gp_ssh_person_read(ctx, spec->sshd, spec->deploy_user, keys != KEYS_THERE, ret, err));
	if (keys == NO_KEYS_COMING && !ret->why)
		ret->why = gp_sprintf(ctx->arena, "has no usable key; put one into %s", spec->keys->name);
	return 0;
}

static int read_facts(struct gp_ctx *ctx, const struct gp_sshd_rules *spec, enum keys keys, struct gp_ssh_facts *facts,
	struct gp_error *err)
{
	const struct gp_sshd_settings *settings;
	const struct gp_sshdconf *conf;

	*facts = (struct gp_ssh_facts){ .root_login_wanted = spec->root_login, .passwords_wanted = spec->passwords };
	GP_TRY(gp_sshd_settings(spec->sshd, &settings, err));
	GP_TRY(gp_sshd_effective(spec->sshd, NULL, &conf, err));
	facts->root_login = value_of(conf, settings, "permitrootlogin", "prohibit-password");
	facts->passwords = value_of(conf, settings, "passwordauthentication", "yes");
	facts->keyboard = value_of(conf, settings, "kbdinteractiveauthentication", "yes");
	GP_TRY(read_deploy(ctx, spec, keys, &facts->deploy, err));
	GP_TRY(gp_ssh_person_read(ctx, spec->sshd, "root", false, &facts->root, err));
	if (spec->session_user && !gp_streq(spec->session_user, spec->deploy_user))
		GP_TRY(gp_ssh_person_read(ctx, spec->sshd, spec->session_user, false, &facts->session, err));
	return read_admins(ctx, spec, facts, err);
}

static int make_wanted(struct gp_ctx *ctx, const struct gp_sshd_rules *spec, enum keys keys, struct wanted *ret, struct gp_error *err)
{
	struct gp_ssh_facts facts;
	struct gp_ssh_verdict *v = &ret->verdict;
	GP_AUTO_BUF text = { 0 };

	GP_TRY(read_facts(ctx, spec, keys, &facts, err));
	*v = gp_ssh_decide(ctx->arena, &facts);
	ret->v[0] = (struct setting){ "PermitRootLogin", "permitrootlogin", v->root_login };
	ret->v[1] = (struct setting){ "PasswordAuthentication", "passwordauthentication", v->passwords };
	ret->v[2] = (struct setting){ "KbdInteractiveAuthentication", "kbdinteractiveauthentication", v->keyboard };
	ret->v[3] = (struct setting){ "PermitEmptyPasswords", "permitemptypasswords", "no" };
	ret->v[4] = (struct setting){ "X11Forwarding", "x11forwarding", "no" };
	gp_buf_puts(&text, "# Written by `goldpath provision`: `ssh:` in /etc/goldpath/host.yaml. goldpath.yaml(5) has the reasons.\n"
					   "# sshd takes the first value it meets: no file may sort before this one. Changes made here are undone.\n\n");
	for (size_t i = 0; i < SETTINGS; i++)
		if (ret->v[i].value)
			gp_buf_printf(&text, "%s %s\n", ret->v[i].keyword, ret->v[i].value);
	ret->text = gp_strdup(ctx->arena, gp_buf_str(&text));
	return 0;
}

/* --- what is --- */

static int file_diff(struct gp_ctx *ctx, const struct gp_resource *resource, const char *text, struct gp_changes *changes,
	struct gp_error *err)
{
	const struct gp_file spec = { .content = text, .owner = "root", .group = "root", .mode = 0644 };
	const struct gp_resource file = { .type = resource->type, .name = resource->name, .spec = &spec };

	return gp_file_type.diff(ctx, &file, changes, err);
}

/* For each of those whom a Match block may treat in another way. */
static int effective_diff(struct gp_ctx *ctx, const struct gp_resource *resource, const struct wanted *wanted,
	struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_sshd_rules *spec = resource->spec;
	const char *const users[] = { NULL, "root", spec->deploy_user };
	const struct gp_sshdconf *everybody = NULL;

	for (size_t u = 0; u < sizeof(users) / sizeof(users[0]); u++) {
		const struct gp_sshdconf *conf;

		GP_TRY(gp_sshd_effective(spec->sshd, users[u], &conf, err));
		if (conf == everybody)
			continue;
		everybody = everybody ? everybody : conf;
		for (size_t i = 0; i < SETTINGS; i++) {
			const struct setting *s = &wanted->v[i];
			const char *is = gp_sshdconf_get(conf, s->lower);

			if (s->value && is && !same(is, s->value) && (!users[u] || same(gp_sshdconf_get(everybody, s->lower) ?: "", s->value)))
				gp_change_add(ctx, changes, '~', resource, "%s %s → %s%s%s", s->keyword, is, s->value, users[u] ? " for " : "",
					users[u] ? users[u] : "");
		}
	}
	return 0;
}

static void say_verdict(struct gp_ctx *ctx, const struct gp_resource *resource, const struct wanted *wanted, struct gp_changes *changes)
{
	if (wanted->verdict.root_login_why)
		gp_change_add(ctx, changes, '!', resource, "%s", wanted->verdict.root_login_why);
	if (wanted->verdict.passwords_why)
		gp_change_add(ctx, changes, '!', resource, "%s", wanted->verdict.passwords_why);
}

/* A Match block that lets some in with less. Whether it does so for root or the deploy user, effective_diff says. */
static int say_matches(struct gp_ctx *ctx, const struct gp_resource *resource, const struct wanted *wanted, struct gp_changes *changes,
	struct gp_error *err)
{
	const struct gp_sshd_rules *spec = resource->spec;
	const struct gp_sshd_settings *settings;

	GP_TRY(gp_sshd_settings(spec->sshd, &settings, err));
	for (size_t i = 0; i < settings->n; i++) {
		const struct gp_sshd_setting *s = &settings->v[i];

		for (size_t k = 0; k < SETTINGS && s->line.match; k++)
			if (gp_streq(s->line.keyword, wanted->v[k].lower) && wanted->v[k].value && same(s->line.value, "yes") &&
				!same(wanted->v[k].value, "yes"))
				gp_change_add(ctx, changes, '!', resource, "%s, line %zu: Match %s sets %s yes", s->file, s->line.line, s->line.match,
					wanted->v[k].keyword);
	}
	return 0;
}

static int diff_against(struct gp_ctx *ctx, const struct gp_resource *resource, const struct wanted *wanted, struct gp_changes *changes,
	struct gp_error *err)
{
	GP_TRY(file_diff(ctx, resource, wanted->text, changes, err));
	GP_TRY(effective_diff(ctx, resource, wanted, changes, err));
	say_verdict(ctx, resource, wanted, changes);
	return say_matches(ctx, resource, wanted, changes, err);
}

static int diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_sshd_rules *spec = resource->spec;
	struct wanted wanted;
	enum keys keys;

	GP_TRY(find_keys(ctx, spec, &keys, err));
	GP_TRY(make_wanted(ctx, spec, keys, &wanted, err));
	return diff_against(ctx, resource, &wanted, changes, err);
}

/* The deploy user is not there yet. */
static void fresh(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes)
{
	const struct gp_sshd_rules *spec = resource->spec;
	struct gp_changes keys = { 0 };
	struct wanted wanted;

	spec->keys->type->fresh(ctx, spec->keys, &keys);
	if (make_wanted(ctx, spec, keys.n ? KEYS_COMING : NO_KEYS_COMING, &wanted, NULL) == 0 &&
		diff_against(ctx, resource, &wanted, changes, NULL) == 0)
		return;
	changes->n = 0;
	gp_change_add(ctx, changes, '+', resource, "%s", "");
}

/* --- who is in the way --- */

static bool reads_drop_in(const struct gp_sshd_settings *settings)
{
	for (size_t i = 0; i < settings->n; i++)
		if (gp_streq(settings->v[i].file, DROP_IN))
			return true;
	return false;
}

static const struct gp_sshd_setting *first_in_match(const struct gp_sshd_settings *settings, const char *keyword)
{
	for (size_t i = 0; i < settings->n; i++)
		if (settings->v[i].line.match && gp_streq(settings->v[i].line.keyword, keyword) && !gp_streq(settings->v[i].file, DROP_IN))
			return &settings->v[i];
	return NULL;
}

static int blame(struct gp_sshd *sshd, const struct setting *s, const char *is, const char *user, struct gp_error *err)
{
	const struct gp_sshd_settings *settings;
	const struct gp_sshd_setting *other;

	GP_TRY(gp_sshd_settings(sshd, &settings, err));
	other = user ? first_in_match(settings, s->lower) : first_of_others(settings, s->lower);
	if (!user && !reads_drop_in(settings)) {
		gp_fail(err, GP_E_CONFIG, "%s is %s and not %s: %s does not include the files in %s", s->keyword, is, s->value, sshd->config,
			sshd->folder);
		return gp_hint(err, "make `Include %s/*.conf` its first line, or set `ssh: {manage: false}` in host.yaml", sshd->folder);
	}
	if (!other) {
		gp_fail(err, GP_E_CONFIG, "%s is %s and not %s, by none of sshd's files", s->keyword, is, s->value);
		return gp_hint(err, "does SSHD_OPTS in %s set it?", sshd->defaults);
	}
	gp_fail(err, GP_E_CONFIG, "%s is %s%s%s and not %s: %s, line %zu, %s", s->keyword, is, user ? " for " : "", user ? user : "", s->value,
		other->file, other->line.line, user ? "sets it in a Match block" : "sets it first");
	if (gp_streq(other->file, sshd->config) && !user)
		return gp_hint(err, "move the line `Include %s/*.conf` to the top of %s", sshd->folder, sshd->config);
	return gp_hint(err, "take that line out%s, or set `ssh: {manage: false}` in host.yaml",
		user ? "" : " or let its file sort after 00-goldpath.conf");
}

/* Does sshd make of it what was meant? */
static int prove(const struct gp_sshd_rules *spec, const struct wanted *wanted, struct gp_error *err)
{
	const char *const users[] = { NULL, "root", spec->deploy_user };

	gp_sshd_forget(spec->sshd);
	GP_TRY(gp_sshd_test(spec->sshd, NULL, err));
	for (size_t u = 0; u < sizeof(users) / sizeof(users[0]); u++) {
		const struct gp_sshdconf *conf;

		GP_TRY(gp_sshd_effective(spec->sshd, users[u], &conf, err));
		for (size_t i = 0; i < SETTINGS; i++) {
			const char *is = gp_sshdconf_get(conf, wanted->v[i].lower);

			if (wanted->v[i].value && is && !same(is, wanted->v[i].value))
				return blame(spec->sshd, &wanted->v[i], is, users[u], err);
		}
	}
	return 0;
}

/* --- changing it --- */

static int check(void *sshd, const char *candidate, struct gp_error *err)
{
	return gp_sshd_test(sshd, candidate, err);
}

static int put_in_place(struct gp_ctx *ctx, const struct gp_sshd_rules *spec, struct wanted *wanted, struct gp_error *err)
{
	GP_TRY(make_wanted(ctx, spec, KEYS_THERE, wanted, err));
	GP_TRY(gp_fs_mkdir(spec->sshd->folder, 0755, 0, 0, err));
	GP_TRY(gp_sshd_keep_former(ctx, err));
	return gp_fs_write_checked(DROP_IN, wanted->text, strlen(wanted->text), 0644, 0, 0, check, spec->sshd, err);
}

static int apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_sshd_rules *spec = resource->spec;
	struct wanted wanted;
	struct gp_error again = { 0 };

	GP_TRY(gp_sshd_put_back(ctx, err));
	gp_sshd_forget(spec->sshd);
	if (gp_sshd_test(spec->sshd, NULL, err) < 0)
		return gp_hint(err, "mend sshd's configuration first: `sshd -t` says what is wrong; nothing was changed");
	if (put_in_place(ctx, spec, &wanted, err) == 0 && prove(spec, &wanted, err) == 0)
		return 0;
	gp_sshd_forget(spec->sshd);
	if (gp_sshd_put_back(ctx, &again) < 0)
		return gp_state(err, "%s could not be put back: %s", DROP_IN, again.msg);
	return gp_state(err, "sshd's configuration is as it was");
}

const struct gp_resource_type gp_sshd_type = { .name = "sshd", .diff = diff, .fresh = fresh, .apply = apply };
