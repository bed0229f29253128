"""Which bindings there are, and making them: lists, managers, loading, checking.

Begin with ``manager``. ``bindings`` lists, ``loading`` imports a class and tells why it cannot, ``checking`` tries each
in a process of its own.

Imports all rooms but ``testing``.
"""
