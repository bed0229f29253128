"""A planted fault that lies in the module, not in the class."""

import os

from lollms_examples.tts import ToneTTSBinding

os.environ["PLANTED_PARALLELISM"] = "false"


class SetsTheEnvironmentAtImport(ToneTTSBinding):
    """Sets a variable for its engine when it is imported."""
