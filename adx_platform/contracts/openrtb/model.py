"""The modelled subset of OpenRTB 2.6: one table, from which everything else is derived.

Belongs here: which members of a bid request have columns of their own. A member that is not here is
not lost: it travels in ``extension_json``. Does not belong here: rarities. Every leaf costs time in
each batch of 100,000 messages whether it is filled or not, so a member earns its place by being
common or by being used by a rule.
"""

from __future__ import annotations

from adx_platform.contracts.openrtb.nodes import (
    DOUBLE,
    FLAG,
    INT,
    LONG,
    STRING,
    Array,
    members,
)

_CODES = Array(INT)
_TEXTS = Array(STRING)

_SIZE = members(w=INT, h=INT)

_BANNER = members(
    w=INT,
    h=INT,
    format=Array(_SIZE),
    pos=INT,
    api=_CODES,
    battr=_CODES,
    mimes=_TEXTS,
    expdir=_CODES,
    topframe=INT,
)

_VIDEO = members(
    mimes=_TEXTS,
    w=INT,
    h=INT,
    minduration=INT,
    maxduration=INT,
    startdelay=INT,
    protocols=_CODES,
    placement=INT,
    plcmt=INT,
    linearity=INT,
    skip=INT,
    skipmin=INT,
    skipafter=INT,
    playbackmethod=_CODES,
    delivery=_CODES,
    pos=INT,
    api=_CODES,
    battr=_CODES,
)

_AUDIO = members(
    mimes=_TEXTS,
    minduration=INT,
    maxduration=INT,
    startdelay=INT,
    protocols=_CODES,
    api=_CODES,
)

_NATIVE = members(request=STRING, ver=STRING, api=_CODES)

_DEAL = members(id=STRING, bidfloor=DOUBLE, bidfloorcur=STRING, at=INT)

_PMP = members(private_auction=INT, deals=Array(_DEAL))

_IMP = members(
    id=STRING,
    tagid=STRING,
    bidfloor=DOUBLE,
    bidfloorcur=STRING,
    secure=INT,
    instl=INT,
    rwdd=INT,
    exp=INT,
    displaymanager=STRING,
    displaymanagerver=STRING,
    banner=_BANNER,
    video=_VIDEO,
    audio=_AUDIO,
    native=_NATIVE,
    pmp=_PMP,
)

_PUBLISHER = members(id=STRING, name=STRING, domain=STRING)

_CONTENT = members(
    id=STRING,
    title=STRING,
    series=STRING,
    season=STRING,
    episode=INT,
    genre=STRING,
    language=STRING,
    livestream=INT,
    cat=_TEXTS,
)

_SITE = members(
    id=STRING,
    name=STRING,
    domain=STRING,
    page=STRING,
    ref=STRING,
    keywords=STRING,
    mobile=INT,
    cat=_TEXTS,
    pagecat=_TEXTS,
    publisher=_PUBLISHER,
    content=_CONTENT,
)

_APP = members(
    id=STRING,
    name=STRING,
    bundle=STRING,
    domain=STRING,
    storeurl=STRING,
    ver=STRING,
    paid=INT,
    cat=_TEXTS,
    publisher=_PUBLISHER,
    content=_CONTENT,
)

_DOOH = members(
    id=STRING,
    name=STRING,
    domain=STRING,
    keywords=STRING,
    venuetypetax=INT,
    publisher=_PUBLISHER,
)

_GEO = members(
    lat=DOUBLE,
    lon=DOUBLE,
    type=INT,
    country=STRING,
    region=STRING,
    metro=STRING,
    city=STRING,
    zip=STRING,
)

_BRAND = members(brand=STRING, version=_TEXTS)

_SUA = members(
    browsers=Array(_BRAND),
    platform=_BRAND,
    mobile=INT,
    architecture=STRING,
    model=STRING,
    source=INT,
)

_DEVICE = members(
    ua=STRING,
    sua=_SUA,
    ip=STRING,
    ipv6=STRING,
    ifa=STRING,
    geo=_GEO,
    dnt=INT,
    lmt=INT,
    devicetype=INT,
    make=STRING,
    model=STRING,
    os=STRING,
    osv=STRING,
    w=INT,
    h=INT,
    pxratio=DOUBLE,
    js=INT,
    language=STRING,
    carrier=STRING,
    mccmnc=STRING,
    connectiontype=INT,
)

_UID = members(id=STRING, atype=INT)

_EID = members(source=STRING, uids=Array(_UID))

_USER = members(
    id=STRING,
    buyeruid=STRING,
    yob=INT,
    gender=STRING,
    keywords=STRING,
    consent=STRING,
    geo=_GEO,
    eids=Array(_EID),
)

_REGS = members(coppa=INT, gdpr=INT, us_privacy=STRING, gpp=STRING, gpp_sid=_CODES)

_CHAIN_NODE = members(asi=STRING, sid=STRING, hp=INT, rid=STRING, name=STRING, domain=STRING)

_CHAIN = members(complete=INT, ver=STRING, nodes=Array(_CHAIN_NODE))

_SOURCE = members(tid=STRING, fd=INT, pchain=STRING, schain=_CHAIN)

BID_REQUEST = members(
    id=STRING,
    at=INT,
    tmax=LONG,
    test=FLAG,
    allimps=INT,
    cur=_TEXTS,
    bcat=_TEXTS,
    badv=_TEXTS,
    bapp=_TEXTS,
    imp=Array(_IMP),
    site=_SITE,
    app=_APP,
    dooh=_DOOH,
    device=_DEVICE,
    user=_USER,
    regs=_REGS,
    source=_SOURCE,
)
"""An OpenRTB 2.6 BidRequest, as far as it has columns."""

CONTRACT_NAMES: dict[str, str] = {
    "id": "request_id",
    "at": "auction_type",
    "tmax": "tmax_ms",
    "test": "is_test",
}
"""Members that the refined table keeps under the platform's own column names."""
