"""Credit for conversions, per channel and model, from generic tables of paths.

Belongs here: reading path, touch and conversion tables into paths, the models, and dividing a total
into whole micros. All are pure functions on frames. Does not belong here: files and printing
(``cli.attribution``), or the warehouse's own attribution of campaigns, which dbt builds
(``fct_attribution``); these models can be held against published implementations of them.
"""
