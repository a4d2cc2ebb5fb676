# SPDX-License-Identifier: BSD-3-Clause
"""What RFC 9110, 9111 and 5861 say of an answer that a shared cache gave. Written from their texts,
and sharing nothing with lib/cache: it sees what the cache asked its origin and what it told its
client, and says which statements that breaks. What a cache is free to do (not to store, not to
evaluate conditions, to send a whole body for a range) breaks none."""
import calendar
import collections
import email.utils
import functools
import math
import re
import time

HEURISTIC = {200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501}  # RFC 9110 section 15.1
UNDERSTOOD = HEURISTIC | {302, 303, 307, 400, 401, 403, 429, 451, 500, 502, 503, 504}
SAFE = {"GET", "HEAD", "OPTIONS", "TRACE"}
HOP = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "te", "upgrade",
       "trailer"}
CONDITIONS = {"if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range",
              "range"}
FOREVER = 1 << 31

Directive = collections.namedtuple("Directive", "name argument odd")


# ---- fields ----

def lines(headers, name):
    return [value for key, value in headers if key.lower() == name]


def combined(headers, name):
    """RFC 9110 section 5.3."""
    return ", ".join(lines(headers, name)) if lines(headers, name) else None


@functools.lru_cache(10000)
def members(text):
    """The members of a list (RFC 9110 section 5.6.1), quoted strings kept whole."""
    return [part.strip(" \t") for part in re.findall(r'(?:"(?:\\.|[^"\\])*"|[^,"])+', text or "")
            if part.strip(" \t")]


def directives(headers, name="cache-control"):
    """odd: there is space around "=": by the grammar no directive, but it may be taken for one."""
    for item in members(combined(headers, name)):
        key, equals, argument = item.partition("=")
        odd = (key + argument) != key.strip() + argument.strip()
        argument = argument.strip()
        if argument.startswith('"'):
            argument = re.sub(r"\\(.)", r"\1", argument[1:-1])
        yield Directive(key.strip().lower(), argument if equals else None, odd)


def seconds(text):
    """delta-seconds (RFC 9111 section 1.2.2), or None."""
    return min(int(text), FOREVER) if re.fullmatch("[0-9]+", text or "") else None


@functools.lru_cache(10000)
def http_date(text):
    """RFC 9110 section 5.6.7, all three formats; None: it is none."""
    for form in "%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y":
        try:
            when = time.strptime(text or "", form)
        except ValueError:
            continue
        return calendar.timegm(when)
    return None


def date_text(when, form="imf"):
    if form == "imf":
        return email.utils.formatdate(when, usegmt=True)
    return time.strftime({"850": "%A, %d-%b-%y %H:%M:%S GMT", "asc": "%a %b %e %H:%M:%S %Y"}[form],
                         time.gmtime(when))


def hop_fields(headers):
    """RFC 9110 section 7.6.1."""
    return HOP | {name.lower() for name in members(combined(headers, "connection"))}


# ---- what is known of a response ----

class Response:
    """What an origin said, once: a cache may have stored it."""

    def __init__(self, serial, method, request, status, headers, body, when):
        self.serial, self.method, self.request, self.status = serial, method, request, status
        self.headers, self.body, self.when = headers, body, when
        self.invalidated, self.asked_by = False, method
        self.before = self  # a 304 freshened it
        self.certain = True  # that a cache must know of it, if it stores anything

    def freshened(self, serial, headers, when):
        """Section 4.3.4: the same body under the fields of a 304."""
        replaced = {name.lower() for name, _ in headers}
        replaced.add("date")  # without, it gets the moment of arrival (RFC 9110 section 6.6.1)
        kept = [(name, value) for name, value in self.headers if name.lower() not in replaced]
        new = Response(serial, self.method, self.request, self.status, kept + headers, self.body,
                       when)
        new.before = self
        return new

    def controls(self, targeted):
        """Its directives by name, the first of equal ones; RFC 9213 for who implements it."""
        found = {}
        for directive in self.directives(targeted):
            found.setdefault(directive.name, directive)
        return found

    def directives(self, targeted):
        name = "cdn-cache-control" if targeted and lines(self.headers, "cdn-cache-control") \
            else "cache-control"
        return directives(self.headers, name)

    def date(self):
        date = http_date(combined(self.headers, "date"))
        return self.when if date is None else date

    def age(self, now):
        """Section 4.2.3."""
        value = seconds((members(combined(self.headers, "age")) or [""])[0]) or 0
        return max(self.when - self.date(), value, 0) + now - self.when

    def lifetime(self, targeted):
        """The longest that section 4.2.1 lets a cache assume: of equal directives the first (it may
        be taken for stale instead), what is no number is 0; None: nothing explicit."""
        controls, longest = self.controls(targeted), None
        for name in "s-maxage", "max-age":
            if name in controls:
                longest = max(longest or 0, seconds(controls[name].argument) or 0)
                if not controls[name].odd:
                    return longest
        expires = lines(self.headers, "expires")
        if expires and not (targeted and lines(self.headers, "cdn-cache-control")):
            date = http_date(expires[0])
            longest = max(longest or 0, 0 if date is None else date - self.date())
        return longest

    def is_fresh(self, now, targeted):
        lifetime = self.lifetime(targeted)
        if lifetime is None:  # section 4.2.2: for how long is the cache's affair
            return self.status in HEURISTIC or "public" in self.controls(targeted)
        return lifetime > self.age(now)

    def is_same_as(self, headers):
        """Do these fields of a 304 select it (section 4.3.4)?"""
        validators = [name for name in ("etag", "last-modified") if lines(headers, name)]
        same = [combined(headers, name) == combined(self.headers, name) for name in validators]
        if validators[:1] == ["etag"] and not combined(headers, "etag").startswith("W/"):
            return same[0]
        return any(same) or not validators


def storing_faults(response, targeted):
    """Section 3: what forbids a shared cache to store it."""
    controls = response.controls(targeted)
    if response.method != "GET":
        yield "method"
    if response.status == 206:
        yield "partial"
    if "must-understand" in controls:
        if response.status not in UNDERSTOOD:
            yield "must-understand"
    elif "no-store" in controls:
        yield "no-store"
    if "private" in controls and not controls["private"].argument:
        yield "private"
    if any(d.name == "no-store" for d in directives(response.request)):
        yield "request no-store"
    if lines(response.request, "authorization") and \
            not {"public", "must-revalidate", "s-maxage"} & controls.keys():
        yield "authorization"
    if response.lifetime(targeted) is None and response.status not in HEURISTIC and \
            "public" not in controls:
        yield "no leave to store"


def vary_fault(response, request):
    """Section 4.1."""
    for name in members(combined(response.headers, "vary")):
        mine, stored = (members(combined(headers, name.lower()))
                        for headers in (request, response.request))
        if name == "*" or mine != stored:
            return True
    return False


def is_no_cache(controls):
    """Of the whole response, not of some fields (section 5.2.2.4)."""
    return "no-cache" in controls and not controls["no-cache"].argument


def may_be_stale(response, request, now, targeted, failed):
    """Section 4.2.4, RFC 5861. failed: the origin did, just now."""
    controls = response.controls(targeted)
    if {"must-revalidate", "proxy-revalidate", "s-maxage", "no-store"} & controls.keys() or \
            is_no_cache(controls):
        return False
    past = response.age(now) - (response.lifetime(targeted) or 0)

    def allows(directive, default=0):
        limit = seconds(directive.argument) if directive.argument else default
        return past < (limit or 0)
    for directive in directives(request):
        if directive.name == "max-stale" and allows(directive, math.inf):
            return True
    if "stale-while-revalidate" in controls and allows(controls["stale-while-revalidate"]):
        return True
    return failed and "stale-if-error" in controls and allows(controls["stale-if-error"])


def request_fault(response, request, now, targeted):
    """Section 5.2.1, which is advice: does the request speak against what is stored?"""
    age, asked = response.age(now), {d.name: d.argument for d in directives(request)}
    lifetime = response.lifetime(targeted)
    left = (FOREVER if lifetime is None else lifetime) - age
    if "no-cache" in asked:
        return True
    if not asked and "no-cache" in members(combined(request, "pragma")):
        return True
    oldest, least = seconds(asked.get("max-age")), seconds(asked.get("min-fresh"))
    return (oldest is not None and age > oldest) or (least is not None and left < least)


def reuse_faults(response, method, request, now, targeted, failed=False):
    """Section 4: what forbids to answer with it and not to ask."""
    if method not in ("GET", "HEAD"):
        yield "write-through"
    if not (response.method == "HEAD" == method):
        yield from storing_faults(response, targeted)
    if vary_fault(response, request):
        yield "vary"
    if is_no_cache(response.controls(targeted)):
        yield "no-cache"
    if response.invalidated:
        yield "invalidation"
    stale = not response.is_fresh(now, targeted)
    if stale and not may_be_stale(response, request, now, targeted, failed):
        yield "stale"
    if request_fault(response, request, now, targeted) and not failed:
        yield "request directive"


# ---- conditions and ranges (RFC 9110 sections 13 and 14) ----

def opaque(tag):
    return tag[2:] if tag.startswith("W/") else tag


def is_strong_date(response):
    """Section 8.8.2.2: the Last-Modified is old enough to be the only one of its second."""
    modified = http_date(combined(response.headers, "last-modified"))
    return modified is not None and response.date() - modified >= 1


def not_modified(response, request):
    """Sections 13.1.2, 13.1.3. True, False; None: nothing was asked, or either answer is right."""
    tags, etag = combined(request, "if-none-match"), combined(response.headers, "etag")
    if tags is not None:
        return tags == "*" or (etag is not None and
                               opaque(etag) in [opaque(tag) for tag in members(tags)])
    since = http_date(combined(request, "if-modified-since"))
    if since is None:
        return None
    modified = http_date(combined(response.headers, "last-modified"))
    if modified is None:  # RFC 9111 section 4.3.2: a cache may go by Date
        return None if response.date() <= since else False
    return modified <= since


def precondition_failed(response, request):
    """Sections 13.1.1, 13.1.4."""
    tags, etag = combined(request, "if-match"), combined(response.headers, "etag")
    if tags is not None:
        return tags != "*" and (etag is None or etag.startswith("W/") or etag not in members(tags))
    since = http_date(combined(request, "if-unmodified-since"))
    modified = http_date(combined(response.headers, "last-modified"))
    return since is not None and modified is not None and modified > since


def if_range_holds(response, request):
    """Section 13.1.5."""
    condition, etag = combined(request, "if-range"), combined(response.headers, "etag")
    if condition is None:
        return True
    if http_date(condition) is not None:
        return condition == combined(response.headers, "last-modified") and is_strong_date(response)
    return condition == etag and not condition.startswith("W/")


def ranges(request, length):
    """Section 14.1.2: the parts [first, last] that can be had; None: no range was asked for that
    means anything; "bad": malformed."""
    unit, equals, parts = (combined(request, "range") or "").partition("=")
    if not equals or unit.lower() != "bytes":
        return None
    found, suffix = [], False
    for part in members(parts):
        match = re.fullmatch("([0-9]*)-([0-9]*)", part)
        if not match or part == "-" or (match[1] and match[2] and int(match[2]) < int(match[1])):
            return "bad"
        if not match[1]:
            first, last = max(0, length - int(match[2])), length - 1
            suffix = suffix or int(match[2]) > 0
        else:
            first, last = int(match[1]), min(int(match[2] or length), length - 1)
        if first <= last:
            found.append((first, last))
    if not members(parts):
        return "bad"
    return None if suffix and length == 0 else found  # it is satisfied, by nothing


def outcomes(response, method, request):
    """The statuses that this response may become for this request; the first is the best."""
    if method not in ("GET", "HEAD") or not 200 <= response.status < 300:
        return [response.status]
    can = []
    changed = not_modified(response, request)
    if changed is not False and (changed or lines(request, "if-modified-since")
                                 and not lines(request, "if-none-match")
                                 and http_date(combined(request, "if-modified-since")) is not None):
        can.append(304)
    if changed and response.status == 200:  # RFC 9111 section 4.3.2 asks for no more
        can.append(response.status)
    else:
        can.insert(0, response.status)
    wanted = ranges(request, len(response.body))
    if method == "GET" and response.status == 200 and wanted is not None and not changed and \
            if_range_holds(response, request):
        if wanted == "bad":
            can.append(416)
        else:
            can.insert(0, 206 if wanted else 416)
    if precondition_failed(response, request):
        can.append(412)
    return can


# ---- what a client got ----

def multipart(headers, body):
    kind = combined(headers, "content-type") or ""
    boundary = re.search(r'multipart/byteranges;\s*boundary="?([^";]+)', kind)
    if not boundary:
        return None
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary[1].encode())
    if parts[-1].strip() != b"--":
        return None
    for part in parts[1:-1]:
        head, _, text = part.partition(b"\r\n\r\n")
        yield re.search(rb"content-range:\s*([^\r]+)", head, re.I)[1].decode(), text


def partial_fault(response, request, headers, body):
    """Section 15.3.7."""
    size, wanted = len(response.body), ranges(request, len(response.body))
    given = combined(headers, "content-range")
    parts = [(given, body)] if given else list(multipart(headers, body) or [])
    if not parts or wanted == "bad" or not wanted:
        return "no parts"
    asked = {at for first, last in wanted for at in range(first, last + 1)}
    got = set()
    for text, part in parts:
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", text)
        if not match or match[3] not in (str(size), "*"):
            return f"Content-Range: {text}"
        first, last = int(match[1]), int(match[2])
        if part != response.body[first:last + 1]:
            return "other bytes than Content-Range says"
        got |= set(range(first, last + 1))
    return None if asked <= got else "bytes are missing"


ALWAYS = "cache-control", "content-location", "date", "etag", "expires", "vary"  # in 206 and 304
OWN = {"age", "via", "cache-status", "connection", "keep-alive", "date", "server", "accept-ranges",
       "content-length", "transfer-encoding", "content-range", "x-varnish"}


def field_faults(response, request, status, headers, stored, validated, targeted):
    """RFC 9110 sections 7.6.1, 6.6.1, 15.3.7, 15.4.5; RFC 9111 section 3.1."""
    source, hop = response.headers, hop_fields(response.headers)
    for name in hop - HOP:
        if lines(headers, name):
            yield "hop-by-hop field", name
    needed = {name.lower() for name, _ in source} - hop - OWN
    if http_date(combined(source, "date")) is not None:
        needed.add("date")
    if status == 304 or (status == 206 and lines(request, "if-range")):
        needed &= set(ALWAYS)
    if status == 206 and lines(headers, "content-type") != lines(source, "content-type"):
        needed -= {"content-type"}
    if stored:
        needed -= {"set-cookie"}
        for directive in response.directives(targeted):
            if directive.name in ("private", "no-cache"):
                limited = {name.lower() for name in members(directive.argument)}
                needed -= limited
                for name in limited:
                    if lines(headers, name) and not (validated and directive.name == "no-cache"):
                        yield "qualified " + directive.name, name
    for name in sorted(needed):
        if not lines(headers, name):
            yield "field lost", name
        elif members(combined(headers, name)) != members(combined(source, name)):
            yield "field changed", name
    if status != 304 and not lines(headers, "date"):
        yield "no date", ""
    known = OWN | {name.lower() for name, _ in source}
    for name in {name.lower() for name, _ in headers} - known:
        if status != 206 or name != "content-type":
            yield "field added", name


def content_faults(response, method, request, status, headers, body):
    """Is it what the response becomes for the request?"""
    length = combined(headers, "content-length")
    if status not in outcomes(response, method, request):
        yield "status", f"{status}, not {outcomes(response, method, request)}"
    elif status == 206:
        fault = partial_fault(response, request, headers, body)
        if fault:
            yield "partial content", fault
    elif status == 416:
        if combined(headers, "content-range") not in (None, f"bytes */{len(response.body)}"):
            yield "partial content", combined(headers, "content-range")
    elif method == "HEAD" or status in (204, 304):
        if body:
            yield "body", "there is one"
        if length is not None and status != 204 and int(length) != len(response.body):
            yield "content-length", length
    elif status == response.status and body != response.body:
        yield "body", f"{body[:40]!r}, not {response.body[:40]!r}"


# ---- a cache, followed through some requests ----

Verdict = collections.namedtuple("Verdict", "source response faults could")


class Judge:
    """Sees what went in and out of one cache for one URL. verdict.source: "reuse" (of what is
    stored, not asking), "validate", "fetch", "own" (the cache's own answer); could: something
    stored would have done. targeted: it implements RFC 9213."""

    def __init__(self, targeted):
        self.targeted, self.known = targeted, []

    def judge(self, step, seen):
        before = list(self.known)
        could = any(self._may_reuse(known, step, seen) for known in before)
        fetched = [new for contact in seen.contacts for new in self._learn(contact, step)]
        verdict = self._source(step, seen, before, fetched)
        faults = list(verdict.faults)
        if verdict.source in ("fetch", "validate"):
            if is_only_if_cached(step):
                faults.append(("request directive", "only-if-cached"))
            for contact in seen.contacts:
                faults += request_forward_faults(step, contact)
        if step.method not in SAFE and any(200 <= c.status < 400 for c in seen.contacts):
            for known in before:  # section 4.4
                known.invalidated = True
        return verdict._replace(faults=faults, could=could)

    def _may_reuse(self, known, step, seen):
        return known.is_fresh(seen.ended, self.targeted) and \
            not list(reuse_faults(known, step.method, step.headers, seen.ended, self.targeted))

    def _learn(self, contact, step):
        """What this contact may have put into the store."""
        learnt = []
        if contact.status != 304:
            new = Response(contact.serial, contact.method, step.headers, contact.status,
                           contact.headers, contact.body, contact.when)
            new.asked_by = step.method
            new.certain = contact.method == "GET" and not lines(step.headers, "authorization")
            learnt = [new]
        if contact.status == 304 or (contact.method, contact.status) == ("HEAD", 200):
            fresher = [known.freshened(contact.serial, contact.headers, contact.when)
                       for known in self.known
                       if known.method == "GET" and known.is_same_as(contact.headers)]
            for new in fresher:  # section 4.3.4, and 4.3.5 for HEAD
                new.certain = contact.status == 304 and not is_passed_on(step, contact)
            learnt += fresher
        self.known += learnt
        return learnt

    def _source(self, step, seen, before, fetched):
        serial = combined(seen.headers, "x-serial")
        if seen.status == 304 and any(is_passed_on(step, contact) for contact in seen.contacts):
            return Verdict("fetch", None, [], False)
        if seen.status == 504 and not seen.contacts and is_only_if_cached(step):
            return Verdict("own", None, [], False)
        found = []
        instead = any(contact.status >= 500 for contact in seen.contacts) or \
            any(is_refreshing(known) for known in before)
        if serial or instead or not seen.contacts:
            found += [self._verdict("reuse", known, step, seen, before) for known in before
                      if serial == known.serial or (not serial and known.method in ("GET", "HEAD"))]
        found += [self._verdict("fetch", new, step, seen, before) for new in fetched
                  if serial in (None, new.serial)]
        if found:
            return min(found, key=lambda verdict: len(verdict.faults))
        return Verdict("own", None, [("own answer", str(seen.status))], False)

    def _verdict(self, source, response, step, seen, before):
        faults = list(content_faults(response, step.method, step.headers, seen.status, seen.headers,
                                     seen.body))
        stored = source == "reuse" or response.before is not response
        if seen.status not in (412, 416) or seen.status == response.status:
            faults += field_faults(response, step.headers, seen.status, seen.headers, stored,
                                   source != "reuse", self.targeted)
        if source == "reuse":
            failed = any(contact.status >= 500 for contact in seen.contacts)
            faults += [(name, "") for name in reuse_faults(response, step.method, step.headers,
                                                           seen.ended, self.targeted, failed)]
            faults += self._reuse_faults(response, step, seen, before)
        elif stored:
            source = "validate"
            faults += [(name, "") for name in storing_faults(response.before, self.targeted)]
        return Verdict(source, response, faults, False)

    def _reuse_faults(self, response, step, seen, before):
        can = outcomes(response, step.method, step.headers)
        by_date = not_modified(response, step.headers) is None and seen.status == 304
        if seen.status != can[0] and not by_date:
            yield "not evaluated", f"{seen.status}, better {can[0]}"  # section 4.3.2: SHOULD
        for known in before:
            if known.when > response.when and known.date() >= response.date() and \
                    known.status < 500 and known.certain and known.lifetime(self.targeted) and \
                    self._may_reuse(known, step, seen):
                yield "superseded", known.serial
        age = combined(seen.headers, "age")
        if seen.status in (412, 416):
            return
        if age is None:
            yield "no age", ""
        elif not response.age(seen.began) - 2 <= (seconds(age) or 0) <= \
                response.age(seen.ended) + 2:
            yield "age", f"{age}, not {response.age(seen.ended):.0f}"


def is_refreshing(known):
    """May it be given out while it is fetched anew in the background (RFC 5861 section 3)?"""
    return "stale-while-revalidate" in known.controls(False)


def is_only_if_cached(step):
    return step.method in ("GET", "HEAD") and \
        any(directive.name == "only-if-cached" for directive in directives(step.headers))


def is_passed_on(step, contact):
    """Is this 304 the answer to the client's own condition?"""
    return contact.status == 304 and all(
        combined(contact.asked, name) == combined(step.headers, name)
        for name in ("if-none-match", "if-modified-since"))


def request_forward_faults(step, contact):
    """RFC 9110 sections 7.6.1, 7.6.3; RFC 9111 section 5.2."""
    if not lines(contact.asked, "via"):
        yield "no via", ""
    hop = hop_fields(step.headers)
    for name in hop - HOP:
        if lines(contact.asked, name):
            yield "hop-by-hop field", "request " + name
    for name in sorted({name.lower() for name, _ in step.headers} - hop - CONDITIONS):
        if members(combined(contact.asked, name)) != members(combined(step.headers, name)):
            yield "request field", name
    if contact.method != step.method and (contact.method, step.method) != ("GET", "HEAD"):
        yield "request method", contact.method
    if contact.sent != step.body:
        yield "request body", repr(contact.sent[:40])
