"""Discussions of lollms-client 1.x: whoever imports this is told where they are now."""

from lollms_client._older import refuse_module

refuse_module(__name__)
