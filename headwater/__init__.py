"""The composition root: settings, URLs, the ``headwater`` command, the supervisor and the embedded runtime."""
