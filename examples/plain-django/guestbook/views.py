from django.contrib import messages
from django.forms import modelform_factory
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from guestbook.models import Entry

EntryForm = modelform_factory(Entry, fields=["name", "message"])


def book(request: HttpRequest) -> HttpResponse:
    """The book, and below the newest fifty entries its next empty line."""
    form = EntryForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        entry = form.save()
        messages.success(request, f"Thank you, {entry.name}.")
        return redirect("book")
    return render(request, "guestbook/book.html", {"entries": Entry.objects.all()[:50], "form": form})
