"""How the platform speaks: structured logs and alerts.

Belongs here: log documents, masking, alert channels and what an alert says. Does not belong here:
deciding that something is wrong (``quality``).
"""
