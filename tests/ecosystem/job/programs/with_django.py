"""Django by ASGI under uvicorn: asynchronous views beside blocking ones in threads, streaming, and the ORM in a thread, on SQLite."""

import asyncio
import json
import os
import urllib.error
import urllib.request
from pathlib import Path

import load
import stage
from stage import check

PROJECT = '''
import asyncio, os, threading
from pathlib import Path
import django
from django.conf import settings
from django.db import connection, models

settings.configure(
    SECRET_KEY="tests", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"], DEBUG=False,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": Path("db.sqlite3").absolute(), "OPTIONS": {"timeout": 30}}},
    MIDDLEWARE=["project.plain_middleware", "project.async_middleware"],
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
)
django.setup()

from django.core.asgi import get_asgi_application
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.utils.decorators import async_only_middleware
from asgiref.sync import async_to_sync, sync_to_async

class Word(models.Model):
    text = models.CharField(max_length=100)
    class Meta:
        app_label = "words"

def plain_middleware(get_response):
    def middleware(request):
        response = get_response(request)
        response["X-Plain"] = "yes"
        return response
    return middleware

@async_only_middleware
def async_middleware(get_response):
    async def middleware(request):
        await asyncio.sleep(0)
        return await get_response(request)
    return middleware

def here():
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]

async def loop(request):
    return JsonResponse({"loop": here()})

def blocking(request):
    async def inner():
        await asyncio.sleep(0)
        return here()
    # From a thread back into a loop.
    return JsonResponse({"loop": async_to_sync(inner)(), "main": threading.current_thread() is threading.main_thread()})

async def words(request):
    if request.method == "POST":
        await Word.objects.acreate(text=request.body.decode())
    found = [word.text async for word in Word.objects.order_by("id")]
    assert await Word.objects.acount() >= len(found)
    return JsonResponse({"words": found})

async def lines(request):
    async def parts():
        for number in range(1000):
            yield f"line {number}\\n"
    return StreamingHttpResponse(parts())

async def waits(request):
    print("waiting", flush=True)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        print("cancelled", flush=True)
        raise

async def fails(request):
    raise LookupError

urlpatterns = [path(view.__name__, view) for view in (loop, blocking, words, lines, waits, fails)]
application = get_asgi_application()
if not Path("db.sqlite3").exists():
    with connection.schema_editor() as editor:
        editor.create_model(Word)
'''
LOOPS = {"asyncio": "asyncio:SelectorEventLoop", "plait-loop": "plait:new_event_loop", "plait-run": "none"}


def django() -> list[str]:
    Path("project.py").write_text(PROJECT)
    Path("db.sqlite3").unlink(missing_ok=True)
    command = stage.python("-m", "uvicorn", "project:application", "--app-dir", os.getcwd(), "--loop", LOOPS[stage.SIDE], "--lifespan", "off")
    return [*command, "--host", "127.0.0.1", "--port", "0", "--no-use-colors", "--no-access-log"]


@check
async def views_threads_and_middleware() -> None:
    with load.serving(django()) as served:

        async def get(path: str) -> dict[str, object]:
            answer: dict[str, object] = json.loads(await asyncio.to_thread(load.get, f"{served.url}/{path}"))
            return answer

        assert await get("loop") == {"loop": stage.LOOP}
        answers = await asyncio.gather(*(get("blocking") for _ in range(50)))
        # async_to_sync goes back to the loop that the thread was sent from.
        assert all(answer == {"loop": stage.LOOP, "main": False} for answer in answers)
        assert (await asyncio.to_thread(load.get, f"{served.url}/lines")).count(b"\n") == 1000
        try:
            await asyncio.to_thread(load.get, f"{served.url}/fails")
            raise AssertionError("no error")
        except urllib.error.HTTPError as error:
            assert error.code == 500
            error.close()
        assert served.end() in (0, -15)


@check
async def the_orm_from_asynchronous_views() -> None:
    with load.serving(django()) as served:
        for number in range(20):
            request = urllib.request.Request(f"{served.url}/words", data=f"word {number}".encode(), method="POST")
            with await asyncio.to_thread(urllib.request.urlopen, request, timeout=load.PATIENCE) as response:
                assert response.headers["X-Plain"] == "yes"
                assert json.load(response)["words"][-1] == f"word {number}"
        assert len(json.loads(await asyncio.to_thread(load.get, f"{served.url}/words"))["words"]) == 20
        assert served.end() in (0, -15)


@check
async def a_client_that_goes_away_cancels_its_view() -> None:
    with load.serving(django()) as served:
        host, _, port = served.url.removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /waits HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert await asyncio.to_thread(served.said_times, "waiting", 1)
        writer.close()
        await writer.wait_closed()
        assert await asyncio.to_thread(served.said_times, "cancelled", 1)
        assert served.end() in (0, -15)


@check
def under_wrk() -> None:
    with load.serving(django()) as served:
        load.wrk(served.url + "/loop")
        load.wrk(served.url + "/blocking", connections=16)
        assert served.end() in (0, -15)


if __name__ == "__main__":
    stage.go()
