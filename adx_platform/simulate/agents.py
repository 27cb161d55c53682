"""User agents of the simulated people and of the simulated robots.

Belongs here: device models with the agents they send. Human agents never match the open crawler
list; each robot agent is recognisable by exactly one rule (a test holds both against the list).
"""

from __future__ import annotations

from dataclasses import dataclass

# OpenRTB device types.
PERSONAL_COMPUTER, CONNECTED_TV, PHONE, TABLET = 2, 3, 4, 5

DEVICE_TYPE_NAMES = {
    PERSONAL_COMPUTER: "desktop",
    CONNECTED_TV: "ctv",
    PHONE: "mobile",
    TABLET: "tablet",
}


@dataclass(frozen=True, slots=True)
class DeviceModel:
    """A device and browser combination, with its share of human traffic."""

    share: float
    device_type: int
    make: str
    model: str
    os: str
    os_version: str
    width: int
    height: int
    user_agent: str
    app_user_agent: str | None = None


_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
_SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
_WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X)"
_ANDROID_APP = "Version/4.0 Chrome/133.0.6943.121 Mobile Safari/537.36"

DEVICE_MODELS: tuple[DeviceModel, ...] = (
    DeviceModel(
        0.17, PERSONAL_COMPUTER, "", "", "Windows", "10.0", 1920, 1080,
        f"{_WINDOWS} {_WEBKIT} Chrome/133.0.0.0 Safari/537.36",
    ),
    DeviceModel(
        0.06, PERSONAL_COMPUTER, "", "", "Windows", "10.0", 1536, 864,
        f"{_WINDOWS} {_WEBKIT} Chrome/133.0.0.0 Safari/537.36 Edg/133.0.0.0",
    ),
    DeviceModel(
        0.03, PERSONAL_COMPUTER, "", "", "Windows", "10.0", 1366, 768,
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:135.0) Gecko/20100101 Firefox/135.0",
    ),
    DeviceModel(
        0.05, PERSONAL_COMPUTER, "Apple", "Macintosh", "macOS", "10.15.7", 1440, 900,
        f"{_MAC} {_SAFARI} Version/18.3 Safari/605.1.15",
    ),
    DeviceModel(
        0.05, PERSONAL_COMPUTER, "Apple", "Macintosh", "macOS", "10.15.7", 1728, 1117,
        f"{_MAC} {_WEBKIT} Chrome/133.0.0.0 Safari/537.36",
    ),
    DeviceModel(
        0.02, PERSONAL_COMPUTER, "", "", "Linux", "", 1920, 1080,
        "Mozilla/5.0 (X11; Linux x86_64; rv:135.0) Gecko/20100101 Firefox/135.0",
    ),
    DeviceModel(
        0.20, PHONE, "Apple", "iPhone", "iOS", "18.3", 393, 852,
        f"{_IPHONE} {_SAFARI} Version/18.3 Mobile/15E148 Safari/604.1",
        f"{_IPHONE} {_SAFARI} Mobile/15E148",
    ),
    DeviceModel(
        0.13, PHONE, "Samsung", "SM-S921B", "Android", "14", 360, 780,
        f"Mozilla/5.0 (Linux; Android 10; K) {_WEBKIT} Chrome/133.0.0.0 Mobile Safari/537.36",
        f"Mozilla/5.0 (Linux; Android 14; SM-S921B Build/UP1A.231005.007; wv) {_WEBKIT} "
        f"{_ANDROID_APP}",
    ),
    DeviceModel(
        0.06, PHONE, "Samsung", "SM-A546B", "Android", "14", 384, 854,
        f"Mozilla/5.0 (Linux; Android 14; SAMSUNG SM-A546B) {_WEBKIT} SamsungBrowser/27.0 "
        "Chrome/125.0.0.0 Mobile Safari/537.36",
        f"Mozilla/5.0 (Linux; Android 14; SM-A546B Build/UP1A.231005.007; wv) {_WEBKIT} "
        f"{_ANDROID_APP}",
    ),
    DeviceModel(
        0.06, PHONE, "Xiaomi", "2201116SG", "Android", "13", 393, 873,
        f"Mozilla/5.0 (Linux; Android 13; 2201116SG) {_WEBKIT} Chrome/132.0.0.0 Mobile "
        "Safari/537.36",
        f"Mozilla/5.0 (Linux; Android 13; 2201116SG Build/TKQ1.221114.001; wv) {_WEBKIT} "
        f"{_ANDROID_APP}",
    ),
    DeviceModel(
        0.01, PHONE, "Cubot", "CUBOT X50", "Android", "11", 412, 915,
        f"Mozilla/5.0 (Linux; Android 11; CUBOT X50) {_WEBKIT} Chrome/120.0.6099.144 Mobile "
        "Safari/537.36",
    ),
    DeviceModel(
        0.05, TABLET, "Apple", "iPad", "iOS", "17.7", 820, 1180,
        f"Mozilla/5.0 (iPad; CPU OS 17_7 like Mac OS X) {_SAFARI} Version/17.7 Mobile/15E148 "
        "Safari/604.1",
        f"Mozilla/5.0 (iPad; CPU OS 17_7 like Mac OS X) {_SAFARI} Mobile/15E148",
    ),
    DeviceModel(
        0.03, TABLET, "Samsung", "SM-X710", "Android", "14", 800, 1280,
        f"Mozilla/5.0 (Linux; Android 14; SM-X710) {_WEBKIT} Chrome/133.0.0.0 Safari/537.36",
    ),
    DeviceModel(
        0.05, CONNECTED_TV, "Samsung", "UE55AU7100", "Tizen", "6.0", 1920, 1080,
        "Mozilla/5.0 (SMART-TV; LINUX; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) "
        "76.0.3809.146/6.0 TV Safari/537.36",
    ),
    DeviceModel(
        0.03, CONNECTED_TV, "LG", "OLED55C2", "webOS", "22", 1920, 1080,
        f"Mozilla/5.0 (Web0S; Linux/SmartTV) {_WEBKIT} Chrome/87.0.4280.88 Safari/537.36 "
        "WebAppManager",
    ),
)  # fmt: skip
"""Common models of early 2026; one row per device and browser."""

CRAWLER_AGENTS: tuple[str, ...] = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)",
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
    f"Mozilla/5.0 {_WEBKIT[:-1]}; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    f"Mozilla/5.0 (X11; Linux x86_64) {_WEBKIT} HeadlessChrome/132.0.0.0 Safari/537.36",
    "python-requests/2.32.3",
    "curl/8.5.0",
)
"""Robots that name themselves: each matches the open crawler list."""

TOOL_AGENTS: tuple[str | None, ...] = (
    None,
    None,
    "PostmanRuntime/7.43.0",
    "Dart/3.6 (dart:io)",
    "GuzzleHttp/7",
)
"""No agent at all, or a tool that the crawler list does not know: not a browser."""
