/* Writing the commented file that `init` makes, from the rows that read it. */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "conf/rows.h"

static const char *value_of(const struct gp_pairs *pairs, const char *dotted)
{
	for (size_t i = 0; i < pairs->n; i++)
		if (gp_streq(pairs->v[i].key, dotted))
			return pairs->v[i].value;
	return NULL;
}

static bool any_set(const struct gp_pairs *set, const char *group)
{
	for (size_t i = 0; i < set->n; i++)
		if (gp_starts_with(set->v[i].key, group) && set->v[i].key[strlen(group)] == '.')
			return true;
	return false;
}

/* What a new file says: the keys that are set, and what to show for those that are not. */
struct document {
	struct gp_arena *arena;
	struct gp_buf out;
	const struct gp_pairs *set, *derived;
};

static const char *indent_of(struct document *doc, int depth)
{
	return gp_sprintf(doc->arena, "%*s", depth * 2, "");
}

/* A key that is not set stands as a comment: "#ref: main", and in a group that is a comment as a whole "#  workers: 3". */
static void write_key(struct document *doc, const char *dotted, int depth, bool group_set, const struct gp_key *row)
{
	const char *value = value_of(doc->set, dotted), *indent = indent_of(doc, depth);
	const char *shown = row->def ? row->def : value_of(doc->derived, dotted);

	gp_buf_printf(&doc->out, "%s# %s\n", indent, row->help);
	if (value)
		gp_buf_printf(&doc->out, "%s%s: %s\n", indent, row->name, value);
	else if (depth && !group_set)
		gp_buf_printf(&doc->out, "#%s%s: %s\n", indent, row->name, shown ? shown : "");
	else
		gp_buf_printf(&doc->out, "%s#%s: %s\n", indent, row->name, shown ? shown : "");
}

static void write_rows(struct document *doc, const char *group, int depth, bool group_set, const struct gp_key *rows);

/* A group in a group that is a comment is one too; in one that is not, its name must not stand where nothing of it is set. */
static void write_group(struct document *doc, const char *dotted, int depth, bool outer_set, const struct gp_key *row)
{
	bool set = any_set(doc->set, dotted);
	const char *indent = indent_of(doc, depth);

	gp_buf_printf(&doc->out, "%s# %s\n", indent, row->help);
	if (set)
		gp_buf_printf(&doc->out, "%s%s:\n", indent, row->name);
	else if (depth && !outer_set)
		gp_buf_printf(&doc->out, "#%s%s:\n", indent, row->name);
	else
		gp_buf_printf(&doc->out, "%s#%s:\n", indent, row->name);
	write_rows(doc, dotted, depth + 1, set, row->group);
}

static void write_rows(struct document *doc, const char *group, int depth, bool group_set, const struct gp_key *rows)
{
	for (; rows->name; rows++) {
		const char *dotted = group ? gp_sprintf(doc->arena, "%s.%s", group, rows->name) : rows->name;

		if (depth == 0)
			gp_buf_puts(&doc->out, "\n");
		if (rows->type == GP_KEY_GROUP)
			write_group(doc, dotted, depth, group_set, rows);
		else
			write_key(doc, dotted, depth, group_set, rows);
	}
}

const char *gp_conf_document(struct gp_arena *arena, const char *heading, const struct gp_key *rows, const struct gp_pairs *set,
	const struct gp_pairs *derived)
{
	struct document doc = { .arena = arena, .set = set, .derived = derived };
	const char *text;

	gp_buf_puts(&doc.out, heading);
	write_rows(&doc, NULL, 0, false, rows);
	text = gp_strdup(arena, gp_buf_str(&doc.out));
	gp_buf_free(&doc.out);
	return text;
}
