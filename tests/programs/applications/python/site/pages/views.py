import hashlib
import os
import time

from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt


def text(content):
    return HttpResponse(content, content_type="text/plain")


def hello(request):
    return text(f"hello {request.GET['name']}")


@csrf_exempt
def form(request):
    return text(f"form {request.POST['name']}")


@csrf_exempt
def upload(request):
    digest = hashlib.sha256()
    while piece := request.read(65536):
        digest.update(piece)
    return text(digest.hexdigest())


@csrf_exempt
def multipart(request):
    digest = hashlib.sha256()
    for piece in request.FILES["file"].chunks():
        digest.update(piece)
    return text(digest.hexdigest())


def download(request, size):
    return StreamingHttpResponse((b"x" * min(65536, size - start) for start in range(0, size, 65536)), content_type="application/octet-stream")


def cookies(request):
    response = text(request.headers.get("Cookie", ""))
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    return response


def events(request):
    def stream(until):
        yield "data: first\n\n"
        while not os.path.exists(until):
            time.sleep(0.01)
        yield "data: last\n\n"
    return StreamingHttpResponse(stream(request.GET["until"]), content_type="text/event-stream")


def count(request):
    request.session["seen"] = request.session.get("seen", 0) + 1
    return text(f"seen {request.session['seen']}")


def who(request):
    return JsonResponse({"protocol": request.scheme, "host": request.get_host(), "url": request.get_full_path()})


def fail(request):
    raise RuntimeError("on purpose")
