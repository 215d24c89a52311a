from django.test import TestCase

from guestbook.models import Entry


class BookTests(TestCase):
    def test_an_empty_book(self) -> None:
        self.assertContains(self.client.get("/"), "Nobody has signed yet.")

    def test_signing(self) -> None:
        response = self.client.post("/", {"name": "Ada", "message": "<b>Lovely</b>"}, follow=True)
        self.assertContains(response, "Thank you, Ada.")
        self.assertContains(response, "&lt;b&gt;Lovely&lt;/b&gt;")
        self.assertEqual(Entry.objects.count(), 1)

    def test_an_empty_line_is_not_kept(self) -> None:
        response = self.client.post("/", {"name": "", "message": "x"})
        self.assertContains(response, "This field is required.")
        self.assertFalse(Entry.objects.exists())

    def test_newest_first(self) -> None:
        for name in ("first", "second"):
            Entry.objects.create(name=name, message="-")
        self.assertEqual([entry.name for entry in Entry.objects.all()], ["second", "first"])

    def test_there_is_no_health_page(self) -> None:
        """On purpose: this project stands for those that nobody prepared."""
        self.assertEqual(self.client.get("/health/").status_code, 404)
