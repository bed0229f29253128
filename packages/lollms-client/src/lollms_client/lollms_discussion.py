"""A module of lollms-client 1.x, which is told of in a word more than that there is none."""

from lollms_client._older import refuse_module

refuse_module(__name__)
