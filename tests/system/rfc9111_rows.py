# SPDX-License-Identifier: BSD-3-Clause
"""RFC 9111 by its sections, as rows of what an origin says, what clients ask, and who answered.

A row is (name, answers, steps). The origin gives the answers in their order, the last one again and
again; the k-th has the body "k". An answer is "status | field | field" (no status: 200), or a
function that writes what it likes before the connection ends. A step is "METHOD /suffix | field |
field => outcome | claim | claim". Outcomes:
  hit     the origin was not asked
  miss    it was asked, without a condition
  valid   it was asked with If-None-Match or If-Modified-Since
Claims of the answer: "404" (status), "body=0", "Name: value" (the last line of that name),
"Name=a, b" (all of them), "Name" (is there), "-Name" (is not), "cut" (it broke off); with ">" in
front: of what the origin was asked. "=>>" has claims alone. "@-60" stands for the date of a minute
ago, "@850-60" and "@c-60" for its two old forms, "{path}" for the row's own. What time does, Age
does here: nothing sleeps. A row with a word for steps is GET => miss, GET => that word.
"""
from harness import V4

M = "Cache-Control: max-age=60"
STALE = "Cache-Control: max-age=60 | Age: 100"  # on arrival; kept only with a validator
TAG = 'ETag: "a"'
NOT_MODIFIED = f"304 | {TAG} | {M}"
STATUSES = (200, 203, 204, 299, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 410, 414,
            451, 499, 500, 501, 502, 503, 504, 599)
HEURISTIC = (200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501)  # RFC 9110 section 15.1
UNSAFE = ("POST", "PUT", "DELETE", "PATCH", "FOO")


def control(value, then, rest=""):
    """What a response with that Cache-Control is good for."""
    return value or "nothing", f"Cache-Control: {value}{rest}", then


def fresh(*values):
    return [control(value, "hit") for value in values]


def stale(*values):
    return [control(value, "miss") for value in values]


def asked(name, field, then, stored="Cache-Control: max-age=1000 | Age: 100"):
    """A stored response, wanted by a request with that field."""
    return name, [f"{stored} | {TAG}", NOT_MODIFIED], ["GET => miss", f"GET | {field} => {then}"]


def invalidates(name, method, answer, then, other=""):
    return (name, [M, answer, M],
            [f"GET {other} => miss", f"GET {other} => hit", f"{method} => miss",
             f"GET {other} => {then}"])


def vary(name, said, first, second, then):
    return (name, f"{M} | Vary: {said}", [f"GET | {first} => miss", f"GET | {first} => hit",
                                          f"GET | {second} => {then}"])


TABLE = {}

TABLE["rfc9111_s3"] = [
    *[(f"status {code}", f"{code} | {M}", [f"GET => miss | {code}", f"GET => hit | {code}"])
      for code in STATUSES],
    *[(f"a response to {method}", M, [f"{method} => miss", "GET => miss", "GET => hit"])
      for method in (*UNSAFE, "OPTIONS", "HEAD")],
    *[(f"a stored response is not for {method}", M, ["GET => miss", f"{method} => miss"])
      for method in (*UNSAFE, "OPTIONS")],
    ("nothing says that it may be", "X-A: 1", "miss"),
    ("nor does public, of something that nobody can validate", "Cache-Control: public", "miss"),
    ("but it does of what can be", [f"Cache-Control: public | {TAG}", f"304 | {TAG}"],
     ["GET => miss", "GET => valid | body=0", "GET => valid | body=0"]),
    ("Expires says so", "Date: @+0 | Expires: @+60", "hit"),
    ("an extension alone does not", "Cache-Control: community=UCI", "miss"),
    ("no-store", "Cache-Control: no-store, max-age=60", "miss"),
    ("private", "Cache-Control: private, max-age=60", "miss"),
    ("a partial one that nobody asked for", f"206 | {M} | Content-Range: bytes 0-0/2",
     ["GET => miss | 206", "GET => miss | 206"]),
    ("must-understand", "Cache-Control: must-understand, no-store, max-age=60", "hit"),
    ("must-understand without no-store", "Cache-Control: must-understand, max-age=60", "hit"),
    ("must-understand of what is not understood",
     "599 | Cache-Control: must-understand, no-store, max-age=60", "miss"),
    ("must-understand does not make private public",
     "Cache-Control: must-understand, private, max-age=60", "miss"),
    ("a GET with an empty body", M, ["GET | Content-Length: 0 => miss", "GET => hit"]),
]

TABLE["rfc9111_s3_1"] = [
    ("fields that are known to nobody", f"{M} | X-A: 1 | Foo-Bar: a b, c | Empty:",
     ["GET => miss", "GET => hit | X-A: 1 | Foo-Bar: a b, c | Empty:"]),
    ("fields that are known", " | ".join([
        M, TAG, "Content-Type: text/x", "Content-Language: de", "Content-Location: /x",
        "Link: </x>", "Expires: @+60", "Last-Modified: @-60", "Warning: 199 - x", "Server: x",
        "Retry-After: 1", "Content-Disposition: attachment", "Pragma: x", "Accept-Ranges: none",
        "Allow: GET", "Strict-Transport-Security: max-age=1", "Content-Security-Policy: x"]),
     ["GET => miss", " | ".join([
         'GET => hit', TAG, "Content-Type: text/x", "Content-Language: de", "Content-Location: /x",
         "Link: </x>", "Expires", "Last-Modified", "Warning: 199 - x", "Server: x",
         "Retry-After: 1", "Content-Disposition: attachment", "Pragma: x", "Accept-Ranges: none",
         "Allow: GET", "Strict-Transport-Security: max-age=1", "Content-Security-Policy: x", M])]),
    ("what Connection names", f"{M} | Connection: X-A, x-b | X-A: 1 | X-B: 2 | X-C: 3",
     ["GET => miss | -X-A | -X-B", "GET => hit | -X-A | -X-B | X-C: 3"]),
    ("what belongs to the hop", " | ".join([
        M, "Keep-Alive: timeout=9", "Proxy-Connection: x", "Upgrade: x/1", "TE: x", "Trailer: X-T",
        "Proxy-Authenticate: Basic", "Proxy-Authentication-Info: x=1", "X-C: 3"]),
     ["GET => miss", "GET => hit | X-C: 3 | -Keep-Alive | -Proxy-Connection | -Upgrade | -TE | "
      "-Trailer | -Proxy-Authenticate | -Proxy-Authentication-Info"]),
    ("Set-Cookie is its first client's", f"Cache-Control: public, max-age=60 | Set-Cookie: s=1",
     ["GET => miss | Set-Cookie: s=1", "GET => hit | -Set-Cookie"]),
    ("Content-Length is that of the body", M, ["GET => miss", "GET => hit | Content-Length: 1"]),
    ("lines of one name in their order", f"{M} | X-A: 1 | x-a: 2 | X-A: 1",
     ["GET => miss | X-A=1, 2, 1", "GET => hit | X-A=1, 2, 1"]),
    ("bytes beyond ASCII", f"{M} | X-A: \u00e9\u00ff",
     ["GET => miss", "GET => hit | X-A: \u00e9\u00ff"]),
    ("a Date where there was none (RFC 9110 section 6.6.1)", M,
     ["GET => miss | Date", "GET => hit | Date"]),
]

TABLE["rfc9111_s3_2"] = [
    ("a 304's fields replace and add", [
        f"{STALE} | {TAG} | X-A: 1 | X-B: 1 | Content-Type: a/b | Expires: @-5",
        f"304 | {TAG} | {M} | X-A: 2 | X-C: 3 | Content-Type: c/d | Expires: @+90"],
     ["GET => miss", "GET => valid | 200 | body=0 | X-A: 2 | X-B: 1 | X-C: 3 | Content-Type: c/d",
      f"GET => hit | 200 | body=0 | X-A: 2 | X-B: 1 | X-C: 3 | Content-Type: c/d | {M} | {TAG}"]),
    ("but not Content-Length, nor what the stored bytes are", [
        f"{STALE} | {TAG} | Content-Encoding: x-a",
        f"304 | {TAG} | {M} | Content-Length: 77 | Content-Encoding: x-b | "
        "Content-Range: bytes 0-0/1"],
     ["GET => miss", "GET => valid | body=0 | Content-Length: 1 | Content-Encoding: x-a | "
      "-Content-Range", "GET => hit | body=0 | Content-Length: 1 | Content-Encoding: x-a"]),
    ("what belongs to the hop stays out", [
        f"{STALE} | {TAG}",
        f"304 | {TAG} | {M} | Connection: X-A | X-A: 1 | Keep-Alive: timeout=3 | "
        "Proxy-Authenticate: Basic"],
     ["GET => miss", "GET => valid | -X-A | -Keep-Alive | -Proxy-Authenticate",
      "GET => hit | -X-A | -Keep-Alive | -Proxy-Authenticate"]),
    ("all lines of a name are replaced", [
        f"{STALE} | {TAG} | X-A: 1 | X-A: 2", f"304 | {TAG} | {M} | X-A: 3"],
     ["GET => miss", "GET => valid | X-A=3", "GET => hit | X-A=3"]),
    ("freshness is that of the update", [
        f"{STALE} | {TAG}", f"304 | {TAG} | Cache-Control: max-age=60 | Age: 59", NOT_MODIFIED],
     ["GET => miss", "GET => valid", "GET | Cache-Control: min-fresh=5 => valid"]),
    ("Set-Cookie is for who asked", [
        f"Cache-Control: public, max-age=60 | Age: 100 | {TAG}",
        f"304 | {TAG} | Cache-Control: public, max-age=60 | Set-Cookie: s=1"],
     ["GET => miss", "GET => valid | Set-Cookie: s=1 | body=0", "GET => hit | -Set-Cookie"]),
    ("it may forbid to store", [
        f"{STALE} | {TAG}", f"304 | {TAG} | Cache-Control: no-store", M],
     ["GET => miss", "GET => valid | 200 | body=0", "GET => miss | body=2 | >-If-None-Match"]),
    ("it may make it private", [
        f"{STALE} | {TAG}", f"304 | {TAG} | Cache-Control: private, max-age=60", M],
     ["GET => miss", "GET => valid | 200 | body=0", "GET => miss | body=2"]),
]


def cut(head, sent):
    """An answer that breaks off."""
    return lambda conn: conn.sendall(f"HTTP/1.1 200 OK\r\n{M}\r\n{head}\r\n\r\n{sent}".encode())


TABLE["rfc9111_s3_3"] = [
    ("fewer bytes than Content-Length", [cut("Content-Length: 9", "1234"), M],
     ["GET => miss | cut", "GET => miss | body=1", "GET => hit | body=1"]),
    ("chunks without an end", [cut("Transfer-Encoding: chunked", "4\r\n1234\r\n"), M],
     ["GET => miss | cut", "GET => miss | body=1", "GET => hit | body=1"]),
    ("a part of a chunk", [cut("Transfer-Encoding: chunked", "9\r\n1234"), M],
     ["GET => miss | cut", "GET => miss | body=1"]),
    ("what the end of the connection ends is complete", [cut("Connection: close", "1234"), M],
     ["GET => miss | body=1234", "GET => hit | body=1234"]),
]

TABLE["rfc9111_s3_4"] = [
    ("a range is served of what is stored whole", M,
     ["GET => miss", "GET | Range: bytes=0-0 => hit | 206 | Content-Range: bytes 0-0/1",
      "GET | Range: bytes=5- => hit | 416"]),
    ("for a range the whole is fetched", M,
     ["GET | Range: bytes=0-0 => miss | 206 | >-Range", "GET => hit | 200"]),
]

ALICE, BOB = "Authorization: Basic YTph", "Authorization: Basic Yjpi"
TABLE["rfc9111_s3_5"] = [
    ("what was answered to Authorization is not for others", M,
     [f"GET | {ALICE} => miss", "GET => miss", "GET => hit", f"GET | {BOB} => miss"]),
    ("nor for itself", M, [f"GET | {ALICE} => miss"] * 2),
    *[(f"{value} allows it", f"Cache-Control: {value}",
       [f"GET | {ALICE} => miss", "GET => hit", f"GET | {BOB} => hit"])
      for value in ("public, max-age=60", "s-maxage=60", "must-revalidate, max-age=60")],
    *[(f"{value}, stored for all, is for who authorizes", f"Cache-Control: {value}",
       ["GET => miss", f"GET | {ALICE} => hit", "GET => hit"])
      for value in ("public, max-age=60", "s-maxage=60", "must-revalidate, max-age=60")],
]

TABLE["rfc9111_s4"] = [
    ("a hit has an Age", M, ["GET => miss", "GET => hit | Age: 0"]),
    ("also of what was old when it came", "Cache-Control: max-age=1000 | Age: 100",
     ["GET => miss | Age: 100", "GET => hit | Age: 100"]),
    ("also of what is not stored", "Cache-Control: no-store | Age: 100",
     ["GET => miss | Age: 100"]),
    ("the origin's Date stays", f"{M} | Date: @-5", ["GET => miss | Date: @-5",
                                                    "GET => hit | Date: @-5"]),
    ("query and path are the key's", M,
     ["GET /a?x=1 => miss", "GET /a?x=2 => miss", "GET /a => miss", "GET /A => miss",
      "GET /a?x=1 => hit", "GET /a => hit"]),
    ("so is the host", M, ["GET | Host: a.example => miss", "GET | Host: b.example => miss",
                           "GET | Host: A.example:80 => hit"]),
    ("unsafe methods are written through", M, ["GET => miss"] + [f"{m} => miss" for m in UNSAFE]),
    ("HEAD of what is stored", M, ["GET => miss", "HEAD => hit | Content-Length: 1 | body="]),
    ("a request for something partial of an error", f"404 | {M}",
     ["GET => miss", "GET | Range: bytes=0-0 => hit | 404"]),
    ("Cookie is no part of the key", M, ["GET | Cookie: a=1 => miss", "GET | Cookie: a=2 => hit"]),
]

TABLE["rfc9111_s4_1"] = [
    vary("the same value", "X-A", "X-A: 1", "X-A: 1", "hit"),
    vary("another value", "X-A", "X-A: 1", "X-A: 2", "miss"),
    vary("case of a value", "X-A", "X-A: a", "X-A: A", "miss"),
    vary("not there any more", "X-A", "X-A: 1", "X-B: 1", "miss"),
    vary("there now", "X-A", "X-B: 1", "X-A: 1", "miss"),
    vary("empty is not absent", "X-A", "X-A:", "X-B: 1", "miss"),
    vary("neither has it", "X-A", "X-B: 1", "X-B: 2", "hit"),
    vary("a name in another case", "x-a", "X-A: 1", "X-a: 1", "hit"),
    vary("two names, both match", "X-A, X-B", "X-A: 1 | X-B: 2", "X-B: 2 | X-A: 1", "hit"),
    vary("two names, one differs", "X-A, X-B", "X-A: 1 | X-B: 2", "X-A: 1 | X-B: 1", "miss"),
    vary("two lines of Vary", "X-A | Vary: X-B", "X-A: 1 | X-B: 2", "X-A: 1 | X-B: 1", "miss"),
    vary("odd spacing", ", X-A ,,\tX-B,", "X-A: 1 | X-B: 2", "X-A: 1 | X-B: 1", "miss"),
    vary("the same name twice", "X-A, x-a", "X-A: 1", "X-A: 1", "hit"),
    vary("white space around a value", "X-A", "X-A: 1", "X-A:   1  ", "hit"),
    vary("two lines are one list", "X-A", "X-A: 1 | X-A: 2", "X-A: 1, 2", "hit"),
    vary("in their order", "X-A", "X-A: 1 | X-A: 2", "X-A: 2 | X-A: 1", "miss"),
    vary("lists of languages", "Accept-Language", "Accept-Language: en, de;q=0.5",
         "Accept-Language: EN,de;q=0.5", "hit"),
    vary("other languages", "Accept-Language", "Accept-Language: en, de", "Accept-Language: de, en",
         "miss"),
    vary("lists of codings", "Accept-Encoding", "Accept-Encoding: gzip, br",
         "Accept-Encoding: gzip | Accept-Encoding: BR", "hit"),
    vary("Cookie", "Cookie", "X-A: 1", "Cookie: a=1", "miss"),
    *[(f"Vary: {value}", f"{M} | Vary: {value}", "miss")
      for value in ("*", "*, X-A", "X-A, *", ", *", "X-A | Vary: *", "* | Vary: *")],
    *[(f"{name} differs by client", f"{M} | Vary: {name}", "miss")
      for name in ("X-Forwarded-For", "Forwarded", "X-A, forwarded")],
    ("what is not forwarded selects nothing", f"{M} | Vary: X-A",
     ["GET | Connection: X-A | X-A: 1 => miss | >-X-A", "GET | X-A: 1 => miss",
      "GET => hit | body=0", "GET | Connection: X-A | X-A: 2 => hit | body=0"]),
    ("variants live beside each other", f"{M} | Vary: X-A",
     ["GET | X-A: 1 => miss", "GET | X-A: 2 => miss", "GET | X-A: 1 => hit | body=0",
      "GET | X-A: 2 => hit | body=1"]),
    ("a variant of its own Vary", [f"{M} | Vary: X-A", f"{M} | Vary: X-B"],
     ["GET | X-A: 1 | X-B: 1 => miss", "GET | X-A: 2 | X-B: 1 => miss",
      "GET | X-A: 2 | X-B: 1 => hit | body=1", "GET | X-A: 3 | X-B: 1 => hit | body=1"]),
    *[(f"of those that match the latest: {name}",
       [f"{M} | Vary: X-A | Date: @{first}", f"{M} | Date: @{second}"],
       ["GET | X-A: 1 => miss", "GET | X-A: 2 => miss", f"GET | X-A: 1 => hit | body={body}",
        "GET | X-A: 2 => hit | body=1"])
      for name, first, second, body in (
          ("it came last", -9, -1, 1), ("it came first", -1, -9, 0), ("both are", -5, -5, 1),
          ("dates that are still to come", 500, 400, 1))],
]

TABLE["rfc9111_s4_2"] = [
    ("dates in another zone", "Expires: @est+7200", "miss"),
    ("old while its age is its lifetime", "Cache-Control: max-age=60 | Age: 60", "miss"),
    ("fresh below that", "Cache-Control: max-age=60 | Age: 50", "hit"),
    ("what is stale and has a validator is validated",
     [f"{STALE} | {TAG}", NOT_MODIFIED], "valid"),
]

TABLE["rfc9111_s4_2_1"] = [
    *fresh("max-age=60", "s-maxage=60", "max-age=0, s-maxage=60", "s-maxage=60, max-age=0",
           "max-age=60, max-age=60", "max-age=060", "max-age=0000000000000000000000060"),
    *stale("max-age=0", "s-maxage=0, max-age=60", "max-age=60, s-maxage=0", "max-age=-60",
           "max-age=60.5", "max-age=1e3", "max-age=a", "max-age=60a", "max-age=", "max-age",
           "max-age=0x60", "max-age='60'", "max-age=60 60", "max-age=6 0", "max-age==60",
           "max-age=+60", "max-age: 60", "max-age=60;x=1", "max-age=60, max-age=0",
           "max-age=0, max-age=60", "max-age=60 | Cache-Control: max-age=0",
           "max-age=0 | Cache-Control: max-age=60", "s-maxage=x, max-age=60", "max-age =60",
           "max-age= 60", "max-age = 60"),
    ("max-age before Expires", "Cache-Control: max-age=60 | Expires: @-60", "hit"),
    ("max-age=0 too", "Cache-Control: max-age=0 | Expires: @+60", "miss"),
    ("s-maxage before Expires", "Cache-Control: s-maxage=60 | Expires: @-60", "hit"),
    ("an invalid max-age does not fall back", "Cache-Control: max-age=x | Expires: @+60", "miss"),
    ("Expires counts from Date", "Date: @-30 | Expires: @+30 | Age: 40", "hit"),
    ("a clock that is slow", "Date: @-3600 | Expires: @-3540", "miss"),
    ("a clock that is fast", "Date: @+3600 | Expires: @+3660", "hit"),
    ("Expires before a fast clock's Date", "Date: @+3600 | Expires: @+3000", "miss"),
    ("Expires like Date", "Date: @+0 | Expires: @+0", "miss"),
    ("of two Expires not the later", "Date: @+0 | Expires: @-5 | Expires: @+60", "miss"),
    ("Expires without Date", "Expires: @+60", "hit"),
    ("an invalid Date", "Date: x | Expires: @+60", "hit"),
]

TABLE["rfc9111_s4_2_2"] = [
    *[(f"of status {code}", f"{code} | Last-Modified: @-864000 | Date: @+0", "hit")
      for code in HEURISTIC],
    *[(f"not of status {code}", f"{code} | Last-Modified: @-864000 | Date: @+0", "miss")
      for code in STATUSES if code not in HEURISTIC],
    *[(f"of status {code} when it is public",
       f"{code} | Cache-Control: public | Last-Modified: @-864000", "hit")
      for code in (302, 403, 499, 503, 599)],
    ("a tenth of the time since", "Last-Modified: @-1000 | Date: @+0 | Age: 90", "hit"),
    ("no more", "Last-Modified: @-1000 | Date: @+0 | Age: 110", "valid"),
    ("a day at most", "Last-Modified: @-8640000 | Date: @+0 | Age: 86300", "hit"),
    ("no more than that", "Last-Modified: @-8640000 | Date: @+0 | Age: 86500", "valid"),
    ("never where something explicit is said",
     "Cache-Control: max-age=0 | Last-Modified: @-864000", "valid"),
    ("nor where it is invalid", "Cache-Control: max-age=x | Last-Modified: @-864000", "valid"),
    ("nor with an Expires that is none", "Expires: 0 | Last-Modified: @-864000", "valid"),
    ("not from the future", "Last-Modified: @+1000 | Date: @+0", "miss"),
    ("nor from what is no date", "Last-Modified: yesterday", "miss"),
    ("with a query too", "Last-Modified: @-864000 | Date: @+0",
     ["GET /?a=1 => miss", "GET /?a=1 => hit"]),
]

TABLE["rfc9111_s4_2_3"] = [
    ("Age", "Cache-Control: max-age=60 | Age: 61", "miss"),
    ("Date", "Cache-Control: max-age=60 | Date: @-61", "miss"),
    ("the larger of both", "Cache-Control: max-age=60 | Date: @-10 | Age: 61", "miss"),
    ("either way", "Cache-Control: max-age=60 | Date: @-61 | Age: 10", "miss"),
    ("and below it", "Cache-Control: max-age=60 | Date: @-20 | Age: 20",
     ["GET => miss", "GET => hit | Age: 20"]),
    ("what Date tells is told", "Cache-Control: max-age=900 | Date: @-100",
     ["GET => miss", "GET => hit | Age: 100"]),
    ("a Date ahead is no age", "Cache-Control: max-age=60 | Date: @+500",
     ["GET => miss", "GET => hit | Age: 0"]),
]

TABLE["rfc9111_s4_2_4"] = [
    ("nothing is served stale by itself", STALE, "miss"),
    *[(f"{value} forbids it", [f"Cache-Control: {value}, max-age=60 | Age: 100 | {TAG}",
                               NOT_MODIFIED],
       ["GET => miss", "GET | Cache-Control: max-stale => valid"])
      for value in ("must-revalidate", "proxy-revalidate", "s-maxage=60", "no-cache",
                    "must-revalidate, stale-while-revalidate=900",
                    "proxy-revalidate, stale-while-revalidate=900",
                    "s-maxage=60, stale-while-revalidate=900",
                    "no-cache, stale-while-revalidate=900")],
    ("a client may allow it", STALE + " | " + TAG,
     ["GET => miss", "GET | Cache-Control: max-stale => hit | Age: 100"]),
    ("disconnected: must-revalidate is an error",
     [f"Cache-Control: must-revalidate, max-age=60, stale-if-error=900 | Age: 100 | {TAG}",
      lambda conn: None], ["GET => miss", "GET =>> 504"]),
    ("disconnected: stale-if-error is none",
     [f"Cache-Control: max-age=60, stale-if-error=900 | Age: 100 | {TAG}", lambda conn: None],
     ["GET => miss", "GET =>> 200 | body=0 | Age: 100"]),
    ("disconnected: no-cache is an error", [f"Cache-Control: no-cache | {TAG}", lambda conn: None],
     ["GET => miss", "GET =>> 504"]),
    ("an error of the origin's is passed on",
     [f"Cache-Control: must-revalidate, max-age=60, stale-if-error=900 | Age: 100 | {TAG}", "503"],
     ["GET => miss", "GET => valid | 503"]),
]

TABLE["rfc9111_s4_3_1"] = [
    ("ETag", [f"{STALE} | {TAG}", NOT_MODIFIED],
     ["GET => miss", 'GET => valid | >If-None-Match: "a" | >-If-Modified-Since | 200 | body=0',
      "GET => hit | body=0"]),
    ("a weak ETag", [f'{STALE} | ETag: W/"a"', f'304 | ETag: W/"a" | {M}'],
     ["GET => miss", 'GET => valid | >If-None-Match: W/"a" | body=0', "GET => hit"]),
    ("Last-Modified", [f"{STALE} | Last-Modified: @-5000", f"304 | {M}"],
     ["GET => miss", "GET => valid | >If-Modified-Since: @-5000 | >-If-None-Match | body=0",
      "GET => hit"]),
    ("both", [f"{STALE} | {TAG} | Last-Modified: @-5000", NOT_MODIFIED],
     ["GET => miss", 'GET => valid | >If-None-Match: "a" | >If-Modified-Since: @-5000']),
    ("no validator, no condition", [STALE], ["GET => miss", "GET => miss"]),
    ("the client's own condition is not the origin's", [f"{STALE} | {TAG}", NOT_MODIFIED],
     ["GET => miss", 'GET | If-None-Match: "x" => valid | >If-None-Match: "a" | 200 | body=0']),
    ("the variant's validator", [f'{STALE} | Vary: X-A | {TAG}', f'{STALE} | Vary: X-A | ETag: "b"',
                                 f'304 | ETag: "b" | {M} | Vary: X-A'],
     ["GET | X-A: 1 => miss", "GET | X-A: 2 => miss",
      'GET | X-A: 2 => valid | >If-None-Match: "b" | body=1', "GET | X-A: 2 => hit | body=1"]),
]

TABLE["rfc9111_s4_3_2"] = [
    ("If-None-Match", f"{M} | {TAG}",
     ["GET => miss", 'GET | If-None-Match: "a" => hit | 304 | ETag: "a" | body=',
      'GET | If-None-Match: W/"a" => hit | 304', 'GET | If-None-Match: * => hit | 304',
      'GET | If-None-Match: "b", "a" => hit | 304', 'GET | If-None-Match: "b" => hit | 200',
      'HEAD | If-None-Match: "a" => hit | 304',
      'GET | If-None-Match: "b" | If-None-Match: "a" => hit | 304']),
    ("a weak stored one", f'{M} | ETag: W/"a"',
     ["GET => miss", 'GET | If-None-Match: "a" => hit | 304',
      'GET | If-None-Match: W/"a" => hit | 304']),
    ("If-Modified-Since", f"{M} | Last-Modified: @-500",
     ["GET => miss", "GET | If-Modified-Since: @-500 => hit | 304",
      "GET | If-Modified-Since: @-400 => hit | 304", "GET | If-Modified-Since: @-600 => hit | 200",
      "GET | If-Modified-Since: x => hit | 200", "GET | If-Modified-Since: @850-500 => hit | 304"]),
    ("If-None-Match goes before If-Modified-Since", f"{M} | {TAG} | Last-Modified: @-500",
     ["GET => miss", 'GET | If-None-Match: "b" | If-Modified-Since: @-400 => hit | 200',
      'GET | If-None-Match: "a" | If-Modified-Since: @-900 => hit | 304']),
    ("without Last-Modified by Date", f"{M} | Date: @-30",
     ["GET => miss", "GET | If-Modified-Since: @-10 => hit | 304",
      "GET | If-Modified-Since: @-200 => hit | 200"]),
    ("not of what is no 200", f"404 | {M} | {TAG}",
     ["GET => miss", 'GET | If-None-Match: "a" => hit | 404']),
    ("what is validated answers too", [f"{STALE} | {TAG}", NOT_MODIFIED],
     ["GET => miss", 'GET | If-None-Match: "a" => valid | 304', "GET => hit | 200"]),
    ("If-Match is the origin's", f"{M} | {TAG}",
     ["GET => miss", 'GET | If-Match: "b" => hit | 200']),
]

TABLE["rfc9111_s4_3_3"] = [
    ("another response replaces", [f"{STALE} | {TAG}", f'{M} | ETag: "b"'],
     ["GET => miss", "GET => valid | 200 | body=1", 'GET => hit | body=1 | ETag: "b"']),
    ("also one that may not be stored", [f"{STALE} | {TAG}", "Cache-Control: no-store", M],
     ["GET => miss", "GET => valid | body=1", "GET => miss | body=2 | >-If-None-Match"]),
    ("an error is passed on", [f"{STALE} | {TAG}", "503", NOT_MODIFIED],
     ["GET => miss", "GET => valid | 503", "GET => valid | 200 | body=0"]),
    ("another response answers the client's condition", [f"{STALE} | {TAG}", f'{M} | ETag: "b"'],
     ["GET => miss", 'GET | If-None-Match: "b" => valid | 304', 'GET => hit | 200 | body=1']),
    ("a redirect replaces", [f"{STALE} | {TAG}", f"301 | {M} | Location: /x"],
     ["GET => miss", "GET => valid | 301", "GET => hit | 301"]),
]

TABLE["rfc9111_s4_3_4"] = [
    ("a 304 freshens", [f"{STALE} | {TAG}", NOT_MODIFIED],
     ["GET => miss", "GET => valid | 200 | body=0", "GET => hit | body=0 | Age: 0"]),
    ("what it does not say stays", [f"{STALE} | {TAG}", f"304 | {TAG}"],
     ["GET => miss", "GET => valid | body=0", f"GET => hit | body=0 | {M} | Age: 0"]),
    ("a 304 without validator is about what was asked for", [f"{STALE} | {TAG}", f"304 | {M}"],
     ["GET => miss", "GET => valid | 200 | body=0", "GET => hit | body=0"]),
    ("a weak validator", [f'{STALE} | ETag: W/"a"', f'304 | ETag: W/"a" | {M}'],
     ["GET => miss", "GET => valid | 200 | body=0", "GET => hit | body=0"]),
    ("a 304 with another strong validator updates nothing",
     [f"{STALE} | {TAG}", f'304 | ETag: "b" | {M}', f'{M} | ETag: "b"'],
     ["GET => miss", "GET =>> 200 | body=2", "GET => hit | body=2"]),
    ("of the variants the one that it names", [f'{STALE} | Vary: X-A | {TAG}',
                                              f'{STALE} | Vary: X-A | ETag: "b"',
                                              f'304 | ETag: "b" | {M} | Vary: X-A',
                                              f'304 | ETag: "a" | {M} | Vary: X-A'],
     ["GET | X-A: 1 => miss", "GET | X-A: 2 => miss", "GET | X-A: 2 => valid | body=1",
      "GET | X-A: 1 => valid | body=0", "GET | X-A: 1 => hit", "GET | X-A: 2 => hit"]),
]

TABLE["rfc9111_s4_3_5"] = [
    ("HEAD freshens", [f"{STALE} | {TAG} | X-A: 1 | X-B: 1", f"{M} | {TAG} | X-A: 2"],
     ["GET => miss", "HEAD =>> 200", "GET => hit | body=0 | X-A: 2 | X-B: 1"]),
    ("by Last-Modified too", [f"{STALE} | Last-Modified: @-50", f"{M} | Last-Modified: @-50"],
     ["GET => miss", "HEAD =>> 200", "GET => hit | body=0"]),
    ("another ETag makes it stale", [f"Cache-Control: max-age=600 | Age: 1 | {TAG}",
                                     f'{M} | ETag: "b"', f'{M} | ETag: "b"'],
     ["GET => miss", "HEAD | Cache-Control: no-cache =>> 200", "GET => valid | body=2"]),
    ("another length makes it stale", [f"Cache-Control: max-age=600 | Age: 1 | {TAG}",
                                       f"{M} | {TAG} | Content-Length: 9", f"{M} | {TAG}"],
     ["GET => miss", "HEAD | Cache-Control: no-cache =>> 200", "GET => valid"]),
    ("a HEAD that failed says nothing", [f"Cache-Control: max-age=600 | {TAG}", "503"],
     ["GET => miss", "HEAD | Cache-Control: no-cache =>> 503", "GET => hit | 200"]),
]

TABLE["rfc9111_s4_4"] = [
    *[invalidates(f"{method} {status}", method, status, "miss") for method in UNSAFE
      for status in ("200", "204", "303")],
    *[invalidates(f"{method} that failed with {status}", method, status, "hit")
      for method in UNSAFE for status in ("400", "404", "500")],
    invalidates("OPTIONS is safe", "OPTIONS", "200", "hit"),
    *[invalidates(f"{field}: {value}", method, f"201 | {field}: {value}", "miss", "/other")
      for method in ("POST", "FOO") for field in ("Location", "Content-Location")
      for value in ("{path}/other", f"http://{V4}{{path}}/other", f"//{V4}{{path}}/other",
                    f"HTTP://{V4}:80{{path}}/x/../other")],
    *[invalidates(f"{field} elsewhere: {value}", "POST", f"201 | {field}: {value}", "hit", "/other")
      for field in ("Location", "Content-Location")
      for value in ("http://other.example{path}/other", f"http://{V4}:81{{path}}/other",
                    f"https://{V4}{{path}}/other")],
    *[(f"{field}, relative: {value}", [M, f"201 | {field}: {value}", M],
       ["GET /d/other => miss", "GET /d/other => hit", "POST /d/new?a=1 => miss",
        "GET /d/other => miss"])
      for field in ("Location", "Content-Location") for value in ("other", "./x/../other#a")],
    ("all variants go", [f"{M} | Vary: X-A", f"{M} | Vary: X-A", "200", M],
     ["GET | X-A: 1 => miss", "GET | X-A: 2 => miss", "POST => miss", "GET | X-A: 1 => miss",
      "GET | X-A: 2 => hit | body=3"]),
    ("another query is another target", [M, "200"],
     ["GET /?a=1 => miss", "POST /?a=2 => miss", "GET /?a=1 => hit"]),
]

TABLE["rfc9111_s5_1"] = [
    *[(f"Age: {value} is ignored", f"Cache-Control: max-age=60 | Age: {value}",
       ["GET => miss", "GET => hit | Age: 0"])
      for value in ("-100", "x", "100x", "x100", "100.0", "0x100", '"100"', "100;a=1", "1e3", "",
                    "+100", "100 100", "x, 100")],
    *[(f"Age: {value}", f"Cache-Control: max-age=60 | Age: {value}", then) for value, then in (
        ("100", "miss"), ("00100", "miss"), ("100, 0", "miss"), ("0, 100", "hit"),
        ("100 | Age: 0", "miss"), ("0 | Age: 100", "hit"), ("2147483647", "miss"),
        ("2147483648", "miss"), ("4294967296", "miss"), ("4294967297", "miss"),
        ("18446744073709551617", "miss"), ("9" * 40, "miss"))],
    ("as large as it gets", f"Cache-Control: max-age=9999999999 | Age: 9999999999 | {TAG}",
     ["GET => miss", "GET | Cache-Control: max-stale => hit | Age: 2147483648"]),
]

TABLE["rfc9111_s5_2"] = [
    *fresh("MAX-AGE=60", "Max-Age=60", 'max-age="60"', "max-age=60, foo", "foo, max-age=60",
           "foo=bar, max-age=60", 'foo="max-age=0", max-age=60', 'max-age=60, foo="max-age=0"',
           'foo="a, no-store", max-age=60', 'foo="\\"", max-age=60',
           'foo="\\", no-store", max-age=60', ",max-age=60,", " , ,max-age=60\t,",
           "max-age=60,foo=", "max-age=60, =", "foo; max-age=60, max-age=60",
           "foo | Cache-Control: max-age=60", "max-age=60 | Cache-Control: foo",
           "max-age=2147483647", "max-age=2147483648", "max-age=4294967296",
           "max-age=18446744073709551616", "max-age=" + "9" * 60, "x-no-store, max-age=60",
           "no-store-x, max-age=60", "xmax-age=0, max-age=60"),
    *stale("max-age=60, NO-STORE", "max-age=60,no-store", "max-age=60 ,\tno-store ",
           "max-age=60 | Cache-Control: no-store", "no-store | Cache-Control: max-age=60",
           'max-age="0"', 'max-age="60', 'max-age="6\\0x"', "no-store=1, max-age=60",
           'max-age=60, no-store=""', "max-age=60, foo, , ,no-store", "max-age=60, Private",
           'foo="bar, max-age=60, no-store'),
]

TABLE["rfc9111_s5_2_1_1"] = [
    asked("younger", "Cache-Control: max-age=200", "hit"),
    asked("as old", "Cache-Control: max-age=105", "hit"),
    asked("older", "Cache-Control: max-age=50", "valid"),
    asked("0", "Cache-Control: max-age=0", "valid"),
    asked("0 of what is new", "Cache-Control: max-age=0", "valid", M),
    asked("invalid", "Cache-Control: max-age=x", "valid"),
    asked("quoted", 'Cache-Control: max-age="200"', "hit"),
    asked("huge", "Cache-Control: max-age=99999999999999999999", "hit"),
    asked("no stale ones", "Cache-Control: max-age=2000", "valid",
          "Cache-Control: max-age=60, stale-while-revalidate=9000 | Age: 100"),
]
TABLE["rfc9111_s5_2_1_2"] = [
    asked(f"{value} of 40 s", f"Cache-Control: max-stale{value}", then, STALE)
    for value, then in (("", "hit"), ("=100", "hit"), ("=20", "valid"), ("=0", "valid"),
                        ("=x", "valid"), ('="100"', "hit"), ("=99999999999999", "hit"),
                        (", max-age=200", "hit"), (", max-age=80", "valid"),
                        (", no-cache", "valid"), (", min-fresh=1", "valid"))]
TABLE["rfc9111_s5_2_1_3"] = [
    asked("enough", "Cache-Control: min-fresh=800", "hit"),
    asked("too little", "Cache-Control: min-fresh=950", "valid"),
    asked("invalid", "Cache-Control: min-fresh=x", "valid"),
    asked("0", "Cache-Control: min-fresh=0", "hit"),
    asked("huge", "Cache-Control: min-fresh=99999999999999999999", "valid"),
]
TABLE["rfc9111_s5_2_1_4"] = [
    asked("no-cache", "Cache-Control: no-cache", "valid"),
    asked("in another case", "Cache-Control: x,, NO-CACHE", "valid"),
    ("without a validator", M, ["GET => miss", "GET | Cache-Control: no-cache => miss | body=1",
                                "GET => hit | body=1"]),
]
TABLE["rfc9111_s5_2_1_5"] = [
    ("no-store is not stored", M,
     ["GET | Cache-Control: no-store => miss", "GET => miss | body=1", "GET => hit | body=1"]),
    ("nor does it disturb", M, ["GET => miss", "GET | Cache-Control: no-store =>> 200",
                                "GET => hit | body=0"]),
]
TABLE["rfc9111_s5_2_1_6"] = [
    ("no-transform changes nothing here", M,
     ["GET | Cache-Control: no-transform => miss | >Cache-Control: no-transform",
      "GET | Cache-Control: no-transform => hit"])]
TABLE["rfc9111_s5_2_1_7"] = [
    ("nothing there", M, ["GET | Cache-Control: only-if-cached => hit | 504"]),
    asked("fresh", "Cache-Control: only-if-cached", "hit | 200"),
    asked("stale", "Cache-Control: only-if-cached", "hit | 504", STALE),
    asked("stale is fine", "Cache-Control: only-if-cached, max-stale", "hit | 200", STALE),
]

TABLE["rfc9111_s5_2_2_1"] = [
    *fresh("max-age=60", 'max-age="60"'),
    *stale("max-age=0", 'max-age="0"'),
    ("from when it was made", "Cache-Control: max-age=60 | Date: @-30 | Age: 61", "miss"),
]
TABLE["rfc9111_s5_2_2_2"] = [
    *fresh("must-revalidate, max-age=60", "MUST-REVALIDATE, max-age=60"),
    ("stale", [f"Cache-Control: must-revalidate, max-age=60, stale-while-revalidate=900 | "
               f"Age: 100 | {TAG}", NOT_MODIFIED], "valid")]
TABLE["rfc9111_s5_2_2_3"] = [
    (f"{status} is {'' if then == 'hit' else 'not '}understood",
     f"{status} | Cache-Control: max-age=60, must-understand", then)
    for status, then in ((200, "hit"), (404, "hit"), (301, "hit"), (302, "hit"), (299, "miss"),
                         (499, "miss"), (599, "miss"))]
TABLE["rfc9111_s5_2_2_4"] = [
    *[(value, [f"Cache-Control: {value}, max-age=60 | {TAG}",
               f"304 | {TAG} | Cache-Control: {value}"],
       ["GET => miss", "GET => valid | body=0", "GET => valid | body=0"])
      for value in ("no-cache", "NO-CACHE", 'no-cache=""', "no-cache=X-A, no-cache",
                    'no-cache="X-A", no-cache', "no-cache=1/2", 'no-cache="Content-Type"')],
    ("no-cache and nothing to validate with", "Cache-Control: no-cache, max-age=60", "miss"),
    ("fields alone", f'Cache-Control: no-cache="X-A, x-b", max-age=60 | X-A: 1 | X-B: 1 | X-C: 1',
     ["GET => miss | X-A: 1 | X-B: 1 | X-C: 1", "GET => hit | -X-A | -X-B | X-C: 1"]),
    ("one field, no quotes", f'Cache-Control: no-cache=X-A, max-age=60 | X-A: 1 | X-C: 1',
     ["GET => miss | X-A: 1 | X-C: 1", "GET => hit | -X-A | X-C: 1"]),
    ("Set-Cookie, where it may be stored",
     'Cache-Control: public, no-cache="Set-Cookie", max-age=60 | Set-Cookie: s=1',
     ["GET => miss | Set-Cookie: s=1", "GET => hit | -Set-Cookie"]),
    ("a 304's fields", [f'Cache-Control: no-cache="X-A", max-age=60 | Age: 100 | {TAG} | X-A: 1',
                        f'304 | Cache-Control: no-cache="X-A", max-age=60 | {TAG} | X-A: 2'],
     ["GET => miss | X-A: 1", "GET => valid | X-A: 2 | body=0", "GET => hit | -X-A"]),
]
TABLE["rfc9111_s5_2_2_5"] = stale("no-store", "no-store, max-age=60",
                                  "No-Store, s-maxage=60, public")
TABLE["rfc9111_s5_2_2_6"] = [
    ("told to the next", "Cache-Control: no-transform, max-age=60",
     ["GET => miss", "GET => hit | Cache-Control: no-transform, max-age=60"])]
TABLE["rfc9111_s5_2_2_7"] = [
    *stale("private, max-age=60", "PRIVATE, s-maxage=60, public", 'private="", max-age=60',
           'private="X-A", private, max-age=60', 'private="Content-Type", max-age=60',
           'private="a b", max-age=60'),
    ("fields alone", f'Cache-Control: private="X-A, x-b", max-age=60 | X-A: 1 | X-B: 1 | X-C: 1',
     ["GET => miss | X-A: 1 | X-B: 1 | X-C: 1", "GET => hit | -X-A | -X-B | X-C: 1"]),
    ("one field, no quotes", f'Cache-Control: private=X-A, max-age=60 | X-A: 1 | X-C: 1',
     ["GET => miss | X-A: 1 | X-C: 1", "GET => hit | -X-A | X-C: 1"]),
]
TABLE["rfc9111_s5_2_2_8"] = [
    *fresh("proxy-revalidate, max-age=60"),
    ("stale", [f"Cache-Control: proxy-revalidate, max-age=60, stale-while-revalidate=900 | "
               f"Age: 100 | {TAG}", NOT_MODIFIED], "valid")]
TABLE["rfc9111_s5_2_2_9"] = fresh("public, max-age=60", "PUBLIC, s-maxage=60")
TABLE["rfc9111_s5_2_2_10"] = [
    *fresh("s-maxage=60", "S-MAXAGE=60", 's-maxage="60"', "s-maxage=60, max-age=0"),
    *stale("s-maxage=0", "s-maxage=0, max-age=60", "s-maxage=-1, max-age=60",
           "s-maxage, max-age=60")]
TABLE["rfc9111_s5_2_3"] = fresh('community="UCI", max-age=60', "max-age=60, foo=1, bar")

EXPIRES_BAD = (
    "0", "-1", "", "x", "now", "60", "@+60 x", "2030-01-01", "Thu, 99 Dec 2099 16:00:00 GMT",
    "Thu, 31 Dec 2099 25:00:00 GMT", "Thu, 31 Dec 2099 16:00:00", "31 Dec 2099 16:00:00 GMT",
    "Thu, 31 Dec 2099 16:00:00 EST", "Thu, 31 Dec 2099 16:00:00 UTC",
    "Thu, 31 Dec 2099 16:00:00 +0000", "Thu, 31 Dec 99 16:00:00 GMT",
    "Thu 31 Dec 2099 16:00:00 GMT", "Thu, 31-Dec-2099 16:00:00 GMT")
TABLE["rfc9111_s5_3"] = [
    *[(f"Expires: {value}", f"Expires: {value}", "hit")
      for value in ("@+60", "@850+60", "@c+60", "Thu, 31 Dec 2099 16:00:00 GMT",
                    "Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 31 DEC 2099 16:00:00 GMT",
                    "thu, 31 dec 2099 16:00:00 gmt", "Thu, 31 Dec 2099 16:00:00 gMT")],
    *[(f"Expires: {value}", f"Expires: {value}", "miss")
      for value in ("@-60", "@850-60", "@c-60", "Thu, 01 Jan 1970 00:00:00 GMT", *EXPIRES_BAD)],
]
TABLE["rfc9111_s5_4"] = [
    asked("Pragma", "Pragma: no-cache", "valid"),
    asked("with other things", "Pragma: foo, NO-CACHE", "valid"),
    asked("something else", "Pragma: foo", "hit"),
    asked("Cache-Control goes before", "Pragma: no-cache | Cache-Control: foo", "hit"),
    ("of a response it says nothing", f"{M} | Pragma: no-cache", "hit"),
]
TABLE["rfc9111_s5_5"] = [
    ("Warning is a field like any other", [f'{STALE} | {TAG} | Warning: 110 - "x"', NOT_MODIFIED],
     ["GET => miss", "GET | Cache-Control: max-stale => hit | Warning", "GET => valid | body=0"])]

TABLE["rfc5861_s3"] = [
    (f"{value} of 40 s", f"Cache-Control: max-age=60, stale-while-revalidate{value} | Age: 100",
     ["GET => miss", f"GET =>> body={body}"])
    for value, body in (("=900", 0), ("=20", 1), ("=0", 1), ("=x", 1), ("", 1), ('="900"', 0),
                        ("=99999999999999", 0))]
TABLE["rfc5861_s4"] = [
    *[(f"{status}{value} of 40 s",
       [f"Cache-Control: max-age=60, stale-if-error{value} | Age: 100", f"{status}"],
       ["GET => miss", f"GET => miss | body={body}"])
      for status, value, body in (
          (500, "=900", 0), (502, "=900", 0), (503, "=900", 0), (504, "=900", 0), (501, "=900", 1),
          (404, "=900", 1), (500, "=20", 1), (500, "=x", 1), (500, "", 1))],
    ("a wish for validation goes without it, a reload that insists does not",
     [f"Cache-Control: max-age=60, stale-if-error=900 | Age: 100 | {TAG}", "500"],
     ["GET => miss", "GET | Cache-Control: max-age=0 => valid | 200 | body=0",
      "GET | Cache-Control: no-cache => valid | 500"]),
    ("in a request", [f"{STALE} | {TAG}", "500"],
     ["GET => miss", "GET | Cache-Control: stale-if-error=900 => valid | 200 | body=0",
      "GET | Cache-Control: stale-if-error=20 => valid | 500"]),
]
TABLE["rfc8246_s2"] = [
    *fresh("immutable, max-age=60", "IMMUTABLE, max-age=60", "immutable=x, max-age=60"),
    ("no longer than it is fresh", f"Cache-Control: immutable, max-age=60 | Age: 100", "miss"),
    ("immutable is no freshness", "Cache-Control: immutable", "miss"),
    asked("a client's no-cache counts", "Cache-Control: no-cache", "valid",
          "Cache-Control: immutable, max-age=60"),
]
TABLE["rfc9211_s2"] = [
    ("hit", M, ["GET => miss | Cache-Status: holdfast; fwd=miss; stored",
                "GET => hit | Cache-Status: holdfast; hit"]),
    ("vary-miss", f"{M} | Vary: X-A",
     ["GET | X-A: 1 => miss",
      "GET | X-A: 2 => miss | Cache-Status: holdfast; fwd=vary-miss; stored"]),
    ("stale", [f"{STALE} | {TAG}", NOT_MODIFIED],
     ["GET => miss", "GET => valid | Cache-Status: holdfast; fwd=stale; fwd-status=304; stored"]),
    ("request", M,
     ["GET => miss",
      "GET | Cache-Control: no-cache => miss | Cache-Status: holdfast; fwd=request; stored"]),
    ("request, and what there was is good", [f"{M} | {TAG}", NOT_MODIFIED],
     ["GET => miss", "GET | Cache-Control: no-cache => valid | "
      "Cache-Status: holdfast; fwd=request; fwd-status=304; stored"]),
    ("method", M, ["POST => miss | Cache-Status: holdfast; fwd=method"]),
    ("not stored", "Cache-Control: no-store", ["GET => miss | Cache-Status: holdfast; fwd=miss"]),
    ("what others said stays before", f"{M} | Cache-Status: other; hit",
     ["GET => miss | Cache-Status=other; hit, holdfast; fwd=miss; stored",
      "GET => hit | Cache-Status=other; hit, holdfast; hit"]),
]

CDN = "CDN-Cache-Control"
TABLE["rfc9213_s2_1"] = [
    *[(f"{value} is not valid", f"{CDN}: {value} | Cache-Control: max-age=0", "miss")
      for value in ("", "max-age=60,", "max-age =60", "MAX-AGE=60", "max-age=60 foo",
                    "max-age=60, =", 'max-age=60, a="b', "max-age=1234567890123456",
                    "max-age=60, a=\u00e9")],
    *[(f"{value} is of another type", f"{CDN}: {value} | Cache-Control: max-age=60", "miss")
      for value in ('max-age="60"', "max-age=60.5", "max-age=a", "max-age", "max-age=?1")],
    *[(value, f"{CDN}: {value} | Cache-Control: max-age=0", "hit")
      for value in ("max-age=60", "max-age=60;a=1", "foo=(1 2), max-age=60",
                    "max-age=0, max-age=60", "max-age=60, foo=:YQ==:", "  max-age=60",
                    "max-age=60,foo;a=?0",
                    "max-age=0 | CDN-Cache-Control: max-age=60", "no-store=?0, max-age=60")],
    ("what is not valid leaves Cache-Control",
     f"{CDN}: max-age=0, | Cache-Control: max-age=60", "hit"),
]
TABLE["rfc9213_s2_2"] = [
    ("before Cache-Control", f"{CDN}: max-age=60 | Cache-Control: max-age=0", "hit"),
    ("before no-store", f"{CDN}: max-age=60 | Cache-Control: no-store", "hit"),
    ("before private", f"{CDN}: max-age=60 | Cache-Control: private", "hit"),
    ("before s-maxage", f"{CDN}: max-age=0 | Cache-Control: s-maxage=60", "miss"),
    ("before Expires", f"{CDN}: foo | Expires: @+60", "miss"),
    *[(value, f"{CDN}: {value}, max-age=60 | Cache-Control: max-age=60", "miss")
      for value in ("no-store", "private", "no-cache", "max-age=1, max-age=0, s-maxage=0",
                    'private="X-A"', 'no-cache="X-A"')],
    ("must-revalidate", [f"{CDN}: must-revalidate, max-age=60 | Age: 100 | {TAG}", NOT_MODIFIED],
     ["GET => miss", "GET | Cache-Control: max-stale => valid"]),
    ("s-maxage", f"{CDN}: s-maxage=60, max-age=0 | Cache-Control: max-age=0", "hit"),
    ("Age counts", f"{CDN}: max-age=60 | Age: 100", "miss"),
    ("both are told", f"{CDN}: max-age=60 | Cache-Control: max-age=5",
     ["GET => miss", f"GET => hit | {CDN}: max-age=60 | Cache-Control: max-age=5"]),
    ("other caches' fields say nothing",
     "Other-Cache-Control: no-store | Cache-Control: max-age=60", "hit"),
    ("a request's says nothing", M, ["GET => miss", f"GET | {CDN}: no-cache => hit"]),
]
