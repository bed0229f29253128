"""Our own surface, ``/lollms/v2``: every verb of every binding, with its progress, its cancel and its typed errors."""
