"""How far the figures can be trusted: recounts and measures over what is stored.

Belongs here: the conservation equation, contract verification of stored rows and the quality
measures, as functions of frames and query results. Does not belong here: when they run and what
happens on a failure (``orchestration``), or how rows got their disposition (``refine``).
"""
