"""Replace Wagtail's welcome page, which has no template here, with an empty home page.

Without this a freshly deployed site would answer its first visitor with an error. The host name
is set by `manage.py seed_demo`, or by hand in the admin.
"""

from django.db import migrations


def create(apps, schema_editor):
    ContentType = apps.get_model("contenttypes", "ContentType")
    HomePage = apps.get_model("home", "HomePage")
    Locale = apps.get_model("wagtailcore", "Locale")
    Page = apps.get_model("wagtailcore", "Page")
    Site = apps.get_model("wagtailcore", "Site")

    kind, _ = ContentType.objects.get_or_create(app_label="home", model="homepage")
    plain, _ = ContentType.objects.get_or_create(app_label="wagtailcore", model="page")
    Site.objects.all().delete()
    Page.objects.filter(content_type=plain, slug="home", depth=2).delete()
    root = Page.objects.get(depth=1)
    home = HomePage.objects.create(
        title="Acme Kitchens",
        draft_title="Acme Kitchens",
        slug="home",
        content_type=kind,
        locale=Locale.objects.first(),
        path=root.path + "0001",
        depth=2,
        numchild=0,
        url_path="/home/",
    )
    root.numchild = 1
    root.save(update_fields=["numchild"])
    Site.objects.create(hostname="localhost", port=80, root_page=home, is_default_site=True, site_name="Acme Kitchens")


def remove(apps, schema_editor):
    apps.get_model("wagtailcore", "Site").objects.all().delete()
    apps.get_model("home", "HomePage").objects.filter(depth=2, slug="home").delete()


class Migration(migrations.Migration):
    dependencies = [("home", "0001_initial")]
    operations = [migrations.RunPython(create, remove)]
