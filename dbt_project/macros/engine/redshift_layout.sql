{#- Where the rows of a model lie on Redshift's nodes; docs/redshift.md says why. Only for models that
    are rebuilt by touched days: the others are small, and `dbt_project.yml` puts a copy of them on
    every node. Other engines ignore it. -#}

{% macro redshift_dist(model_name) -%}
  {%- set keys = {
      'fct_impressions': 'impression_key',
      'fct_auctions': 'request_event_id',
      'fct_clicks': 'event_id',
      'fct_conversions': 'event_id',
      'int_attribution_touches': 'conversion_event_id',
      'fct_attribution': 'conversion_event_id',
      'fct_invalid_traffic': 'event_key',
  } -%}
  {%- if model_name in keys -%}
    {{ return(keys[model_name]) }}
  {%- elif model_name.endswith('_copies') -%}
    {#- As the raw tables, with which they are joined: all copies of an event are on one node. -#}
    {{ return('event_id') }}
  {%- else -%}
    {#- Aggregates: they begin small, and Redshift spreads them when they have grown. -#}
    {{ return('auto') }}
  {%- endif -%}
{%- endmacro %}
