/* Walking rows over libyaml's document tree. */
#include "conf/rows.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "sys/fs.h"

enum { GROUP_KEYS_MAX = 64, LIST_MAX = 200, DEPTH_MAX = 50 };

struct reader {
	struct gp_arena *arena;
	const char *label;
	yaml_document_t *doc;
	struct gp_error *err;
};

static int wrong(struct reader *r, const yaml_node_t *node, const char *key, const char *want)
{
	return gp_fail(r->err, GP_E_CONFIG, "%s, line %zu: '%s' must be %s", r->label, node->start_mark.line + 1, key, want);
}

static const char *scalar(const yaml_node_t *node)
{
	/* libyaml's scalars are NUL-terminated; one that holds a NUL itself is refused. */
	if (node->type != YAML_SCALAR_NODE || strlen((const char *)node->data.scalar.value) != node->data.scalar.length)
		return NULL;
	return (const char *)node->data.scalar.value;
}

static bool is_null(const yaml_node_t *node)
{
	const char *text = scalar(node);

	return text && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
		(gp_streq(text, "") || gp_streq(text, "null") || gp_streq(text, "~"));
}

static int parse_bool(const char *text, bool *ret)
{
	static const char *const yes[] = { "true", "yes", "on" }, *const no[] = { "false", "no", "off" };

	for (size_t i = 0; i < 3; i++) {
		if (gp_streq(text, yes[i]) || gp_streq(text, no[i])) {
			*ret = gp_streq(text, yes[i]);
			return 0;
		}
	}
	return -1;
}

static int read_name(struct reader *r, const yaml_node_t *node, const struct gp_key *row, const char **ret)
{
	const char *text = scalar(node);

	if (!text)
		return wrong(r, node, row->name, "a text");
	if (gp_name_check(row->kind, text, GP_E_CONFIG, r->err) < 0)
		return gp_context(r->err, "%s, line %zu: '%s'", r->label, node->start_mark.line + 1, row->name);
	*ret = gp_strdup(r->arena, text);
	return 0;
}

/* One line of text for an argument or a value: no control characters, which would end the line of an environment file or a unit. */
static int read_text(struct reader *r, const yaml_node_t *node, const char *key, const char **ret)
{
	const char *text = scalar(node);

	if (!text)
		return wrong(r, node, key, "a text");
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		if (*p < 0x20 || *p == 0x7f)
			return wrong(r, node, key, "one line without control characters");
	*ret = gp_strdup(r->arena, text);
	return 0;
}

static int need_sequence(struct reader *r, const yaml_node_t *node, const struct gp_key *row, const char *of, size_t *ret_n)
{
	if (node->type != YAML_SEQUENCE_NODE)
		return wrong(r, node, row->name, of);
	*ret_n = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
	if (*ret_n > (size_t)(row->hi ? row->hi : LIST_MAX))
		return wrong(r, node, row->name, "a shorter list");
	return 0;
}

static const yaml_node_t *item(struct reader *r, const yaml_node_t *list, size_t i)
{
	return yaml_document_get_node(r->doc, list->data.sequence.items.start[i]);
}

static int read_names(struct reader *r, const yaml_node_t *node, const struct gp_key *row, struct gp_strv *ret)
{
	struct gp_strv list = { 0 };
	size_t n;

	GP_TRY(need_sequence(r, node, row, "a list, like [one, two]", &n));
	for (size_t i = 0; i < n; i++) {
		const char *name;

		GP_TRY(read_name(r, item(r, node, i), row, &name));
		gp_strv_add(r->arena, &list, name);
	}
	*ret = list;
	return 0;
}

static int read_argvs(struct reader *r, const yaml_node_t *node, const struct gp_key *row, struct gp_argvs *ret)
{
	struct gp_argvs list = { 0 };
	const char *want = "a list of argument lists, like [[npm, ci], [npm, run, build]]";

	GP_TRY(need_sequence(r, node, row, want, &list.n));
	list.v = gp_alloc_array(r->arena, list.n + 1, sizeof(*list.v));
	for (size_t i = 0; i < list.n; i++) {
		const yaml_node_t *argv = item(r, node, i);
		size_t n;

		GP_TRY(need_sequence(r, argv, row, want, &n));
		if (!n)
			return wrong(r, argv, row->name, want);
		for (size_t k = 0; k < n; k++) {
			const char *arg;

			GP_TRY(read_text(r, item(r, argv, k), row->name, &arg));
			gp_strv_add(r->arena, &list.v[i], arg);
		}
	}
	*ret = list;
	return 0;
}

static int read_pairs(struct reader *r, const yaml_node_t *node, const struct gp_key *row, struct gp_pairs *ret)
{
	struct gp_pairs list = { 0 };

	if (node->type != YAML_MAPPING_NODE)
		return wrong(r, node, row->name, "a mapping, like {KEY: value}");
	list.n = (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
	if (list.n > (size_t)(row->hi ? row->hi : LIST_MAX))
		return wrong(r, node, row->name, "a smaller mapping");
	list.v = gp_alloc_array(r->arena, list.n + 1, sizeof(*list.v));
	for (size_t i = 0; i < list.n; i++) {
		const yaml_node_pair_t *pair = &node->data.mapping.pairs.start[i];
		const yaml_node_t *key = yaml_document_get_node(r->doc, pair->key);
		struct gp_key as_name = { .name = row->name, .kind = row->kind };

		GP_TRY(read_name(r, key, &as_name, &list.v[i].key));
		for (size_t k = 0; k < i; k++)
			if (gp_streq(list.v[k].key, list.v[i].key))
				return gp_fail(r->err, GP_E_CONFIG, "%s, line %zu: '%s' comes twice", r->label, key->start_mark.line + 1, list.v[i].key);
		GP_TRY(read_text(r, yaml_document_get_node(r->doc, pair->value), list.v[i].key, &list.v[i].value));
	}
	*ret = list;
	return 0;
}

static int read_choice(struct reader *r, const yaml_node_t *node, const struct gp_key *row, int *ret)
{
	const char *text = scalar(node);
	const char *want = "one of: ";

	for (int i = 0; row->choices[i]; i++) {
		if (row->group_choice && gp_streq(row->choices[i], row->group_choice))
			continue; /* only as a mapping */
		if (text && gp_streq(text, row->choices[i])) {
			*ret = i;
			return 0;
		}
		want = gp_sprintf(r->arena, "%s%s%s", want, i ? ", " : "", row->choices[i]);
	}
	if (row->group_choice)
		want = gp_sprintf(r->arena, "%s, or a mapping", want);
	return wrong(r, node, row->name, want);
}

static int read_rows(struct reader *r, const yaml_node_t *node, const char *where, const struct gp_key *rows, void *base);

static int read_value(struct reader *r, const yaml_node_t *node, const struct gp_key *row, void *base)
{
	void *to = (char *)base + row->offset;
	const char *text = scalar(node);

	if (is_null(node) && row->type == GP_KEY_GROUP)
		return 0; /* a group with nothing in it yet */
	if (is_null(node) && row->type != GP_KEY_TEXT) {
		if (!row->nullable)
			return wrong(r, node, row->name, "given a value");
		*(const char **)to = NULL;
		return 0;
	}
	switch (row->type) {
	case GP_KEY_NAME:
		return read_name(r, node, row, to);
	case GP_KEY_TEXT:
		return read_text(r, node, row->name, to);
	case GP_KEY_INT:
		if (!text || !gp_parse_int(text, row->lo, row->hi, to))
			return wrong(r, node, row->name,
				gp_sprintf(r->arena, "a number from %lld to %lld", (long long)row->lo, (long long)row->hi));
		return 0;
	case GP_KEY_BOOL:
		if (!text || parse_bool(text, to) < 0)
			return wrong(r, node, row->name, "true or false");
		return 0;
	case GP_KEY_CHOICE:
		if (row->group_choice && node->type == YAML_MAPPING_NODE) {
			for (int i = 0; row->choices[i]; i++)
				if (gp_streq(row->choices[i], row->group_choice))
					*(int *)to = i;
			return read_rows(r, node, row->name, row->group, base);
		}
		return read_choice(r, node, row, to);
	case GP_KEY_NAMES:
		return read_names(r, node, row, to);
	case GP_KEY_ARGVS:
		return read_argvs(r, node, row, to);
	case GP_KEY_PAIRS:
		return read_pairs(r, node, row, to);
	case GP_KEY_GROUP:
		return read_rows(r, node, row->name, row->group, base);
	}
	return -1;
}

static int unknown_key(struct reader *r, const yaml_node_t *node, const char *name, const char *where, const struct gp_key *rows)
{
	const char *names[GROUP_KEYS_MAX];
	size_t n = 0;
	const char *near;
	struct gp_strv all = { 0 };

	for (; rows[n].name && n < GROUP_KEYS_MAX; n++) {
		names[n] = rows[n].name;
		gp_strv_add(r->arena, &all, rows[n].name);
	}
	gp_fail(r->err, GP_E_CONFIG, "%s, line %zu: unknown key '%.80s'%s%s", r->label, node->start_mark.line + 1, name,
		where ? " in " : "", where ? where : "");
	near = gp_closest(name, names, n);
	if (near)
		return gp_hint(r->err, "did you mean '%s'?", near);
	return gp_hint(r->err, "known here: %s; keys that start with x- are yours", gp_strv_join(r->arena, &all, ", "));
}

static int read_rows(struct reader *r, const yaml_node_t *node, const char *where, const struct gp_key *rows, void *base)
{
	bool seen[GROUP_KEYS_MAX] = { false };

	if (node->type != YAML_MAPPING_NODE)
		return wrong(r, node, where ? where : "the file", "a mapping, 'key: value'");
	for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++) {
		const yaml_node_t *key = yaml_document_get_node(r->doc, p->key), *value = yaml_document_get_node(r->doc, p->value);
		const char *name = scalar(key);
		size_t i = 0;

		if (!name)
			return wrong(r, key, where ? where : "a key", "a plain word");
		if (gp_starts_with(name, "x-"))
			continue;
		while (rows[i].name && !gp_streq(rows[i].name, name))
			i++;
		if (!rows[i].name)
			return unknown_key(r, key, name, where, rows);
		if (seen[i])
			return gp_fail(r->err, GP_E_CONFIG, "%s, line %zu: '%s' comes twice", r->label, key->start_mark.line + 1, name);
		seen[i] = true;
		GP_TRY(read_value(r, value, &rows[i], base));
	}
	for (size_t i = 0; rows[i].name; i++)
		if (rows[i].required && !seen[i])
			return gp_fail(r->err, GP_E_CONFIG, "%s: '%s%s%s' is missing", r->label, where ? where : "", where ? "." : "", rows[i].name);
	return 0;
}

static int not_yaml(struct reader *r, const yaml_parser_t *parser, const char *text, size_t len)
{
	gp_fail(r->err, GP_E_CONFIG, "%s, line %zu: %s%s%s", r->label, parser->problem_mark.line + 1,
		parser->problem ? parser->problem : "not YAML", parser->context ? ", " : "", parser->context ? parser->context : "");
	if (parser->problem && (strstr(parser->problem, "cannot start any token") || strstr(parser->problem, "tab character")) &&
		memchr(text, '\t', len))
		gp_hint(r->err, "YAML takes no tabs: indent with blanks");
	return -1;
}

/* libyaml's time grows with the square of the depth: a file of brackets would take minutes. What else is wrong the loader says. */
static int check_depth(struct reader *r, const char *text, size_t len)
{
	bool more = true;
	yaml_parser_t parser;
	yaml_event_t event;
	int depth = 0;

	if (!yaml_parser_initialize(&parser))
		return gp_fail(r->err, GP_E_FAILED, "libyaml does not start");
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (more && depth <= DEPTH_MAX && yaml_parser_parse(&parser, &event)) {
		depth += event.type == YAML_SEQUENCE_START_EVENT || event.type == YAML_MAPPING_START_EVENT;
		depth -= event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT;
		more = event.type != YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return depth <= DEPTH_MAX ? 0 : gp_fail(r->err, GP_E_CONFIG, "%s: nested deeper than %d levels", r->label, DEPTH_MAX);
}

static int load_document(struct reader *r, const char *text, size_t len, int (*with)(struct reader *, const struct gp_key *, void *),
	const struct gp_key *rows, void *base)
{
	yaml_parser_t parser;
	yaml_document_t doc, more;
	int result;

	if (!yaml_parser_initialize(&parser))
		return gp_fail(r->err, GP_E_FAILED, "libyaml does not start");
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	if (!yaml_parser_load(&parser, &doc)) {
		not_yaml(r, &parser, text, len);
		yaml_parser_delete(&parser);
		return -1;
	}
	r->doc = &doc;
	result = with(r, rows, base);
	if (result == 0 && !yaml_parser_load(&parser, &more)) {
		result = not_yaml(r, &parser, text, len); /* what stands behind a "..." counts too */
	} else if (result == 0) {
		if (yaml_document_get_root_node(&more))
			result = gp_fail(r->err, GP_E_CONFIG, "%s: holds more than one document", r->label);
		yaml_document_delete(&more);
	}
	yaml_document_delete(&doc);
	yaml_parser_delete(&parser);
	return result;
}

static int read_root(struct reader *r, const struct gp_key *rows, void *base)
{
	yaml_node_t *root = yaml_document_get_root_node(r->doc);
	static const yaml_node_t empty = { .type = YAML_MAPPING_NODE };

	return read_rows(r, root ? root : &empty, NULL, rows, base);
}

/* Defaults are YAML too: a row's default goes the same way, and through the same bounds, as what a person writes. */
static int apply_defaults(struct reader *r, const struct gp_key *rows, void *base)
{
	for (; rows->name; rows++) {
		struct gp_key one[2] = { *rows, { 0 } };
		const char *text;

		one[0].required = false;
		if (rows->type == GP_KEY_GROUP) {
			GP_TRY(apply_defaults(r, rows->group, base));
		} else if (rows->def) {
			text = gp_sprintf(r->arena, "%s: %s", rows->name, rows->def);
			GP_TRY(load_document(r, text, strlen(text), read_root, one, base));
		}
	}
	return 0;
}

int gp_conf_parse(struct gp_arena *arena, const char *label, const char *text, size_t len, const struct gp_key *rows, void *base,
	struct gp_error *err)
{
	struct reader r = { .arena = arena, .label = label, .err = err };

	if (len > GP_CONF_MAX)
		return gp_fail(err, GP_E_CONFIG, "%s is larger than %d KiB", label, GP_CONF_MAX / 1024);
	GP_TRY_TO(err, apply_defaults(&r, rows, base), "default");
	GP_TRY(check_depth(&r, text, len));
	return load_document(&r, text, len, read_root, rows, base);
}

int gp_conf_load(struct gp_arena *arena, const char *path, const struct gp_key *rows, void *base, struct gp_error *err)
{
	const char *text = NULL;
	struct stat st;
	size_t len = 0;
	int found;

	GP_TRY(found = gp_fs_read(arena, path, GP_CONF_MAX, &text, &len, err));
	if (!found) {
		gp_fail(err, GP_E_CONFIG, "there is no %s", path);
		return gp_hint(err, "`goldpath init SLUG --domain D --repo URL` writes it");
	}
	/* Whoever may write this file decides what root does. */
	if (stat(path, &st) == 0 && ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022))) {
		gp_fail(err, GP_E_CONFIG, "%s can be changed by others than root", path);
		return gp_hint(err, "chown root:root %s; chmod 644 %s", path, path);
	}
	return gp_conf_parse(arena, path, text, len, rows, base, err);
}
