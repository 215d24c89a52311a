"""The page types: a home page, sections that list their children, and three kinds of content."""

from typing import Any

from django.core.validators import RegexValidator
from django.db import models
from django.http import HttpRequest
from wagtail.admin.panels import FieldPanel, MultiFieldPanel
from wagtail.fields import StreamField
from wagtail.models import Page, PageQuerySet
from wagtail.search import index

from home.blocks import BodyBlock

is_colour = RegexValidator(r"^#[0-9a-fA-F]{6}$", "A colour such as #2f4a3e.")


class IllustratedPage(Page):
    """What every page of the site has: a picture and a sentence that says what it is about."""

    lead = models.TextField(blank=True, help_text="One or two sentences, shown below the title and in lists.")
    image = models.ForeignKey("wagtailimages.Image", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    content_panels = [*Page.content_panels, FieldPanel("lead"), FieldPanel("image")]
    search_fields = [*Page.search_fields, index.SearchField("lead")]

    class Meta:
        abstract = True


class HomePage(IllustratedPage):
    headline = models.CharField(max_length=120, blank=True)
    closing = models.CharField(max_length=160, blank=True, help_text="The invitation at the foot of the page.")

    parent_page_types = ["wagtailcore.Page"]
    max_count = 1
    content_panels = [
        *Page.content_panels,
        FieldPanel("headline"),
        *IllustratedPage.content_panels[1:],
        FieldPanel("closing"),
    ]

    def get_context(self, request: HttpRequest, *args: Any, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context(request, *args, **kwargs)
        context["projects"] = with_images(ProjectPage.objects.live().descendant_of(self))[:4]
        context["services"] = ContentPage.objects.live().descendant_of(self).exclude(number="")
        context["articles"] = with_images(ArticlePage.objects.live().descendant_of(self).order_by("-date"))[:3]
        return context


class SectionPage(IllustratedPage):
    """A list of its children. What they are decides how they are shown."""

    parent_page_types = ["home.HomePage"]
    subpage_types = ["home.ProjectPage", "home.ContentPage", "home.ArticlePage"]

    def get_context(self, request: HttpRequest, *args: Any, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context(request, *args, **kwargs)
        children = self.get_children().live()
        context["projects"] = with_images(ProjectPage.objects.filter(pk__in=children))
        context["services"] = with_images(ContentPage.objects.filter(pk__in=children))
        context["articles"] = with_images(ArticlePage.objects.filter(pk__in=children).order_by("-date"))
        return context


class ProjectPage(IllustratedPage):
    place = models.CharField(max_length=60)
    year = models.PositiveSmallIntegerField()
    tint = models.CharField(
        max_length=7, default="#d9ddd2", validators=[is_colour], help_text="The kitchen's own colour, behind the title."
    )
    body = StreamField(BodyBlock(), blank=True)

    parent_page_types = ["home.SectionPage"]
    subpage_types: list[str] = []
    content_panels = [
        *IllustratedPage.content_panels,
        MultiFieldPanel([FieldPanel("place"), FieldPanel("year"), FieldPanel("tint")], heading="The kitchen"),
        FieldPanel("body"),
    ]
    search_fields = [*IllustratedPage.search_fields, index.SearchField("place"), index.SearchField("body")]

    def get_context(self, request: HttpRequest, *args: Any, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context(request, *args, **kwargs)
        context["others"] = with_images(ProjectPage.objects.live().sibling_of(self, inclusive=False))[:3]
        return context


class ArticlePage(IllustratedPage):
    date = models.DateField()
    author = models.CharField(max_length=60)
    body = StreamField(BodyBlock(), blank=True)

    parent_page_types = ["home.SectionPage"]
    subpage_types: list[str] = []
    content_panels = [*IllustratedPage.content_panels, FieldPanel("date"), FieldPanel("author"), FieldPanel("body")]
    search_fields = [*IllustratedPage.search_fields, index.SearchField("body")]

    def get_context(self, request: HttpRequest, *args: Any, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context(request, *args, **kwargs)
        others = ArticlePage.objects.live().sibling_of(self, inclusive=False)
        context["others"] = with_images(others.order_by("-date"))[:3]
        return context


class ContentPage(IllustratedPage):
    """A service, when it carries a number; otherwise a page such as «About»."""

    number = models.CharField(max_length=4, blank=True, help_text="Services are numbered; other pages are not.")
    body = StreamField(BodyBlock(), blank=True)

    parent_page_types = ["home.HomePage", "home.SectionPage"]
    subpage_types: list[str] = []
    content_panels = [*IllustratedPage.content_panels, FieldPanel("number"), FieldPanel("body")]
    search_fields = [*IllustratedPage.search_fields, index.SearchField("body")]

    def get_context(self, request: HttpRequest, *args: Any, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context(request, *args, **kwargs)
        others = ContentPage.objects.live().sibling_of(self, inclusive=False).exclude(number="")
        context["others"] = others if self.number else []
        return context


def with_images(pages: PageQuerySet) -> PageQuerySet:
    """Fetch the pictures and their renditions with the pages instead of one by one."""
    return pages.select_related("image").prefetch_related("image__renditions")
