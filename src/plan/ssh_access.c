/* Who can log in with a key: what sshd asks before it takes one, asked in the same order. */
#include "plan/ssh_access.h"

#include <limits.h>
#include <shadow.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/sshkey.h"
#include "base/str.h"
#include "sys/account.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/sshd.h"

enum { KEYS_MAX = 1 << 20 };

/* --- reading --- */

/* What StrictModes wants of the file and of each folder up to the home: nobody but root and the user may write there. The first that is
 * not so, or NULL. */
static const char *loose_path(struct gp_arena *arena, const char *file, const struct gp_account *account)
{
	char path[PATH_MAX], home[PATH_MAX];
	struct stat st;

	if (!realpath(file, path))
		return gp_strdup(arena, file);
	if (!realpath(account->home, home))
		home[0] = '\0';
	for (;;) {
		char *slash = strrchr(path, '/');

		if (stat(path, &st) < 0 || (st.st_uid != 0 && st.st_uid != account->uid) || (st.st_mode & 022))
			return gp_strdup(arena, path);
		if (gp_streq(path, home) || !slash || slash == path)
			return NULL;
		*slash = '\0';
	}
}

static bool type_accepted(struct gp_arena *arena, const struct gp_sshdconf *conf, const struct gp_sshkey *key)
{
	const char *list = gp_sshdconf_get(conf, "pubkeyacceptedalgorithms"), *least = gp_sshdconf_get(conf, "requiredrsasize");
	bool rsa = gp_streq(key->type, "ssh-rsa");
	int64_t bits = 0;

	if (rsa && least && gp_parse_int(least, 0, 65536, &bits) && key->bits < bits)
		return false;
	if (!list)
		return true;
	list = gp_sprintf(arena, ",%s,", list);
	if (rsa && (strstr(list, ",rsa-sha2-256,") || strstr(list, ",rsa-sha2-512,")))
		return true;
	return strstr(list, gp_sprintf(arena, ",%s,", key->type)) != NULL;
}

/* authorizedkeysfile's %h, %u, %U and %%; a relative path is one below the home. */
static const char *expand(struct gp_arena *arena, const char *pattern, const struct gp_account *account)
{
	const char *path = "";

	for (const char *p = pattern; *p; p++) {
		if (*p == '%' && p[1] == 'h')
			path = gp_sprintf(arena, "%s%s", path, account->home);
		else if (*p == '%' && p[1] == 'u')
			path = gp_sprintf(arena, "%s%s", path, account->name);
		else if (*p == '%' && p[1] == 'U')
			path = gp_sprintf(arena, "%s%u", path, (unsigned)account->uid);
		else
			path = gp_sprintf(arena, "%s%c", path, *p);
		if (*p == '%' && p[1])
			p++;
	}
	return path[0] == '/' ? path : gp_sprintf(arena, "%s/%s", account->home, path);
}

static bool file_has_key(struct gp_ctx *ctx, const struct gp_sshdconf *conf, const char *path)
{
	struct gp_strv lines;
	struct gp_sshkey key;
	const char *text;

	if (gp_fs_read(ctx->arena, path, KEYS_MAX, &text, NULL, NULL) != 1)
		return false;
	lines = gp_lines(ctx->arena, text);
	for (size_t i = 0; i < lines.n; i++)
		if (gp_sshkey_parse(ctx->arena, lines.v[i], &key) && gp_sshkey_unrestricted(ctx->arena, &key) &&
			type_accepted(ctx->arena, conf, &key))
			return true;
	return false;
}

/* Looked at as that user, as sshd does. */
static int keys_why(struct gp_ctx *ctx, const struct gp_sshdconf *conf, const struct gp_account *account, const char **ret,
	struct gp_error *err)
{
	GP_AUTO_IDENTITY was = { 0 };
	const char *files = gp_sshdconf_get(conf, "authorizedkeysfile"), *loose = NULL;
	bool strict = !gp_streq(gp_sshdconf_get(conf, "strictmodes") ?: "yes", "no");
	struct gp_strv patterns = gp_words(ctx->arena, files ? files : ".ssh/authorized_keys");

	GP_TRY(gp_account_assume(account, &was, err));
	for (size_t i = 0; i < patterns.n; i++) {
		const char *path = expand(ctx->arena, patterns.v[i], account);

		if (gp_streq(patterns.v[i], "none") || !file_has_key(ctx, conf, path))
			continue;
		if (!strict || !loose_path(ctx->arena, path, account)) {
			*ret = NULL;
			return 0;
		}
		loose = loose ? loose : loose_path(ctx->arena, path, account);
	}
	if (loose)
		*ret = gp_sprintf(ctx->arena, "has a key that sshd does not take, as others may write to %s; chmod go-w %s", loose, loose);
	else
		*ret = gp_sprintf(ctx->arena, "has no usable key; put one into %s",
			patterns.n ? expand(ctx->arena, patterns.v[0], account) : "AuthorizedKeysFile");
	return 0;
}

/* shadow(5): days since 1970, -1 for never. */
static bool expired(const char *name)
{
	const struct spwd *entry = getspnam(name);

	return entry && entry->sp_expire >= 0 && entry->sp_expire * 86400 <= gp_now();
}

/* What stands in the way besides the key itself. */
static const char *barred(struct gp_ctx *ctx, const struct gp_sshdconf *conf, const struct gp_account *account)
{
	const char *methods = gp_sshdconf_get(conf, "authenticationmethods"), *by, *base = strrchr(account->shell, '/');
	const char *shell = *account->shell ? account->shell : "/bin/sh";
	struct gp_strv groups = { 0 }, ways = gp_words(ctx->arena, methods ? methods : "any");

	if (expired(account->name))
		return "has an account that has expired";
	if (!gp_streq(gp_sshdconf_get(conf, "revokedkeys") ?: "none", "none"))
		return "may have a key that sshd's RevokedKeys lists";
	if (gp_streq(gp_sshdconf_get(conf, "pubkeyauthentication") ?: "yes", "no"))
		return "cannot use a key, as sshd has PubkeyAuthentication no";
	if (!gp_strv_has(&ways, "any") && !gp_strv_has(&ways, "publickey"))
		return gp_sprintf(ctx->arena, "needs more than a key, as sshd has AuthenticationMethods %s", methods);
	if (access(shell, X_OK) < 0 || (base && (gp_streq(base, "/nologin") || gp_streq(base, "/false"))))
		return gp_sprintf(ctx->arena, "has the shell %s, which lets nobody in", shell);
	for (int i = 0; i < account->group_count; i++)
		gp_strv_add(ctx->arena, &groups, gp_group_name(ctx->arena, account->groups[i]));
	by = gp_sshdconf_excludes(ctx->arena, conf, account->name, &groups);
	return by ? gp_sprintf(ctx->arena, "is not let in by sshd's %s", by) : NULL;
}

int gp_ssh_person_read(struct gp_ctx *ctx, struct gp_sshd *sshd, const char *user, bool will_have_key, struct gp_ssh_person *ret,
	struct gp_error *err)
{
	const struct gp_sshdconf *conf;
	struct gp_account account;
	int found;

	GP_TRY(found = gp_account_find(ctx->arena, user, &account, err));
	if (!found && !will_have_key)
		return gp_fail(err, GP_E_FAILED, "there is no user '%s' on this host", user);
	if (!found)
		account = (struct gp_account){ .name = user, .shell = "/bin/sh", .home = "/" }; /* as it will be; its group is called like it */
	GP_TRY(gp_sshd_effective(sshd, user, &conf, err));
	*ret = (struct gp_ssh_person){ .name = user, .why = barred(ctx, conf, &account) };
	return ret->why || will_have_key ? 0 : keys_why(ctx, conf, &account, &ret->why, err);
}

/* --- deciding --- */

static bool admin_can(const struct gp_ssh_facts *facts)
{
	for (size_t i = 0; i < facts->admin_count; i++)
		if (!facts->admins[i].why)
			return true;
	return false;
}

/* Not to be touched: said only where the others' files alone would make something else of it. */
static const char *keep(const struct gp_ssh_value *value)
{
	return gp_streq(value->is, value->elsewhere) ? NULL : value->is;
}

static bool lets_root_in(const char *root_login)
{
	return gp_streq(root_login, "prohibit-password") || gp_streq(root_login, "yes");
}

static void decide_root(struct gp_arena *arena, const struct gp_ssh_facts *facts, struct gp_ssh_verdict *v)
{
	const char *want = facts->root_login_wanted, *is = facts->root_login.is;

	v->root_login = want;
	if (gp_streq(want, "prohibit-password") && !lets_root_in(facts->root_login.elsewhere)) {
		v->root_login = NULL; /* the owner is stricter than that already */
	} else if (gp_streq(want, "no") && !gp_streq(is, "no") && !admin_can(facts)) {
		v->root_login = keep(&facts->root_login);
		v->root_login_why = "root may still log in: no member of group sudo has a usable key";
	} else if (gp_streq(want, "prohibit-password") && gp_streq(is, "yes")) {
		const struct gp_ssh_person *who = facts->session.name && gp_streq(facts->session.name, "root") ? &facts->session : &facts->root;

		if (!who->why || (who == &facts->root && admin_can(facts)))
			return;
		v->root_login = keep(&facts->root_login);
		v->root_login_why = gp_sprintf(arena, "root may still log in with a password: root %s", who->why);
	}
}

/* Who would be locked out without passwords: a clause, or NULL. */
static const char *locked_out(struct gp_arena *arena, const struct gp_ssh_facts *facts, bool root_allowed)
{
	if (facts->deploy.why)
		return gp_sprintf(arena, "%s %s", facts->deploy.name, facts->deploy.why);
	if (!admin_can(facts) && !root_allowed)
		return "root may not log in, and no member of group sudo has a usable key";
	if (!admin_can(facts) && facts->root.why)
		return gp_sprintf(arena, "root %s", facts->root.why);
	if (facts->session.name && facts->session.why)
		return gp_sprintf(arena, "%s, who runs this, %s", facts->session.name, facts->session.why);
	return NULL;
}

struct gp_ssh_verdict gp_ssh_decide(struct gp_arena *arena, const struct gp_ssh_facts *facts)
{
	struct gp_ssh_verdict v = { 0 };
	bool off = gp_streq(facts->passwords.is, "no"), keyboard_off = gp_streq(facts->keyboard.is, "no");
	const char *who;

	decide_root(arena, facts, &v);
	if (facts->passwords_wanted) {
		v.passwords = "yes";
		v.keyboard = keep(&facts->keyboard);
		return v;
	}
	who = locked_out(arena, facts, lets_root_in(v.root_login ? v.root_login : facts->root_login.elsewhere));
	v.passwords = off || !who ? "no" : keep(&facts->passwords);
	v.keyboard = keyboard_off || !who ? "no" : keep(&facts->keyboard);
	if (who && !(off && keyboard_off))
		v.passwords_why = gp_sprintf(arena, "passwords stay on: %s", who);
	return v;
}
