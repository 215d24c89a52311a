"""Fill the site with the demonstration: pictures, pages, the site's address, and if asked an admin."""

import os
from argparse import ArgumentParser
from io import BytesIO
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile
from django.core.files.images import ImageFile
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from wagtail.images import get_image_model
from wagtail.models import Page, Site

from home import demo
from home.drawings import draw
from home.models import ArticlePage, ContentPage, HomePage, ProjectPage, SectionPage
from home.renditions import warm

KINDS: dict[str, type[Page]] = {"project": ProjectPage, "content": ContentPage, "article": ArticlePage}


class Command(BaseCommand):
    help = (
        "Creates the demonstration's pictures and pages and sets the site's host name from SITE_DOMAIN. "
        "Run again, it adds what is missing and leaves alone what is there, edited or not."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--admin",
            metavar="NAME",
            help="also create this administrator, with the password that the variable ADMIN_PASSWORD holds",
        )
        parser.add_argument("--no-warm", action="store_true", help="leave scaling the pictures to the first visitors")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["admin"] and not os.environ.get("ADMIN_PASSWORD"):
            raise CommandError("--admin takes the password from the variable ADMIN_PASSWORD, which is not set.")
        with transaction.atomic():
            pictures = self.draw_pictures()
            pages = self.make_pages(pictures)
            self.set_site()
            if options["admin"]:
                self.make_admin(options["admin"], os.environ["ADMIN_PASSWORD"])
        if pages and not options["no_warm"]:
            self.say(f"renditions: warmed for {warm()} pages")

    def say(self, line: str) -> None:
        self.stdout.write(line)

    def draw_pictures(self) -> dict[str, Any]:
        """Every picture of the demonstration by name, drawn if its record or its file is missing."""
        model = get_image_model()
        found, drawn, restored = {}, 0, 0
        for name, (palette, scene, scene_options, description) in demo.PICTURES.items():
            file_name = f"demo-{name}.jpg"
            image = model.objects.filter(title=f"Demo: {name}").first()
            if image is None:
                data = draw(name, palette, scene, **scene_options)
                image = model(title=f"Demo: {name}", description=description)
                image.file = ImageFile(BytesIO(data), name=file_name)
                image.save()
                drawn += 1
            elif not image.file.storage.exists(image.file.name):
                image.file.storage.save(image.file.name, ContentFile(draw(name, palette, scene, **scene_options)))
                restored += 1
            found[name] = image
        self.say(f"pictures: {drawn} drawn, {restored} restored, {len(found) - drawn - restored} there already")
        return found

    def make_pages(self, pictures: dict[str, Any]) -> int:
        """The page tree. Returns how many pages were made."""
        made = 0
        site = Site.objects.filter(is_default_site=True).select_related("root_page").first()
        home = site.root_page.specific if site else None
        if not isinstance(home, HomePage):
            home = HomePage.objects.first()
        if home is None:
            home = Page.get_first_root_node().add_child(instance=HomePage(title="Acme Kitchens", slug="acme-kitchens"))
            made += 1
        if not home.headline:
            for field, value in demo.HOME.items():
                setattr(home, field, pictures[value] if field == "image" else value)
            home.seo_title = "Acme Kitchens – drawn, built and fitted by the same people"
            home.search_description = home.lead
            home.save_revision().publish()

        for section in demo.SECTIONS:
            parent, new = self.child(
                home, SectionPage, section["slug"], title=section["title"], lead=section["lead"], show_in_menus=True
            )
            made += new
            for entry in section["children"]:
                made += self.child(parent, KINDS[section["kind"]], **self.resolve(entry, pictures))[1]
        for entry in demo.PAGES:
            made += self.child(home, ContentPage, show_in_menus=True, **self.resolve(entry, pictures))[1]
        self.say(f"pages: {made} made, {home.get_descendants(inclusive=True).count() - made} there already")
        return made

    def child(self, parent: Page, kind: type[Page], slug: str, **fields: Any) -> tuple[Page, bool]:
        found = parent.get_children().filter(slug=slug).first()
        if found is not None:
            return found.specific, False
        page = kind(slug=slug, search_description=fields["lead"], **fields)
        parent.add_child(instance=page)
        page.save_revision().publish()
        return page, True

    def resolve(self, entry: dict[str, Any], pictures: dict[str, Any]) -> dict[str, Any]:
        """Names of pictures become pictures, on the page and in its body."""
        fields = {**entry, "image": pictures[entry["image"]]}
        body = []
        for kind, value in entry["body"]:
            if isinstance(value, dict):
                value = {k: pictures[v].pk if k in ("image", "left", "right") else v for k, v in value.items()}
            body.append({"type": kind, "value": value})
        fields["body"] = body
        return fields

    def set_site(self) -> None:
        """The address that Wagtail puts into links and the sitemap."""
        if settings.DEBUG and settings.SITE_DOMAIN == "localhost":
            hostname, port = "localhost", 8000
        else:
            hostname, port = settings.SITE_DOMAIN, 443
        site = Site.objects.filter(is_default_site=True).first() or Site(is_default_site=True)
        wanted = {"hostname": hostname, "port": port, "site_name": "Acme Kitchens"}
        if site.root_page_id is None:
            wanted["root_page"] = HomePage.objects.first()
        changed = [name for name, value in wanted.items() if getattr(site, name, None) != value]
        for name in changed:
            setattr(site, name, wanted[name])
        if changed:
            site.save()
        self.say(f"site: {hostname}:{port}, {'set' if changed else 'as it was'}")

    def make_admin(self, name: str, password: str) -> None:
        users = get_user_model()
        if users.objects.filter(username=name).exists():
            self.say(f"admin: {name} there already, password left as it is")
        else:
            users.objects.create_superuser(name, password=password)
            self.say(f"admin: {name} made")
