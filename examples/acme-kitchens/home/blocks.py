"""What the body of a page is made of."""

from wagtail import blocks
from wagtail.images.blocks import ImageChooserBlock


class FigureBlock(blocks.StructBlock):
    image = ImageChooserBlock()
    caption = blocks.CharBlock(required=False, max_length=160)

    class Meta:
        icon = "image"
        template = "home/blocks/figure.html"


class PairBlock(blocks.StructBlock):
    left = ImageChooserBlock()
    right = ImageChooserBlock()
    caption = blocks.CharBlock(required=False, max_length=160)

    class Meta:
        icon = "grip"
        template = "home/blocks/pair.html"


class QuoteBlock(blocks.StructBlock):
    text = blocks.TextBlock()
    who = blocks.CharBlock(required=False, max_length=80)

    class Meta:
        icon = "openquote"
        template = "home/blocks/quote.html"


class SwatchBlock(blocks.StructBlock):
    colour = blocks.RegexBlock(regex=r"^#[0-9a-fA-F]{6}$", error_messages={"invalid": "A colour such as #2f4a3e."})
    name = blocks.CharBlock(max_length=40)
    where = blocks.CharBlock(required=False, max_length=60)


class PaletteBlock(blocks.StructBlock):
    swatches = blocks.ListBlock(SwatchBlock())

    class Meta:
        icon = "view"
        template = "home/blocks/palette.html"


class FactsBlock(blocks.StructBlock):
    facts = blocks.ListBlock(
        blocks.StructBlock([("term", blocks.CharBlock(max_length=40)), ("value", blocks.CharBlock(max_length=160))])
    )

    class Meta:
        icon = "list-ul"
        template = "home/blocks/facts.html"


class BodyBlock(blocks.StreamBlock):
    heading = blocks.CharBlock(max_length=120, icon="title", template="home/blocks/heading.html")
    text = blocks.RichTextBlock(features=["bold", "italic", "link", "ol", "ul"], template="home/blocks/text.html")
    figure = FigureBlock()
    pair = PairBlock()
    quote = QuoteBlock()
    palette = PaletteBlock()
    facts = FactsBlock()
