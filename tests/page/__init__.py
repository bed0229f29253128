"""The page of `lollms serve` in Debian's Chromium. One browser and one server are all files' (`conftest`)."""
