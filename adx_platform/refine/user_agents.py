"""User agents: device, operating system, browser, and whether a robot or a tool speaks.

Belongs here: what can be told from the text of a user agent. Does not belong here: the list of
known crawlers (reference data), or any other sign of invalid traffic.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias

import polars as pl
import ua_parser

from adx_platform.refine.agent_lists import AgentLists, listed
from adx_platform.refine.crawlers import known_crawlers
from adx_platform.refine.unique import map_unique

_REMEMBERED = 65_536
"""Distinct user agents kept parsed, about 20 MB: a day's mobile traffic repeats well within it."""

_LONGEST = 1_024
"""Characters of a user agent that are judged. What people's browsers and apps send is shorter; a
pattern may take the square of the length, and what is remembered is as long as what was judged."""

_Agent: TypeAlias = tuple[str | None, str | None, str | None, bool, bool]

AGENT_SCHEMA = pl.Schema(
    {
        "agent_device_type": pl.String,
        "agent_os": pl.String,
        "agent_browser": pl.String,
        "is_crawler": pl.Boolean,
        "is_tool": pl.Boolean,
    }
)

# Words that robots use of themselves. "bot" counts at a word's end ("Googlebot/", "my-bot ") or
# start; the Cubot phones are people's, and so are those who scan their papers with CamScanner.
_CRAWLER_WORDS = re.compile(
    r"(?<!\bcu)bots?(?![a-z])|(?<![a-z])(?:ro)?bot[-_]|crawl|spider(?!man)|scrap(?:er|y|ing)|"
    r"slurp|(?<![a-z])archiv(?:er|e\.org)|headless|phantomjs|puppeteer|playwright|selenium|"
    r"webdriver|cypress|lighthouse|page ?speed|gtmetrix|pingdom|uptime|site24x7|"
    r"monitor(?:ing|\b)|observ(?:atory|er)|checker|validat(?:or|ion)|(?<!cam)scann(?:er|ing)|"
    r"scan(?![a-z])|prerender|fetcher|harvest|httrack|link[-_ ]?check|(?<![a-z])preview|indexer|"
    r"feed(?:burner|fetcher|parser|ly|bin|reader)|(?<![a-z0-9])rss(?![a-z0-9])|rss ?reader|"
    r"verif(?:y|ier|ication)(?![a-z])|"
    r"(?<![a-z])probe|audit(?:or)?(?![a-z])|synthetic|inspector|optimi[sz]er|analy[sz]er|"
    r"(?<![a-z])agent(?![a-z])|[a-z]-?agent[/)]|resolver|screenshot|web ?capture|survey|"
    r"research|transcoder|emailproxy|imageproxy|insights|"
    r"nikto|openvas|zgrab|nmap|masscan|sqlmap|wpscan|acunetix"
)
# What no browser says: where to complain, an attack, or a comment where browsers have none. A
# browser's first bracket names a platform, and only the first Internet Explorers and a few others
# were "compatible".
_CRAWLER_SHAPES = re.compile(
    r"https?://|@[\w-]+\.[a-z]{2,}|[(\[]at[)\]]|"
    r"(?<![\w.])[\w-]{3,}\.(?:com|io|org|net)(?![\w.])|"
    r"<\?|\bselect\b.*\(|sleep\(|"
    r"khtml, ?like gecko[;,](?! ?safari)|"
    r"\(compatible;(?! ?(?:msie|konqueror|ie |opera|netscape|icab|[ai]browse|u;|amiga|netpositive|"
    r"ms-office))|"
    r"^(?!mozilla/)[\w./-]++[,|] ?mozilla/|devtools|(?<![a-z])ptst/|"
    r"(?:x11|windows nt|macintosh)[^)]*+\).*\) chrome/[\d.]++ safari/[\d.]++;? "
    r"(?![a-z]*(?:browser|chrome))[a-z-]++;?$|"
    r"^mozilla/\d\.\d++(?! \(| \[| [^ ]+ \()"
)
_PLATFORM = re.compile(
    r"windows|win\d|macintosh|mac[ _]|linux|x11|android|iphone|ipad|ipod|cros|bsd|sunos|solaris|"
    r"beos|haiku|amiga|morphos|os/2|symbian|series\d|nokia|blackberry|bb10|playbook|webos|web0s|"
    r"tizen|smart-?tv|playstation|nintendo|xbox|mobile|tablet|kaios|maemo|meego|darwin|like mac|"
    r"dreamcast|wii|netcast|hbbtv|viera|bravia|roku|msie|konqueror|compatible|\[en\]|risc|hp-ux|"
    r"aix|irix|osf1|inferno|crkey|rv:\d|unknown|\([a-z]{2}-[a-z]{2}\) applewebkit/"
)
_TOOL_WORDS = re.compile(
    r"^(?:curl|wget|python|java|perl|ruby|php|go-http|node|okhttp|axios|got|undici|aiohttp|httpx|"
    r"libwww|lwp|guzzle|apache-httpclient|httpclient|http[-_ ]?client|postman|insomnia|jakarta|"
    r"winhttp|powershell|reqwest|hyper|dart|faraday|restsharp|unirest|mechanize|rest-client|"
    r"httpie|aria2|k6|jmeter|ab|siege|hey|vegeta|locust|grpc)(?![a-z])|"
    r"python-(?:requests|urllib)|(?<![a-z])urllib|(?<![a-z])requests/|node-fetch|java/1|httpunit|"
    r"http_request|nutch|apachebench|httpclient[/ ]"
)
# What a browser, an app's web view, a TV or a console calls itself with.
_PERSON = re.compile(
    r"^(?:mozilla/\d|opera/\d|dalvik/\d|nokia|blackberry|samsung|sonyericsson|lg[-/]|mot-|"
    r"ucweb|roku|appletv|applecoremedia|dialog|sec-|sie-|htc|huawei|lenovo|zte|vodafone|"
    r"bb10|doogee|motorola|sanyo|sharp|alcatel|philips|panasonic|lynx/|e?links[/ ]|w3m/|"
    r"ncsa_mosaic|ibrowse|amiga|quicktime|vlc/|microsoft office|googleapp/|pinterest/|"
    r"mozacfetch/|voyager\d|\[fb(?:an|_iab)?)|"
    r"cfnetwork|applewebkit|darwin/|android|iphone|ipad|tizen|web0s|smarttv|playstation|xbox|"
    r"nintendo|midp|symbian|exoplayer|windows (?:nt|phone)|linux;|sonos/|fban/|blackberry|\bwin10\b"
)
# The generic rule of ua-parser finds "bot" and "bee" within any word, and old browsers let plug-ins
# and companies write into their names.
_OLD_BROWSER = re.compile(r"^mozilla/\d\.\d \(compatible; msie \d|^opera/\d|amigaos")
_TABLET = re.compile(r"ipad|tablet|kindle|silk/|playbook|^(?!dalvik).*android(?!.*mobile)")
_CTV = re.compile(
    r"smart-?tv|smarttv|googletv|appletv|apple tv|roku|hbbtv|netcast|web0s|webos\.tv|"
    r"bravia|aft[a-z]{1,2}\b|crkey|viera|aquos|playstation|xbox|nintendo|"
    r"\btv\b"
)
_MOBILE = re.compile(
    r"mobi|iphone|ipod|blackberry|bb10|iemobile|windows phone|opera mini|"
    r"symbian|nokia|midp|dalvik"
)
_DESKTOP = re.compile(r"windows nt|macintosh|x11|cros |linux (?:x86|i686)|ubuntu")


_NO_LISTS = AgentLists()


def agents(
    user_agents: pl.Series, crawler_patterns: tuple[str, ...], lists: AgentLists = _NO_LISTS
) -> pl.DataFrame:
    """What each user agent says of itself.

    Args:
        user_agents: String series; of each the first 1,024 characters are looked at.
        crawler_patterns: regular expressions of known crawlers, case-sensitive.
        lists: what is on the list of robots is a crawler, and what is not on the list of browsers
            a tool; an empty list says nothing.

    Returns:
        ``AGENT_SCHEMA``, one row per row; all null where there is no user agent.
    """

    def judge(distinct: pl.Series) -> pl.DataFrame:
        rows = [_agent(text) for text in distinct.to_list()]
        told = pl.DataFrame(rows, schema=AGENT_SCHEMA, orient="row")
        return told.with_columns(
            is_crawler=pl.col("is_crawler")
            | known_crawlers(distinct, crawler_patterns)
            | listed(distinct, lists.robots),
            is_tool=pl.col("is_tool") | ~listed(distinct, lists.browsers)
            if lists.browsers
            else pl.col("is_tool"),
        )

    return map_unique(user_agents.str.slice(0, _LONGEST), judge, AGENT_SCHEMA)


@lru_cache(maxsize=_REMEMBERED)
def _agent(text: str) -> _Agent:
    parsed = ua_parser.parse(text)
    family = parsed.user_agent.family if parsed.user_agent else None
    system = parsed.os.family if parsed.os else None
    lowered = text.lower()
    is_spider = (
        parsed.device is not None
        and parsed.device.family == "Spider"
        and _OLD_BROWSER.search(lowered) is None
    )
    is_crawler = (
        is_spider
        or _CRAWLER_WORDS.search(lowered) is not None
        or _CRAWLER_SHAPES.search(lowered) is not None
        or (lowered.startswith("mozilla/") and _PLATFORM.search(lowered) is None)
    )
    is_tool = _TOOL_WORDS.search(lowered) is not None or _PERSON.search(lowered) is None
    return device_type_of(lowered), system, family, is_crawler, is_tool


def forget() -> None:
    """Forget the judgements that are kept: for measuring what one costs."""
    _agent.cache_clear()


def device_type_of(lowered: str) -> str | None:
    """Desktop, mobile, tablet or ctv from a lower-cased user agent; null if it does not tell."""
    for pattern, name in (
        (_CTV, "ctv"),
        (_TABLET, "tablet"),
        (_MOBILE, "mobile"),
        (_DESKTOP, "desktop"),
    ):
        if pattern.search(lowered):
            return name
    return None
