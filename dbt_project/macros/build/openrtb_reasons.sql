{#- Codes of OpenRTB's lists 5.24 (no-bid reasons) and 5.25 (loss reasons) in words. -#}
{% macro no_bid_reasons() -%}
  {{ return({
      0: 'unknown error', 1: 'technical error', 2: 'invalid request', 3: 'known web spider',
      4: 'suspected non-human traffic', 5: 'cloud, data centre or proxy', 6: 'unsupported device',
      7: 'blocked publisher or site', 8: 'unmatched user', 9: 'daily reader cap met',
      10: 'daily domain cap met', 11: 'ads.txt unavailable', 12: 'ads.txt violation',
      13: 'ads.cert unavailable', 14: 'ads.cert violation', 15: 'insufficient auction time',
      16: 'incomplete supply chain', 17: 'blocked supply chain node',
  }) }}
{%- endmacro %}
{% macro loss_reasons() -%}
  {{ return({
      0: 'bid won', 1: 'internal error', 2: 'impression opportunity expired', 3: 'invalid bid response',
      4: 'invalid deal id', 5: 'invalid auction id', 6: 'invalid advertiser domain', 7: 'missing markup',
      8: 'missing creative id', 9: 'missing bid price', 10: 'missing creative approval data',
      100: 'below auction floor', 101: 'below deal floor', 102: 'lost to a higher bid',
      103: 'lost to a deal', 104: 'buyer seat blocked', 200: 'creative filtered',
      201: 'creative pending', 202: 'creative disapproved', 203: 'creative size not allowed',
      204: 'incorrect creative format', 205: 'advertiser excluded', 206: 'app bundle excluded',
      207: 'creative not secure', 208: 'language excluded', 209: 'category excluded',
      210: 'creative attribute excluded', 211: 'ad type excluded', 212: 'animation too long',
      213: 'not allowed in the deal',
  }) }}
{%- endmacro %}

{#- The words for `code`; a code that is not in the list is the exchange's own. -#}
{% macro reason_in_words(code, reasons) -%}
  case {{ code }}
    when -1 then 'not given'
    {%- for number, words in reasons.items() %}
    when {{ number }} then '{{ words }}'
    {%- endfor %}
    else 'exchange specific'
  end
{%- endmacro %}
