/* Values in a file's text, found by libyaml's marks and written over; whatever else stands there stays. */
#include <string.h>
#include <yaml.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "conf/rows.h"

struct span {
	size_t from, to; /* bytes */
};

/* libyaml counts characters. */
static size_t byte_at(const char *text, size_t len, size_t characters)
{
	size_t i = 0;

	while (i < len && (characters || ((unsigned char)text[i] & 0xc0) == 0x80))
		characters -= ((unsigned char)text[i++] & 0xc0) != 0x80;
	return i;
}

/* Where the last of what a node holds ends. A block's own end is where the next key begins, behind comments that are not its. */
static size_t end_of(yaml_document_t *doc, const yaml_node_t *node)
{
	if (node->type == YAML_SEQUENCE_NODE && node->data.sequence.style != YAML_FLOW_SEQUENCE_STYLE &&
		node->data.sequence.items.top > node->data.sequence.items.start)
		return end_of(doc, yaml_document_get_node(doc, node->data.sequence.items.top[-1]));
	if (node->type == YAML_MAPPING_NODE && node->data.mapping.style != YAML_FLOW_MAPPING_STYLE &&
		node->data.mapping.pairs.top > node->data.mapping.pairs.start)
		return end_of(doc, yaml_document_get_node(doc, node->data.mapping.pairs.top[-1].value));
	return node->end_mark.index;
}

static const yaml_node_t *child(yaml_document_t *doc, const yaml_node_t *node, const char *name, size_t len)
{
	if (!node || node->type != YAML_MAPPING_NODE)
		return NULL;
	for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++) {
		const yaml_node_t *key = yaml_document_get_node(doc, p->key);

		if (key->type == YAML_SCALAR_NODE && key->data.scalar.length == len && memcmp(key->data.scalar.value, name, len) == 0)
			return yaml_document_get_node(doc, p->value);
	}
	return NULL;
}

static const yaml_node_t *find(yaml_document_t *doc, const char *dotted)
{
	const yaml_node_t *node = yaml_document_get_root_node(doc);

	for (;;) {
		size_t len = strcspn(dotted, ".");

		node = child(doc, node, dotted, len);
		if (!node || !dotted[len])
			return node;
		dotted += len + 1;
	}
}

static const char *with(struct gp_arena *arena, const char *text, struct span at, const char *value)
{
	bool glued = at.from && text[at.from - 1] != ' ', ends_line = at.to > at.from && text[at.to - 1] == '\n';

	return gp_sprintf(arena, "%.*s%s%s%s%s", (int)at.from, text, glued ? " " : "", value, ends_line ? "\n" : "", text + at.to);
}

/* The document is read anew for each value, so that no mark is of a text before. */
static int replace(struct gp_arena *arena, const char *label, const char **text, const struct gp_pair *pair, struct gp_error *err)
{
	size_t len = strlen(*text);
	const yaml_node_t *node;
	yaml_parser_t parser;
	yaml_document_t doc;

	if (!yaml_parser_initialize(&parser))
		return gp_fail(err, GP_E_FAILED, "libyaml does not start");
	yaml_parser_set_input_string(&parser, (const unsigned char *)*text, len);
	if (!yaml_parser_load(&parser, &doc)) {
		yaml_parser_delete(&parser);
		return gp_fail(err, GP_E_CONFIG, "%s cannot be read as YAML", label);
	}
	node = find(&doc, pair->key);
	if (node)
		*text = with(arena, *text, (struct span){ byte_at(*text, len, node->start_mark.index), byte_at(*text, len, end_of(&doc, node)) },
			pair->value);
	yaml_document_delete(&doc);
	yaml_parser_delete(&parser);
	return 0;
}

int gp_conf_replace(struct gp_arena *arena, const char *label, const char *text, const struct gp_pairs *values, const char **ret,
	struct gp_error *err)
{
	if (strlen(text) > GP_CONF_MAX)
		return gp_fail(err, GP_E_CONFIG, "%s is larger than %d KiB", label, GP_CONF_MAX / 1024);
	for (size_t i = 0; i < values->n; i++)
		GP_TRY(replace(arena, label, &text, &values->v[i], err));
	*ret = text;
	return 0;
}
